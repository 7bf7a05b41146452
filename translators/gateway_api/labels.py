"""The labels by which services ask for a waypoint, and waypoints say what they serve."""

from collections.abc import Mapping

from translators.ir.waypoint import WaypointName
from translators.resources.metadata import Metadata
from translators.resources.workloadentry import WorkloadEntry

USE_WAYPOINT = "istio.io/use-waypoint"
USE_WAYPOINT_NAMESPACE = "istio.io/use-waypoint-namespace"
USE_CANARY = "istio.io/use-waypoint-canary"
USE_CANARY_NAMESPACE = "istio.io/use-waypoint-canary-namespace"
CANARY_WEIGHT = "istio.io/use-waypoint-canary-weight"
"""An annotation: the percentage of connections that clients' proxies send to the canary."""

WAYPOINT_FOR = "istio.io/waypoint-for"
INGRESS_USE_WAYPOINT = "istio.io/ingress-use-waypoint"
FOR_SERVICE_ACCOUNT = "istio.io/for-service-account"
"""The obsolete annotation of a Gateway that serves the pods of one service account."""

GATEWAY_NAME = "gateway.networking.k8s.io/gateway-name"
"""Labels the pods of gateways and waypoints."""

MANAGED = "gateway.istio.io/managed"
TUNNEL = "networking.istio.io/tunnel"
REDIRECTION = "ambient.istio.io/redirection"

_NO_WAYPOINT = "none"


def asks_for_waypoint(meta: Metadata) -> bool:
    """Whether the object decides about its waypoint itself, be it by asking for none."""
    return USE_WAYPOINT in meta.labels


def named_waypoint(meta: Metadata, home: str) -> WaypointName | None:
    """The waypoint that an object names, None if it names none; ``home`` is its namespace."""
    name = meta.labels.get(USE_WAYPOINT, _NO_WAYPOINT)
    if not name or name == _NO_WAYPOINT:
        return None
    return WaypointName(meta.labels.get(USE_WAYPOINT_NAMESPACE) or home, name)


def named_canary(meta: Metadata, home: str) -> WaypointName | None:
    """The second waypoint that an object names beside its first, None if it names none."""
    name = meta.labels.get(USE_CANARY, _NO_WAYPOINT)
    if not name or name == _NO_WAYPOINT or named_waypoint(meta, home) is None:
        return None
    return WaypointName(meta.labels.get(USE_CANARY_NAMESPACE) or home, name)


def takes_tunnels(labels: Mapping[str, str], annotations: Mapping[str, str]) -> bool:
    """Whether a workload takes tunnels: captured by the node's proxy, or speaking HBONE itself.

    It is the annotation that the network plug-in writes which tells, not the label that asks for
    capture: until the plug-in has acted nobody listens on the workload's HBONE port.
    """
    return annotations.get(REDIRECTION) == "enabled" or labels.get(TUNNEL) == "http"


def workload_labels(entry: WorkloadEntry) -> Mapping[str, str]:
    """The labels that a WorkloadEntry is selected by: of its workload, else of the object."""
    return {**entry.meta.labels, **entry.workload.labels}
