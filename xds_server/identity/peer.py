"""Who is calling, and which waypoint it may be.

An ``Authenticator`` decides at the beginning of a stream, and again while it lasts. What a Node
says of itself is a claim; a credential of the transport has to bear it out.
``LoopbackAuthenticator`` is the exception for development: whoever can open a connection on this
host is believed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from ipaddress import ip_address
from types import MappingProxyType
from typing import Protocol

from translators.ir.place import NOWHERE, Place
from translators.ir.waypoint import WaypointName
from translators.wire.node import Node

GATEWAY_NAME_LABEL = "gateway.networking.k8s.io/gateway-name"
DEFAULT_BIND = "0.0.0.0:15008"
_NODE_ID_LENGTH = 1024
_ID_PARTS = 4  # type~address~name.namespace~domain
_PLACE_LENGTH = 512


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
    metadata: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)

    @property
    def host(self) -> str:
        """The address without the port; a socket's path stays as it is."""
        return self.address.rpartition(":")[0]

    @property
    def is_secure(self) -> bool:
        """Whether the connection is TLS."""
        return tuple(self.auth_context.get("transport_security_type", ())) == (b"ssl",)


class Proof(StrEnum):
    """What a caller is known by."""

    LOOPBACK = "loopback"
    TOKEN = "token"  # noqa: S105
    CERTIFICATE = "certificate"


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """The service account ``name`` of a namespace."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who opened a connection.

    ``account`` is None for somebody on this host. ``instance`` tells apart callers with the same
    account, if anything was proved about that: the name of a pod. ``expires`` is when the
    credential is no longer good, as far as that is known.
    """

    proof: Proof
    account: ServiceAccount | None = None
    instance: str = ""
    expires: datetime | None = None

    def __str__(self) -> str:
        return str(self.account or self.proof)


@dataclass(frozen=True, slots=True)
class Proxy:
    """An Envoy whose claim was accepted.

    ``identity`` is what stream limits count by; ``bind`` is the ``ip:port`` on which the Envoy
    shall accept HBONE; ``place`` is where it runs, as it says itself.
    """

    node_id: str
    waypoint: WaypointName
    bind: str
    identity: str
    user_agent: str = ""
    place: Place = NOWHERE


class Reason(StrEnum):
    """Why a caller was denied: the first four are about who it is, the others what it may be."""

    NO_CREDENTIAL = "no_credential"
    BAD_CREDENTIAL = "bad_credential"
    EXPIRED = "expired"
    UNVERIFIED = "unverified"  # it can't be told now: the caller had better try again
    CLAIM = "claim"
    UNKNOWN_WAYPOINT = "unknown_waypoint"
    OTHER_ACCOUNT = "other_account"
    NOT_LOCAL = "not_local"


class Denied(Exception):
    """The caller may not have what it asks for; ``str()`` says why, for the caller to read."""

    def __init__(self, message: str, reason: Reason = Reason.CLAIM) -> None:
        super().__init__(message)
        self.reason = reason


class InsecureAddress(ValueError):
    """Plaintext would leave this host."""


class Authenticator(Protocol):
    """Says which waypoint a caller is."""

    async def identify(self, peer: Peer) -> Caller:
        """Who ``peer`` proved to be. Raises Denied."""

    def admit(self, caller: Caller, node: Node) -> Proxy:
        """The proxy that the caller may be, of what its Node claims. Raises Denied.

        The answer may be another once objects have changed.
        """


class LoopbackAuthenticator:
    """Believes the Node of a caller on this host, and refuses everybody else."""

    async def identify(self, peer: Peer) -> Caller:
        """Somebody on this host. Raises Denied."""
        if not _is_on_this_host(peer.address):
            raise Denied("plaintext is served to clients on this host only", Reason.NOT_LOCAL)
        return Caller(Proof.LOOPBACK)

    def admit(self, caller: Caller, node: Node) -> Proxy:  # it is believed
        """The proxy that the Node's metadata names. Raises Denied if it names none.

        A waypoint need not exist yet: an Envoy may start before its Gateway does.
        """
        waypoint = claimed_waypoint(node)
        return claimed_proxy(node, waypoint, f"{waypoint}/{node.id}")


def claimed_proxy(node: Node, waypoint: WaypointName, identity: str) -> Proxy:
    """A proxy of the waypoint as its Node describes itself. Raises Denied."""
    return Proxy(
        node_id=claimed_node_id(node),
        waypoint=waypoint,
        bind=claimed_bind(node),
        identity=identity,
        user_agent=f"{node.user_agent_name}/{node.user_agent_version}",
        place=claimed_place(node, waypoint),
    )


def claimed_place(node: Node, waypoint: WaypointName) -> Place:
    """Where the Node says it runs: by its locality, or by metadata NODE_NAME, or by its pod.

    The pod's name is in the ID, as in Istio's. What is too long to be a name counts as unknown.
    """
    kubernetes_node = node.metadata.get("NODE_NAME")
    parts = node.id.split("~")
    pod = parts[2].rpartition(f".{waypoint.namespace}")[0] if len(parts) == _ID_PARTS else ""
    given = (node.region, node.zone, kubernetes_node, f"{waypoint.namespace}/{pod}" if pod else "")
    return Place(*(_name(part) for part in given))


def _name(claimed: object) -> str:
    return claimed if isinstance(claimed, str) and len(claimed) <= _PLACE_LENGTH else ""


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
        raise InsecureAddress(f"{error}; give a loopback ip:port or unix:/path") from None
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
