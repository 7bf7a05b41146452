"""What the filters of a route rule ask for, and whether it can be done."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import TypeVar

from translators.gateway_api.headers import REQUEST, RESPONSE, modifier_issues
from translators.gateway_api.issues import Issue, Subject, check, unusable
from translators.gateway_api.texts import (
    is_header_name,
    is_header_value,
    is_host_name,
    is_origin,
)
from translators.resources.httproute import (
    HttpCors,
    HttpExternalAuth,
    HttpFilter,
    HttpRule,
    PathModifier,
    RequestMirror,
    RequestRedirect,
    UrlRewrite,
)

REDIRECT = "RequestRedirect"
REWRITE = "URLRewrite"
MIRROR = "RequestMirror"
CORS = "CORS"
EXTERNAL_AUTH = "ExternalAuth"

_REDIRECT_CODES = frozenset({301, 302, 303, 307, 308})
_MAX_AGE = 2**31 - 1
_ORIGINS = "write it as https://shop.example, https://*.example or *"
_MAX_PORT = 65535
_MAX_BODY = 1 << 24  # a proxy holds as much of each request in memory

T = TypeVar("T")


def filter_issues(rule: HttpRule) -> Iterator[Issue]:
    """All that keeps the filters of a rule from being used; field paths are below the rule."""
    if not rule.filters:
        return
    counts = Counter(one.type for one in rule.filters)
    for kind in (REQUEST, RESPONSE, REDIRECT, REWRITE, CORS, EXTERNAL_AUTH):
        once = counts[kind] <= 1
        yield from check("filters", f"filter {kind} is given more than once", holds=once)
    redirects = bool(counts[REDIRECT])
    yield from check(
        "filters",
        "a rule can't both redirect and rewrite",
        holds=not (redirects and counts[REWRITE]),
    )
    yield from check(
        "filters", "a rule can't both redirect and forward", holds=not (redirects and rule.backends)
    )
    for index, one in enumerate(rule.filters):
        for issue in _one_filter_issues(one):
            yield issue.below(f"filters[{index}]")
        yield from _prefix_issues(f"filters[{index}]", one, rule)


def backend_filter_issues(filters: tuple[HttpFilter, ...]) -> Iterator[Issue]:
    """All that keeps the filters of a backend from being used; only headers can be changed."""
    if not filters:
        return
    counts = Counter(one.type for one in filters)
    for kind in (REQUEST, RESPONSE):
        once = counts[kind] <= 1
        yield from check("filters", f"filter {kind} is given more than once", holds=once)
    for index, one in enumerate(filters):
        if one.type in (REQUEST, RESPONSE):
            issues = _one_filter_issues(one)
        else:
            issues = iter((_unknown_filter(one.type),))
        for issue in issues:
            yield issue.below(f"filters[{index}]")


def _one_filter_issues(one: HttpFilter) -> Iterator[Issue]:
    match one.type:
        case "RequestHeaderModifier":
            yield from _part("requestHeaderModifier", one.header_modifier, modifier_issues)
        case "ResponseHeaderModifier":
            yield from _part("responseHeaderModifier", one.header_modifier, modifier_issues)
        case "RequestRedirect":
            yield from _part("requestRedirect", one.redirect, _redirect_issues)
        case "URLRewrite":
            yield from _part("urlRewrite", one.rewrite, _rewrite_issues)
        case "RequestMirror":
            yield from _part("requestMirror", one.mirror, _mirror_issues)
        case "CORS":
            yield from _part("cors", one.cors, _cors_issues)
        case "ExternalAuth":
            yield from _part("externalAuth", one.external_auth, _external_auth_issues)
        case _:
            yield _unknown_filter(one.type)


def _unknown_filter(kind: str) -> Issue:
    """A filter that isn't known must not be skipped (Gateway API): its requests get an error."""
    if kind == "ExtensionRef":
        message = "no ExtensionRef filter is supported"
        return Issue("extensionRef", Subject.REFERENCE, "InvalidFilter", message)
    return unusable("type", f"filter {kind!r} is not supported here")


def _part(field: str, part: T | None, issues: Callable[[T], Iterator[Issue]]) -> Iterator[Issue]:
    """The issues of the part that belongs to a filter's type."""
    if part is None:
        yield unusable(field, f"{field} is missing")
        return
    for issue in issues(part):
        yield issue.below(field)


