"""Pods and WorkloadEntries as a waypoint serves them by their own addresses."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from translators.gateway_api.binding import (
    MANAGED_BY_MESH,
    UNSUPPORTED_TRAFFIC,
    Bound,
    NotBound,
    account_of,
    attach,
    is_waypoint,
    traffic_type,
)
from translators.gateway_api.endpoints import identity_of_pod, speaks_hbone
from translators.gateway_api.indexes import (
    GATEWAYS_BY_ACCOUNT,
    NAMESPACES_BY_WAYPOINT,
    PODS_BY_NAMESPACE,
    PODS_BY_WAYPOINT,
    WORKLOADS_BY_NAMESPACE,
    WORKLOADS_BY_WAYPOINT,
)
from translators.gateway_api.labels import (
    GATEWAY_NAME,
    MANAGED,
    USE_WAYPOINT,
    USE_WAYPOINT_NAMESPACE,
    asks_for_waypoint,
    named_waypoint,
    takes_tunnels,
    workload_labels,
)
from translators.gateway_api.names import leads_inside
from translators.gateway_api.ports import PortGuard
from translators.gateway_api.services import ServiceConfig
from translators.ir.authorization import closed
from translators.ir.condition import Condition
from translators.ir.listener import ConnectPods, DirectListener, HttpChain, TcpChain
from translators.ir.origin import Origin
from translators.ir.route import Forward, Route, RouteMatch, RouteTable, WeightedBackend
from translators.ir.waypoint import Mesh, TrafficType, WaypointName
from translators.resources.core import Namespace, Pod
from translators.resources.gateway import Gateway
from translators.resources.metadata import ObjectKey
from translators.resources.parsing.address import canonical_ip
from translators.resources.workloadentry import WorkloadEntry
from translators.world import Reader

MAIN_INTERNAL_DIRECT = "main_internal_direct"
CONNECT_ORIGINATE = "connect_originate"
ENCAP = "encap"
PASSTHROUGH = "passthrough"

_HTTP = "direct-http"
_TCP = "direct-tcp"
_HOST = "direct"

Addressee = Pod | WorkloadEntry
"""What has an address of its own that clients may name."""


@dataclass(frozen=True, slots=True)
class _Wish:
    """The waypoint that is asked for, and whether it is only the namespace that does."""

    waypoint: WaypointName
    inherited: bool = False


def serves_workloads(reader: Reader, gateway: Gateway) -> bool:
    """Whether a waypoint handles traffic that is addressed to pods."""
    return traffic_type(reader, gateway) in (TrafficType.WORKLOAD, TrafficType.ALL)


def workload_waypoint_of(reader: Reader, workload: Addressee) -> Bound | NotBound | None:
    """The waypoint that serves a workload by its own address; None if it asks for none.

    Its own label decides before a waypoint for its service account, and that one before the label
    of its namespace. What the namespace names counts only if it is for workloads at all.
    """
    wish = _wish_of(reader, workload)
    if wish is None:
        return None
    found = attach(reader, wish.waypoint, workload.meta.namespace, TrafficType.WORKLOAD)
    if isinstance(found, NotBound):
        is_silent = wish.inherited and found.reason == UNSUPPORTED_TRAFFIC
        return None if is_silent else found
    gateway = reader.get(Gateway, wish.waypoint.namespace, wish.waypoint.name)
    account = account_of(gateway) if gateway else ""
    if account and (account, wish.waypoint.namespace) != _account(workload):
        message = f'waypoint "{wish.waypoint}" is for the service account "{account}" alone'
        return None if wish.inherited else NotBound(wish.waypoint, "AttachmentDenied", message)
    return found


def account_waypoint(reader: Reader, workload: Addressee) -> WaypointName | None:
    """The waypoint for the service account of a workload, if there is one; the oldest."""
    account, home = _account(workload)
    for gateway in _by_age(reader.select(GATEWAYS_BY_ACCOUNT, home, account)):
        if is_waypoint(reader, gateway) and serves_workloads(reader, gateway):
            return WaypointName(home, gateway.meta.name)
    return None


def bound_workloads(reader: Reader, waypoint: WaypointName) -> list[Addressee]:
    """All workloads that a waypoint serves by their own addresses; the youngest come first.

    Where an address has been given to another pod already, that one has it. Pods come before
    WorkloadEntries, which may name any address.
    """
    found = {one.key: one for one in _candidates(reader, waypoint)}
    is_bound = _decider(reader, waypoint)
    bound = (one for one in found.values() if is_bound(one))
    by_name = sorted(bound, key=lambda one: one.key)
    return sorted(by_name, key=lambda one: (isinstance(one, Pod), one.meta.created), reverse=True)


def workload_conditions(reader: Reader, entry: WorkloadEntry) -> tuple[Condition, ...]:
    """Whether a WorkloadEntry got the waypoint that it asks for; nothing if it asks for none."""
    found = workload_waypoint_of(reader, entry)
    if found is None:
        return ()
    origin = Origin(entry.kind, entry.meta.namespace, entry.meta.name)
    kind = "istio.io/WaypointBound"
    if isinstance(found, NotBound):
        return (Condition(origin, kind, False, found.reason, found.message),)
    if not addresses_of(entry):
        message = (
            "spec.address is no IP address, or one of the waypoint itself, so that no client can "
            "name it to a waypoint"
        )
        at = origin.at("spec.address")
        return (Condition(at, kind, False, "UnsupportedAddress", message),)
    message = f"Successfully attached to waypoint {found.waypoint}"
    return (Condition(origin, kind, True, "WaypointAccepted", message),)


def translate_workloads(
    reader: Reader, mesh: Mesh, waypoint: WaypointName, guard: PortGuard
) -> ServiceConfig:
    """What the pods that a waypoint serves by their own addresses add to it."""
    gateway = reader.get(Gateway, waypoint.namespace, waypoint.name)
    workloads = bound_workloads(reader, waypoint)
    return ServiceConfig(
        service=ObjectKey(Gateway.kind, waypoint.namespace, waypoint.name),
        created=gateway.meta.created if gateway else "",
        tables=(_route_table(guard),),
        clusters=tuple({cluster.name: cluster for cluster, _ in guard.upstreams}.values()),
        destinations=tuple(sorted({to for _, to in guard.upstreams if to is not None})),
        direct=DirectListener(_http_chain(mesh), _tcp_chain(mesh)),
        pods=tuple(_groups(mesh, workloads, guard)),
    )


def why_never_served(workload: Addressee) -> str:
    """Why a workload's address can't be served, whatever its labels; empty if it can.

    It must be its own, and that of no proxy.
    """
    labels = workload.meta.labels
    if labels.get(MANAGED) in MANAGED_BY_MESH or GATEWAY_NAME in labels:
        return "it is a proxy itself"
    if isinstance(workload, Pod) and workload.host_network:
        return "its address is that of its node and of others"
    if isinstance(workload, Pod) and workload.is_over:
        return "it has ended"
    return ""


def addresses_of(workload: Addressee) -> list[str]:
    """The addresses by which a workload can be named, in canonical form."""
    if isinstance(workload, Pod):
        return [found for text in workload.ips if (found := canonical_ip(text)) is not None]
    address = canonical_ip(workload.workload.address)
    return [] if address is None or leads_inside(address) else [address]


def _groups(mesh: Mesh, workloads: Iterable[Addressee], guard: PortGuard) -> Iterator[ConnectPods]:
    """The workloads' addresses, each once, by the identity that must be found there."""
    by_identity: dict[str, list[str]] = {}
    taken: set[str] = set()
    for workload in workloads:
        fresh = [each for each in addresses_of(workload) if each not in taken]
        taken.update(fresh)
        by_identity.setdefault(_expected_identity(mesh, workload), []).extend(fresh)
    for identity, addresses in sorted(by_identity.items()):
        if addresses:
            yield ConnectPods(
                addresses=tuple(sorted(addresses)),
                identity=identity,
                authorization=guard.connect,
                layered=guard.layered,
                opaque=closed(guard.tcp),
            )


