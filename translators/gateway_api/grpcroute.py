"""What is particular to GRPCRoutes. In all else a GRPCRoute is an HTTPRoute for gRPC calls.

A port may have both kinds of routes. The Gateway API refuses that only where two routes share the
host names of a listener; a service has neither, so their matches are tried in one order, and
those of a GRPCRoute are met by gRPC calls only.
"""

from collections.abc import Iterator

from translators.gateway_api.headers import REQUEST, RESPONSE
from translators.gateway_api.issues import Issue, check, unusable
from translators.gateway_api.matches import header_issues, header_matches
from translators.gateway_api.texts import is_grpc_method, is_grpc_service, pattern_error
from translators.ir.route import PathKind, PathMatch, RouteMatch
from translators.resources.grpcroute import GrpcMatch, GrpcMethodMatch, GrpcRule
from translators.resources.httproute import HttpRule

_FILTERS = frozenset({REQUEST, RESPONSE, "RequestMirror", "ExtensionRef"})
_ANY = "[^/]+"
_MAX_PART = 500


def as_http(rule: GrpcRule) -> HttpRule:
    """All that a rule asks for, but for its matches."""
    return HttpRule(
        matches=(),
        name=rule.name,
        filters=rule.filters,
        backends=rule.backends,
        session_persistence=rule.session_persistence,
        unreadable=rule.unreadable,
    )


def grpc_filter_issues(rule: GrpcRule) -> Iterator[Issue]:
    """The filters that only an HTTPRoute can have; field paths are below the rule."""
    for index, one in enumerate(rule.filters):
        message = f"filter {one.type!r} is not for GRPCRoute"
        yield from check(f"filters[{index}].type", message, holds=one.type in _FILTERS)


def grpc_match_issues(match: GrpcMatch) -> Iterator[Issue]:
    """All that keeps a match from being used; field paths are below the match."""
    for issue in _method_issues(match.method):
        yield issue.below("method")
    yield from header_issues(match.headers)


def grpc_route_match(match: GrpcMatch, peer_namespaces: tuple[str, ...]) -> RouteMatch:
    """A match that has no issues, for calls from these namespaces (empty: from anywhere)."""
    return RouteMatch(
        path=_path(match.method),
        headers=header_matches(match.headers),
        peer_namespaces=peer_namespaces,
        grpc=True,
    )


def _method_issues(method: GrpcMethodMatch) -> Iterator[Issue]:
    match method.type:
        case "Exact":
            message = f"{method.service!r} is no name of a service"
            valid = not method.service or is_grpc_service(method.service)
            yield from check("service", message, holds=valid)
            message = f"{method.method!r} is no name of a method"
            valid = not method.method or is_grpc_method(method.method)
            yield from check("method", message, holds=valid)
        case "RegularExpression":
            yield from _pattern_issues("service", method.service)
            yield from _pattern_issues("method", method.method)
        case _:
            yield unusable("type", f"match type {method.type!r} is unknown")


def _pattern_issues(path: str, pattern: str) -> Iterator[Issue]:
    """Each pattern must be valid alone, and short enough for both to be one."""
    error = pattern_error(pattern) if pattern else None
    if error is None and len(pattern) > _MAX_PART:
        error = f"a regular expression must have at most {_MAX_PART} characters"
    if error is not None:
        yield unusable(path, error)


def _path(method: GrpcMethodMatch) -> PathMatch:
    """The path of a call is ``/service/method`` (gRPC over HTTP/2)."""
    exact = method.type == "Exact"
    if not method.service and not method.method:
        return PathMatch(PathKind.PREFIX, "/")
    if exact and not method.method:
        return PathMatch(PathKind.PREFIX, f"/{method.service}")
    if exact and method.service:
        return PathMatch(PathKind.EXACT, f"/{method.service}/{method.method}")
    service = f"(?:{method.service})" if method.service else _ANY
    name = f"(?:{method.method})" if method.method else _ANY
    return PathMatch(PathKind.REGEX, f"/{service}/{name}")
