"""Where waypoints are managed, and what can be seen and done there."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from translators.gateway_api.binding import WAYPOINT_CLASS
from translators.ir.waypoint import WaypointName
from xds_server.waypoints.manifest import WaypointSpec


@dataclass(frozen=True, slots=True)
class Programmed:
    """The ``Programmed`` condition of a Gateway; by default what it is before anybody spoke."""

    status: str = "Unknown"  # True, False or Unknown
    reason: str = "Pending"
    message: str = "Waiting for controller"


UNTOLD = Programmed()


@dataclass(frozen=True, slots=True)
class Found:
    """A Gateway of any class. ``traffic`` is in effect, be it by label, class or default."""

    name: WaypointName
    class_name: str
    revision: str
    traffic: str
    programmed: Programmed = UNTOLD

    @property
    def is_waypoint(self) -> bool:
        """Whether it is managed here; Gateways of other classes are left alone."""
        return self.class_name == WAYPOINT_CLASS

    @property
    def is_ready(self) -> bool:
        """Whether its controller has said that clients can reach it."""
        return self.programmed.status == "True"


class Place(Protocol):
    """A cluster or a folder. All methods raise ``WaypointError``."""

    @property
    def changes_by_itself(self) -> bool:
        """Whether what is not ready now may become so without us."""

    async def gateways(self, namespace: str | None) -> list[Found]:
        """The Gateways of a namespace, or all, ordered by namespace and name."""

    async def gateway(self, name: WaypointName) -> Found | None:
        """One Gateway, if it is there."""

    async def namespace_labels(self, name: str) -> Mapping[str, str] | None:
        """The labels of a namespace, None if there is no such."""

    async def apply(self, spec: WaypointSpec) -> None:
        """Make the waypoint, or change it to be as asked for."""

    async def enrol(self, waypoint: WaypointName) -> None:
        """Label the waypoint's own namespace with it."""

    async def delete(self, name: WaypointName) -> bool:
        """Remove a Gateway; False if it is gone already."""
