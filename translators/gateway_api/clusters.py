"""Which cluster a service port is, seen from a waypoint that may serve it itself or not."""

from translators.gateway_api.binding import is_served_by
from translators.gateway_api.endpoints import Destination
from translators.gateway_api.lookup import owns
from translators.gateway_api.names import entry_name, http_name, outbound_name, tcp_name
from translators.gateway_api.protocol import PortProtocol, http_upstream
from translators.gateway_api.references import Target
from translators.gateway_api.scope import Scope
from translators.gateway_api.served import protocol_at
from translators.gateway_api.upstreams import upstream
from translators.ir.cluster import ServiceCluster
from translators.resources.core import Service


def tcp_cluster(scope: Scope, target: Target) -> str:
    """The cluster that connections to a service port go to."""
    return own_tcp_cluster(scope, target) or _outbound_name(target)


def own_http_cluster(scope: Scope, target: Target) -> str | None:
    """The cluster that is there anyway because this waypoint serves the port as HTTP."""
    protocol = _own_protocol(scope, target)
    if protocol is None or not protocol.speaks_http:
        return None
    return http_name(target.port.port, target.host)


def own_tcp_cluster(scope: Scope, target: Target) -> str | None:
    """The cluster that is there anyway because this waypoint serves the port."""
    protocol = _own_protocol(scope, target)
    if protocol is None:
        return None
    name = tcp_name if protocol.forwards_bytes else http_name
    return name(target.port.port, target.host)


def outbound_cluster(scope: Scope, target: Target) -> tuple[ServiceCluster, Destination | None]:
    """The cluster for a service port that this waypoint does not serve, and its endpoints."""
    return upstream(
        scope.reader,
        scope.mesh,
        target.service,
        target.port,
        (_outbound_name(target), target.host),
        http_upstream(protocol_at(target.service, target.port) or PortProtocol.HTTP),
    )


def _own_protocol(scope: Scope, target: Target) -> PortProtocol | None:
    """What the port speaks if this waypoint serves it, else None."""
    if not is_served_by(scope.reader, target.service, scope.waypoint):
        return None
    reader, mesh, waypoint = scope.reader, scope.mesh, scope.waypoint
    if not owns(reader, mesh, waypoint, target.service, target.host, target.port.port):
        return None
    return protocol_at(target.service, target.port)


def _outbound_name(target: Target) -> str:
    """Several entries may have a host of the same name, but only one Service can."""
    if isinstance(target.service, Service):
        return outbound_name(target.port.port, target.host)
    meta = target.service.meta
    return entry_name(target.port.port, meta.namespace, meta.name, target.host)
