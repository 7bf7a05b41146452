"""Gateway API: from Kubernetes objects to the model of a waypoint, and conditions for its users."""

from translators.gateway_api.assembly import Assembly, assemble, fits_in_place, shared_conditions
from translators.gateway_api.binding import (
    Bound,
    NotBound,
    bound_services,
    identity_of,
    is_waypoint,
    may_linger,
    waypoint_of,
    waypoints,
)
from translators.gateway_api.conditions import route_conditions, service_conditions
from translators.gateway_api.deployable import deployable
from translators.gateway_api.direct import (
    bound_workloads,
    serves_workloads,
    translate_workloads,
    workload_conditions,
    workload_waypoint_of,
)
from translators.gateway_api.endpoints import Destination, endpoint_set
from translators.gateway_api.gateways import gateway_addresses, gateway_conditions
from translators.gateway_api.indexes import INDEXES
from translators.gateway_api.nearness import locate
from translators.gateway_api.refusals import Refusal, refusal_conditions
from translators.gateway_api.request_routes import RoutePart, RoutePlace, route_part
from translators.gateway_api.revision import is_ours
from translators.gateway_api.services import ServiceConfig, translate_service, unreachable

__all__ = [
    "INDEXES",
    "Assembly",
    "Bound",
    "Destination",
    "NotBound",
    "Refusal",
    "RoutePart",
    "RoutePlace",
    "ServiceConfig",
    "assemble",
    "bound_services",
    "bound_workloads",
    "deployable",
    "endpoint_set",
    "fits_in_place",
    "gateway_addresses",
    "gateway_conditions",
    "identity_of",
    "is_ours",
    "is_waypoint",
    "locate",
    "may_linger",
    "refusal_conditions",
    "route_conditions",
    "route_part",
    "serves_workloads",
    "service_conditions",
    "shared_conditions",
    "translate_service",
    "translate_workloads",
    "unreachable",
    "waypoint_of",
    "waypoints",
    "workload_conditions",
    "workload_waypoint_of",
]
