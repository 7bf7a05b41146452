"""What is to be said about objects whose configuration Envoy refused."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from translators.gateway_api.binding import is_served_by
from translators.gateway_api.indexes import MeshRoute, is_parent
from translators.gateway_api.served import KINDS, find_served
from translators.ir.condition import Condition
from translators.ir.origin import Origin
from translators.ir.waypoint import WaypointName
from translators.resources.core import Service
from translators.resources.gateway import Gateway
from translators.resources.grpcroute import GRPCRoute
from translators.resources.httproute import HTTPRoute
from translators.resources.metadata import ObjectKey
from translators.resources.serviceentry import ServiceEntry
from translators.resources.tcproute import TCPRoute, TLSRoute
from translators.world import Reader

SERVICE_PROGRAMMED = "waypost.dev/Programmed"
REJECTED = "RejectedByProxy"

_SERVED = tuple(kind.kind for kind in KINDS)


@dataclass(frozen=True, slots=True, order=True)
class Refusal:
    """Envoys of a waypoint refused a resource, in these words; it was made from these objects."""

    waypoint: WaypointName
    resource: str
    message: str
    origins: tuple[Origin, ...]


def refusal_conditions(reader: Reader, refusals: Iterable[Refusal]) -> tuple[Condition, ...]:
    """``Programmed=False`` with Envoy's words, on each object that may be the cause.

    A route table is made from routes and a Service: then it is the routes that are told. What
    comes from no object that is still there is said of the waypoint's Gateway.
    """
    told = (one for refusal in sorted(refusals) for one in _conditions(reader, refusal))
    first: dict[tuple[ObjectKey, str], Condition] = {}
    for condition in told:
        origin = condition.origin
        key = ObjectKey(origin.kind, origin.namespace, origin.name)
        first.setdefault((key, condition.scope), condition)
    return tuple(first.values())


def _conditions(reader: Reader, refusal: Refusal) -> Iterator[Condition]:
    message = f"waypoint {refusal.waypoint} refused {refusal.resource}: {refusal.message}"
    causes = list(_causes(reader, refusal))
    for cause in causes:
        for kind, scope in _places(reader, refusal.waypoint, cause):
            yield Condition(cause, kind, False, REJECTED, message, scope)
    if not causes:
        at = Origin(Gateway.kind, refusal.waypoint.namespace, refusal.waypoint.name)
        yield Condition(at, "Programmed", False, REJECTED, message)


def _causes(reader: Reader, refusal: Refusal) -> Iterator[Origin]:
    """The objects that are still there; what is served only if nothing else is."""
    there = [origin for origin in refusal.origins if reader.find(_key(origin)) is not None]
    others = [origin for origin in there if origin.kind not in _SERVED]
    return iter(others or there)


def _places(reader: Reader, waypoint: WaypointName, cause: Origin) -> Iterator[tuple[str, str]]:
    """The type of the condition, and which parts of the status of the object it belongs to."""
    match reader.find(_key(cause)):
        case HTTPRoute() | GRPCRoute() | TCPRoute() | TLSRoute() as route:
            for scope in _parents(reader, waypoint, route):
                yield "Programmed", scope
        case Service() | ServiceEntry():
            yield SERVICE_PROGRAMMED, ""
        case _:
            yield "Programmed", ""


def _parents(reader: Reader, waypoint: WaypointName, route: MeshRoute) -> Iterator[str]:
    """The parents of a route that the waypoint serves."""
    for index, parent in enumerate(route.parents):
        if any(is_parent(parent, kind) for kind in _SERVED):
            service = find_served(reader, parent.kind, parent.namespace, parent.name)
            if service is not None and is_served_by(reader, service, waypoint):
                yield f"parentRefs[{index}]"


def _key(origin: Origin) -> ObjectKey:
    return ObjectKey(origin.kind, origin.namespace, origin.name)
