"""The half of an RBAC policy that looks at what is asked for."""

from typing import assert_never

from envoy_data_plane.envoy.config.rbac.v3 import Permission, PermissionSet
from envoy_data_plane.envoy.config.route.v3 import HeaderMatcher
from envoy_data_plane.envoy.type.matcher.v3 import PathMatcher, StringMatcher

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
from translators.xds.address import envoy_cidr
from translators.xds.claim import claim_is
from translators.xds.request import head_matches, path_text
from translators.xds.text import text_matcher


def permission(predicate: Predicate) -> Permission:
    """The predicate as a permission.

    Raises ValueError if it asks for the client's identity or address, which Envoy's permissions
    can't see: those belong to ``AuthzRule.sources``.
    """
    match predicate:
        case PathIs() | MethodIs() | HeaderIs() | HostIs():
            return _of_head(predicate)
        case AllOf(parts):
            return _all_of([permission(part) for part in parts])
        case AnyOf(parts):
            return _any_of([permission(part) for part in parts])
        case Not(part):
            return _negated(permission(part))
        case Everything():
            return _anything()
        case Nothing():
            return _negated(_anything())
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


@shared
def _of_head(predicate: PathIs | MethodIs | HeaderIs | HostIs) -> Permission:
    """What is asked of a request's head: policies ask for the same again and again."""
    if isinstance(predicate, PathIs):
        return _of_path(path_text(predicate))
    return _of_header(head_matches(predicate))


@template
def _of_header(matcher: HeaderMatcher) -> Permission:
    return Permission(header=matcher)


@template
def _of_path(text: StringMatcher) -> Permission:
    return Permission(url_path=PathMatcher(path=text))


@shared
def _anything() -> Permission:
    return Permission(any=True)


def _all_of(parts: list[Permission]) -> Permission:
    if len(parts) == 2:
        return _both(*parts)
    return Permission(and_rules=PermissionSet(rules=parts)) if parts else _anything()


@template
def _both(one: Permission, other: Permission) -> Permission:
    return Permission(and_rules=PermissionSet(rules=[one, other]))


def _any_of(parts: list[Permission]) -> Permission:
    if not parts:
        return _negated(_anything())
    return Permission(or_rules=PermissionSet(rules=parts))


def _negated(part: Permission) -> Permission:
    return Permission(not_rule=part)
