"""Where a proxy runs, and how near to it the endpoints of a service should be."""

from enum import IntEnum
from typing import NamedTuple


class Nearness(IntEnum):
    """How much of a proxy's place counts when an endpoint is chosen; more includes less."""

    ANYWHERE = 0
    ZONE = 1
    NODE = 2


class Place(NamedTuple):
    """Where a proxy runs. Each part may be unknown, which is empty.

    ``pod`` is ``namespace/name``: who knows the cluster can tell the rest by it.
    """

    region: str = ""
    zone: str = ""
    node: str = ""
    pod: str = ""

    def seen(self, nearness: Nearness) -> "Place":
        """What counts of a place that has been located."""
        match nearness:
            case Nearness.ANYWHERE:
                return NOWHERE
            case Nearness.ZONE:
                return Place(self.region, self.zone)
            case Nearness.NODE:
                return Place(self.region, self.zone, self.node)


NOWHERE = Place()
"""A place of which nothing is known, or nothing counts."""
