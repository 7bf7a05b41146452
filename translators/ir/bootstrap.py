"""How an Envoy is started: everything that it must know before it first asks."""

from dataclasses import dataclass
from typing import Final

from translators.ir.waypoint import WaypointName

MAX_REGEX_SIZE: Final = 32_768
"""The largest RE2 program that our Envoys accept; their own default is 100."""

READY_PATH: Final = "/healthz/ready"
METRICS_PATH: Final = "/stats/prometheus"


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """The bootstrap of one Envoy of a waypoint.

    ``xds`` is the control plane's ``host:port`` or ``unix:/path``. ``bind`` is where the HBONE
    listener will be, ``admin`` where Envoy's admin interface is, both ``address:port``. ``ready``
    and ``metrics`` are where it says to anybody whether it is ready, and how it does; nowhere if
    they are empty.
    """

    waypoint: WaypointName
    node_id: str
    xds: str
    bind: str = "0.0.0.0:15008"
    admin: str = "127.0.0.1:15000"
    ready: str = ""
    metrics: str = ""


@dataclass(frozen=True, slots=True)
class Farewell:
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
