"""Ranges of addresses, as Envoy is told them: held against ``ipaddress``."""

import random
from ipaddress import IPv4Address, IPv4Network

import pytest
import re2

from translators.ir.authorization import (
    AllOf,
    Authorization,
    AuthzRule,
    DestinationIp,
    DestinationPort,
    HeaderIs,
    Predicate,
    TextKind,
)
from translators.ir.origin import Origin
from translators.xds.address_range import LONGEST_PREFIX, authority_pattern, beginnings
from translators.xds.connect_policy import on_connect


def samples(network: IPv4Network, dice: random.Random) -> list[IPv4Address]:
    """Addresses in it, just beside it, and anywhere."""
    first, last = int(network[0]), int(network[-1])
    beside = [number for number in (first - 1, last + 1) if 0 <= number < 1 << 32]
    inside = [first, last, dice.randint(first, last)]
    return [IPv4Address(each) for each in (*beside, *inside, dice.getrandbits(32))]


@pytest.mark.parametrize("length", range(1, LONGEST_PREFIX + 1))
def test_exactly_the_addresses_of_a_range_begin_so(length: int):
    dice = random.Random(length)
    for _ in range(20):
        network = IPv4Network((dice.getrandbits(32), length), strict=False)
        found = beginnings(str(network))
        assert len(found) <= 128
        pattern = re2.compile(authority_pattern(str(network), 80))
        for address in samples(network, dice):
            assert str(address).startswith(tuple(found)) == (address in network)
            assert bool(pattern.fullmatch(f"{address}:80")) == (address in network)


@pytest.mark.parametrize(
    "text", ["10.1.0.0:080", "10.1.0.0:8", "10.1.0.0", "10.1.00.1:80", "10.1.1:80", "10.1.0.256:80"]
)
def test_an_authority_is_written_in_one_way_only(text: str):
    assert not re2.compile(authority_pattern("10.1.0.0/16", 80)).fullmatch(text)


def asked(fact: Predicate, authority: str) -> list[tuple[TextKind, str]]:
    rule = AuthzRule("r", AllOf(()), fact, Origin("AuthorizationPolicy", "n", "p"))
    found = on_connect(Authorization(deny=(rule,)), [authority]).deny[0].operations
    parts = getattr(found, "parts", ())
    return [(part.text.kind, part.text.value) for part in parts if isinstance(part, HeaderIs)]


@pytest.mark.parametrize(
    ("fact", "expected"),
    [
        (DestinationIp("10.0.0.0/8"), [(TextKind.SUFFIX, ":80")]),
        (DestinationIp("10.1.0.0/16"), [(TextKind.SUFFIX, ":80")]),
        (DestinationIp("10.1.2.0/24"), [(TextKind.PREFIX, "10.1.2.")]),
        (DestinationIp("10.1.2.3"), [(TextKind.PREFIX, "10.1.2.3:")]),
        (DestinationIp("10.2.0.0/16"), []),
        (DestinationIp("fd00::/8"), []),
        (DestinationPort(80), [(TextKind.SUFFIX, ":80")]),
        (DestinationPort(81), []),
    ],
)
def test_what_a_policy_asks_of_a_connection_to_a_range(fact, expected):
    assert asked(fact, "10.1.0.0/16:80") == expected
