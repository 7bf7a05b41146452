"""Which of several matches is tried first."""

from collections.abc import Iterable
from functools import lru_cache
from operator import itemgetter
from typing import NamedTuple

from translators.ir.route import PathKind, Route, RouteMatch
from translators.resources.grpcroute import GrpcMethodMatch
from translators.resources.metadata import Metadata

_PATH_RANK = {PathKind.EXACT: 0, PathKind.PREFIX: 1, PathKind.REGEX: 2}

Specificity = tuple[int, int, int, int, int, int]
"""How specific a match is, the less the more; comparable between kinds of routes."""

Seniority = tuple[bool, str, str]


# Gateway API, HTTPRouteRule.matches: "Across all rules specified on applicable Routes, precedence
# must be given to the match having: 'Exact' path match. 'Prefix' path match with largest number
# of characters. Method match. Largest number of header matches. Largest number of query param
# matches. [...] If ties still exist across multiple Routes, matching precedence MUST be
# determined in order of the following criteria, continuing on ties: The oldest Route based on
# creation timestamp. The Route appearing first in alphabetical order by '{namespace}/{name}'.
# If ties still exist within an HTTPRoute, matching precedence MUST be granted to the FIRST
# matching rule (in list order) with a match meeting the above criteria."
# Regular expressions are left to the implementation: as in Istio they come last, longest first.
class Ranked(NamedTuple):
    """A route, after what says where its match stands, the less the earlier.

    Its match is that of this number in that rule of the ``owner``.
    """

    specificity: Specificity
    owner: Seniority
    rule: int
    match: int
    route: Route


_rank = itemgetter(slice(-1))


def in_order(ranked: Iterable[Ranked]) -> tuple[Route, ...]:
    """The routes in the order in which they must be tried."""
    return tuple(one.route for one in sorted(ranked, key=_rank))


def seniority(owner: Metadata) -> Seniority:
    """The less, the older; an age that isn't known is that of the youngest."""
    return not owner.created, owner.created, f"{owner.namespace}/{owner.name}"


def http_specificity(match: RouteMatch) -> Specificity:
    """By path, method, headers and query parameters."""
    return _kept_once(
        (
            _PATH_RANK[match.path.kind],
            -len(match.path.value),
            0 if match.method else 1,
            -len(match.headers),
            -len(match.query),
            1,
        )
    )


@lru_cache(maxsize=1 << 12)
def _kept_once(specificity: Specificity) -> Specificity:
    """One tuple for all matches that are equally specific: there are many of them."""
    return specificity


# Gateway API, GRPCRouteRule.matches: "Precedence MUST be given to the rule with the largest
# number of: [...] Characters in a matching service. Characters in a matching method. Header
# matches." A method counts as a path does, so that both kinds of routes have one order (as in
# Istio); for what both match alike a gRPC call goes by the GRPCRoute.
def grpc_specificity(method: GrpcMethodMatch, headers: int) -> Specificity:
    """By service, method and headers."""
    exact = method.type == "Exact" and bool(method.service) and bool(method.method)
    path = f"/{method.service}/{method.method}" if exact else f"/{method.service}"
    return (
        _PATH_RANK[PathKind.EXACT if exact else PathKind.PREFIX],
        -len(path),
        0 if method.method else 1,
        -headers,
        0,
        0,
    )
