"""What a proxy listens on, and how a connection finds its service."""

from translators.ir.authorization import OPEN, Authorization
from translators.ir.cluster import NameCache
from translators.ir.origin import Origin
from translators.ir.value import value


@value
class ConnectTerminate:
    """The HBONE listener: mutual TLS, CONNECT. ``bind`` is ``address:port``. Never changes."""

    bind: str
    trust_domains: tuple[str, ...]


@value
class ConnectOriginate:
    """The internal listener that wraps bytes into a new tunnel to their destination."""


@value
class HttpChain:
    """A filter chain that speaks HTTP and takes its routes from the route table of its name.

    ``tokens_first``: tokens are verified before external authorization is asked, not after.
    ``grpc_web``: what browsers ask by gRPC-Web is made gRPC before anything looks at it.
    ``max_duration_ms``: connections are drained at that age, and a single stream is ended.
    ``names`` are resolved on demand; None if the chain leads to known places only.
    """

    name: str
    host: str
    port: int
    tokens_first: bool = False
    grpc_web: bool = False
    max_duration_ms: int | None = None
    names: NameCache | None = None


@value
class TcpChain:
    """A filter chain that forwards bytes to a cluster.

    ``max_duration_ms``: connections are closed at that age.
    """

    name: str
    cluster: str
    max_duration_ms: int | None = None


@value
class PortBinding:
    """How connections to one port of a service are served.

    ``addresses`` are the service's virtual IPs, and ranges of IPv4 addresses from /1 to /24. With
    both chains the protocol is sniffed: HTTP goes to ``http``, all else to ``tcp``.
    """

    addresses: tuple[str, ...]
    port: int
    http: HttpChain | None
    tcp: TcpChain | None


@value
class InternalListener:
    """``main_internal`` (declared protocols) or ``main_internal_sniff`` (the others)."""

    name: str
    bindings: tuple[PortBinding, ...]
    sniff: bool


@value
class DirectListener:
    """``main_internal_direct``: connections to pods by their own addresses, on any port.

    HTTP goes to ``http``, all else to ``tcp``. It takes every address that it is led to: which
    there are is for the ``ConnectTable`` to say.
    """

    http: HttpChain
    tcp: TcpChain


@value
class Share:
    """A part of the connections, as large as its weight; without a cluster it is refused."""

    cluster: str | None
    weight: int = 1


@value
class ConnectionRule:
    """What becomes of connections. ``peer_namespaces`` empty: from anywhere; no shares: refused."""

    name: str
    shares: tuple[Share, ...]
    peer_namespaces: tuple[str, ...] = ()
    origin: Origin | None = None


@value
class ConnectHost:
    """One destination that a CONNECT may name.

    ``authorities`` are ``address:port`` (IPv6 in brackets) or ``range:port``, ``cluster`` leads to
    the internal listener that serves it. ``layered`` and ``authorization`` are decided on the
    CONNECT, both of which must allow it: refused with 403, nothing dialled. ``opaque`` is decided
    there too, but counts only if the protocol is sniffed and is not HTTP: then the connection is
    closed, nothing dialled. The first of the ``rules`` that is for the peer says which cluster the
    TCP chain forwards to; if none is, that is the chain's own. HTTP chains don't look at them.
    """

    name: str
    authorities: tuple[str, ...]
    cluster: str
    authorization: Authorization = OPEN
    rules: tuple[ConnectionRule, ...] = ()
    layered: Authorization = OPEN
    opaque: Authorization = OPEN


@value
class ConnectPods:
    """Pods that a CONNECT may name by their own addresses, with any port.

    All of them are reached in one way: through a tunnel whose far end must show ``identity``, a
    SPIFFE ID, or, if that is empty, in plaintext. Who may is decided as for a ``ConnectHost`` whose
    protocol is sniffed.
    """

    addresses: tuple[str, ...]
    identity: str
    authorization: Authorization = OPEN
    layered: Authorization = OPEN
    opaque: Authorization = OPEN


@value
class ConnectTable:
    """The route table ``connect``: every destination of the waypoint; any other gets 404.

    ``pods`` are distinct in their identity; of two with the same address the first has it.
    """

    hosts: tuple[ConnectHost, ...]
    requires_tables: tuple[str, ...] = ()
    origins: tuple[Origin, ...] = ()
    pods: tuple[ConnectPods, ...] = ()
