"""Authorization on a CONNECT, which tells in its head what is a connection's own elsewhere.

Behind the tunnel the destination is the connection's own address. On the CONNECT that address is
still the waypoint's, so that what a rule asks of the destination must be asked of the authority.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from ipaddress import ip_address, ip_network

from translators.ir.authorization import (
    OPEN,
    AllOf,
    AnyOf,
    Authorization,
    AuthzRule,
    DestinationIp,
    DestinationPort,
    HeaderIs,
    Not,
    Predicate,
    SniIs,
    TextKind,
    TextMatch,
)
from translators.xds.address import join_host, split_address
from translators.xds.address_range import LONGEST_PREFIX, beginnings, is_range
from translators.xds.names import SERVER_NAME_HEADER


def on_connect(authorization: Authorization, authorities: Sequence[str]) -> Authorization:
    """The same rules, as they are to be asked of a CONNECT to one of these ``address:port``."""
    if authorization == OPEN:
        return OPEN

    def of_authority(fact: Predicate) -> Predicate:
        match fact:
            case DestinationIp(cidr):
                return _one_of(text for each in authorities for text in _within(each, cidr))
            case DestinationPort(port):
                same = (each for each in authorities if split_address(each)[1] == port)
                return _one_of(_at(each) for each in same)
            case _:
                return fact

    return _translated(authorization, of_authority)


def on_connect_to_hosts(authorization: Authorization, addresses: Sequence[str]) -> Authorization:
    """The same rules, as they are to be asked of a CONNECT to any port of one of these addresses.

    The port must be written in the one way in which numbers are.
    """

    def of_host(fact: Predicate) -> Predicate:
        match fact:
            case DestinationIp(cidr):
                network = ip_network(cidr, strict=False)
                meant = (each for each in addresses if ip_address(each) in network)
                hosts = (TextMatch(TextKind.PREFIX, f"{join_host(each)}:") for each in meant)
                return AnyOf(tuple(HeaderIs(":authority", host) for host in hosts))
            case DestinationPort(port):
                return HeaderIs(":authority", TextMatch(TextKind.SUFFIX, f":{port}"))
            case _:
                return fact

    return OPEN if authorization == OPEN else _translated(authorization, of_host)


def on_handshake(authorization: Authorization) -> Authorization:
    """The same rules, as they are to be asked of a CONNECT that tells a server name.

    It tells it by a header that no client can write, because the proxy itself makes the CONNECT.
    """
    return _translated(authorization, _of_header)


def _of_header(fact: Predicate) -> Predicate:
    match fact:
        case SniIs(text) if text.kind in (TextKind.EXACT, TextKind.SUFFIX):
            dotted = replace(text, value=f"{text.value}.")
            return AnyOf(tuple(HeaderIs(SERVER_NAME_HEADER, each) for each in (text, dotted)))
        case SniIs(text):
            return HeaderIs(SERVER_NAME_HEADER, text)
        case _:
            return fact


def _translated(
    authorization: Authorization, leaf: Callable[[Predicate], Predicate]
) -> Authorization:
    """The same rules with other facts of operations."""

    def asked(rules: tuple[AuthzRule, ...]) -> tuple[AuthzRule, ...]:
        return tuple(replace(rule, operations=_mapped(rule.operations, leaf)) for rule in rules)

    allow, watched = authorization.allow, authorization.dry_run_allow
    return Authorization(
        custom=tuple(replace(check, rules=asked(check.rules)) for check in authorization.custom),
        deny=asked(authorization.deny),
        allow=None if allow is None else asked(allow),
        audit=asked(authorization.audit),
        dry_run_deny=asked(authorization.dry_run_deny),
        dry_run_allow=None if watched is None else asked(watched),
    )


def _mapped(predicate: Predicate, leaf: Callable[[Predicate], Predicate]) -> Predicate:
    match predicate:
        case AllOf(parts):
            return AllOf(tuple(_mapped(part, leaf) for part in parts))
        case AnyOf(parts):
            return AnyOf(tuple(_mapped(part, leaf) for part in parts))
        case Not(part):
            return Not(_mapped(part, leaf))
        case _:
            return leaf(predicate)


def _one_of(authorities: Iterable[TextMatch]) -> Predicate:
    return AnyOf(tuple(HeaderIs(":authority", each) for each in authorities))


def _at(authority: str) -> TextMatch:
    """An authority; of the addresses of a range, which all have the route, only the port."""
    if is_range(authority):
        return TextMatch(TextKind.SUFFIX, f":{split_address(authority)[1]}")
    return TextMatch(TextKind.EXACT, authority)


def _within(authority: str, cidr: str) -> Iterator[TextMatch]:
    """What an authority says whose address is within these."""
    own, network = ip_network(split_address(authority)[0]), ip_network(cidr, strict=False)
    if own.version != network.version or not own.overlaps(network):
        return
    if own.prefixlen >= network.prefixlen:
        yield _at(authority)
    elif network.prefixlen > LONGEST_PREFIX:
        for address in network:
            yield TextMatch(TextKind.PREFIX, f"{address}:")
    else:
        for beginning in beginnings(str(network)):
            yield TextMatch(TextKind.PREFIX, beginning)
