"""Services that proxies themselves call, to ask for consent or for keys."""

from translators.gateway_api.endpoints import Destination
from translators.gateway_api.names import host_of
from translators.gateway_api.served import Served, goes_as_called
from translators.gateway_api.upstreams import upstream
from translators.ir.cluster import ServiceCluster, UpstreamProtocol
from translators.ir.external_authorization import CheckProtocol
from translators.ir.waypoint import Mesh
from translators.resources.core import Service, ServicePort
from translators.world import Reader

_UPSTREAM = {
    CheckProtocol.GRPC: UpstreamProtocol.HTTP2,
    CheckProtocol.HTTP: UpstreamProtocol.HTTP1,
}


def is_callable(service: Served) -> bool:
    """Whether proxies themselves can call a service: it is known where to send calls."""
    return not goes_as_called(service)


def called_cluster(
    reader: Reader,
    mesh: Mesh,
    service: Served,
    host: str,
    port: ServicePort,
    protocol: CheckProtocol,
) -> tuple[ServiceCluster, Destination | None]:
    """The cluster by which proxies themselves call a service, whatever its port declares."""
    meta = service.meta
    if isinstance(service, Service):
        host, owner = host_of(mesh, meta.namespace, meta.name), ""
    else:
        owner = f"{meta.namespace}.{meta.name}-"
    name = f"outbound|{port.port}|{owner}called-by-{protocol}|{host}"
    return upstream(reader, mesh, service, port, (name, host), _UPSTREAM[protocol])