def _expected_identity(mesh: Mesh, workload: Addressee) -> str:
    """The identity at the far end of the tunnel to a workload; empty if it takes no tunnels."""
    if isinstance(workload, Pod):
        return identity_of_pod(mesh, workload) if speaks_hbone(workload) else ""
    if not takes_tunnels(workload_labels(workload), workload.meta.annotations):
        return ""
    account, namespace = _account(workload)
    return mesh.identity_of(namespace, account)


def _route_table(guard: PortGuard) -> RouteTable:
    """Each request goes to the very pod that its connection was opened to."""
    plain = Route(
        "plain", RouteMatch(steered_to=PASSTHROUGH), Forward((WeightedBackend(PASSTHROUGH),))
    )
    rest = Route("direct", RouteMatch(), Forward((WeightedBackend(ENCAP),)))
    return RouteTable(
        name=_HTTP,
        host=_HOST,
        port=0,
        routes=(plain, rest),
        authentication=guard.authentication,
        authorization=guard.http,
    )


def _http_chain(mesh: Mesh) -> HttpChain:
    return HttpChain(
        name=_HTTP,
        host=_HOST,
        port=0,
        tokens_first=mesh.tokens_before_custom,
        max_duration_ms=mesh.max_connection_ms,
    )


def _tcp_chain(mesh: Mesh) -> TcpChain:
    return TcpChain(_TCP, ENCAP, mesh.max_connection_ms)


