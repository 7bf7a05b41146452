"""The matches of a route rule."""

from collections.abc import Iterable, Iterator

from translators.gateway_api.issues import Issue, check, unusable
from translators.gateway_api.texts import (
    is_header_name,
    is_header_value,
    is_matchable_header,
    is_path,
    pattern_error,
)
from translators.ir.route import PathKind, PathMatch, RouteMatch, ValueMatch
from translators.resources.httproute import HttpMatch, HttpPathMatch, HttpValueMatch

_METHODS = frozenset(
    {"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"}
)
_KINDS = {kind.value: kind for kind in PathKind}
_PATH_TYPES = "Exact, PathPrefix or RegularExpression"
_VALUE_TYPES = "Exact or RegularExpression"


def match_issues(match: HttpMatch) -> Iterator[Issue]:
    """All that keeps a match from being used; field paths are below the match."""
    yield from _path_issues(match.path)
    if match.method and match.method not in _METHODS:
        yield unusable("method", f"method {match.method!r} is unknown")
    if match.headers:
        yield from header_issues(match.headers)
    for index, parameter in enumerate(match.query):
        valid = is_header_name(parameter.name)
        yield from _value_issues(f"queryParams[{index}]", parameter, name_is_valid=valid)


def header_issues(headers: Iterable[HttpValueMatch]) -> Iterator[Issue]:
    """All that keeps header matches from being used; field paths are below the match."""
    for index, header in enumerate(headers):
        valid = is_matchable_header(header.name)
        yield from _value_issues(f"headers[{index}]", header, name_is_valid=valid)


def header_matches(headers: Iterable[HttpValueMatch]) -> tuple[ValueMatch, ...]:
    """Header matches that have no issues."""
    return _first_of_each(map(_header, headers))


def route_match(match: HttpMatch, peer_namespaces: tuple[str, ...]) -> RouteMatch:
    """A match that has no issues, for requests from these namespaces (empty: from anywhere)."""
    return RouteMatch(
        path=_path(match.path),
        method=match.method,
        headers=header_matches(match.headers) if match.headers else (),
        query=_first_of_each(map(_parameter, match.query)) if match.query else (),
        peer_namespaces=peer_namespaces,
    )


def _path_issues(path: HttpPathMatch) -> Iterator[Issue]:
    match path.type:
        case "Exact" | "PathPrefix":
            if not is_path(path.value):
                hint = "begin it with /, without //, . or .. in it"
                yield unusable("path.value", f"{path.value!r} can't be a path; {hint}")
        case "RegularExpression":
            yield from _pattern_issues("path.value", path.value)
        case _:
            yield unusable("path.type", f"{path.type!r} is unknown; use {_PATH_TYPES}")


def _value_issues(path: str, match: HttpValueMatch, *, name_is_valid: bool) -> Iterator[Issue]:
    yield from check(f"{path}.name", f"{match.name!r} can't be a name", holds=name_is_valid)
    match match.type:
        case "Exact":
            valid = is_header_value(match.value)
            yield from check(f"{path}.value", "the value can't occur in a request", holds=valid)
        case "RegularExpression":
            yield from _pattern_issues(f"{path}.value", match.value)
        case _:
            yield unusable(f"{path}.type", f"{match.type!r} is unknown; use {_VALUE_TYPES}")


def _pattern_issues(path: str, pattern: str) -> Iterator[Issue]:
    error = pattern_error(pattern)
    if error is not None:
        yield unusable(path, error)


def _path(path: HttpPathMatch) -> PathMatch:
    """A path match; a prefix means whole segments, so that its trailing slash means nothing."""
    kind = _KINDS[path.type]
    value = path.value.rstrip("/") or "/" if kind is PathKind.PREFIX else path.value
    return PathMatch(kind, value)


def _header(match: HttpValueMatch) -> ValueMatch:
    """A header match; the ``Host`` of a request is known to proxies as ``:authority``."""
    name = match.name.lower()
    regex = match.type == "RegularExpression"
    return ValueMatch(":authority" if name == "host" else name, match.value, regex)


def _parameter(match: HttpValueMatch) -> ValueMatch:
    return ValueMatch(match.name, match.value, match.type == "RegularExpression")


def _first_of_each(matches: Iterable[ValueMatch]) -> tuple[ValueMatch, ...]:
    """Of matches with the same name only the first counts (Gateway API)."""
    first: dict[str, ValueMatch] = {}
    for match in matches:
        first.setdefault(match.name, match)
    return tuple(first.values())
