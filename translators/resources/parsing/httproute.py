"""Reading HTTPRoute: a rule with an unreadable part is kept, and says so."""

from dataclasses import replace

from translators.resources.httproute import (
    HttpBackend,
    HttpMatch,
    HttpPathMatch,
    HttpRetry,
    HTTPRoute,
    HttpRule,
    HttpSessionPersistence,
    HttpValueMatch,
)
from translators.resources.metadata import Metadata
from translators.resources.parsing import bounds
from translators.resources.parsing.fields import Fields
from translators.resources.parsing.httpfilter import read_filters
from translators.resources.parsing.reference import read_backend_ref, read_parents, read_weight


def read_httproute(root: Fields, meta: Metadata) -> HTTPRoute | None:
    """An HTTPRoute; None if anything outside its rules can't be read."""
    spec = root.within("spec")
    rules = list(spec.items("rules", bounds.RULES))
    route = HTTPRoute(
        meta,
        parents=read_parents(spec, meta.namespace),
        hostnames=spec.texts("hostnames", bounds.HOSTNAMES, bounds.NAME),
        rules=tuple(_read_rule(rule, meta.namespace) for rule in rules)
        if spec.raw("rules") is not None
        else (HttpRule(),),
    )
    return route if root.excuse(rules) else None


def _read_rule(fields: Fields, namespace: str) -> HttpRule:
    matches, timeouts = _read_matches(fields), fields.within("timeouts")
    rule = HttpRule(
        matches=matches,
        name=fields.text("name"),
        filters=read_filters(fields, namespace),
        backends=read_http_backends(fields, namespace),
        timeout_request=timeouts.text_or_none("request"),
        timeout_backend=timeouts.text_or_none("backendRequest"),
        retry=fields.part("retry", _read_retry),
        session_persistence=fields.part("sessionPersistence", read_session_persistence),
    )
    return replace(rule, unreadable=fields.unreadable()) if fields.problems else rule


def _read_matches(fields: Fields) -> tuple[HttpMatch, ...]:
    """The matches that could be read; the default only if none are written in an object.

    A match with an unreadable part is left out as a whole: without that part it would take
    requests that are not meant.
    """
    if fields.problems:
        return ()
    if fields.raw("matches") in (None, []):
        return (HttpMatch(),)
    return fields.each("matches", bounds.MATCHES, _read_match)


def _read_match(fields: Fields) -> HttpMatch:
    return HttpMatch(
        path=_read_path(fields.within("path")),
        method=fields.text("method"),
        headers=fields.each("headers", bounds.HEADERS, read_value_match),
        query=fields.each("queryParams", bounds.HEADERS, read_value_match),
    )


def _read_path(fields: Fields) -> HttpPathMatch:
    return HttpPathMatch(
        fields.text("type", "PathPrefix"), fields.text("value", "/", limit=bounds.PATH)
    )


def read_value_match(fields: Fields) -> HttpValueMatch:
    """A match of a header or of a query parameter."""
    kind = fields.text("type", "Exact")
    limit = bounds.REGEX if kind == "RegularExpression" else bounds.TEXT
    return HttpValueMatch(fields.required("name"), fields.required("value", limit), kind)


def read_http_backends(fields: Fields, namespace: str) -> tuple[HttpBackend, ...]:
    """``backendRefs`` of a rule."""
    return fields.each(
        "backendRefs", bounds.BACKENDS, lambda entry: _read_backend(entry, namespace)
    )


def _read_backend(fields: Fields, namespace: str) -> HttpBackend:
    return HttpBackend(
        ref=read_backend_ref(fields, namespace),
        weight=read_weight(fields),
        filters=read_filters(fields, namespace),
    )


def _read_retry(fields: Fields) -> HttpRetry:
    return HttpRetry(
        codes=fields.numbers("codes", bounds.CODES, 100, 599),
        attempts=fields.number_or_none("attempts"),
        backoff=fields.text_or_none("backoff"),
    )


def read_session_persistence(fields: Fields) -> HttpSessionPersistence:
    """``sessionPersistence`` of a rule; some fields have moved between versions of the API."""
    cookie, old_cookie = fields.within("cookie"), fields.within("cookieConfig")
    names = (cookie.text("name"), fields.within("header").text("name"), fields.text("sessionName"))
    return HttpSessionPersistence(
        session_name=next(filter(None, names), ""),
        type=fields.text("type", "Cookie"),
        absolute_timeout=fields.text_or_none("absoluteTimeout"),
        idle_timeout=fields.text_or_none("idleTimeout"),
        cookie_lifetime=cookie.text("lifetimeType") or old_cookie.text("lifetimeType", "Session"),
        cookie_path=cookie.text("path", "/", limit=bounds.PATH),
    )
