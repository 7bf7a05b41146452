"""CUSTOM policies: which provider is meant, and where it is."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from translators.gateway_api.endpoints import Destination, find_port
from translators.gateway_api.names import host_of
from translators.ir.authorization import MAX_CUSTOM_CHECKS
from translators.ir.cluster import ServiceCluster, UpstreamProtocol
from translators.ir.external_authorization import AuthzProvider, CheckProtocol
from translators.ir.origin import Origin
from translators.ir.waypoint import Mesh
from translators.resources.authorizationpolicy import AuthorizationPolicy
from translators.resources.core import Service
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
    destination: Destination


def find_provider(reader: Reader, mesh: Mesh, name: str) -> Provider | str:
    """The provider of that name, or why it can't be asked."""
    config = next((each for each in mesh.providers if each.name == name), None)
    if config is None:
        known = ", ".join(each.name for each in mesh.providers) or "none"
        return f"{name!r} is no provider of the mesh; there are: {known}"
    service = find_service(reader, mesh, config.host, config.namespace)
    if service is None:
        return f"provider {name}: service {config.host} was not found"
    if find_port(service, config.port) is None:
        return f"provider {name}: service {config.host} has no TCP port {config.port}"
    return Provider(config, *service_cluster(mesh, service, config.port, config.protocol))


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


def find_service(reader: Reader, mesh: Mesh, host: str, namespace: str = "") -> Service | None:
    """The service of that host name, which may be short but must say the namespace.

    ``namespace``, if it is given, must be the same.
    """
    name, _, rest = host.lower().rstrip(".").partition(".")
    home = rest.partition(".")[0]
    suffixes = ("", ".svc", f".svc.{mesh.cluster_domain}")
    if not home or rest not in [home + suffix for suffix in suffixes]:
        return None
    return reader.get(Service, home, name) if namespace in ("", home) else None


def service_cluster(
    mesh: Mesh, service: Service, port: int, protocol: CheckProtocol
) -> tuple[ServiceCluster, Destination]:
    """The cluster by which proxies themselves call a service, whatever its port declares."""
    meta = service.meta
    host = host_of(mesh, meta.namespace, meta.name)
    cluster = ServiceCluster(
        name=f"outbound|{port}|called-by-{protocol}|{host}",
        host=host,
        port=port,
        protocol=_UPSTREAM[protocol],
        origins=(Origin(Service.kind, meta.namespace, meta.name),),
    )
    return cluster, Destination(cluster.name, meta.namespace, meta.name, port)
