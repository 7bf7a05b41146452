"""What the filters of a rule make of its requests. The rule must be free of issues."""

from translators.gateway_api.filters import CORS, REDIRECT, REWRITE
from translators.ir.route import Cors, FullPath, PathEdit, PrefixPath, Redirect, RouteMatch
from translators.resources.httproute import (
    HttpFilter,
    HttpRule,
    PathModifier,
    RequestRedirect,
    UrlRewrite,
)

_DEFAULT_PORTS = {"http": 80, "https": 443}


def redirect_of(rule: HttpRule) -> RequestRedirect | None:
    """The redirect that a rule answers with, if any."""
    found = _filter(rule, REDIRECT)
    return found.redirect if found else None


def rewrite_of(rule: HttpRule) -> UrlRewrite:
    """The rewrite of a rule's requests; an empty one without such a filter."""
    found = _filter(rule, REWRITE)
    return (found.rewrite if found else None) or UrlRewrite()


def cors_of(rule: HttpRule) -> Cors | None:
    """The cross-origin rules of a rule, if any."""
    found = _filter(rule, CORS)
    cors = found.cors if found else None
    if cors is None:
        return None
    return Cors(
        origins=cors.allow_origins,
        methods=cors.allow_methods,
        headers=cors.allow_headers,
        expose=cors.expose_headers,
        credentials=cors.allow_credentials,
        max_age_s=cors.max_age,
    )


def path_edit(path: PathModifier | None, match: RouteMatch) -> PathEdit | None:
    """How the path of a request that met ``match`` is changed."""
    if path is None:
        return None
    if path.type == "ReplaceFullPath":
        return FullPath(path.value or "/")
    return PrefixPath(match.path.value, path.value or "/")


def redirect_action(redirect: RequestRedirect, match: RouteMatch, service_port: int) -> Redirect:
    """The answer to a request that met ``match`` on a service port."""
    return Redirect(
        status=redirect.status_code,
        scheme=redirect.scheme or "",
        host=redirect.hostname or "",
        port=_redirect_port(redirect, service_port),
        path=path_edit(redirect.path, match),
    )


def _redirect_port(redirect: RequestRedirect, service_port: int) -> int | None:
    """The port to name: as given, else the scheme's, else the service's (Gateway API).

    None where it would be the scheme's default, which a Location should not name, and where
    the request's own host and port stay.
    """
    default = _DEFAULT_PORTS[redirect.scheme or "http"]
    if redirect.port is not None:
        port = redirect.port
    elif redirect.scheme is not None:
        port = default
    else:
        port = service_port
    keeps_host = redirect.hostname is None
    if keeps_host and redirect.port is None and redirect.scheme is None:
        return None
    return None if port == default and not keeps_host else port


def _filter(rule: HttpRule, kind: str) -> HttpFilter | None:
    return next((one for one in rule.filters if one.type == kind), None)
