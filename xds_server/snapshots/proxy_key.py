"""Which Envoys get the same configuration."""

from typing import NamedTuple

from translators.ir.place import NOWHERE, Place
from translators.ir.waypoint import WaypointName


class ProxyKey(NamedTuple):
    """The Envoys of one waypoint that listen on one address; they share one snapshot.

    ``bind`` is the ``ip:port`` of ``connect_terminate``. In a cluster all replicas have the same;
    several Envoys of a waypoint on one host need an address each. ``place`` is where they run, as
    far as that makes a difference: nowhere, unless a service of the waypoint asks for near ones.
    """

    waypoint: WaypointName
    bind: str
    place: Place = NOWHERE

    def __str__(self) -> str:
        where = "/".join(filter(None, self.place))
        return f"{self.waypoint}@{self.bind}" + (f" in {where}" if where else "")
