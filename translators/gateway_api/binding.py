"""Which waypoint serves a Service or ServiceEntry (Istio's binding algorithm)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from translators.gateway_api.indexes import (
    CLASSES_BY_CONTROLLER,
    ENTRIES_BY_NAMESPACE,
    ENTRIES_BY_WAYPOINT,
    GATEWAYS_BY_CLASS,
    NAMESPACES_BY_WAYPOINT,
    SERVICES_BY_NAMESPACE,
    SERVICES_BY_WAYPOINT,
)
from translators.gateway_api.labels import (
    CANARY_WEIGHT,
    FOR_SERVICE_ACCOUNT,
    MANAGED,
    WAYPOINT_FOR,
    asks_for_waypoint,
    named_canary,
    named_waypoint,
)
from translators.gateway_api.selectors import selects
from translators.gateway_api.served import Served
from translators.ir.waypoint import Mesh, TrafficType, WaypointName
from translators.resources.core import Namespace, Service
from translators.resources.gateway import Gateway, GatewayClass, GatewayListener
from translators.resources.metadata import Metadata, ObjectKey
from translators.world import Reader

CONTROLLER = "istio.io/mesh-controller"
"""The controller of the GatewayClass whose Gateways are served here."""

WAYPOINT_CLASS = "istio-waypoint"
"""The class that is a waypoint's even if no GatewayClass object says so."""

HBONE_PORT = 15008
HBONE = "HBONE"

_ALL = 100  # per cent
_WEIGHT = re.compile("[0-9]{1,9}")  # Python reads no number of thousands of digits

UNSUPPORTED_TRAFFIC = "UnsupportedTrafficType"

MANAGED_BY_MESH = ("istio.io-mesh-controller", "istio.io-eastwest-controller")


@dataclass(frozen=True, slots=True)
class Bound:
    """The service is served by this waypoint."""

    waypoint: WaypointName


@dataclass(frozen=True, slots=True)
class NotBound:
    """The service asks for this waypoint and doesn't get it: a condition's reason and message."""

    waypoint: WaypointName
    reason: str
    message: str


def is_waypoint(reader: Reader, gateway: Gateway) -> bool:
    """Whether a Gateway's class is one whose waypoints are served here."""
    gateway_class = reader.get(GatewayClass, "", gateway.class_name)
    if gateway_class is None:
        return gateway.class_name == WAYPOINT_CLASS
    return gateway_class.controller == CONTROLLER


def waypoints(reader: Reader) -> list[WaypointName]:
    """All waypoints that are served here, sorted."""
    classes = {found.meta.name for found in reader.select(CLASSES_BY_CONTROLLER, CONTROLLER)}
    named = (
        gateway
        for name in classes | {WAYPOINT_CLASS}
        for gateway in reader.select(GATEWAYS_BY_CLASS, name)
        if is_waypoint(reader, gateway)
    )
    return sorted(WaypointName(gateway.meta.namespace, gateway.meta.name) for gateway in named)


def identity_of(mesh: Mesh, gateway: Gateway) -> str:
    """The SPIFFE ID of a waypoint's Envoys: that of its service account."""
    account = gateway.service_account or gateway.meta.name
    return mesh.identity_of(gateway.meta.namespace, account)


def waypoint_of(reader: Reader, service: Served) -> Bound | NotBound | None:
    """The waypoint that serves a service; None if the service asks for none.

    The service's own label decides before that of its namespace. There is no way back: a label
    that names a waypoint which can't be had doesn't fall back to the namespace's.
    """
    waypoint = _wanted(reader, service)
    if waypoint is None:
        return None
    return attach(reader, waypoint, service.meta.namespace, TrafficType.SERVICE)


def canary_of(reader: Reader, service: Served) -> Bound | NotBound | None:
    """The second waypoint of a service; None if it asks for none, or has no first one.

    Both are named by the same object. Clients' proxies share their connections between the two by
    the annotated weight; each must be able to answer all of them.
    """
    primary = waypoint_of(reader, service)
    if not isinstance(primary, Bound):
        return None
    owner = _owner_of_wish(reader, service)
    wanted = named_canary(owner, service.meta.namespace) if owner else None
    if owner is None or wanted is None:
        return None
    if wanted == primary.waypoint:
        message = f'canary waypoint "{wanted}" is the primary waypoint'
        return NotBound(wanted, "CanarySameAsPrimary", message)
    weight = owner.annotations.get(CANARY_WEIGHT, "0")
    if not (_WEIGHT.fullmatch(weight) and int(weight) <= _ALL):
        message = f"{CANARY_WEIGHT}: {weight[:64]!r} is no whole number from 0 to {_ALL}"
        return NotBound(wanted, "CanaryInvalidWeight", message)
    return attach(reader, wanted, service.meta.namespace, TrafficType.SERVICE)


def is_served_by(reader: Reader, service: Served, waypoint: WaypointName) -> bool:
    """Whether a waypoint answers for a service, as its first waypoint or as the canary."""
    bound = Bound(waypoint)
    return waypoint_of(reader, service) == bound or canary_of(reader, service) == bound


def may_linger(reader: Reader, waypoint: WaypointName, key: ObjectKey) -> bool:
    """Whether a waypoint may still answer for a service that it does not serve any more.

    It may if it could have it, and the service is served by another waypoint or wants none. What is
    gone, or was refused, is not answered for.
    """
    service = reader.find(key)
    if not isinstance(service, Served):
        return False
    could = attach(reader, waypoint, service.meta.namespace, TrafficType.SERVICE)
    return isinstance(could, Bound) and not isinstance(waypoint_of(reader, service), NotBound)


