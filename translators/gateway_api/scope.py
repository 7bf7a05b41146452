"""What a translation reads, and for whom."""

from dataclasses import dataclass, field
from typing import NamedTuple

from translators.gateway_api.endpoints import Destination
from translators.gateway_api.references import Referrer
from translators.ir.cluster import ServiceCluster
from translators.ir.waypoint import Mesh, WaypointName
from translators.resources.httproute import BackendRef
from translators.world import Reader


class Found(NamedTuple):
    """The cluster that a backend is; ``outbound`` unless the waypoint's services bring it along."""

    cluster: str
    outbound: tuple[ServiceCluster, Destination | None] | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """The world, the mesh, and the waypoint that is translated for.

    ``backends`` are those that were found already, None if they can't be had: rules of one route
    mostly lead to the same few.
    """

    reader: Reader
    mesh: Mesh
    waypoint: WaypointName
    backends: dict[tuple[Referrer, BackendRef], Found | None] = field(default_factory=dict)
