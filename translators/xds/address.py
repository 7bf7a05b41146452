"""Addresses: of sockets, and of listeners inside the proxy."""

from ipaddress import ip_address, ip_network

from envoy_data_plane.envoy.config.core.v3 import Address, EnvoyInternalAddress, SocketAddress
from envoy_data_plane.envoy.config.core.v3 import CidrRange as EnvoyCidrRange
from envoy_data_plane.xds.core.v3 import CidrRange


def socket_address(host: str, port: int) -> Address:
    """The address of a socket; the host is an IP address, or a name where Envoy allows one."""
    return Address(socket_address=SocketAddress(address=host, port_value=port))


def internal_address(listener: str, endpoint_id: str = "") -> Address:
    """The address of an internal listener; the id tells apart endpoints that share it."""
    return Address(
        envoy_internal_address=EnvoyInternalAddress(
            server_listener_name=listener, endpoint_id=endpoint_id
        )
    )


def split_address(text: str) -> tuple[str, int]:
    """Read ``host:port``, an IPv6 host in brackets. Raises ValueError for anything else."""
    host, colon, port = text.rpartition(":")
    if not (colon and host and port.isascii() and port.isdigit()):
        raise ValueError(f"{text!r} is not of the form host:port")
    return host.removeprefix("[").removesuffix("]"), int(port)


def join_address(host: str, port: int) -> str:
    """Write ``host:port``, an IPv6 host in brackets."""
    return f"{join_host(host)}:{port}"


def join_host(host: str) -> str:
    """The host as it stands before a port: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host


def canonical_ip(text: str) -> str:
    """The address as Envoy prints it, for look-ups by text."""
    return str(ip_address(text))


def is_ip(text: str) -> bool:
    """Whether a host is an address, not a name."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def cidr(text: str) -> CidrRange:
    """A range of addresses for xDS matchers; a plain address is a range of one."""
    network = ip_network(text, strict=False)
    return CidrRange(address_prefix=str(network.network_address), prefix_len=network.prefixlen)


def envoy_cidr(text: str) -> EnvoyCidrRange:
    """A range of addresses for older matchers; a plain address is a range of one."""
    network = ip_network(text, strict=False)
    return EnvoyCidrRange(address_prefix=str(network.network_address), prefix_len=network.prefixlen)
