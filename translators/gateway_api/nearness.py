"""How near the endpoints of a service should be to who sends to them, and where they are."""

from translators.gateway_api.inherited import own_or_inherited
from translators.gateway_api.served import Served
from translators.ir.endpoint import Locality
from translators.ir.place import Nearness, Place
from translators.resources.core import Node, Pod, Service
from translators.world import Reader

TRAFFIC_DISTRIBUTION = "networking.istio.io/traffic-distribution"
"""The annotation of Istio, on Services, ServiceEntries and Namespaces."""

_MEANINGS = {
    "preferclose": Nearness.ZONE,
    "prefersamezone": Nearness.ZONE,
    "prefersamenode": Nearness.NODE,
}


def nearness_of(reader: Reader, served: Served) -> Nearness:
    """What ``spec.trafficDistribution`` asks for, else the annotation, else the namespace's.

    An unknown value asks for nothing.
    """
    if isinstance(served, Service) and served.traffic_distribution:
        return _meaning(served.traffic_distribution)
    annotated = own_or_inherited(
        reader, served.meta, lambda meta: meta.annotations.get(TRAFFIC_DISTRIBUTION)
    )
    return _meaning(annotated or "")


def is_node_only(served: Served) -> bool:
    """Whether endpoints of other nodes must not be used (``internalTrafficPolicy: Local``)."""
    return isinstance(served, Service) and served.internal_traffic_policy == "Local"


def locality_at(reader: Reader, node: str, zone: str = "") -> Locality:
    """Where a node is, by its labels; ``zone`` is what is known without."""
    found = reader.get(Node, "", node) if node else None
    if found is None:
        return Locality(zone=zone)
    return Locality(found.region, zone or found.zone, found.subzone)


def locate(reader: Reader, place: Place) -> Place:
    """What the cluster knows of a proxy's place, where it does not say it itself."""
    namespace, _, name = place.pod.partition("/")
    pod = reader.get(Pod, namespace, name) if name and not place.node else None
    node = place.node or (pod.node if pod else "")
    where = locality_at(reader, node, place.zone)
    return Place(place.region or where.region, where.zone, node)


def _meaning(text: str) -> Nearness:
    return _MEANINGS.get(text.lower(), Nearness.ANYWHERE)
