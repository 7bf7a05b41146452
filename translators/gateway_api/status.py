"""The ``status`` of objects, exactly as it is written to a cluster.

Only the part that this controller owns is built; other controllers' entries are not ours to
write. A condition's time is the writer's to know: it depends on what was written before.
"""

from collections.abc import Callable, Iterable
from typing import Any

from translators.gateway_api.features import SUPPORTED_FEATURES
from translators.ir.condition import Condition
from translators.ir.origin import Origin
from translators.resources.core import Service
from translators.resources.gateway import Gateway, GatewayClass
from translators.resources.httproute import HTTPRoute, ParentRef
from translators.resources.metadata import KubernetesObject

ROUTE_CONTROLLER = "istio.io/gateway-controller"
"""Who speaks in the status of routes; that of Gateways is ``binding.CONTROLLER``."""

ChangedAt = Callable[[Condition], str]
"""When a condition last changed its status, as RFC 3339."""

Status = dict[str, Any]


def route_status(
    route: HTTPRoute, conditions: Iterable[Condition], changed_at: ChangedAt
) -> Status:
    """``{parents: [...]}`` with the entries of this controller."""
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
    origin = Origin(GatewayClass.kind, "", gateway_class.meta.name)
    condition = Condition(origin, "Accepted", True, "Accepted", "Handled by Istio controller")
    return {
        "conditions": _entries(gateway_class, [condition], changed_at),
        "supportedFeatures": [{"name": feature.name} for feature in SUPPORTED_FEATURES],
    }


def service_status(
    service: Service, conditions: Iterable[Condition], changed_at: ChangedAt
) -> Status:
    """``{conditions: [...]}`` with those about the service as a whole."""
    return {"conditions": _entries(service, _by_scope(conditions).get("", []), changed_at)}


def _by_scope(conditions: Iterable[Condition]) -> dict[str, list[Condition]]:
    by_scope: dict[str, list[Condition]] = {}
    for condition in conditions:
        by_scope.setdefault(condition.scope, []).append(condition)
    return by_scope


def _entries(
    owner: KubernetesObject, conditions: Iterable[Condition], changed_at: ChangedAt
) -> list[Status]:
    """The conditions as they are written, by type, as of the generation that they speak of."""
    return [
        {
            "type": condition.type,
            "status": "True" if condition.status else "False",
            "reason": condition.reason,
            "message": condition.message,
            "observedGeneration": owner.meta.generation,
            "lastTransitionTime": changed_at(condition),
        }
        for condition in sorted(conditions, key=lambda condition: condition.type)
    ]


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
