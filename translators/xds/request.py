"""Matching the request's head: what both halves of a policy can ask of it."""

import re

from envoy_data_plane.envoy.config.route.v3 import HeaderMatcher
from envoy_data_plane.envoy.type.matcher.v3 import StringMatcher

from translators.ir.authorization import HeaderIs, HostIs, MethodIs, PathIs, TextKind, TextMatch
from translators.ir.host import split_host
from translators.wire import template
from translators.xds.text import escaped, regex, text_matcher

_OPERATORS = {"{*}": "[^/]+", "{**}": ".*"}
_ANY_PORT = "(?::[0-9]*)?"


def header_matches(name: str, text: TextMatch) -> HeaderMatcher:
    """Some value of a header, or of one of HTTP's pseudo-headers, is such a text.

    ``*`` asks no more than that the header is there: patterns don't match bytes that are no UTF-8.
    """
    if text.kind is TextKind.PRESENT:
        return HeaderMatcher(name=name, present_match=True)
    return _header(name, text_matcher(text))


def head_matches(predicate: HeaderIs | HostIs | MethodIs) -> HeaderMatcher:
    """What is asked of a header, of the host, or of the method."""
    match predicate:
        case MethodIs(text):
            return header_matches(":method", text)
        case HeaderIs(name, text):
            return header_matches(name, text)
        case HostIs(text):
            return _header(":authority", _host(text))


def path_text(predicate: PathIs) -> StringMatcher:
    """What is asked of the path, its query left out."""
    if predicate.text.kind is TextKind.TEMPLATE:
        return regex(_template(predicate.text.value))
    return text_matcher(predicate.text)


@template
def _header(name: str, text: StringMatcher) -> HeaderMatcher:
    return HeaderMatcher(name=name, string_match=text)


def _template(text: str) -> str:
    """``{*}`` is one segment and ``{**}`` all that follows.

    Envoy's own templates know fewer characters: a path with any other would get around a DENY.
    """
    pieces = re.split(r"(\{\*\*?\})", text)
    return "".join(_OPERATORS.get(piece) or escaped(piece) for piece in pieces)


def _host(text: TextMatch) -> StringMatcher:
    if text.kind not in (TextKind.EXACT, TextKind.SUFFIX):
        return text_matcher(TextMatch(text.kind, text.value, ignore_case=True))
    host, port = split_host(text.value)
    before = ".*" if text.kind is TextKind.SUFFIX else ""
    after = f":{port}" if port else _ANY_PORT
    return regex(f"(?i:{before}{escaped(host)}\\.?{after})")
