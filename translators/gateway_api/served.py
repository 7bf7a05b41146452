"""What a waypoint can serve: Services and ServiceEntries, seen as hosts with ports."""

from dataclasses import dataclass
from ipaddress import ip_network

from translators.gateway_api.allocation import allocated, allocates
from translators.gateway_api.names import host_of, leads_inside, virtual_ips
from translators.gateway_api.protocol import PortProtocol, protocol_of
from translators.gateway_api.texts import is_server_name
from translators.ir.origin import Origin
from translators.ir.waypoint import Mesh
from translators.resources.core import Service, ServicePort
from translators.resources.metadata import ObjectKey
from translators.resources.serviceentry import ServiceEntry
from translators.world import Reader

_MAX_SINGLE = 128
_LONGEST_PREFIX = 24

Served = Service | ServiceEntry
"""An object whose traffic a waypoint can handle. Both have ``ports`` and ``selector``."""

KINDS: tuple[type[Served], ...] = (Service, ServiceEntry)


@dataclass(frozen=True, slots=True)
class Host:
    """A host name, and the IP addresses by which clients reach it.

    ``ranges`` are of IPv4 addresses, from /1 to /24.
    """

    name: str
    addresses: tuple[str, ...]
    ranges: tuple[str, ...] = ()


def addresses_of(host: Host) -> tuple[str, ...]:
    """The addresses of a host, of each range one that stands for all."""
    return (*host.addresses, *(str(ip_network(each)[1]) for each in host.ranges))


def is_addressed(reader: Reader, mesh: Mesh, served: Served) -> bool:
    """Whether clients can address any of the hosts of an object."""
    return any(host.addresses or host.ranges for host in hosts_of(reader, mesh, served))


def find_served(reader: Reader, kind: str, namespace: str, name: str) -> Served | None:
    """The Service or ServiceEntry of that name, or None."""
    found = reader.find(ObjectKey(kind, namespace, name))
    return found if isinstance(found, KINDS) else None


def find_port(served: Served | None, number: int) -> ServicePort | None:
    """The TCP port of that number; the first one if a manifest has several."""
    if served is None:
        return None
    return next((p for p in served.ports if p.port == number and p.protocol == "TCP"), None)


def goes_as_called(served: Served) -> bool:
    """Whether requests go where their client meant them to, so that no endpoints are looked at."""
    return isinstance(served, ServiceEntry) and served.resolution in ("NONE", "DYNAMIC_DNS")


def protocol_at(served: Served, port: ServicePort) -> PortProtocol | None:
    """What a port speaks; None if it can't be served.

    Where names are resolved on demand, only a request tells which name is meant: what is declared
    as something else than HTTP can't be served there, and what declares nothing must be HTTP. The
    port that is dialled is the one that a request names as well, so it can't be another.
    """
    protocol = protocol_of(port)
    if isinstance(served, Service) or served.resolution != "DYNAMIC_DNS" or protocol is None:
        return protocol
    if port.target_port not in (0, port.port) or not protocol.speaks_http:
        return None
    return PortProtocol.HTTP if protocol is PortProtocol.AUTO else protocol


def hosts_of(reader: Reader, mesh: Mesh, served: Served) -> tuple[Host, ...]:
    """The hosts of an object, each once; names that are none are left out.

    Where the hosts of a ServiceEntry share addresses, the first one is whom clients reach by them.
    """
    if isinstance(served, Service):
        host = host_of(mesh, served.meta.namespace, served.meta.name)
        return (Host(host, virtual_ips(served)),)
    names = host_names(served)
    if allocates(served):
        return tuple(Host(name, allocated(reader, served, name)) for name in names)
    if not names:
        return ()
    first, *others = names
    single = dict.fromkeys(one for text in served.addresses for one in single_addresses(text))
    ranges = dict.fromkeys(text for text in served.addresses if is_servable_range(text))
    reached = Host(first, tuple(single), tuple(ranges))
    return (reached, *(Host(name, ()) for name in others))


def host_names(entry: ServiceEntry) -> tuple[str, ...]:
    """The usable host names of a ServiceEntry in the spelling of the manifest, each once."""
    return tuple(dict.fromkeys(name for name in entry.hosts if is_server_name(name)))


def origin_of(served: Served) -> Origin:
    """The object as the source of what is made of it."""
    return Origin(served.kind, served.meta.namespace, served.meta.name)


def single_addresses(text: str) -> tuple[str, ...]:
    """An address, or each one of a range of 128 at most; empty for larger ranges.

    Addresses of the proxy itself are left out.
    """
    if "/" not in text:
        return () if leads_inside(text) else (text,)
    network = ip_network(text)
    if network.num_addresses > _MAX_SINGLE:
        return ()
    return tuple(one for one in map(str, network) if not leads_inside(one))


def is_servable_range(text: str) -> bool:
    """Whether it is a range of IPv4 addresses that proxies can tell by how they begin."""
    if "/" not in text:
        return False
    network = ip_network(text)
    return network.version == 4 and 1 <= network.prefixlen <= _LONGEST_PREFIX