def _redirect_issues(redirect: RequestRedirect) -> Iterator[Issue]:
    scheme = redirect.scheme
    valid = scheme in (None, "http", "https")
    yield from check("scheme", f"scheme {scheme!r} is unknown; use http or https", holds=valid)
    yield from _host_issues(redirect.hostname)
    yield from _path_issues(redirect.path)
    in_range = redirect.port is None or 1 <= redirect.port <= _MAX_PORT
    yield from check("port", f"port {redirect.port} is out of range", holds=in_range)
    code = redirect.status_code
    yield from check("statusCode", f"{code} is no redirect", holds=code in _REDIRECT_CODES)


def _rewrite_issues(rewrite: UrlRewrite) -> Iterator[Issue]:
    yield from _host_issues(rewrite.hostname)
    yield from _path_issues(rewrite.path)


def _host_issues(host: str | None) -> Iterator[Issue]:
    valid = host is None or is_host_name(host)
    yield from check("hostname", f"{host!r} is no host name", holds=valid)


def _path_issues(path: PathModifier | None) -> Iterator[Issue]:
    if path is None:
        return
    known = path.type in ("ReplaceFullPath", "ReplacePrefixMatch")
    yield from check("path.type", f"path modifier {path.type!r} is unknown", holds=known)
    absolute = is_header_value(path.value) and (path.value.startswith("/") or not path.value)
    yield from check("path", f"{path.value!r} is no absolute path", holds=absolute)


def _prefix_issues(field: str, one: HttpFilter, rule: HttpRule) -> Iterator[Issue]:
    """``ReplacePrefixMatch`` needs a prefix in every match of the rule (Gateway API)."""
    for name, part in (("requestRedirect", one.redirect), ("urlRewrite", one.rewrite)):
        if part is None or part.path is None or part.path.type != "ReplacePrefixMatch":
            continue
        prefixes = all(match.path.type == "PathPrefix" for match in rule.matches)
        message = "ReplacePrefixMatch needs PathPrefix matches only"
        yield from check(f"{field}.{name}.path.type", message, holds=prefixes)


def _mirror_issues(mirror: RequestMirror) -> Iterator[Issue]:
    both = mirror.percent is not None and mirror.fraction is not None
    yield from check("fraction", "percent and fraction exclude each other", holds=not both)
    percent = 0 if mirror.percent is None else mirror.percent
    yield from check("percent", f"{percent} is no percentage", holds=0 <= percent <= 100)
    numerator, denominator = mirror.fraction or (0, 1)
    message = f"{numerator}/{denominator} is not between 0 and 1"
    yield from check("fraction", message, holds=0 <= numerator <= denominator > 0)


def _external_auth_issues(wanted: HttpExternalAuth) -> Iterator[Issue]:
    known = wanted.protocol in ("HTTP", "GRPC")
    message = f"protocol {wanted.protocol!r} is unknown; use HTTP or GRPC"
    yield from check("protocol", message, holds=known)
    absolute = not wanted.path or (wanted.path.startswith("/") and is_header_value(wanted.path))
    yield from check("http.path", f"{wanted.path!r} is no absolute path", holds=absolute)
    names = (*wanted.allowed_headers, *wanted.allowed_response_headers)
    message = "a list of headers holds something that is no name"
    yield from check(wanted.protocol.lower(), message, holds=all(map(is_header_name, names)))
    size = wanted.max_body or 0
    message = f"{size} is not 0 to {_MAX_BODY}"
    yield from check("forwardBody.maxSize", message, holds=0 <= size <= _MAX_BODY)


def _cors_issues(cors: HttpCors) -> Iterator[Issue]:
    for index, origin in enumerate(cors.allow_origins):
        message = f"{origin!r} is no origin; {_ORIGINS}"
        yield from check(f"allowOrigins[{index}]", message, holds=is_origin(origin))
    for field, names in (
        ("allowMethods", cors.allow_methods),
        ("allowHeaders", cors.allow_headers),
        ("exposeHeaders", cors.expose_headers),
    ):
        valid = all(map(is_header_name, names))
        yield from check(field, "holds something that is no name", holds=valid)
    in_range = 1 <= cors.max_age <= _MAX_AGE
    yield from check("maxAge", f"{cors.max_age} is not 1 to {_MAX_AGE}", holds=in_range)
