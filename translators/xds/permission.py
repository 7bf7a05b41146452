"""The half of an RBAC policy that looks at what is asked for."""

from typing import assert_never

from envoy_data_plane.envoy.config.rbac.v3 import Permission, PermissionSet
from envoy_data_plane.envoy.config.route.v3 import HeaderMatcher
from envoy_data_plane.envoy.type.matcher.v3 import PathMatcher

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
from translators.wire import template
from translators.xds.address import envoy_cidr
from translators.xds.claim import claim_is
from translators.xds.request import head_matches, path_matches
from translators.xds.text import text_matcher


def permission(predicate: Predicate) -> Permission:  # noqa: C901 (a closed union)
    """The predicate as a permission.

    Raises ValueError if it asks for the client's identity or address, which Envoy's permissions
    can't see: those belong to ``AuthzRule.sources``.
    """
    match predicate:
        case Everything():
            return Permission(any=True)
        case Nothing():
            return _negated(Permission(any=True))
        case AllOf(parts):
            return _all_of([permission(part) for part in parts])
        case AnyOf(parts):
            return _any_of([permission(part) for part in parts])
        case Not(part):
            return _negated(permission(part))
        case HeaderIs() | HostIs() | MethodIs():
            return _of_header(head_matches(predicate))
        case PathIs():
            return _of_path(path_matches(predicate))
        case ClaimIs():
            return Permission(sourced_metadata=claim_is(predicate))
        case DestinationIp(range_):
            return Permission(destination_ip=envoy_cidr(range_))
        case DestinationPort(port):
            return Permission(destination_port=port)
        case SniIs(text):
            return Permission(requested_server_name=text_matcher(text))
        case PeerIs() | PrincipalIs() | SourceIp() | RemoteIp():
            raise ValueError(f"{predicate} can only be asked of a source")
        case _:
            assert_never(predicate)


@template
def _of_header(matcher: HeaderMatcher) -> Permission:
    return Permission(header=matcher)


@template
def _of_path(matcher: PathMatcher) -> Permission:
    return Permission(url_path=matcher)


def _all_of(parts: list[Permission]) -> Permission:
    if len(parts) == 2:
        return _both(*parts)
    return Permission(and_rules=PermissionSet(rules=parts)) if parts else Permission(any=True)


@template
def _both(one: Permission, other: Permission) -> Permission:
    return Permission(and_rules=PermissionSet(rules=[one, other]))


def _any_of(parts: list[Permission]) -> Permission:
    if not parts:
        return _negated(Permission(any=True))
    return Permission(or_rules=PermissionSet(rules=parts))


def _negated(part: Permission) -> Permission:
    return Permission(not_rule=part)
