"""Authorization on a CONNECT, where the destination is the authority.

Behind the tunnel the destination is the connection's own address. On the CONNECT that address is
still the waypoint's, so that what a rule asks of the destination must be asked of the authority.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from ipaddress import ip_address, ip_network

from translators.ir.authorization import (
    AllOf,
    AnyOf,
    Authorization,
    AuthzRule,
    DestinationIp,
    DestinationPort,
    HeaderIs,
    Not,
    Predicate,
    TextKind,
    TextMatch,
)
from translators.xds.address import split_address


def on_connect(authorization: Authorization, authorities: Sequence[str]) -> Authorization:
    """The same rules, as they are to be asked of a CONNECT to one of these ``address:port``."""

    def asked(rules: tuple[AuthzRule, ...]) -> tuple[AuthzRule, ...]:
        return tuple(
            replace(rule, operations=_of_authority(rule.operations, authorities)) for rule in rules
        )

    return Authorization(
        custom=tuple(replace(check, rules=asked(check.rules)) for check in authorization.custom),
        deny=asked(authorization.deny),
        allow=None if authorization.allow is None else asked(authorization.allow),
        audit=asked(authorization.audit),
        dry_run_deny=asked(authorization.dry_run_deny),
        dry_run_allow=(
            None if authorization.dry_run_allow is None else asked(authorization.dry_run_allow)
        ),
    )


def _of_authority(predicate: Predicate, authorities: Sequence[str]) -> Predicate:
    match predicate:
        case AllOf(parts):
            return AllOf(tuple(_of_authority(part, authorities) for part in parts))
        case AnyOf(parts):
            return AnyOf(tuple(_of_authority(part, authorities) for part in parts))
        case Not(part):
            return Not(_of_authority(part, authorities))
        case DestinationIp(cidr):
            network = ip_network(cidr, strict=False)
            return _one_of(
                each for each in authorities if ip_address(split_address(each)[0]) in network
            )
        case DestinationPort(port):
            return _one_of(each for each in authorities if split_address(each)[1] == port)
        case _:
            return predicate


def _one_of(authorities: Iterable[str]) -> Predicate:
    return AnyOf(
        tuple(HeaderIs(":authority", TextMatch(TextKind.EXACT, each)) for each in authorities)
    )
