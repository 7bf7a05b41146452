"""Services that must not be reached without their waypoint, by their owner's choice.

Istio's rule is that traffic passes a waypoint by that can't be had. A control plane of waypoints
has no say in what ztunnels do; it does have one in what waypoints do: none of them sends to such
a service then.
"""

from collections.abc import Iterator

from translators.gateway_api.binding import Bound, NotBound, waypoint_of
from translators.gateway_api.inherited import own_or_inherited
from translators.gateway_api.served import Served, origin_of
from translators.ir.condition import Condition
from translators.resources.core import Service
from translators.world import Reader

WAYPOINT_REQUIRED = "waypost.dev/waypoint-required"
"""The annotation of a Service or Namespace, which is also the type of the condition."""

_BEYOND = (
    "what ztunnels, clients outside the mesh and ingress gateways send to it is not in our hands; "
    "to refuse that too, allow only the waypoint's identity by an AuthorizationPolicy that selects "
    "its pods"
)


def is_withheld(reader: Reader, served: Served) -> bool:
    """Whether no waypoint may send to a service, because its own can't be had."""
    return is_required(reader, served) and isinstance(waypoint_of(reader, served), NotBound)


def is_required(reader: Reader, served: Served) -> bool:
    """Whether a Service, or else its namespace, is annotated so; any value but ``false`` counts."""
    if not isinstance(served, Service):
        return False
    value = own_or_inherited(
        reader, served.meta, lambda meta: meta.annotations.get(WAYPOINT_REQUIRED)
    )
    return value is not None and value.strip().lower() != "false"


def requirement_conditions(reader: Reader, service: Served) -> Iterator[Condition]:
    """What is enforced of the annotation, and what is not."""
    if not is_required(reader, service):
        return
    bound, origin = waypoint_of(reader, service), origin_of(service)
    match bound:
        case Bound(waypoint):
            status, reason = True, "WaypointAccepted"
            message = f"waypoint {waypoint} serves it; {_BEYOND}"
        case NotBound(_, reason, why):
            status = False
            message = f"{why}: until it is, no waypoint sends to this service (503); {_BEYOND}"
        case None:
            status, reason = False, "NoWaypoint"
            message = "no label istio.io/use-waypoint names a waypoint, so that none is required"
    yield Condition(origin, WAYPOINT_REQUIRED, status, reason, message)
