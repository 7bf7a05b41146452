"""CUSTOM policies: which provider is meant, and where it is."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from translators.gateway_api.called import called_cluster, is_callable
from translators.gateway_api.endpoints import Destination
from translators.gateway_api.lookup import find_host, find_service
from translators.gateway_api.served import Served, find_port
from translators.ir.authorization import MAX_CUSTOM_CHECKS
from translators.ir.cluster import ServiceCluster
from translators.ir.external_authorization import AuthzProvider
from translators.ir.waypoint import Mesh
from translators.resources.authorizationpolicy import AuthorizationPolicy
from translators.world import Reader


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
    service = _find_server(reader, mesh, config)
    if service is None:
        return f"provider {name}: service {config.host} was not found{_where(mesh, config)}"
    port = find_port(service, config.port)
    if port is None:
        return f"provider {name}: service {config.host} has no TCP port {config.port}"
    if not is_callable(service):
        return f"provider {name}: nobody knows where calls of {config.host} would have to go"
    return Provider(
        config, *called_cluster(reader, mesh, service, config.host, port, config.protocol)
    )


def _find_server(reader: Reader, mesh: Mesh, config: AuthzProvider) -> Served | None:
    """A Service, or a ServiceEntry of the namespace that is named, else of the root namespace.

    Others can't make themselves those who decide by claiming the host.
    """
    service = find_service(reader, mesh, config.host, config.namespace)
    home = config.namespace or mesh.root_namespace
    return service or find_host(reader, mesh, config.host, config.port, home, home)


def _where(mesh: Mesh, config: AuthzProvider) -> str:
    """Where a ServiceEntry would have to be, if the host can't be a Service's."""
    is_service = config.host.endswith(f".{mesh.cluster_domain}") or config.host.count(".") <= 1
    if config.namespace or is_service:
        return ""
    return f" in namespace {mesh.root_namespace}; name another as namespace/{config.host}"


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
