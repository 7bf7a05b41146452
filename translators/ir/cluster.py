"""Destinations as a proxy names them."""

from dataclasses import dataclass
from enum import StrEnum

from translators.ir.origin import Origin


class UpstreamProtocol(StrEnum):
    """What a cluster speaks to its endpoints."""

    TCP = "tcp"
    HTTP1 = "http1"
    HTTP2 = "http2"
    AS_DOWNSTREAM = "as-downstream"


class Discovery(StrEnum):
    """How a cluster comes by its endpoints."""

    EDS = "eds"
    STRICT_DNS = "strict-dns"
    LOGICAL_DNS = "logical-dns"
    ORIGINAL_DST = "original-dst"


@dataclass(frozen=True, slots=True)
class ServiceCluster:
    """One port of a service as a destination. Renders to a Cluster.

    ``endpoints`` are given inline only for discovery by DNS: (host name or address, port).
    """

    name: str
    host: str
    port: int
    protocol: UpstreamProtocol
    discovery: Discovery = Discovery.EDS
    dns_endpoints: tuple[tuple[str, int], ...] = ()
    origins: tuple[Origin, ...] = ()


@dataclass(frozen=True, slots=True)
class ExternalCluster:
    """A server outside the mesh, found by DNS. Renders to a Cluster.

    With ``roots``, a file of PEM certificates on the proxy's own disk, it is spoken to in TLS, and
    must show a certificate for ``host``.
    """

    name: str
    host: str
    port: int
    roots: str = ""
    origins: tuple[Origin, ...] = ()


@dataclass(frozen=True, slots=True)
class InternalCluster:
    """A step inside the proxy: a cluster whose one endpoint is an internal listener.

    ``connects`` tells that the listener takes CONNECT requests, each on a connection of its own.
    """

    name: str
    listener: str
    connects: bool = False


@dataclass(frozen=True, slots=True)
class OriginateCluster:
    """The cluster that dials the HBONE port of a destination with the waypoint's own SVID."""

    trust_domains: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PassthroughCluster:
    """The cluster that dials, in plaintext, the address that the client named."""
