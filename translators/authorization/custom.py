"""CUSTOM policies: which provider is meant, and where it is."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from translators.gateway_api.endpoints import Destination
from translators.gateway_api.lookup import find_host
from translators.gateway_api.names import host_of
from translators.gateway_api.served import Served, find_port
from translators.gateway_api.upstreams import upstream
from translators.ir.authorization import MAX_CUSTOM_CHECKS
from translators.ir.cluster import ServiceCluster, UpstreamProtocol
from translators.ir.external_authorization import AuthzProvider, CheckProtocol
from translators.ir.waypoint import Mesh
from translators.resources.authorizationpolicy import AuthorizationPolicy
from translators.resources.core import Service, ServicePort
from translators.world import Reader

_UPSTREAM = {
    CheckProtocol.GRPC: UpstreamProtocol.HTTP2,
    CheckProtocol.HTTP: UpstreamProtocol.HTTP1,
}


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider of the mesh and the cluster that it is asked at."""

    config: AuthzProvider
    cluster: ServiceCluster
    destination: Destination | None


def find_provider(reader: Reader, mesh: Mesh, name: str) -> Provider | str:
    """The provider of that name, or why it can't be asked."""
    config = next((each for each in mesh.providers if each.name == name), None)
    if config is None:
        known = ", ".join(each.name for each in mesh.providers) or "none"
        return f"{name!r} is no provider of the mesh; there are: {known}"
    client = config.namespace or mesh.root_namespace
    service = find_host(reader, mesh, config.host, config.port, client, config.namespace)
    if service is None:
        return f"provider {name}: service {config.host} was not found"
    port = find_port(service, config.port)
    if port is None:
        return f"provider {name}: service {config.host} has no TCP port {config.port}"
    if not is_callable(service):
        return f"provider {name}: nobody knows where calls of {config.host} would have to go"
    return Provider(
        config, *called_cluster(reader, mesh, service, config.host, port, config.protocol)
    )


def known_providers(
    reader: Reader, mesh: Mesh, policies: Iterable[AuthorizationPolicy]
) -> Iterator[tuple[str, Provider]]:
    """The providers that CUSTOM policies name and that can be asked, with their names."""
    for name in sorted({each.provider for each in policies if each.action == "CUSTOM"}):
        found = find_provider(reader, mesh, name)
        if isinstance(found, Provider):
            yield name, found


def first_providers(names: Iterable[str]) -> list[str]:
    """As many of these as may be asked about one request: the first ones by name."""
    return sorted(names)[:MAX_CUSTOM_CHECKS]


def is_callable(service: Served) -> bool:
    """Whether proxies themselves can call a service: it is known where to send calls."""
    return isinstance(service, Service) or service.resolution not in ("NONE", "DYNAMIC_DNS")


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
