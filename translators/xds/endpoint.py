"""Endpoints: pods behind tunnels, and addresses that are dialled directly."""

from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter

from envoy_data_plane.envoy.config.core.v3 import HealthStatus
from envoy_data_plane.envoy.config.core.v3 import Locality as EnvoyLocality
from envoy_data_plane.envoy.config.endpoint.v3 import (
    ClusterLoadAssignment,
    LbEndpoint,
    LocalityLbEndpoints,
)
from envoy_data_plane.envoy.config.endpoint.v3 import Endpoint as EnvoyEndpoint

from translators.ir.endpoint import Endpoint, EndpointSet, Health, Locality
from translators.wire import template
from translators.xds.address import internal_address, join_address, socket_address
from translators.xds.metadata import filter_metadata
from translators.xds.names import CONNECT_ORIGINATE, HBONE_METADATA, ORIGINAL_DST_METADATA

_HEALTH = {
    Health.HEALTHY: HealthStatus.HEALTHY,
    Health.DRAINING: HealthStatus.DRAINING,
    Health.UNHEALTHY: HealthStatus.UNHEALTHY,
}
_PLACE = attrgetter("priority", "locality")


def load_assignment(node: EndpointSet) -> ClusterLoadAssignment:
    """The endpoints of a cluster, by priority and locality, always in the same order."""
    groups = groupby(sorted(sorted(node.endpoints), key=_PLACE), key=_PLACE)
    return ClusterLoadAssignment(
        cluster_name=node.cluster,
        endpoints=[
            _group(priority, locality, tuple(endpoints))
            for (priority, locality), endpoints in groups
        ],
    )


def _group(priority: int, locality: Locality, endpoints: Sequence[Endpoint]) -> LocalityLbEndpoints:
    return LocalityLbEndpoints(
        priority=priority,
        locality=_locality(locality),
        lb_endpoints=[_endpoint(endpoint) for endpoint in endpoints],
        load_balancing_weight=sum(max(1, endpoint.weight) for endpoint in endpoints),
    )


def _locality(locality: Locality) -> EnvoyLocality | None:
    if locality == Locality():
        return None
    return EnvoyLocality(region=locality.region, zone=locality.zone, sub_zone=locality.subzone)


def _endpoint(endpoint: Endpoint) -> LbEndpoint:
    health, weight = _HEALTH[endpoint.health], max(1, endpoint.weight)
    if endpoint.tunnel:
        target = join_address(endpoint.address, endpoint.port)
        return _tunnelled(target, endpoint.identity, health, weight)
    return _direct(endpoint.address, endpoint.port, health, weight)


@template
def _direct(address: str, port: int, health: HealthStatus, weight: int) -> LbEndpoint:
    return LbEndpoint(
        endpoint=EnvoyEndpoint(address=socket_address(address, port)),
        health_status=health,
        load_balancing_weight=weight,
    )


@template
def _tunnelled(target: str, identity: str, health: HealthStatus, weight: int) -> LbEndpoint:
    """Where the tunnel leads, and who must answer there."""
    expected = {HBONE_METADATA: {"san": identity}} if identity else {}
    return LbEndpoint(
        # The id keeps endpoints apart that share the listener.
        endpoint=EnvoyEndpoint(address=internal_address(CONNECT_ORIGINATE, endpoint_id=target)),
        health_status=health,
        metadata=filter_metadata({ORIGINAL_DST_METADATA: {"local": target}} | expected),
        load_balancing_weight=weight,
    )
