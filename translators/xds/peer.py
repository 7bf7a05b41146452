"""Matching the client's identity, which is known from filter state and from nowhere else."""

from collections.abc import Iterable

from envoy_data_plane.envoy.type.matcher.v3 import AddressMatcher, FilterStateMatcher, StringMatcher

from translators.ir.authorization import PeerIs, PrincipalIs, TextKind, TextMatch
from translators.wire import template
from translators.xds.address import cidr
from translators.xds.names import PEER_PRINCIPAL, REMOTE_ADDRESS
from translators.xds.text import SPIFFE, escaped, exact, pattern, regex, text_matcher

_SEGMENT = "[^/]"


def peer_is(peer: PeerIs) -> FilterStateMatcher:
    """The SPIFFE ID ``spiffe://<trust domain>/ns/<namespace>/sa/<account>``, by its segments."""
    segments = (peer.trust_domain, peer.namespace, peer.service_account)
    if exact_values := _exact_values(segments):
        trust_domain, namespace, account = exact_values
        return _principal(exact(f"{SPIFFE}{trust_domain}/ns/{namespace}/sa/{account}"))
    trust_domain, namespace, account = (_segment(text) for text in segments)
    return _principal(regex(f"{SPIFFE}{trust_domain}/ns/{namespace}/sa/{account}"))


def principal_is(principal: PrincipalIs) -> FilterStateMatcher:
    """The SPIFFE ID as one text, without its scheme."""
    return _principal(text_matcher(principal.text, before=SPIFFE))


def peer_in_namespaces(namespaces: Iterable[str]) -> FilterStateMatcher:
    """A SPIFFE ID of one of these namespaces, whatever its trust domain."""
    choice = "|".join(escaped(namespace) for namespace in namespaces)
    return _principal(regex(f"{SPIFFE}{_SEGMENT}+/ns/(?:{choice})/sa/{_SEGMENT}+"))


def source_in(range_: str) -> FilterStateMatcher:
    """The address of the client of the tunnel, which no header can forge."""
    return FilterStateMatcher(
        key=REMOTE_ADDRESS, address_match=AddressMatcher(ranges=[cidr(range_)])
    )


@template
def _principal(text: StringMatcher) -> FilterStateMatcher:
    return FilterStateMatcher(key=PEER_PRINCIPAL, string_match=text)


def _exact_values(segments: Iterable[TextMatch | None]) -> list[str]:
    """The values of the segments if each must have exactly one, else nothing."""
    texts = list(segments)
    values = [
        text.value
        for text in texts
        if text is not None and text.kind is TextKind.EXACT and not text.ignore_case
    ]
    return values if len(values) == len(texts) else []


def _segment(text: TextMatch | None) -> str:
    return f"{_SEGMENT}+" if text is None else pattern(text, anything=_SEGMENT)
