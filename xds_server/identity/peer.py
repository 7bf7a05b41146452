"""Who is calling, and which waypoint it may be.

An ``Authenticator`` decides once a stream, at its first request. What a Node says of itself is a
claim; a credential of the transport has to bear it out. ``LoopbackAuthenticator`` is the exception
for development: whoever can open a connection on this host is believed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from types import MappingProxyType
from typing import Protocol

from translators.ir.waypoint import WaypointName
from translators.wire.node import Node

GATEWAY_NAME_LABEL = "gateway.networking.k8s.io/gateway-name"
DEFAULT_BIND = "0.0.0.0:15008"
_NODE_ID_LENGTH = 1024


@dataclass(frozen=True, slots=True)
class Peer:
    """The other end of a connection.

    ``address`` is gRPC's notation (``ipv4:127.0.0.1:40112``, ``unix:``), ``auth_context`` what the
    TLS handshake proved, ``metadata`` the headers of the call (lower-case names).
    """

    address: str
    auth_context: Mapping[str, Sequence[bytes]] = field(
        default_factory=lambda: MappingProxyType({})
    )
    metadata: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Proxy:
    """An Envoy whose claim was accepted.

    ``identity`` is what stream limits count by; ``bind`` is the ``ip:port`` on which the Envoy
    shall accept HBONE.
    """

    node_id: str
    waypoint: WaypointName
    bind: str
    identity: str
    user_agent: str = ""


class Denied(Exception):
    """The caller may not have what it asks for; ``str()`` says why, for the caller to read."""


class InsecureAddress(ValueError):
    """Plaintext would leave this host."""


class Authenticator(Protocol):
    """Says which waypoint a caller is."""

    async def authenticate(self, peer: Peer, node: Node) -> Proxy:
        """The proxy that ``peer`` proved to be. Raises Denied."""


class LoopbackAuthenticator:
    """Believes the Node of a caller on this host, and refuses everybody else."""

    async def authenticate(self, peer: Peer, node: Node) -> Proxy:
        """The proxy that the Node's metadata names. Raises Denied if it names none.

        A waypoint need not exist yet: an Envoy may start before its Gateway does.
        """
        if not _is_on_this_host(peer.address):
            raise Denied("plaintext is served to clients on this host only")
        waypoint = claimed_waypoint(node)
        return Proxy(
            node_id=claimed_node_id(node),
            waypoint=waypoint,
            bind=claimed_bind(node),
            identity=f"{waypoint}/{node.id}",
            user_agent=f"{node.user_agent_name}/{node.user_agent_version}",
        )


def claimed_waypoint(node: Node) -> WaypointName:
    """The Gateway that the Node says it serves, in Istio's metadata. Raises Denied."""
    namespace = node.metadata.get("NAMESPACE")
    labels = node.metadata.get("LABELS")
    name = labels.get(GATEWAY_NAME_LABEL) if isinstance(labels, dict) else None
    if not isinstance(namespace, str) or not namespace:
        raise Denied('node.metadata must say NAMESPACE: "<namespace of the Gateway>"')
    if not isinstance(name, str) or not name:
        raise Denied(
            f'node.metadata must say LABELS: {{"{GATEWAY_NAME_LABEL}": "<name of the Gateway>"}}'
        )
    try:
        return WaypointName.parse(f"{namespace}/{name}")
    except ValueError:
        raise Denied("node.metadata names no valid namespace and Gateway") from None


def claimed_node_id(node: Node) -> str:
    """The Node's id. Raises Denied if it is empty or longer than 1,024 characters."""
    if not node.id:
        raise Denied("node.id must not be empty")
    if len(node.id) > _NODE_ID_LENGTH:
        raise Denied(f"node.id is longer than {_NODE_ID_LENGTH} characters")
    return node.id


def claimed_bind(node: Node) -> str:
    """Where the Node wants to accept HBONE: metadata WAYPOST_BIND, else 0.0.0.0:15008.

    The result is in its shortest form, so that one address has one spelling. Raises Denied.
    """
    bind = node.metadata.get("WAYPOST_BIND", DEFAULT_BIND)
    try:
        if not isinstance(bind, str):
            raise ValueError("not a string")
        host, port = split_address(bind)
        address = ip_address(host)
        return f"{address}:{port}" if address.version == 4 else f"[{address}]:{port}"
    except ValueError:
        raise Denied('node.metadata WAYPOST_BIND must be "<ip>:<port>"') from None


def split_address(address: str) -> tuple[str, int]:
    """``127.0.0.1:15010`` or ``[::1]:15010`` as host and port. Raises ValueError."""
    host, colon, port = address.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or not host or (":" in host) != bracketed:
        raise ValueError(f"{address!r} is not of the form host:port")
    if not (port.isascii() and port.isdigit() and int(port) < 65536):
        raise ValueError(f"{address!r} has no valid port")
    return host[1:-1] if bracketed else host, int(port)


def check_plaintext_address(address: str) -> None:
    """Make sure that a plaintext listener cannot be reached from another host.

    ``address`` is ``127.0.0.1:15010``, ``[::1]:15010`` or ``unix:/path``; names are refused because
    what they resolve to may change. Raises InsecureAddress.
    """
    if address.startswith(("unix:", "unix-abstract:")):
        return
    try:
        host, _ = split_address(address)
        loopback = ip_address(host).is_loopback
    except ValueError as error:
        raise InsecureAddress(f"{address!r} is not an IP address and port: {error}") from None
    if not loopback:
        raise InsecureAddress(
            f"{address!r} is not a loopback address: without TLS, xDS is served on 127.0.0.0/8, "
            "[::1] or a unix: socket only"
        )


def _is_on_this_host(peer: str) -> bool:
    """Whether gRPC's name of a peer is a Unix socket or a loopback address."""
    scheme, _, rest = peer.partition(":")
    if scheme in ("unix", "unix-abstract"):
        return True
    try:
        host, _ = split_address(rest.replace("%5B", "[").replace("%5D", "]"))
        return scheme in ("ipv4", "ipv6") and ip_address(host).is_loopback
    except ValueError:
        return False
