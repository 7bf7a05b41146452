"""What is to be said about ServiceEntries besides what is said of every service."""

from collections.abc import Iterator

from translators.gateway_api.allocation import (
    AUTO_ALLOCATE,
    allocates,
    is_addressable,
    known_addresses,
)
from translators.gateway_api.endpoints import named_endpoints
from translators.gateway_api.names import leads_inside
from translators.gateway_api.served import (
    Host,
    Served,
    goes_as_called,
    host_names,
    hosts_of,
    is_servable_range,
    origin_of,
    single_addresses,
)
from translators.gateway_api.upstreams import races
from translators.gateway_api.workloads import Member, address_of, members_of
from translators.ir.bootstrap import OWN_PORTS
from translators.ir.condition import Condition
from translators.ir.waypoint import Mesh
from translators.resources.parsing.address import canonical_ip
from translators.resources.serviceentry import ServiceEntry
from translators.world import Reader

WAYPOINT_MISSING = "istio.io/WaypointMissing"

ADDRESS_SERVED = "waypost.dev/AddressServed"
"""False if clients can't reach a service through its waypoint by one or all of its addresses."""

ADDRESS_ALLOCATED = "waypost.dev/AddressAllocated"
"""True if hosts of a ServiceEntry have addresses that are found for them here."""

ENDPOINTS_SERVED = "waypost.dev/EndpointsServed"
"""False if some of what a ServiceEntry says of its endpoints can't be used, and is left out."""

_RESOLUTIONS = ("NONE", "STATIC", "DNS", "DNS_ROUND_ROBIN", "DYNAMIC_DNS")
_RESERVED = ", ".join(map(str, sorted(OWN_PORTS)))
_BY_DNS = ("DNS", "DNS_ROUND_ROBIN")
_MAX_NAMED = 10  # that a message names; the rest are counted

_NO_WAYPOINT = "ServiceEntry will not apply until it is bound to a valid waypoint."
_NO_RACE = (
    "ServiceEntry has a non-default connect strategy but no waypoint bound. A waypoint is required "
    "for connect strategies to take effect for ambient clients."
)


def missing_waypoint(served: Served) -> Iterator[Condition]:
    """That a ServiceEntry without a waypoint has no effect, or not all of it (Istio's words)."""
    if not isinstance(served, ServiceEntry):
        return
    wildcard = any(host.startswith("*") for host in served.hosts)
    if wildcard and served.resolution == "DYNAMIC_DNS":
        reason, message = "NoWaypointForWildcardService", _NO_WAYPOINT
    elif races(served):
        reason, message = "NoWaypointForRacingConnectStrategy", _NO_RACE
    else:
        return
    yield Condition(origin_of(served), WAYPOINT_MISSING, True, reason, message)


def entry_conditions(reader: Reader, mesh: Mesh, entry: ServiceEntry) -> Iterator[Condition]:
    """What of a ServiceEntry that has a waypoint can't be served."""
    yield from _named(entry)
    for host in hosts_of(reader, mesh, entry):
        yield from _addressed(entry, host)
        yield from _allocated(entry, host)
    yield from _ranges(entry)
    problems = list(_problems(reader, mesh, entry))
    if problems:
        reason = problems[0][0]
        told = "; ".join(message for _, message in problems[:_MAX_NAMED])
        rest = len(problems) - _MAX_NAMED
        message = told + (f"; and {rest} more" if rest > 0 else "")
        yield Condition(origin_of(entry), ENDPOINTS_SERVED, False, reason, message)


def _named(entry: ServiceEntry) -> Iterator[Condition]:
    usable = set(host_names(entry))
    for index, host in enumerate(entry.hosts):
        if host not in usable:
            at = origin_of(entry).at(f"spec.hosts[{index}]")
            message = f"{at.path}: {host!r} is no host name in lower case; it is left out"
            yield Condition(at, "waypost.dev/HostServed", False, "InvalidHost", message, at.path)


