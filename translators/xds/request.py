"""Matching the request's head: what both halves of a policy can ask of it."""

from envoy_data_plane.envoy.config.route.v3 import HeaderMatcher
from envoy_data_plane.envoy.type.matcher.v3 import PathMatcher

from translators.ir.authorization import HeaderIs, HostIs, MethodIs, PathIs, TextMatch
from translators.xds.text import text_matcher


def header_matches(name: str, text: TextMatch) -> HeaderMatcher:
    """A header, or one of HTTP's pseudo-headers; ``host`` is what HTTP/2 calls authority."""
    name = ":authority" if name == "host" else name
    return HeaderMatcher(name=name, string_match=text_matcher(text))


def head_matches(predicate: HeaderIs | HostIs | MethodIs) -> HeaderMatcher:
    """What is asked of a header, of the authority without regard to case, or of the method."""
    match predicate:
        case HeaderIs(name, text):
            return header_matches(name, text)
        case HostIs(text):
            return header_matches(":authority", TextMatch(text.kind, text.value, ignore_case=True))
        case MethodIs(text):
            return header_matches(":method", text)


def path_matches(predicate: PathIs) -> PathMatcher:
    """What is asked of the path, its query left out."""
    return PathMatcher(path=text_matcher(predicate.text))
