"""Timeouts, retries and session persistence of a rule."""

from collections.abc import Iterator

from translators.gateway_api.durations import is_duration, milliseconds
from translators.gateway_api.issues import Issue, check, unusable
from translators.gateway_api.texts import is_cookie_path, is_header_name
from translators.ir.route import Persistence, Retry
from translators.resources.httproute import HttpRetry, HttpRule, HttpSessionPersistence

# A tunnel that can't be set up shows as a reset, which says nothing of whether the request was
# begun; so without being asked only requests are repeated that change nothing.
_RETRY_ON = ("connect-failure", "refused-stream", "unavailable", "cancelled", "reset")
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_ATTEMPTS = 2
_DURATIONS = "write it as 1h30m, 10s or 500ms"
_MAX_ATTEMPTS = 100

DEFAULT_RETRY = Retry(attempts=_ATTEMPTS, on=_RETRY_ON, methods=_SAFE_METHODS)
"""What happens to failed attempts if a route says nothing."""


def forwarding_issues(rule: HttpRule) -> Iterator[Issue]:
    """All that keeps these parts of a rule from being used; field paths are below the rule."""
    yield from _duration_issues("timeouts.request", rule.timeout_request)
    yield from _duration_issues("timeouts.backendRequest", rule.timeout_backend)
    request, backend = _bound(rule.timeout_request), _bound(rule.timeout_backend)
    fits = request is None or backend is None or backend <= request
    if not fits:
        yield unusable("timeouts.backendRequest", "longer than timeouts.request")
    if rule.retry is not None:
        yield from _retry_issues(rule.retry)
    if rule.session_persistence is not None:
        for issue in _persistence_issues(rule.session_persistence):
            yield issue.below("sessionPersistence")


def timeouts(rule: HttpRule) -> tuple[int | None, int | None]:
    """How long a request, and one attempt of it, may take, in milliseconds; None: no bound.

    Where the rule asks for no retries one attempt is all there is, as far as its author knows: it
    must not take several times as long because it is repeated anyway (as in Istio).
    """
    request, backend = _bound(rule.timeout_request), _bound(rule.timeout_backend)
    if rule.retry is None or retry_of(rule) is None:
        return (request if backend is None else backend), None
    return request, backend


def retry_of(rule: HttpRule) -> Retry | None:
    """When an attempt is repeated (GEP-1731); None: never."""
    retry = rule.retry
    if retry is None:
        return DEFAULT_RETRY
    attempts = _ATTEMPTS if retry.attempts is None else retry.attempts
    if attempts <= 0:
        return None
    return Retry(
        attempts=attempts,
        on=_RETRY_ON,
        codes=tuple(dict.fromkeys(retry.codes)),
        backoff_ms=_bound(retry.backoff),
    )


def persistence_of(rule: HttpRule, default_name: str) -> Persistence | None:
    """How the requests of a session find their endpoint again (GEP-1619)."""
    wanted = rule.session_persistence
    if wanted is None:
        return None
    permanent = wanted.type == "Cookie" and wanted.cookie_lifetime == "Permanent"
    return Persistence(
        name=wanted.session_name or default_name,
        header=wanted.type == "Header",
        path=wanted.cookie_path,
        lifetime_ms=_bound(wanted.absolute_timeout) if permanent else None,
    )


def _duration_issues(path: str, text: str | None) -> Iterator[Issue]:
    if text is not None and not is_duration(text):
        yield unusable(path, f"{text!r} is no duration; {_DURATIONS}")


def _bound(text: str | None) -> int | None:
    """A duration in milliseconds; None for no duration and for zero, which means: no bound."""
    if text is None or not is_duration(text):
        return None
    return milliseconds(text) or None


def _retry_issues(retry: HttpRetry) -> Iterator[Issue]:
    codes = all(400 <= code <= 599 for code in retry.codes)
    yield from check("retry.codes", "a code is not between 400 and 599", holds=codes)
    attempts = retry.attempts is None or retry.attempts <= _MAX_ATTEMPTS
    yield from check("retry.attempts", f"more than {_MAX_ATTEMPTS}", holds=attempts)
    yield from _duration_issues("retry.backoff", retry.backoff)


def _persistence_issues(wanted: HttpSessionPersistence) -> Iterator[Issue]:
    known = wanted.type in ("Cookie", "Header")
    yield from check("type", f"type {wanted.type!r} is unknown; use Cookie or Header", holds=known)
    named = not wanted.session_name or is_header_name(wanted.session_name)
    yield from check("sessionName", "not a name", holds=named)
    yield from check("cookie.path", "not a path", holds=is_cookie_path(wanted.cookie_path))
    idle = wanted.idle_timeout is None
    yield from check("idleTimeout", "an idle timeout is not supported", holds=idle)
    yield from _duration_issues("absoluteTimeout", wanted.absolute_timeout)
    lifetime = wanted.cookie_lifetime
    known = lifetime in ("Session", "Permanent")
    yield from check(
        "cookieConfig.lifetimeType",
        f"{lifetime!r} is unknown; use Session or Permanent",
        holds=known,
    )
    permanent = wanted.type == "Cookie" and lifetime == "Permanent"
    bounded = _bound(wanted.absolute_timeout) is not None
    message = "an absolute timeout is needed by, and supported for, permanent cookies only"
    yield from check("absoluteTimeout", message, holds=permanent == bounded)
