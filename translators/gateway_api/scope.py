"""What a translation reads, and for whom."""

from dataclasses import dataclass

from translators.ir.waypoint import Mesh, WaypointName
from translators.world import Reader


@dataclass(frozen=True, slots=True)
class Scope:
    """The world, the mesh, and the waypoint that is translated for."""

    reader: Reader
    mesh: Mesh
    waypoint: WaypointName
