"""One Service or ServiceEntry as a waypoint serves it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain

from translators.gateway_api.attachment import attached_routes
from translators.gateway_api.connection_routes import (
    connection_rules,
    outbound_connections,
    tls_hosts,
)
from translators.gateway_api.endpoints import Destination
from translators.gateway_api.indexes import GRPC_ROUTES, HTTP_ROUTES
from translators.gateway_api.lookup import owner_of, owns
from translators.gateway_api.names import authority, http_name, tcp_name
from translators.gateway_api.opaque import opaque_authorization
from translators.gateway_api.ports import GuardOf, Port, unguarded
from translators.gateway_api.protocol import PortProtocol, http_upstream
from translators.gateway_api.request_routes import (
    PartOf,
    PortRequests,
    RequestRoute,
    port_requests,
    route_part,
)
from translators.gateway_api.scope import Scope
from translators.gateway_api.served import Host, Served, hosts_of, origin_of, protocol_at
from translators.gateway_api.upstreams import Upstream, upstream
from translators.ir.authorization import OPEN, Authorization
from translators.ir.cluster import ExternalCluster, NameCache, ServiceCluster, UpstreamProtocol
from translators.ir.condition import Condition
from translators.ir.listener import (
    ConnectHost,
    ConnectPods,
    DirectListener,
    HttpChain,
    PortBinding,
    TcpChain,
)
from translators.ir.route import RouteTable
from translators.ir.tls import TlsHost
from translators.ir.waypoint import Mesh, WaypointName
from translators.resources.core import ServicePort
from translators.resources.metadata import ObjectKey
from translators.world import Reader

MAIN_INTERNAL = "main_internal"
MAIN_INTERNAL_SNIFF = "main_internal_sniff"
MAIN_INTERNAL_TLS = "main_internal_tls"
TLS_DISPATCH = "tls_dispatch"
TLS_ROUTES = "tls"


HOST_SERVED = "waypost.dev/HostServed"
"""False if a host of a ServiceEntry is not served by it, or by nobody."""


@dataclass(frozen=True, slots=True)
class ServiceConfig:
    """All that one service adds to its waypoint, but for its endpoints.

    Or what all pods together add that are served by their own addresses: then ``service`` is the
    waypoint's Gateway, and ``direct`` is where ``pods`` are led to.
    ``destinations`` name the clusters among ``clusters`` whose endpoints must be sent with them.
    Clusters of other services may be in several configs, always with equal content.
    """

    service: ObjectKey
    created: str
    bindings: tuple[PortBinding, ...] = ()
    connect_hosts: tuple[ConnectHost, ...] = ()
    tls_hosts: tuple[TlsHost, ...] = ()
    declares_tls: bool = False
    tables: tuple[RouteTable, ...] = ()
    clusters: tuple[ServiceCluster | ExternalCluster, ...] = ()
    destinations: tuple[Destination, ...] = ()
    conditions: tuple[Condition, ...] = ()
    direct: DirectListener | None = None
    pods: tuple[ConnectPods, ...] = ()


def translate_service(
    reader: Reader,
    mesh: Mesh,
    waypoint: WaypointName,
    service: Served,
    guard_of: GuardOf = unguarded,
    part_of: PartOf = route_part,
) -> ServiceConfig:
    """What a service that is bound to a waypoint adds to it.

    The conditions are about the service's ports; those of routes come from
    ``route_conditions``.
    """
    scope = Scope(reader, mesh, waypoint)
    ports = list(_ports(scope, service, guard_of, part_of))
    reached = [port for port in ports if port.at.addresses or port.at.ranges]
    clusters = list(chain.from_iterable(map(_clusters, ports)))
    found = (destination for _, destination in clusters if destination is not None)
    return ServiceConfig(
        service=service.key,
        created=service.meta.created,
        bindings=tuple(map(_binding, reached)),
        connect_hosts=tuple(map(_connect_host, reached)),
        tls_hosts=tuple(chain.from_iterable(map(_tls_hosts, reached))),
        declares_tls=any(port.protocol is PortProtocol.TLS for port in reached),
        tables=tuple(_route_table(port) for port in reached if port.http_name),
        clusters=tuple({cluster.name: cluster for cluster, _ in clusters}.values()),
        destinations=tuple(sorted(set(found))),
        conditions=(*_port_conditions(service), *_rivals(scope, service)),
    )


def unreachable(config: ServiceConfig) -> ServiceConfig:
    """What connections that are open already need of a service, and no new one can get at."""
    return replace(config, bindings=(), connect_hosts=(), tls_hosts=(), conditions=())


def _ports(scope: Scope, service: Served, guard_of: GuardOf, part_of: PartOf) -> Iterator[Port]:
    """The ports that can be served, by number, at each host of the service that it owns."""
    hosts = hosts_of(scope.reader, scope.mesh, service)
    for port, protocol in _served_ports(service):
        guard = guard_of(port.port)
        for host in hosts:
            if _owns(scope, service, host, port):
                requests = _requests(scope, service, host, port.port, protocol, part_of)
                yield Port(scope, service, host, port, protocol, guard, requests)


def _requests(
    scope: Scope,
    service: Served,
    host: Host,
    port: int,
    protocol: PortProtocol,
    part_of: PartOf,
) -> PortRequests:
    if not protocol.speaks_http:
        return PortRequests()
    routes: list[RequestRoute] = [
        *attached_routes(scope.reader, HTTP_ROUTES, service, port),
        *attached_routes(scope.reader, GRPC_ROUTES, service, port),
    ]
    return port_requests(scope, service, port, http_name(port, host.name), routes, part_of)


def _served_ports(service: Served) -> list[tuple[ServicePort, PortProtocol]]:
    """The ports that can be served, by number; of several with the same number the first."""
    first: dict[int, tuple[ServicePort, PortProtocol]] = {}
    for port in service.ports:
        protocol = protocol_at(service, port)
        if protocol is not None:
            first.setdefault(port.port, (port, protocol))
    return [first[number] for number in sorted(first)]


def _binding(port: Port) -> PortBinding:
    addresses = (*port.at.addresses, *port.at.ranges)
    return PortBinding(addresses, port.number, _http_chain(port), _tcp_chain(port))


def _http_chain(port: Port) -> HttpChain | None:
    if port.http_name is None:
        return None
    mesh = port.scope.mesh
    return HttpChain(
        name=port.http_name,
        host=port.host,
        port=port.number,
        tokens_first=mesh.tokens_before_custom,
        grpc_web=port.protocol is PortProtocol.GRPC_WEB,
        max_duration_ms=mesh.max_connection_ms,
        names=NameCache(port.http_name, port.number, mesh.dns_servers) if port.on_demand else None,
    )


def _tcp_chain(port: Port) -> TcpChain | None:
    if port.tcp_name is None:
        return None
    return TcpChain(
        name=port.tcp_name,
        cluster=port.tcp_name,
        max_duration_ms=port.scope.mesh.max_connection_ms,
    )


def _connect_host(port: Port) -> ConnectHost:
    by_name = port.reads_server_names
    rules = () if by_name else connection_rules(port.scope, port.place, port.tcp_routes())
    return ConnectHost(
        name=f"{port.host}:{port.number}",
        authorities=(*port.authorities, *port.range_authorities),
        cluster=MAIN_INTERNAL_TLS if by_name else _listener(port.protocol),
        authorization=_connect_authorization(port),
        layered=port.guard.layered,
        opaque=_opaque_authorization(port),
        rules=rules,
    )


def _opaque_authorization(port: Port) -> Authorization:
    if port.protocol is not PortProtocol.AUTO:
        return OPEN
    return opaque_authorization(port.guard, port.requests.routes, port.origin)


def _listener(protocol: PortProtocol) -> str:
    return MAIN_INTERNAL_SNIFF if protocol is PortProtocol.AUTO else MAIN_INTERNAL


def _connect_authorization(port: Port) -> Authorization:
    match port.protocol:
        case PortProtocol.TLS if port.guard.tls is not None:
            return port.guard.tls_connect
        case PortProtocol.TCP | PortProtocol.TLS:
            return port.guard.tcp
        case PortProtocol.AUTO:
            return port.guard.connect
        case PortProtocol.HTTP | PortProtocol.HTTP2 | PortProtocol.GRPC_WEB:
            return OPEN  # each request is decided


def _tls_hosts(port: Port) -> tuple[TlsHost, ...]:
    if not port.reads_server_names:
        return ()
    own = tcp_name(port.number, port.host)
    tls, tcp = port.tls_routes(), port.tcp_routes()
    hosts = tls_hosts(port.scope, port.place, own, port.authorities, tls, tcp)
    return tuple(replace(host, authorization=port.guard.tls or OPEN) for host in hosts)


def _route_table(port: Port) -> RouteTable:
    return RouteTable(
        name=http_name(port.number, port.host),
        host=port.host,
        port=port.number,
        routes=port.requests.routes,
        authentication=port.guard.authentication,
        authorization=port.guard.http,
        origins=(port.origin, *port.requests.origins),
        domains=(port.host, authority(port.host, port.number)) if port.on_demand else ("*",),
    )


def _clusters(port: Port) -> Iterator[Upstream]:
    """The port's own clusters and those that its routes and policies lead to."""
    yield from port.guard.upstreams
    if port.http_name:
        yield _own_cluster(port, port.http_name, http_upstream(port.protocol))
        yield from port.requests.upstreams
    if port.tcp_name:
        yield _own_cluster(port, port.tcp_name, UpstreamProtocol.TCP)
        yield from outbound_connections(port.scope, port.place, port.tcp_routes())
        yield from outbound_connections(port.scope, port.place, port.tls_routes())


