"""How an Envoy is started: everything that it must know before it first asks."""

from dataclasses import dataclass
from typing import Final

from translators.ir.waypoint import WaypointName

MAX_REGEX_SIZE: Final = 32_768
"""The largest RE2 program that our Envoys accept; their own default is 100."""

OWN_PORTS: Final = frozenset({15000, 15002, 15003})
"""Where a proxy's admin interface is, and what tells it to drain: on loopback, unless told else."""

READY_PATH: Final = "/healthz/ready"
METRICS_PATH: Final = "/stats/prometheus"

SECURE_PORT: Final = 15012
"""Where a control plane serves xDS over TLS, as istiod does."""

TOKEN_AUDIENCE: Final = "waypost"  # noqa: S105  # it is no password
"""The audience that the control plane's tokens are for, unless it is told another."""


@dataclass(frozen=True, slots=True)
class TokenFile:
    """A bearer token, such as a projected service-account token. Its folder is watched."""

    path: str


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """A client certificate (PEM chain, leaf first) and its key, in one folder that is watched."""

    chain: str
    key: str


@dataclass(frozen=True, slots=True)
class SecureStream:
    """How an Envoy knows its control plane over a network, and what it shows of itself.

    ``server`` is the DNS name or IP address that the server's certificate must hold. ``roots`` is a
    PEM file; its folder is watched too. ``folder`` is where Envoy finds the files that go with its
    bootstrap. All paths are as Envoy sees them, and absolute.
    """

    server: str
    roots: str
    credential: TokenFile | CertificateFiles
    folder: str


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """The bootstrap of one Envoy of a waypoint.

    ``xds`` is the control plane's ``host:port`` or ``unix:/path``. ``bind`` is where the HBONE
    listener will be, ``admin`` where Envoy's admin interface is, both ``address:port``. ``ready``
    and ``metrics`` are where it says to anybody whether it is ready, and how it does; nowhere if
    they are empty. Without ``secure``, xDS is plaintext, which control planes serve on their own
    host only.
    """

    waypoint: WaypointName
    node_id: str
    xds: str
    bind: str = "0.0.0.0:15008"
    admin: str = "127.0.0.1:15000"
    ready: str = ""
    metrics: str = ""
    secure: SecureStream | None = None


@dataclass(frozen=True, slots=True)
class Drainer:
    """An Envoy that tells another one to drain, and lives for so many ``seconds``.

    ``admin`` is the admin interface of the other one; ``own_admin`` and ``clock`` are addresses
    that it needs itself. All are ``address:port``.
    """

    seconds: int
    admin: str = "127.0.0.1:15000"
    own_admin: str = "127.0.0.1:15002"
    clock: str = "127.0.0.1:15003"


def node_id(waypoint: WaypointName, address: str, cluster_domain: str = "cluster.local") -> str:
    """Istio's form of a node ID: the type, address, name and DNS domain of a proxy."""
    domain = f"{waypoint.namespace}.svc.{cluster_domain}"
    return f"waypoint~{address}~{waypoint.name}.{waypoint.namespace}~{domain}"
