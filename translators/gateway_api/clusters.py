"""Which cluster a service port is, seen from a waypoint that may serve it itself or not."""

from translators.gateway_api.binding import Bound, waypoint_of
from translators.gateway_api.endpoints import Destination
from translators.gateway_api.names import host_of, http_name, outbound_name, tcp_name
from translators.gateway_api.protocol import PortProtocol, http_upstream, protocol_of
from translators.gateway_api.references import Target
from translators.gateway_api.scope import Scope
from translators.ir.cluster import ServiceCluster
from translators.ir.origin import Origin
from translators.resources.core import Service


def http_cluster(scope: Scope, target: Target) -> str:
    """The cluster that requests to a service port go to."""
    return own_http_cluster(scope, target) or outbound_name(target.port.port, _host(scope, target))


def tcp_cluster(scope: Scope, target: Target) -> str:
    """The cluster that connections to a service port go to."""
    return own_tcp_cluster(scope, target) or outbound_name(target.port.port, _host(scope, target))


def own_http_cluster(scope: Scope, target: Target) -> str | None:
    """The cluster that is there anyway because this waypoint serves the port as HTTP."""
    protocol = _own_protocol(scope, target)
    if protocol is None or not protocol.speaks_http:
        return None
    return http_name(target.port.port, _host(scope, target))


def own_tcp_cluster(scope: Scope, target: Target) -> str | None:
    """The cluster that is there anyway because this waypoint serves the port."""
    protocol = _own_protocol(scope, target)
    if protocol is None:
        return None
    name = tcp_name if protocol.forwards_bytes else http_name
    return name(target.port.port, _host(scope, target))


def outbound_cluster(scope: Scope, target: Target) -> tuple[ServiceCluster, Destination]:
    """The cluster for a service port that this waypoint does not serve, and its endpoints."""
    meta, port = target.service.meta, target.port.port
    host = _host(scope, target)
    cluster = ServiceCluster(
        name=outbound_name(port, host),
        host=host,
        port=port,
        protocol=http_upstream(protocol_of(target.port) or PortProtocol.HTTP),
        origins=(Origin(Service.kind, meta.namespace, meta.name),),
    )
    return cluster, Destination(cluster.name, meta.namespace, meta.name, port)


def _own_protocol(scope: Scope, target: Target) -> PortProtocol | None:
    """What the port speaks if this waypoint serves it, else None."""
    if waypoint_of(scope.reader, target.service) != Bound(scope.waypoint):
        return None
    return protocol_of(target.port)


def _host(scope: Scope, target: Target) -> str:
    return host_of(scope.mesh, target.service.meta.namespace, target.service.meta.name)