def _wish_of(reader: Reader, workload: Addressee) -> _Wish | None:
    if why_never_served(workload):
        return None
    meta, home = workload.meta, workload.meta.namespace
    if asks_for_waypoint(meta):
        own = named_waypoint(meta, home)
        return None if own is None else _Wish(own)
    for_account = account_waypoint(reader, workload)
    if for_account is not None:
        return _Wish(for_account)
    namespace = reader.get(Namespace, "", home)
    named = named_waypoint(namespace.meta, home) if namespace else None
    return None if named is None else _Wish(named, inherited=True)


def _account(workload: Addressee) -> tuple[str, str]:
    """The service account of a workload and its namespace."""
    if isinstance(workload, Pod):
        return workload.service_account, workload.meta.namespace
    return workload.workload.service_account or "default", workload.meta.namespace


def _candidates(reader: Reader, waypoint: WaypointName) -> Iterator[Addressee]:
    key = (waypoint.namespace, waypoint.name)
    yield from reader.select(PODS_BY_WAYPOINT, *key)
    yield from reader.select(WORKLOADS_BY_WAYPOINT, *key)
    gateway = reader.get(Gateway, *key)
    homes = [found.meta.name for found in reader.select(NAMESPACES_BY_WAYPOINT, *key)]
    if gateway is not None and account_of(gateway):
        homes.append(waypoint.namespace)
    for home in dict.fromkeys(homes):
        yield from reader.select(PODS_BY_NAMESPACE, home)
        yield from reader.select(WORKLOADS_BY_NAMESPACE, home)


def _decider(reader: Reader, waypoint: WaypointName) -> Callable[[Addressee], bool]:
    """Tells whether a waypoint has a workload. Pods that differ in nothing else ask but once."""
    known: dict[tuple[object, ...], bool] = {}

    def is_bound(workload: Addressee) -> bool:
        labels = workload.meta.labels
        named = (labels.get(USE_WAYPOINT), labels.get(USE_WAYPOINT_NAMESPACE))
        alike = (why_never_served(workload), _account(workload), *named)
        if alike not in known:
            known[alike] = workload_waypoint_of(reader, workload) == Bound(waypoint)
        return known[alike]

    return is_bound


def _by_age(gateways: list[Gateway]) -> list[Gateway]:
    return sorted(gateways, key=lambda gateway: gateway.meta.created)
