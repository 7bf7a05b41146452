"""By which label an object asks for a waypoint, and what it gets."""

from dataclasses import dataclass

from translators.gateway_api.binding import (
    Bound,
    NotBound,
    canary_of,
    traffic_type,
    waypoint_of,
)
from translators.gateway_api.direct import (
    account_waypoint,
    why_never_served,
    workload_waypoint_of,
)
from translators.gateway_api.labels import (
    FOR_SERVICE_ACCOUNT,
    USE_WAYPOINT,
    USE_WAYPOINT_NAMESPACE,
    asks_for_waypoint,
    named_waypoint,
)
from translators.gateway_api.served import Served
from translators.ir.waypoint import TrafficType, WaypointName
from translators.resources.core import Namespace, Pod
from translators.resources.gateway import Gateway
from translators.resources.metadata import KubernetesObject
from translators.world import Reader
from xds_server.cli.describe_text import Facts

_HANDLED = {
    TrafficType.SERVICE: "traffic to services",
    TrafficType.WORKLOAD: "traffic to pods' own addresses",
    TrafficType.ALL: "traffic to services and to pods' own addresses",
    TrafficType.NONE: "nothing",
    None: "nothing: the value of istio.io/waypoint-for is unknown",
}


@dataclass(frozen=True, slots=True)
class Wish:
    """The labels that decide, and the object that has them; ``waypoint`` None: it wants none."""

    waypoint: WaypointName | None
    labels: str
    owner: str


def wish_of(reader: Reader, found: Served | Pod | Namespace) -> Wish | None:
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


def enrolment_facts(reader: Reader, service: Served) -> Facts:
    """The waypoint of a service, and by which label it is that."""
    wish, got = wish_of(reader, service), waypoint_of(reader, service)
    facts = wish_facts(wish)
    match got:
        case Bound(waypoint):
            canary = _canary_facts(reader, service)
            return facts | {"bound": True, "handles": handled(reader, waypoint)} | canary
        case NotBound(_, reason, message):
            return facts | {"bound": False, "reason": reason, "message": message}
        case None:
            return facts | {"bound": False}


def _canary_facts(reader: Reader, service: Served) -> Facts:
    """The second waypoint, if one is asked for."""
    match canary_of(reader, service):
        case Bound(waypoint):
            return {"canary": str(waypoint)}
        case NotBound(waypoint, _, message):
            return {"canary": f"not {waypoint}: {message}"}
        case None:
            return {}


def pod_enrolment_facts(reader: Reader, pod: Pod) -> Facts:
    """The waypoint of a pod for traffic to its own address, and by which label it is that."""
    facts = wish_facts(_wish_of_pod(reader, pod))
    match workload_waypoint_of(reader, pod):
        case Bound(waypoint):
            return facts | {"bound": True, "handles": handled(reader, waypoint)}
        case NotBound(_, reason, message):
            return facts | {"bound": False, "reason": reason, "message": message}
        case None:
            return facts | {"bound": False, "message": _why_not(reader, pod)}


def _wish_of_pod(reader: Reader, pod: Pod) -> Wish | None:
    waypoint = None if asks_for_waypoint(pod.meta) else account_waypoint(reader, pod)
    if waypoint is None:
        return wish_of(reader, pod)
    label = f"{FOR_SERVICE_ACCOUNT}={pod.service_account}"
    return Wish(waypoint, label, f"Gateway {waypoint.name}")


def _why_not(reader: Reader, pod: Pod) -> str:
    never, wish = why_never_served(pod), wish_of(reader, pod)
    if never:
        return f"no waypoint serves its address: {never}"
    if wish is None or wish.waypoint is None:
        return "no waypoint is asked for"
    return f"waypoint {wish.waypoint} does not handle traffic to pods' own addresses"


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
