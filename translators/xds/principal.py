"""The half of an RBAC policy that looks at who asks."""

from typing import assert_never

from envoy_data_plane.envoy.config.rbac.v3 import Principal, PrincipalSet
from envoy_data_plane.envoy.type.matcher.v3 import FilterStateMatcher, PathMatcher

from translators.ir.authorization import (
    AllOf,
    AnyOf,
    ClaimIs,
    DestinationIp,
    DestinationPort,
    Everything,
    HeaderIs,
    HostIs,
    MethodIs,
    Not,
    Nothing,
    PathIs,
    PeerIs,
    Predicate,
    PrincipalIs,
    RemoteIp,
    SniIs,
    SourceIp,
)
from translators.wire import shared, template
from translators.xds.claim import claim_is
from translators.xds.peer import peer_is, principal_is, source_in
from translators.xds.request import head_matches, path_text


def principal(predicate: Predicate) -> Principal:
    """The predicate as a principal.

    The client's address is the one that the tunnel came from, for ``RemoteIp`` too: no header is
    believed. Raises ValueError if the predicate asks for the destination, which Envoy's
    principals can't see: that belongs to ``AuthzRule.operations``.
    """
    match predicate:
        case PrincipalIs() | PeerIs():
            return _of_peer(predicate)
        case AllOf(parts):
            return _all_of([principal(part) for part in parts])
        case AnyOf(parts):
            return _any_of([principal(part) for part in parts])
        case Not(part):
            return _negated(principal(part))
        case Everything():
            return _anything()
        case Nothing():
            return _negated(_anything())
        case SourceIp(range_) | RemoteIp(range_):
            return Principal(filter_state=source_in(range_))
        case HeaderIs() | HostIs() | MethodIs():
            return Principal(header=head_matches(predicate))
        case PathIs():
            return Principal(url_path=PathMatcher(path=path_text(predicate)))
        case ClaimIs():
            return Principal(sourced_metadata=claim_is(predicate))
        case DestinationIp() | DestinationPort() | SniIs():
            raise ValueError(f"{predicate} can only be asked of an operation")
        case _:
            assert_never(predicate)


@shared
def _of_peer(predicate: PrincipalIs | PeerIs) -> Principal:
    """Who asks: policies name the same clients again and again."""
    if isinstance(predicate, PrincipalIs):
        return _of_state(principal_is(predicate))
    return _of_state(peer_is(predicate))


@template
def _of_state(matcher: FilterStateMatcher) -> Principal:
    return Principal(filter_state=matcher)


@shared
def _anything() -> Principal:
    return Principal(any=True)


def _all_of(parts: list[Principal]) -> Principal:
    return Principal(and_ids=PrincipalSet(ids=parts)) if parts else _anything()


def _any_of(parts: list[Principal]) -> Principal:
    return Principal(or_ids=PrincipalSet(ids=parts)) if parts else _negated(_anything())


def _negated(part: Principal) -> Principal:
    return Principal(not_id=part)
