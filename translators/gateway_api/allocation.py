"""Virtual IPs for hosts of ServiceEntries that nobody has given one.

Pure and without memory: every replica finds the same addresses, before and after a restart. A host
has eight slots of Istio's ranges that it may have, from a hash of its namespace, its entry and
its name. It gets the first of them that no address in a manifest lies in and no older host has; of
hosts of the same age, or of unknown age, the first one by namespace, entry and name is the older.
So a host keeps its address as long as none appears that is older and wants the same one: whoever
comes later gives way.
"""

from collections.abc import Iterator
from hashlib import blake2b

from translators.gateway_api.precedence import Seniority, seniority
from translators.resources.serviceentry import ServiceEntry
from translators.world import Index, Reader

AUTO_ALLOCATE = "networking.istio.io/enable-autoallocate-ip"

_PROBES = 8
_PER_OCTET = 254  # neither .0 nor .255
_SLOTS = 256 * _PER_OCTET

Rank = tuple[Seniority, str]
"""The age of a host, the less the older."""


def allocates(entry: ServiceEntry) -> bool:
    """Whether the hosts of an entry get virtual IPs by themselves (Istio).

    Not if it has addresses, if connections go wherever clients send them, or if it says so.
    """
    wanted = entry.meta.labels.get(AUTO_ALLOCATE, "true").lower() != "false"
    return wanted and not entry.addresses and entry.resolution != "NONE"


def is_addressable(entry: ServiceEntry, host: str) -> bool:
    """Whether a host can have an address: a wildcard only if its names are resolved on demand."""
    return entry.resolution == "DYNAMIC_DNS" or not host.startswith("*")


def known_addresses(entry: ServiceEntry, host: str) -> tuple[str, ...]:
    """The addresses that the status of an entry reports for a host."""
    return tuple(address for name, address in entry.allocated if name == host)


def allocated(reader: Reader, entry: ServiceEntry, host: str) -> tuple[str, ...]:
    """The virtual IPs, IPv4 and IPv6, of a host of an entry that allocates.

    Those that the entry's status reports if there are any; else the slot's. Empty if others have
    all slots that the host may have.
    """
    known = known_addresses(entry, host)
    if known or not _probes_for(entry, host):
        return known
    rank = _rank(entry, host)
    free = (slot for slot in _probes(entry, host) if not _is_taken(reader, slot, rank))
    slot = next(free, None)
    return () if slot is None else _addresses(slot)


def _is_taken(reader: Reader, slot: int, rank: Rank) -> bool:
    """Whether a slot is lost to a host of that rank: to an address in use, or to an older host."""
    if any(reader.select(ENTRIES_BY_ADDRESS, address) for address in _addresses(slot)):
        return True
    return any(
        _wants(reader, slot, entry, host)
        for entry in reader.select(ENTRIES_BY_SLOT, str(slot))
        for host in entry.hosts
        if _rank(entry, host) < rank and _probes_for(entry, host)
    )


def _wants(reader: Reader, slot: int, entry: ServiceEntry, host: str) -> bool:
    """Whether a host can't have any slot that it likes better than this one.

    It then has the slot, or one that is older still has it.
    """
    probes = _probes(entry, host)
    if slot not in probes:
        return False
    better = probes[: probes.index(slot)]
    return all(_is_taken(reader, one, _rank(entry, host)) for one in better)


def _rank(entry: ServiceEntry, host: str) -> Rank:
    return seniority(entry.meta), host


def _probes_for(entry: ServiceEntry, host: str) -> bool:
    """Whether an address must be found for a host."""
    return allocates(entry) and is_addressable(entry, host) and not known_addresses(entry, host)


def _probes(entry: ServiceEntry, host: str) -> list[int]:
    """The slots that a host may have, best first."""
    name = f"{entry.meta.namespace}/{entry.meta.name}/{host}"
    digest = blake2b(name.encode(), digest_size=4 * _PROBES).digest()
    words = (digest[at : at + 4] for at in range(0, len(digest), 4))
    return [int.from_bytes(word) % _SLOTS for word in words]


def _addresses(slot: int) -> tuple[str, str]:
    third, last = slot // _PER_OCTET, slot % _PER_OCTET + 1
    return f"240.240.{third}.{last}", f"2001:2::f0f0:{third << 8 | last:x}"


def _slot_keys(entry: ServiceEntry) -> Iterator[tuple[str, ...]]:
    for host in entry.hosts:
        if _probes_for(entry, host):
            for slot in _probes(entry, host):
                yield (str(slot),)


ENTRIES_BY_SLOT: Index[ServiceEntry] = Index("serviceentry/slot", ServiceEntry, _slot_keys)
"""ServiceEntries by the (number) of each slot that one of their hosts may have."""

ENTRIES_BY_ADDRESS: Index[ServiceEntry] = Index(
    "serviceentry/address",
    ServiceEntry,
    lambda entry: [
        (address,) for address in (*entry.addresses, *(ip for _, ip in entry.allocated))
    ],
)
"""ServiceEntries by each (address) that they or their status name."""