def _addressed(entry: ServiceEntry, host: Host) -> Iterator[Condition]:
    """That no client can address a host, and what to do about it."""
    if host.addresses or host.ranges:
        return
    at = origin_of(entry).at("spec.addresses")
    if entry.addresses and host.name != host_names(entry)[0]:
        reason = "AddressShared"
        why = f"the addresses lead to {host_names(entry)[0]}; give the host an entry of its own"
    elif entry.addresses:
        return  # each range that is left out is told of
    elif not allocates(entry):
        reason, why = (
            "NoAddress",
            f"there are none, and none is allocated because {_unallocated(entry)}",
        )
    elif is_addressable(entry, host.name):
        reason, why = "AddressesExhausted", "others have all that could be allocated; set some"
    else:
        reason = "NoAddress"
        why = f"none is allocated for a wildcard of resolution {entry.resolution}; set some"
    yield Condition(at, ADDRESS_SERVED, False, reason, f"{at.path}: {host.name}: {why}", host.name)


def _allocated(entry: ServiceEntry, host: Host) -> Iterator[Condition]:
    """Which addresses a host has, where nobody else says so."""
    if allocates(entry) and host.addresses and not known_addresses(entry, host.name):
        message = f"{host.name}: {', '.join(host.addresses)}"
        at = origin_of(entry)
        yield Condition(at, ADDRESS_ALLOCATED, True, "Allocated", message, host.name)


def _unallocated(entry: ServiceEntry) -> str:
    if entry.resolution == "NONE":
        return "connections go to the very address that clients name; set the addresses"
    return f"the label {AUTO_ALLOCATE} says so; set some or remove it"


def _ranges(entry: ServiceEntry) -> Iterator[Condition]:
    for index, address in enumerate(entry.addresses):
        if single_addresses(address) or is_servable_range(address):
            continue
        at = origin_of(entry).at(f"spec.addresses[{index}]")
        if leads_inside(address.partition("/")[0]):
            reason, why = "InvalidAddress", "it leads to the waypoint itself; it is left out"
        else:
            reason, why = "UnsupportedRange", "a range of IPv6 can't be served; name smaller ones"
        yield Condition(at, ADDRESS_SERVED, False, reason, f"{at.path}: {why}", at.path)


def _problems(reader: Reader, mesh: Mesh, entry: ServiceEntry) -> Iterator[tuple[str, str]]:
    """Reason and message for whatever is wrong with resolution and endpoints."""
    if entry.resolution not in _RESOLUTIONS:
        known = ", ".join(_RESOLUTIONS)
        yield "UnsupportedResolution", f"spec.resolution: {entry.resolution!r} is none of {known}"
    if entry.endpoints and entry.selector is not None:
        yield "Ambiguous", "spec.endpoints: left out, because spec.workloadSelector is given too"
    if entry.endpoints and goes_as_called(entry):
        yield "Unused", f"spec.endpoints: left out, resolution {entry.resolution} looks at none"
    for member in members_of(reader, entry):
        yield from _misplaced(entry, member)
    if entry.resolution in _BY_DNS:
        yield from _unresolved(reader, mesh, entry)


def _misplaced(entry: ServiceEntry, member: Member) -> Iterator[tuple[str, str]]:
    """That the address of a workload can't be used; the workload is then left out."""
    address, given = address_of(member.workload), member.workload.address
    if address is None:
        why = f"{given!r} is no IP address or host name, or one of the waypoint; it is left out"
        yield "InvalidAddress", f"{member.place}: {why}"
    elif entry.resolution == "STATIC" and canonical_ip(address) is None:
        why = f"{given!r} is no IP address and left out; only the resolution DNS looks it up"
        yield "InvalidAddress", f"{member.place}: {why}"


def _unresolved(reader: Reader, mesh: Mesh, entry: ServiceEntry) -> Iterator[tuple[str, str]]:
    for host in host_names(entry):
        counts = [len(named_endpoints(reader, mesh, entry, host, port)) for port in entry.ports]
        if 0 in counts:
            what = f"add endpoints, at other ports than proxies' own ({_RESERVED})"
            yield "NoEndpoints", f"{host}: there is nothing that could be looked up; {what}"
        elif any(count > 1 for count in counts) and (entry.resolution != "DNS" or races(entry)):
            yield "OnlyFirstUsed", f"{host}: of several endpoints only the first is looked up"
