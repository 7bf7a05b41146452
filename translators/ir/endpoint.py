"""Where the requests of a cluster go."""

from enum import StrEnum
from typing import NamedTuple

from translators.ir.origin import Origin
from translators.ir.place import Nearness
from translators.ir.value import value


class Locality(NamedTuple):
    """Where an endpoint runs; any part may be empty."""

    region: str = ""
    zone: str = ""
    subzone: str = ""


class Health(StrEnum):
    """What the source of an endpoint says of it."""

    HEALTHY = "HEALTHY"
    DRAINING = "DRAINING"
    UNHEALTHY = "UNHEALTHY"


class Endpoint(NamedTuple):
    """One address of a destination. There are many, so it is made, compared and sorted as a tuple.

    ``tunnel`` tells that the destination speaks HBONE (a pod captured by ambient mode), so that
    bytes go through ``connect_originate``; otherwise it is dialled directly. ``identity`` is the
    SPIFFE ID that the tunnel's far end must show, empty if any identity of the mesh will do.
    ``node`` is told only where it counts.
    """

    address: str
    port: int
    tunnel: bool = False
    identity: str = ""
    health: Health = Health.HEALTHY
    locality: Locality = Locality()
    priority: int = 0
    weight: int = 1
    node: str = ""


@value
class EndpointSet:
    """The endpoints of one cluster, sorted. Renders to a ClusterLoadAssignment.

    ``nearness`` is what proxies should get of it according to where they run (``placed``);
    ``node_only``: those on other nodes are not even second best.
    """

    cluster: str
    endpoints: tuple[Endpoint, ...]
    origins: tuple[Origin, ...] = ()
    nearness: Nearness = Nearness.ANYWHERE
    node_only: bool = False
