"""Which requests a route is for."""

import re
from collections.abc import Iterator
from typing import TypedDict, assert_never

from envoy_data_plane.envoy.config.route.v3 import (
    HeaderMatcher,
    QueryParameterMatcher,
    RouteMatchGrpcRouteMatchOptions,
)
from envoy_data_plane.envoy.config.route.v3 import RouteMatch as EnvoyMatch
from envoy_data_plane.envoy.type.matcher.v3 import (
    FilterStateMatcher,
    RegexMatcher,
    StringMatcher,
)

from translators.ir.route import PathKind, PathMatch, RouteMatch, ValueMatch
from translators.wire import template
from translators.xds.names import TCP_DESTINATION
from translators.xds.peer import peer_in_namespaces
from translators.xds.text import escaped, exact, regex

_ALL = RouteMatch()

# What Envoy accepts as path_separated_prefix; it refuses a whole table for one that it does not.
_SEPARABLE = re.compile("[^?#]+[^?#/]")


class PathCondition(TypedDict, total=False):
    """One member of the oneof that says how a route matches paths."""

    prefix: str
    path: str
    path_separated_prefix: str
    safe_regex: RegexMatcher


def route_match(match: RouteMatch) -> EnvoyMatch:
    """All conditions of a route (Gateway API HTTPRouteMatch)."""
    path = _path(match.path)
    if match.by_path_alone and "path_separated_prefix" in path:
        return _below(path["path_separated_prefix"])
    headers = [_header(header) for header in match.headers]
    if match.method:
        headers.append(HeaderMatcher(name=":method", string_match=exact(match.method)))
    return EnvoyMatch(
        **path,
        headers=headers,
        query_parameters=[
            QueryParameterMatcher(name=parameter.name, string_match=_value(parameter))
            for parameter in match.query
        ],
        filter_state=list(_of_connection(match)),
        grpc=RouteMatchGrpcRouteMatchOptions() if match.grpc else None,
    )


@template
def _below(segments: str) -> EnvoyMatch:
    return EnvoyMatch(path_separated_prefix=segments)


def _of_connection(match: RouteMatch) -> Iterator[FilterStateMatcher]:
    if match.peer_namespaces:
        yield peer_in_namespaces(match.peer_namespaces)
    if match.steered_to:
        yield FilterStateMatcher(key=TCP_DESTINATION, string_match=exact(match.steered_to))


def takes_all(match: RouteMatch) -> bool:
    """Whether the route leaves no request to the routes behind it."""
    return match.path.value == "/" and match == _ALL


def _path(path: PathMatch) -> PathCondition:
    match path.kind:
        case PathKind.EXACT:
            return PathCondition(path=path.value)
        case PathKind.REGEX:
            return PathCondition(safe_regex=RegexMatcher(regex=path.value))
        case PathKind.PREFIX:
            return _prefix(path.value)
        case _:
            assert_never(path.kind)


def _prefix(value: str) -> PathCondition:
    """By whole segments; a slash at the end means nothing (Gateway API PathPrefix)."""
    segments = value.rstrip("/")
    if not segments:
        return PathCondition(prefix="/")
    if _SEPARABLE.fullmatch(segments):
        return PathCondition(path_separated_prefix=segments)
    return PathCondition(safe_regex=RegexMatcher(regex=f"{escaped(segments)}(/.*)?"))


def _header(match: ValueMatch) -> HeaderMatcher:
    # What HTTP/1.1 calls host arrives as the authority.
    name = ":authority" if match.name == "host" else match.name
    return HeaderMatcher(name=name, string_match=_value(match))


def _value(match: ValueMatch) -> StringMatcher:
    return regex(match.value) if match.regex else exact(match.value)
