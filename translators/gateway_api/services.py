"""One service as a waypoint serves it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Protocol

from translators.gateway_api.backends import outbound
from translators.gateway_api.endpoints import Destination
from translators.gateway_api.httproute import attached_routes, port_routes
from translators.gateway_api.names import authority, host_of, http_name, tcp_name, virtual_ips
from translators.gateway_api.protocol import PortProtocol, http_upstream, protocol_of
from translators.gateway_api.scope import Scope
from translators.ir.authorization import OPEN, Authorization
from translators.ir.cluster import ServiceCluster, UpstreamProtocol
from translators.ir.condition import Condition
from translators.ir.listener import ConnectHost, HttpChain, PortBinding, TcpChain
from translators.ir.origin import Origin
from translators.ir.route import RouteTable
from translators.ir.waypoint import Mesh, WaypointName
from translators.resources.core import Service, ServicePort
from translators.resources.httproute import HTTPRoute
from translators.resources.metadata import ObjectKey
from translators.world import Reader

MAIN_INTERNAL = "main_internal"
MAIN_INTERNAL_SNIFF = "main_internal_sniff"


class PortGuard(Protocol):
    """What protects a service port, by what is being decided."""

    @property
    def http(self) -> Authorization:
        """Decided on each request."""

    @property
    def tcp(self) -> Authorization:
        """Decided on connections that carry no HTTP."""

    @property
    def connect(self) -> Authorization:
        """Decided on the CONNECT to a port whose protocol is not declared."""


@dataclass(frozen=True, slots=True)
class Unguarded:
    """No policy at all."""

    http: Authorization = OPEN
    tcp: Authorization = OPEN
    connect: Authorization = OPEN


GuardOf = Callable[[int], PortGuard]
"""Gives what protects a port of the service, by its number."""


def unguarded(_port: int) -> PortGuard:
    """The guard of services without policies."""
    return Unguarded()


@dataclass(frozen=True, slots=True)
class ServiceConfig:
    """All that one service adds to its waypoint, but for its endpoints.

    ``destinations`` name the clusters among ``clusters`` whose endpoints must be sent with them.
    Clusters of other services may be in several configs, always with equal content.
    """

    service: ObjectKey
    created: str
    bindings: tuple[PortBinding, ...] = ()
    connect_hosts: tuple[ConnectHost, ...] = ()
    tables: tuple[RouteTable, ...] = ()
    clusters: tuple[ServiceCluster, ...] = ()
    destinations: tuple[Destination, ...] = ()
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class _Port:
    """A service port that is translated."""

    scope: Scope
    service: Service
    number: int
    protocol: PortProtocol
    guard: PortGuard

    @property
    def host(self) -> str:
        return host_of(self.scope.mesh, self.service.meta.namespace, self.service.meta.name)

    @property
    def http_name(self) -> str | None:
        """The name of its HTTP chain, if it has one."""
        return http_name(self.number, self.host) if self.protocol.speaks_http else None

    @property
    def tcp_name(self) -> str | None:
        """The name of its TCP chain, if it has one."""
        is_tcp = self.protocol in (PortProtocol.TCP, PortProtocol.AUTO)
        return tcp_name(self.number, self.host) if is_tcp else None

    @property
    def origin(self) -> Origin:
        return Origin(Service.kind, self.service.meta.namespace, self.service.meta.name)


def translate_service(
    reader: Reader,
    mesh: Mesh,
    waypoint: WaypointName,
    service: Service,
    guard_of: GuardOf = unguarded,
) -> ServiceConfig:
    """What a service that is bound to a waypoint adds to it.

    The conditions are about the service's ports; those of routes come from
    ``route_conditions``.
    """
    scope = Scope(reader, mesh, waypoint)
    ports = list(_ports(scope, service, guard_of))
    addresses = virtual_ips(service)
    clusters = list(chain.from_iterable(map(_clusters, ports)))
    return ServiceConfig(
        service=service.key,
        created=service.meta.created,
        bindings=tuple(_binding(port, addresses) for port in ports) if addresses else (),
        connect_hosts=tuple(_connect_host(port, addresses) for port in ports) if addresses else (),
        tables=tuple(_route_table(port) for port in ports if port.http_name) if addresses else (),
        clusters=tuple({cluster.name: cluster for cluster, _ in clusters}.values()),
        destinations=tuple(sorted({destination for _, destination in clusters})),
        conditions=tuple(_port_conditions(service)),
    )


def _ports(scope: Scope, service: Service, guard_of: GuardOf) -> Iterator[_Port]:
    """The ports that can be served, by number; of several with the same number the first."""
    first: dict[int, ServicePort] = {}
    for port in service.ports:
        if protocol_of(port) is not None:
            first.setdefault(port.port, port)
    for number in sorted(first):
        protocol = protocol_of(first[number])
        if protocol is not None:
            yield _Port(scope, service, number, protocol, guard_of(number))


def _binding(port: _Port, addresses: tuple[str, ...]) -> PortBinding:
    http = HttpChain(port.http_name, port.host, port.number) if port.http_name else None
    tcp = None
    if port.tcp_name:
        # A declared TCP port is decided on its CONNECT, before a byte is forwarded.
        sniffed = port.protocol is PortProtocol.AUTO
        tcp = TcpChain(port.tcp_name, port.tcp_name, port.guard.tcp if sniffed else OPEN)
    return PortBinding(addresses, port.number, http, tcp)


def _connect_host(port: _Port, addresses: tuple[str, ...]) -> ConnectHost:
    sniffed = port.protocol is PortProtocol.AUTO
    return ConnectHost(
        name=f"{port.host}:{port.number}",
        authorities=tuple(authority(address, port.number) for address in addresses),
        cluster=MAIN_INTERNAL_SNIFF if sniffed else MAIN_INTERNAL,
        authorization=_connect_authorization(port),
    )


def _connect_authorization(port: _Port) -> Authorization:
    match port.protocol:
        case PortProtocol.TCP:
            return port.guard.tcp
        case PortProtocol.AUTO:
            return port.guard.connect
        case PortProtocol.HTTP | PortProtocol.HTTP2:
            return OPEN  # each request is decided


def _route_table(port: _Port) -> RouteTable:
    name = http_name(port.number, port.host)
    routes = attached_routes(port.scope.reader, port.service, port.number)
    return RouteTable(
        name=name,
        host=port.host,
        port=port.number,
        routes=port_routes(port.scope, port.service, port.number, name, routes),
        authorization=port.guard.http,
        origins=(port.origin, *map(_route_origin, routes)),
    )


def _route_origin(route: HTTPRoute) -> Origin:
    return Origin(HTTPRoute.kind, route.meta.namespace, route.meta.name)


def _clusters(port: _Port) -> Iterator[tuple[ServiceCluster, Destination]]:
    """The port's own clusters and those that its routes lead to."""
    if port.http_name:
        yield _own_cluster(port, port.http_name, http_upstream(port.protocol))
        routes = attached_routes(port.scope.reader, port.service, port.number)
        yield from _route_clusters(port.scope, routes)
    if port.tcp_name:
        yield _own_cluster(port, port.tcp_name, UpstreamProtocol.TCP)


def _route_clusters(
    scope: Scope, routes: Iterable[HTTPRoute]
) -> Iterator[tuple[ServiceCluster, Destination]]:
    for route in routes:
        for rule in route.rules:
            yield from outbound(scope, rule)


def _own_cluster(
    port: _Port, name: str, protocol: UpstreamProtocol
) -> tuple[ServiceCluster, Destination]:
    meta = port.service.meta
    cluster = ServiceCluster(name, port.host, port.number, protocol, origins=(port.origin,))
    return cluster, Destination(name, meta.namespace, meta.name, port.number)


def _port_conditions(service: Service) -> Iterator[Condition]:
    for index, port in enumerate(service.ports):
        if protocol_of(port) is None:
            origin = Origin(Service.kind, service.meta.namespace, service.meta.name)
            yield Condition(
                origin=origin.at(f"spec.ports[{index}]"),
                type="waypost.dev/PortServed",
                status=False,
                reason="UnsupportedProtocol",
                message=f"port {port.port}: a waypoint does not serve {port.protocol}",
                scope=f"ports[{index}]",
            )
