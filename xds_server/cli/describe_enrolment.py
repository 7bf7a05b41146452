"""By which label an object asks for a waypoint, and what it gets."""

from dataclasses import dataclass

from translators.gateway_api.binding import Bound, NotBound, traffic_type, waypoint_of
from translators.gateway_api.labels import (
    USE_WAYPOINT,
    USE_WAYPOINT_NAMESPACE,
    asks_for_waypoint,
    named_waypoint,
)
from translators.ir.waypoint import TrafficType, WaypointName
from translators.resources.core import Namespace, Pod, Service
from translators.resources.gateway import Gateway
from translators.resources.metadata import KubernetesObject
from translators.world import Reader
from xds_server.cli.describe_text import Facts

SERVICES_ONLY = "waypost serves traffic to services, none to pods' own addresses"

_HANDLED = {
    TrafficType.SERVICE: "traffic to services",
    TrafficType.WORKLOAD: f"nothing: it is for workloads, and {SERVICES_ONLY}",
    TrafficType.ALL: f"traffic to services; it is for workloads too, but {SERVICES_ONLY}",
    TrafficType.NONE: "nothing",
    None: "nothing: the value of istio.io/waypoint-for is unknown",
}


@dataclass(frozen=True, slots=True)
class Wish:
    """The labels that decide, and the object that has them; ``waypoint`` None: it wants none."""

    waypoint: WaypointName | None
    labels: str
    owner: str


def wish_of(reader: Reader, found: Service | Pod | Namespace) -> Wish | None:
    """What the labels of an object ask for, else those of its namespace; None if no label does."""
    home = found.meta.namespace or found.meta.name
    namespace = reader.get(Namespace, "", home)
    deciding: tuple[KubernetesObject | None, ...] = (found, namespace)
    for one in deciding:
        if one is not None and asks_for_waypoint(one.meta):
            keys = (USE_WAYPOINT, USE_WAYPOINT_NAMESPACE)
            labels = (f"{key}={one.meta.labels[key]}" for key in keys if key in one.meta.labels)
            return Wish(
                named_waypoint(one.meta, home), ", ".join(labels), f"{one.kind} {one.meta.name}"
            )
    return None


def enrolment_facts(reader: Reader, service: Service) -> Facts:
    """The waypoint of a service, and by which label it is that."""
    wish, got = wish_of(reader, service), waypoint_of(reader, service)
    facts = wish_facts(wish)
    match got:
        case Bound(waypoint):
            return facts | {"bound": True, "handles": handled(reader, waypoint)}
        case NotBound(_, reason, message):
            return facts | {"bound": False, "reason": reason, "message": message}
        case None:
            return facts | {"bound": False}


def wish_facts(wish: Wish | None) -> Facts:
    """What is asked for, and by which label."""
    if wish is None:
        return {"name": None, "label": None}
    name = str(wish.waypoint) if wish.waypoint else None
    return {"name": name, "label": f"{wish.labels} (of {wish.owner})"}


def handled(reader: Reader, waypoint: WaypointName) -> str:
    """What kinds of traffic a waypoint handles."""
    gateway = reader.get(Gateway, waypoint.namespace, waypoint.name)
    return (
        _HANDLED[traffic_type(reader, gateway)] if gateway else "nothing: there is no such Gateway"
    )
