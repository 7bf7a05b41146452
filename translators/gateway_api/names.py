"""Names that Istio gives to services, chains and clusters; people grep for them.

Each is in many places of a model, so that it is kept once (``intern``).
"""

from ipaddress import IPv6Address, ip_address
from sys import intern

from translators.ir.waypoint import Mesh
from translators.resources.core import Service
from translators.resources.parsing.address import canonical_ip

_INSIDE = ("127.0.0.1", "0.0.0.0", "::1", "::")  # noqa: S104


def host_of(mesh: Mesh, namespace: str, name: str) -> str:
    """The fully qualified name of a service."""
    return intern(f"{name}.{namespace}.svc.{mesh.cluster_domain}")


def http_name(port: int, host: str) -> str:
    """The chain, cluster and route table of an HTTP port that the waypoint serves."""
    return intern(f"inbound-vip|{port}|http|{host}")


def tcp_name(port: int, host: str) -> str:
    """The chain and cluster of a TCP port that the waypoint serves."""
    return intern(f"inbound-vip|{port}|tcp|{host}")


def outbound_name(port: int, host: str) -> str:
    """The cluster of a service port that another waypoint, or none, serves."""
    return intern(f"outbound|{port}||{host}")


def entry_name(port: int, namespace: str, entry: str, host: str) -> str:
    """The cluster of a ServiceEntry's port that another waypoint, or none, serves.

    It names the entry, because several may have a host of the same name.
    """
    return f"outbound|{port}|{namespace}.{entry}|{host}"


def authority(address: str, port: int) -> str:
    """``address:port``, with brackets around an IPv6 address."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def virtual_ips(service: Service) -> tuple[str, ...]:
    """The virtual IPs of a service in canonical form, each once; what is no address is left out."""
    if service.headless:
        return ()
    found = (canonical_ip(text) for text in service.cluster_ips)
    return tuple(dict.fromkeys(address for address in found if address is not None))


def leads_inside(address: str) -> bool:
    """Whether an address, in canonical form, is that of the proxy itself for whoever dials it.

    There its admin interface listens, which no manifest may lead anybody to.
    """
    found = ip_address(address)
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return str(mapped or found) in _INSIDE


def name_leads_inside(name: str) -> bool:
    """Whether a host name is that of whoever looks it up (RFC 6761)."""
    return name == "localhost" or name.endswith(".localhost")
