"""Which of several matches is tried first."""

from collections.abc import Iterable
from dataclasses import dataclass

from translators.ir.route import PathKind, Route, RouteMatch
from translators.resources.metadata import Metadata

_PATH_RANK = {PathKind.EXACT: 0, PathKind.PREFIX: 1, PathKind.REGEX: 2}

Precedence = tuple[tuple[int, ...], tuple[bool, str], str, int, int]


@dataclass(frozen=True, slots=True)
class Ranked:
    """A route, and where its match stands: of which HTTPRoute, rule and match it is made."""

    route: Route
    owner: Metadata
    rule: int
    match: int


def in_order(ranked: Iterable[Ranked]) -> tuple[Route, ...]:
    """The routes in the order in which they must be tried."""
    return tuple(one.route for one in sorted(ranked, key=_precedence))


# Gateway API, HTTPRouteRule.matches: "Across all rules specified on applicable Routes, precedence
# must be given to the match having: 'Exact' path match. 'Prefix' path match with largest number
# of characters. Method match. Largest number of header matches. Largest number of query param
# matches. [...] If ties still exist across multiple Routes, matching precedence MUST be
# determined in order of the following criteria, continuing on ties: The oldest Route based on
# creation timestamp. The Route appearing first in alphabetical order by '{namespace}/{name}'.
# If ties still exist within an HTTPRoute, matching precedence MUST be granted to the FIRST
# matching rule (in list order) with a match meeting the above criteria."
# Regular expressions are left to the implementation: as in Istio they come last, longest first.
def _precedence(ranked: Ranked) -> Precedence:
    owner = ranked.owner
    return (
        _specificity(ranked.route.match),
        (not owner.created, owner.created),  # an age that isn't known is that of the youngest
        f"{owner.namespace}/{owner.name}",
        ranked.rule,
        ranked.match,
    )


def _specificity(match: RouteMatch) -> tuple[int, ...]:
    """The less, the more specific."""
    return (
        _PATH_RANK[match.path.kind],
        -len(match.path.value),
        0 if match.method else 1,
        -len(match.headers),
        -len(match.query),
    )