def _own_cluster(port: Port, name: str, protocol: UpstreamProtocol) -> Upstream:
    scope, cluster = port.scope, (name, port.host)
    return upstream(scope.reader, scope.mesh, port.service, port.given, cluster, protocol)


def _port_conditions(service: Served) -> Iterator[Condition]:
    for index, port in enumerate(service.ports):
        if protocol_at(service, port) is None:
            yield Condition(
                origin=origin_of(service).at(f"spec.ports[{index}]"),
                type="waypost.dev/PortServed",
                status=False,
                reason="UnsupportedProtocol",
                message=f"spec.ports[{index}].{_unserved(port)}",
                scope=f"ports[{index}]",
            )


def _unserved(port: ServicePort) -> str:
    """Why a port can't be served, and what becomes of it; below its field path."""
    if port.protocol != "TCP":
        why = f"a waypoint does not serve {port.protocol}"
        return f"protocol: {why}; clients of port {port.port} pass it by"
    if port.target_port not in (0, port.port):
        return "targetPort: with names that are resolved on demand it must be the port's number"
    return "protocol: only HTTP tells which of the names that are resolved on demand is meant"


def _rivals(scope: Scope, service: Served) -> Iterator[Condition]:
    """That another object has the same host and port, and has it at this waypoint."""
    for host in hosts_of(scope.reader, scope.mesh, service):
        for port, _ in _served_ports(service):
            if not _owns(scope, service, host, port):
                yield _rival(scope, service, host, port)


def _owns(scope: Scope, service: Served, host: Host, port: ServicePort) -> bool:
    return owns(scope.reader, scope.mesh, scope.waypoint, service, host.name, port.port)


def _rival(scope: Scope, service: Served, host: Host, port: ServicePort) -> Condition:
    where = f"{host.name} port {port.port}"
    owner = owner_of(scope.reader, scope.mesh, scope.waypoint, host.name, port.port)
    return Condition(
        origin=origin_of(service).at("spec.hosts"),
        type=HOST_SERVED,
        status=False,
        reason="HostConflict",
        message=f"spec.hosts: {where} belongs to {origin_of(owner) if owner else 'another'}",
        scope=where,
    )
