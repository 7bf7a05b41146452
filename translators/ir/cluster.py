"""Destinations as a proxy names them."""

from enum import StrEnum

from translators.ir.endpoint import Endpoint
from translators.ir.origin import Origin
from translators.ir.value import value


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
    RACING_DNS = "racing-dns"  # all addresses of a name at once, the first to answer is used
    ORIGINAL_DST = "original-dst"
    DYNAMIC_DNS = "dynamic-dns"  # of the name that each request is for


@value
class ServiceCluster:
    """One port of a service as a destination. Renders to a Cluster.

    ``dns_endpoints``, whose addresses may be host names, are given for discovery by DNS: all of
    them count for STRICT_DNS, and the first for the other two. ``port_override``, if it is not 0,
    is the port that is dialled instead of the one that a client named. ``dns_servers``, as
    ``address:port``, are asked for names; if there are none, those of the proxy's host.
    """

    name: str
    host: str
    port: int
    protocol: UpstreamProtocol
    discovery: Discovery = Discovery.EDS
    dns_endpoints: tuple[Endpoint, ...] = ()
    dns_servers: tuple[str, ...] = ()
    port_override: int = 0
    origins: tuple[Origin, ...] = ()


@value
class NameCache:
    """Names that a proxy resolves when a request for one of them comes.

    ``cluster`` is the one that has them as its endpoints, with the same ``dns_servers``. ``port``
    is dialled if the request names none.
    """

    cluster: str
    port: int
    dns_servers: tuple[str, ...] = ()


@value
class ExternalCluster:
    """A server outside the mesh, found by DNS. Renders to a Cluster.

    With ``roots``, a file of PEM certificates on the proxy's own disk, it is spoken to in TLS, and
    must show a certificate for ``host``. ``dns_servers`` as of a ``ServiceCluster``.
    """

    name: str
    host: str
    port: int
    roots: str = ""
    dns_servers: tuple[str, ...] = ()
    origins: tuple[Origin, ...] = ()


@value
class InternalCluster:
    """A step inside the proxy: a cluster whose one endpoint is an internal listener.

    ``connects`` tells that the listener takes CONNECT requests, each on a connection of its own;
    ``requests``, that requests are sent there as they came.
    """

    name: str
    listener: str
    connects: bool = False
    requests: bool = False


@value
class OriginateCluster:
    """The cluster that dials the HBONE port of a destination with the waypoint's own SVID."""

    trust_domains: tuple[str, ...]


@value
class PassthroughCluster:
    """The cluster that dials, in plaintext, the address that the client named."""
