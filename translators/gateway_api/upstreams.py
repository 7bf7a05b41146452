"""The cluster of a service port: what proxies dial, and how they come by its endpoints."""

from dataclasses import replace

from translators.gateway_api.endpoints import Destination, named_endpoints
from translators.gateway_api.served import Served, origin_of
from translators.ir.cluster import Discovery, ExternalCluster, ServiceCluster, UpstreamProtocol
from translators.ir.waypoint import Mesh
from translators.resources.core import Service, ServicePort
from translators.resources.serviceentry import ServiceEntry
from translators.world import Reader

CONNECT_STRATEGY = "istio.io/connect-strategy"
RACE = "RACE_FIRST_TCP_CONNECT"

Upstream = tuple[ServiceCluster | ExternalCluster, Destination | None]
"""A cluster, and the service port that its endpoints must be sent of, if they must be sent."""


def races(entry: ServiceEntry) -> bool:
    """Whether all addresses of a name are tried at once, and the first that answers is used."""
    return entry.meta.annotations.get(CONNECT_STRATEGY) == RACE


def upstream(
    reader: Reader,
    mesh: Mesh,
    served: Served,
    port: ServicePort,
    cluster: tuple[str, str],
    protocol: UpstreamProtocol,
) -> tuple[ServiceCluster, Destination | None]:
    """The cluster for a port of a host. ``cluster`` are its name and the host's."""
    name, host = cluster
    made = ServiceCluster(name, host, port.port, protocol, origins=(origin_of(served),))
    meta = served.meta
    sent = made, Destination(name, meta.namespace, meta.name, port.port, served.kind)
    if isinstance(served, Service):
        return sent
    match served.resolution:
        case "DNS" | "DNS_ROUND_ROBIN":
            found = named_endpoints(reader, mesh, served, host, port)
            discovery = _by_dns(served)
            if discovery is not Discovery.STRICT_DNS:
                found = found[:1]
            resolved = replace(
                made, discovery=discovery, dns_endpoints=found, dns_servers=mesh.dns_servers
            )
            return (resolved, None) if found else sent
        case "NONE":
            target = port.target_port if port.target_port != port.port else 0
            override = target if isinstance(target, int) else 0
            original = replace(made, discovery=Discovery.ORIGINAL_DST, port_override=override)
            return original, None
        case "DYNAMIC_DNS":
            dynamic = replace(made, discovery=Discovery.DYNAMIC_DNS, dns_servers=mesh.dns_servers)
            return dynamic, None
        case _:
            return sent


def _by_dns(entry: ServiceEntry) -> Discovery:
    if races(entry):
        return Discovery.RACING_DNS
    is_one = entry.resolution == "DNS_ROUND_ROBIN"
    return Discovery.LOGICAL_DNS if is_one else Discovery.STRICT_DNS
