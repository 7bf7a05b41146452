"""Matching the request's head: what both halves of a policy can ask of it."""

from envoy_data_plane.envoy.config.route.v3 import HeaderMatcher
from envoy_data_plane.envoy.type.matcher.v3 import PathMatcher, StringMatcher

from translators.ir.authorization import HeaderIs, HostIs, MethodIs, PathIs, TextKind, TextMatch
from translators.ir.host import split_host
from translators.xds.text import escaped, regex, text_matcher

_ANY_PORT = "(?::[0-9]*)?"


def header_matches(name: str, text: TextMatch) -> HeaderMatcher:
    """Some value of a header, or of one of HTTP's pseudo-headers, is such a text."""
    return HeaderMatcher(name=name, string_match=text_matcher(text))


def head_matches(predicate: HeaderIs | HostIs | MethodIs) -> HeaderMatcher:
    """What is asked of a header, of the host, or of the method."""
    match predicate:
        case HeaderIs(name, text):
            return header_matches(name, text)
        case HostIs(text):
            return HeaderMatcher(name=":authority", string_match=_host(text))
        case MethodIs(text):
            return header_matches(":method", text)


def path_matches(predicate: PathIs) -> PathMatcher:
    """What is asked of the path, its query left out."""
    return PathMatcher(path=text_matcher(predicate.text))


def _host(text: TextMatch) -> StringMatcher:
    if text.kind not in (TextKind.EXACT, TextKind.SUFFIX):
        return text_matcher(TextMatch(text.kind, text.value, ignore_case=True))
    host, port = split_host(text.value)
    before = ".*" if text.kind is TextKind.SUFFIX else ""
    after = f":{port}" if port else _ANY_PORT
    return regex(f"(?i:{before}{escaped(host)}\\.?{after})")