def attach(
    reader: Reader, waypoint: WaypointName, namespace: str, traffic: TrafficType
) -> Bound | NotBound:
    """Whether something in a namespace that asks for a waypoint gets it for such traffic.

    ``traffic`` is SERVICE or WORKLOAD.
    """
    gateway = reader.get(Gateway, waypoint.namespace, waypoint.name)
    if gateway is None or not _is_ready(reader, gateway):
        return NotBound(waypoint, "WaypointIsNotReady", f'waypoint "{waypoint}" is not ready')
    if not _admits(reader, gateway, namespace):
        message = (
            f'we are not permitted to attach to waypoint "{waypoint}" (missing allowedRoutes?)'
        )
        return NotBound(waypoint, "AttachmentDenied", message)
    if traffic_type(reader, gateway) not in (traffic, TrafficType.ALL):
        message = (
            f'attempting to bind to traffic type "{traffic}" which the waypoint '
            f'"{waypoint}" does not support'
        )
        return NotBound(waypoint, UNSUPPORTED_TRAFFIC, message)
    return Bound(waypoint)


def bound_services(reader: Reader, waypoint: WaypointName) -> list[Served]:
    """All that a waypoint serves, ordered by kind, namespace and name."""
    candidates = {found.key: found for found in _candidates(reader, waypoint)}
    return [
        candidates[name]
        for name in sorted(candidates)
        if is_served_by(reader, candidates[name], waypoint)
    ]


def traffic_type(reader: Reader, gateway: Gateway) -> TrafficType | None:
    """Whose traffic a waypoint handles: by its label, its class's, else services'.

    A waypoint for a service account is, unless its own label says otherwise, for workloads.
    None if the label's value is none of those that are known.
    """
    gateway_class = reader.get(GatewayClass, "", gateway.class_name)
    defaults = gateway_class.meta.labels if gateway_class else {}
    text = gateway.meta.labels.get(WAYPOINT_FOR)
    if not text and account_of(gateway):
        return TrafficType.WORKLOAD
    text = text or defaults.get(WAYPOINT_FOR)
    if not text:
        return TrafficType.SERVICE
    return TrafficType(text) if text in set(TrafficType) else None


def account_of(gateway: Gateway) -> str:
    """The service account whose pods alone a waypoint is for; empty if there is no such bound."""
    return gateway.meta.annotations.get(FOR_SERVICE_ACCOUNT, "")


def hbone_listener(gateway: Gateway) -> GatewayListener | None:
    """The listener that clients tunnel to."""
    found = (one for one in gateway.listeners if (one.protocol, one.port) == (HBONE, HBONE_PORT))
    return next(found, None)


def _candidates(reader: Reader, waypoint: WaypointName) -> Iterator[Served]:
    """Whatever names the waypoint itself or is in a namespace that does."""
    key = (waypoint.namespace, waypoint.name)
    yield from reader.select(SERVICES_BY_WAYPOINT, *key)
    yield from reader.select(ENTRIES_BY_WAYPOINT, *key)
    for namespace in reader.select(NAMESPACES_BY_WAYPOINT, *key):
        yield from reader.select(SERVICES_BY_NAMESPACE, namespace.meta.name)
        yield from reader.select(ENTRIES_BY_NAMESPACE, namespace.meta.name)


def _wanted(reader: Reader, service: Served) -> WaypointName | None:
    if not isinstance(service, Service):
        return _named(reader, service)
    if service.external_name or service.meta.labels.get(MANAGED) in MANAGED_BY_MESH:
        return None
    wanted = _named(reader, service)
    itself = WaypointName(service.meta.namespace, service.meta.name)
    return None if wanted == itself else wanted  # a waypoint's own Service, written by hand


def _named(reader: Reader, service: Served) -> WaypointName | None:
    owner = _owner_of_wish(reader, service)
    return named_waypoint(owner, service.meta.namespace) if owner else None


def _owner_of_wish(reader: Reader, service: Served) -> Metadata | None:
    """Whose labels decide: the service's own, else its namespace's."""
    if asks_for_waypoint(service.meta):
        return service.meta
    namespace = reader.get(Namespace, "", service.meta.namespace)
    return namespace.meta if namespace else None


def _is_ready(reader: Reader, gateway: Gateway) -> bool:
    """A waypoint that is served here is ready as soon as it exists; any other has addresses."""
    return bool(gateway.addresses) or is_waypoint(reader, gateway)


def _admits(reader: Reader, gateway: Gateway, namespace: str) -> bool:
    """Whether ``allowedRoutes`` admits objects of a namespace; without a listener: Same."""
    listener = hbone_listener(gateway)
    match listener.allowed_from if listener else "Same":
        case "Same":
            return namespace == gateway.meta.namespace
        case "All":
            return True
        case "Selector":
            return listener is not None and _selected(reader, listener, namespace)
        case _:
            return False


def _selected(reader: Reader, listener: GatewayListener, namespace: str) -> bool:
    found = reader.get(Namespace, "", namespace)
    selector = listener.allowed_selector
    return found is not None and selector is not None and selects(selector, found.meta.labels)
