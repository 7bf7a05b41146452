"""How the world must be filed for the questions that are asked here."""

from collections.abc import Iterator

from translators.gateway_api.allocation import ENTRIES_BY_ADDRESS, ENTRIES_BY_SLOT
from translators.gateway_api.labels import (
    FOR_SERVICE_ACCOUNT,
    named_canary,
    named_waypoint,
    workload_labels,
)
from translators.ir.waypoint import WaypointName
from translators.resources.core import Namespace, Pod, Service
from translators.resources.endpointslice import EndpointSlice
from translators.resources.gateway import GATEWAY_GROUP, Gateway, GatewayClass
from translators.resources.grpcroute import GRPCRoute
from translators.resources.httproute import HTTPRoute, ParentRef
from translators.resources.metadata import Metadata
from translators.resources.referencegrant import ReferenceGrant
from translators.resources.serviceentry import ServiceEntry
from translators.resources.tcproute import TCPRoute, TLSRoute
from translators.resources.workloadentry import ISTIO_NETWORKING_GROUP, WorkloadEntry
from translators.world import Index

_PARENT_GROUPS = {
    "Service": ("", "core"),
    "ServiceEntry": (ISTIO_NETWORKING_GROUP,),
    "Gateway": (GATEWAY_GROUP,),
}


def is_parent(parent: ParentRef, kind: str) -> bool:
    """Whether a parentRef names an object of this kind: Service, ServiceEntry, Gateway."""
    return parent.kind == kind and parent.group in _PARENT_GROUPS[kind]


MeshRoute = HTTPRoute | GRPCRoute | TCPRoute | TLSRoute
"""Every kind of route that can be attached to a service."""


def _by_parent(route: MeshRoute) -> Iterator[tuple[str, ...]]:
    for parent in route.parents:
        if parent.kind in _PARENT_GROUPS and is_parent(parent, parent.kind):
            yield parent.kind, parent.namespace, parent.name


def _key(waypoint: WaypointName | None) -> Iterator[tuple[str, ...]]:
    if waypoint is not None:
        yield waypoint.namespace, waypoint.name


def _named(meta: Metadata, home: str) -> Iterator[tuple[str, ...]]:
    """The waypoint of a service, and its canary."""
    yield from _key(named_waypoint(meta, home))
    yield from _key(named_canary(meta, home))


SERVICES_BY_NAMESPACE: Index[Service] = Index(
    "service/namespace", Service, lambda service: [(service.meta.namespace,)]
)
"""Services by (namespace)."""

SERVICES_BY_WAYPOINT: Index[Service] = Index(
    "service/waypoint",
    Service,
    lambda service: _named(service.meta, service.meta.namespace),
)
"""Services by the (namespace, name) of each waypoint that their own labels name."""

ENTRIES_BY_NAMESPACE: Index[ServiceEntry] = Index(
    "serviceentry/namespace", ServiceEntry, lambda entry: [(entry.meta.namespace,)]
)
"""ServiceEntries by (namespace)."""

ENTRIES_BY_WAYPOINT: Index[ServiceEntry] = Index(
    "serviceentry/waypoint",
    ServiceEntry,
    lambda entry: _named(entry.meta, entry.meta.namespace),
)
"""ServiceEntries by the (namespace, name) of each waypoint that their own labels name."""

ENTRIES_BY_HOST: Index[ServiceEntry] = Index(
    "serviceentry/host", ServiceEntry, lambda entry: [(host,) for host in entry.hosts]
)
"""ServiceEntries by each (host) of theirs."""

NAMESPACES_BY_WAYPOINT: Index[Namespace] = Index(
    "namespace/waypoint",
    Namespace,
    lambda namespace: _named(namespace.meta, namespace.meta.name),
)
"""Namespaces by the (namespace, name) of each waypoint that their labels name."""

PODS_BY_WAYPOINT: Index[Pod] = Index(
    "pod/waypoint", Pod, lambda pod: _key(named_waypoint(pod.meta, pod.meta.namespace))
)
"""Pods by the (namespace, name) of the waypoint that their own label names."""

PODS_BY_NAMESPACE: Index[Pod] = Index("pod/namespace", Pod, lambda pod: [(pod.meta.namespace,)])
"""Pods by (namespace)."""

