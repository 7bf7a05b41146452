"""Requests that a policy and a server could read in two ways; they are refused."""

from collections.abc import Iterator

from envoy_data_plane.envoy.config.core.v3 import DataSource
from envoy_data_plane.envoy.config.route.v3 import (
    DirectResponseAction,
    HeaderMatcher,
    Route,
    RouteMatch,
)
from envoy_data_plane.envoy.type.matcher.v3 import RegexMatcher

from translators.wire import shared
from translators.xds.text import regex

# Once normalised, a path has empty segments and segments of dots only where parameters hide them:
# "/public/%2e%2e;x/admin" is "/admin" to a server that drops the parameters first.
_AMBIGUOUS_PATH = r".*/(?:\.{0,2}/.*|\.{1,2})"

# Names of two Host headers joined by a comma, user names, escapes and empty labels are not hosts.
_HOST = r"(?:[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.?|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?"


def refuse_ambiguous() -> Iterator[Route]:
    """Routes that answer 400; they must come before all others.

    They rely on the route table to ignore the parameters of path segments.
    """
    yield _refuse_path()
    yield _refuse_host()


@shared
def _refuse_path() -> Route:
    return _refuse("ambiguous-path", RouteMatch(safe_regex=RegexMatcher(regex=_AMBIGUOUS_PATH)))


@shared
def _refuse_host() -> Route:
    no_host = HeaderMatcher(name=":authority", string_match=regex(_HOST), invert_match=True)
    return _refuse("ambiguous-host", RouteMatch(prefix="", headers=[no_host]))


def _refuse(name: str, match: RouteMatch) -> Route:
    body = DataSource(inline_string=name.replace("-", " ") + "\n")
    return Route(
        name=name, match=match, direct_response=DirectResponseAction(status=400, body=body)
    )
