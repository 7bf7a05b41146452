"""Which Envoys get the same configuration."""

from typing import NamedTuple

from translators.ir.waypoint import WaypointName


class ProxyKey(NamedTuple):
    """The Envoys of one waypoint that listen on one address; they share one snapshot.

    ``bind`` is the ``ip:port`` of ``connect_terminate``. In a cluster all replicas have the same;
    several Envoys of a waypoint on one host need an address each.
    """

    waypoint: WaypointName
    bind: str

    def __str__(self) -> str:
        return f"{self.waypoint}@{self.bind}"
