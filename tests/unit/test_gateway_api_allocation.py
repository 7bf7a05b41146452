"""Addresses that hosts of ServiceEntries get by themselves."""

from dataclasses import replace
from ipaddress import ip_address, ip_network
from itertools import count

import pytest

from tests.support.objects import meta, reader_of
from translators.gateway_api import INDEXES
from translators.gateway_api.allocation import AUTO_ALLOCATE, allocated
from translators.gateway_api.served import hosts_of
from translators.ir import Mesh
from translators.resources.core import ServicePort
from translators.resources.serviceentry import ServiceEntry
from translators.world import Change, Reader, World

RANGES = (ip_network("240.240.0.0/16"), ip_network("2001:2::/48"))


def entry(name: str = "a", host: str = "a.example", **given) -> ServiceEntry:
    made = ServiceEntry(meta(name), hosts=(host,), ports=(ServicePort(80, "http"),))
    return replace(made, resolution="STATIC", **given)


def addresses_of(subject: ServiceEntry, *others: ServiceEntry) -> tuple[str, ...]:
    (host,) = hosts_of(reader_of(subject, *others), Mesh(), subject)
    return host.addresses


def rivals() -> tuple[ServiceEntry, ServiceEntry]:
    """Two entries that want the same address, the first one by name first."""
    taken: dict[tuple[str, ...], ServiceEntry] = {}
    for number in count():
        one = entry(f"e{number:04}", f"{number}.example")
        found = taken.setdefault(addresses_of(one), one)
        if found is not one:
            return found, one
    raise AssertionError


FIRST, SECOND = rivals()


def test_one_of_each_family_in_istios_ranges():
    four, six = map(ip_address, addresses_of(entry()))
    assert four in RANGES[0]
    assert six in RANGES[1]
    assert addresses_of(entry()) == ("240.240.77.193", "2001:2::f0f0:4dc1")  # must never change


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"resolution": "NONE"}, ()),
        ({"addresses": ("10.0.0.1",)}, ("10.0.0.1",)),
        ({"addresses": ("10.0.0.1/32", "fd00::1/128")}, ("10.0.0.1", "fd00::1")),
        ({"meta": meta("a", labels={AUTO_ALLOCATE: "False"})}, ()),
        ({"hosts": ("*.example",)}, ()),
        ({"allocated": (("a.example", "240.240.9.9"),)}, ("240.240.9.9",)),
    ],
)
def test_who_gets_none_by_itself(given, expected):
    assert addresses_of(replace(entry(), **given)) == expected


def test_a_wildcard_has_an_address_if_its_names_are_resolved_on_demand():
    assert len(addresses_of(replace(entry(host="*.example"), resolution="DYNAMIC_DNS"))) == 2


def test_the_older_keeps_the_address_that_two_want():
    wanted = addresses_of(FIRST)
    assert addresses_of(FIRST, SECOND) == wanted
    assert addresses_of(SECOND, FIRST) not in ((), wanted)
    older = replace(SECOND, meta=replace(SECOND.meta, created="2024-01-01T00:00:00Z"))
    assert addresses_of(older, FIRST) == wanted
    assert addresses_of(FIRST, older) not in ((), wanted)


def test_an_address_that_somebody_names_is_not_given_away():
    wanted = addresses_of(FIRST)
    for given in ({"addresses": wanted[:1]}, {"allocated": (("b.example", wanted[1]),)}):
        other = entry("other", "b.example", **given)
        assert not set(addresses_of(FIRST, other)) & set(wanted)


def test_every_host_of_many_has_its_own():
    many = [entry(f"e{number}", f"{number}.example") for number in range(3000)]
    world = World(INDEXES)
    world.apply(Change(one.key, one) for one in many)
    found = [allocated(Reader(world), one, one.hosts[0]) for one in many]
    assert all(len(pair) == 2 for pair in found)
    assert len({ip for pair in found for ip in pair}) == 6000


@pytest.mark.parametrize("change", [Change(FIRST.key, None), Change(FIRST.key, entry("x"))])
def test_whatever_changes_an_address_was_looked_up(change):
    world = World(INDEXES)
    world.apply([Change(FIRST.key, FIRST), Change(SECOND.key, SECOND)])
    reader = Reader(world)
    before = allocated(reader, SECOND, SECOND.hosts[0])
    assert reader.questions & world.apply([change])
    assert allocated(Reader(world), SECOND, SECOND.hosts[0]) != before
