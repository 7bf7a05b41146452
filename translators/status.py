"""The ``status`` of objects, exactly as it is written to a cluster.

Only the part that this controller owns is built; other controllers' entries are not ours to
write. A condition's time is the writer's to know: it depends on what was written before.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from translators import gateway_api
from translators.gateway_api.binding import CONTROLLER
from translators.gateway_api.features import SUPPORTED_FEATURES
from translators.gateway_api.indexes import MeshRoute
from translators.ir.condition import Condition
from translators.ir.origin import Origin
from translators.ir.waypoint import Mesh
from translators.resources.authorizationpolicy import AuthorizationPolicy
from translators.resources.gateway import Gateway, GatewayClass
from translators.resources.grpcroute import GRPCRoute
from translators.resources.httproute import HTTPRoute, ParentRef
from translators.resources.metadata import KubernetesObject
from translators.resources.requestauthentication import RequestAuthentication
from translators.resources.serviceentry import ServiceEntry
from translators.resources.tcproute import TCPRoute, TLSRoute
from translators.resources.workloadentry import WorkloadEntry
from translators.world import Reader

ROUTE_CONTROLLER = "istio.io/gateway-controller"
"""Who speaks in the status of routes; that of Gateways is ``binding.CONTROLLER``."""

_ISTIOS = AuthorizationPolicy | RequestAuthentication | ServiceEntry | WorkloadEntry

_MAX_MESSAGE = 32768  # characters (Kubernetes metav1.Condition)

_GOOD_IF_FALSE = frozenset({"Conflicted", "PartiallyInvalid", "istio.io/WaypointMissing"})
_BAD_REASONS = frozenset({"PartiallyInvalid", "UnsupportedValue"})
_UNTIL_DEPLOYED = frozenset({"AddressNotUsable", "AddressNotAssigned"})

ChangedAt = Callable[[Condition], str]
"""When a condition last changed its status, as RFC 3339."""

Status = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ObjectStatus:
    """An object, what is to be said about it, and the status that says so."""

    subject: KubernetesObject
    conditions: tuple[Condition, ...]
    status: Status


def object_status(
    reader: Reader,
    mesh: Mesh,
    subject: KubernetesObject,
    conditions: Iterable[Condition],
    changed_at: ChangedAt,
) -> ObjectStatus | None:
    """The status of one object with these conditions; None if it is not ours to speak about."""
    given = class_conditions(subject) if isinstance(subject, GatewayClass) else tuple(conditions)
    if not given:
        return None
    match subject:
        case HTTPRoute() | GRPCRoute() | TCPRoute() | TLSRoute():
            status = route_status(subject, given, changed_at)
        case Gateway():
            addresses = gateway_api.gateway_addresses(reader, mesh, subject)
            status = gateway_status(subject, given, addresses, changed_at)
        case GatewayClass():
            status = gateway_class_status(subject, changed_at)
        case _:
            status = plain_status(subject, given, changed_at)
    return ObjectStatus(subject, given, status)


def is_fine(condition: Condition) -> bool:
    """Whether a condition gives its reader nothing to do.

    A waypoint that nobody can reach yet is fine: that is so until its pods run.
    """
    if condition.reason in _UNTIL_DEPLOYED:
        return True
    good = condition.status != (condition.type in _GOOD_IF_FALSE)
    return good and not (condition.status and condition.reason in _BAD_REASONS)


def class_conditions(gateway_class: GatewayClass) -> tuple[Condition, ...]:
    """The conditions of a class, if its waypoints are served here."""
    if gateway_class.controller != CONTROLLER:
        return ()
    origin = Origin(GatewayClass.kind, "", gateway_class.meta.name)
    return (Condition(origin, "Accepted", True, "Accepted", "Handled by Istio controller"),)


def route_status(
    route: MeshRoute, conditions: Iterable[Condition], changed_at: ChangedAt
) -> Status:
    """``{parents: [...]}`` with the entries of this controller, one for each parentRef."""
    by_scope = _by_scope(conditions)
    return {
        "parents": [
            {
                "parentRef": _parent_ref(parent),
                "controllerName": ROUTE_CONTROLLER,
                "conditions": _entries(route, by_scope[scope], changed_at),
            }
            for index, parent in enumerate(route.parents)
            if (scope := f"parentRefs[{index}]") in by_scope
        ]
    }


def gateway_status(
    gateway: Gateway,
    conditions: Iterable[Condition],
    addresses: Iterable[tuple[str, str]],
    changed_at: ChangedAt,
) -> Status:
    """``{addresses, conditions, listeners}`` of a waypoint; no route is attached to it directly."""
    by_scope = _by_scope(conditions)
    return {
        "addresses": [{"type": kind, "value": value} for kind, value in addresses],
        "conditions": _entries(gateway, by_scope.get("", []), changed_at),
        "listeners": [
            {
                "name": listener.name,
                "attachedRoutes": 0,
                "supportedKinds": [],
                "conditions": _entries(
                    gateway, by_scope.get(f"listeners[{listener.name}]", []), changed_at
                ),
            }
            for listener in gateway.listeners
        ],
    }


def gateway_class_status(gateway_class: GatewayClass, changed_at: ChangedAt) -> Status:
    """``{conditions, supportedFeatures}`` of a class whose waypoints are served here."""
    return {
        "conditions": _entries(gateway_class, class_conditions(gateway_class), changed_at),
        "supportedFeatures": [{"name": feature.name} for feature in SUPPORTED_FEATURES],
    }


def plain_status(
    subject: KubernetesObject, conditions: Iterable[Condition], changed_at: ChangedAt
) -> Status:
    """``{conditions: [...]}`` of an object as a whole: what is served, and Istio's policies.

    What is said about parts of the object, such as the ports of a Service, comes together.
    Istio's kinds also tell of which generation the status speaks.
    """
    status: Status = {"conditions": _entries(subject, _as_a_whole(conditions), changed_at)}
    if isinstance(subject, _ISTIOS) and subject.meta.generation:
        status["observedGeneration"] = subject.meta.generation
    return status


def _by_scope(conditions: Iterable[Condition]) -> dict[str, list[Condition]]:
    by_scope: dict[str, list[Condition]] = {}
    for condition in conditions:
        by_scope.setdefault(condition.scope, []).append(condition)
    return by_scope


def _as_a_whole(conditions: Iterable[Condition]) -> Iterator[Condition]:
    """One condition of each type, as a status can hold no more."""
    by_type: dict[str, list[Condition]] = {}
    for condition in conditions:
        by_type.setdefault(condition.type, []).append(condition)
    for found in by_type.values():
        told = "; ".join(dict.fromkeys(one.message for one in found))
        status = all(one.status for one in found)
        yield replace(found[0], scope="", status=status, message=told)


def _entries(
    owner: KubernetesObject, conditions: Iterable[Condition], changed_at: ChangedAt
) -> list[Status]:
    """The conditions as they are written, by type, as of the generation that they speak of."""
    return [
        _entry(owner, condition, changed_at)
        for condition in sorted(conditions, key=lambda condition: condition.type)
    ]


def _entry(owner: KubernetesObject, condition: Condition, changed_at: ChangedAt) -> Status:
    entry: Status = {
        "type": condition.type,
        "status": "True" if condition.status else "False",
        "reason": condition.reason,
        "message": condition.message[:_MAX_MESSAGE],
        "lastTransitionTime": changed_at(condition),
    }
    # Services have no generation, and manifests outside a cluster have none yet.
    if owner.meta.generation:
        entry["observedGeneration"] = owner.meta.generation
    return entry


def _parent_ref(parent: ParentRef) -> Status:
    reference: Status = {
        "group": parent.group,
        "kind": parent.kind,
        "namespace": parent.namespace,
        "name": parent.name,
    }
    if parent.port is not None:
        reference["port"] = parent.port
    if parent.section:
        reference["sectionName"] = parent.section
    return reference