WORKLOADS_BY_WAYPOINT: Index[WorkloadEntry] = Index(
    "workloadentry/waypoint",
    WorkloadEntry,
    lambda entry: _key(named_waypoint(entry.meta, entry.meta.namespace)),
)
"""WorkloadEntries by the (namespace, name) of the waypoint that their own label names."""

WORKLOADS_BY_NAMESPACE: Index[WorkloadEntry] = Index(
    "workloadentry/namespace", WorkloadEntry, lambda entry: [(entry.meta.namespace,)]
)
"""WorkloadEntries by (namespace)."""

SLICES_BY_SERVICE: Index[EndpointSlice] = Index(
    "endpointslice/service",
    EndpointSlice,
    lambda piece: [(piece.meta.namespace, piece.service)] if piece.service else [],
)
"""EndpointSlices by (namespace, name) of their Service."""

PODS_BY_LABEL: Index[Pod] = Index(
    "pod/label",
    Pod,
    lambda pod: [(pod.meta.namespace, key, value) for key, value in pod.meta.labels.items()],
)
"""Pods by (namespace, label, value)."""

WORKLOADS_BY_LABEL: Index[WorkloadEntry] = Index(
    "workloadentry/label",
    WorkloadEntry,
    lambda entry: [
        (entry.meta.namespace, key, value) for key, value in workload_labels(entry).items()
    ],
)
"""WorkloadEntries by (namespace, label, value)."""

HTTP_ROUTES: Index[HTTPRoute] = Index("httproute/parent", HTTPRoute, _by_parent)
"""HTTPRoutes by (kind, namespace, name) of each parent."""

GRPC_ROUTES: Index[GRPCRoute] = Index("grpcroute/parent", GRPCRoute, _by_parent)
"""GRPCRoutes by (kind, namespace, name) of each parent."""

TCP_ROUTES: Index[TCPRoute] = Index("tcproute/parent", TCPRoute, _by_parent)
"""TCPRoutes by (kind, namespace, name) of each parent."""

TLS_ROUTES: Index[TLSRoute] = Index("tlsroute/parent", TLSRoute, _by_parent)
"""TLSRoutes by (kind, namespace, name) of each parent."""

GRANTS_BY_NAMESPACE: Index[ReferenceGrant] = Index(
    "referencegrant/namespace", ReferenceGrant, lambda grant: [(grant.meta.namespace,)]
)
"""ReferenceGrants by (namespace): what they permit lies in there."""

GATEWAYS_BY_CLASS: Index[Gateway] = Index(
    "gateway/class", Gateway, lambda gateway: [(gateway.class_name,)]
)
"""Gateways by (name of their class)."""


def _by_account(gateway: Gateway) -> Iterator[tuple[str, ...]]:
    account = gateway.meta.annotations.get(FOR_SERVICE_ACCOUNT)
    if account:
        yield gateway.meta.namespace, account


GATEWAYS_BY_ACCOUNT: Index[Gateway] = Index("gateway/account", Gateway, _by_account)
"""Gateways by (namespace, service account) that they are for."""

CLASSES_BY_CONTROLLER: Index[GatewayClass] = Index(
    "gatewayclass/controller", GatewayClass, lambda gateway_class: [(gateway_class.controller,)]
)
"""GatewayClasses by (controller name)."""

INDEXES = (
    SERVICES_BY_NAMESPACE,
    SERVICES_BY_WAYPOINT,
    ENTRIES_BY_NAMESPACE,
    ENTRIES_BY_WAYPOINT,
    ENTRIES_BY_HOST,
    ENTRIES_BY_SLOT,
    ENTRIES_BY_ADDRESS,
    NAMESPACES_BY_WAYPOINT,
    PODS_BY_WAYPOINT,
    PODS_BY_NAMESPACE,
    WORKLOADS_BY_WAYPOINT,
    WORKLOADS_BY_NAMESPACE,
    SLICES_BY_SERVICE,
    PODS_BY_LABEL,
    WORKLOADS_BY_LABEL,
    HTTP_ROUTES,
    GRPC_ROUTES,
    TCP_ROUTES,
    TLS_ROUTES,
    GRANTS_BY_NAMESPACE,
    GATEWAYS_BY_CLASS,
    GATEWAYS_BY_ACCOUNT,
    CLASSES_BY_CONTROLLER,
)
"""All of them; a world that is read here must have been made with these."""
