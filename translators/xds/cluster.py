"""Clusters: services, steps inside the proxy, and the ways out of it."""

from collections.abc import Iterable
from datetime import timedelta
from typing import TypedDict, assert_never

from envoy_data_plane.envoy.config.cluster.v3 import (
    CircuitBreakers,
    CircuitBreakersThresholds,
    Cluster,
    ClusterCommonLbConfig,
    ClusterCustomClusterType,
    ClusterDiscoveryType,
    ClusterEdsClusterConfig,
    ClusterLbPolicy,
    ClusterOriginalDstLbConfig,
)
from envoy_data_plane.envoy.config.core.v3 import (
    Address,
    Http1ProtocolOptions,
    Http2ProtocolOptions,
    HttpProtocolOptions,
    KeepaliveSettings,
    Metadata,
)
from envoy_data_plane.envoy.config.endpoint.v3 import (
    ClusterLoadAssignment,
    Endpoint,
    LbEndpoint,
    LocalityLbEndpoints,
)
from envoy_data_plane.envoy.extensions.clusters.common.dns.v3 import DnsLookupFamily
from envoy_data_plane.envoy.extensions.clusters.dns.v3 import DnsCluster
from envoy_data_plane.envoy.extensions.upstreams.http.v3 import (
    HttpProtocolOptions as UpstreamOptions,
)
from envoy_data_plane.envoy.extensions.upstreams.http.v3 import (
    HttpProtocolOptionsExplicitHttpConfig,
    HttpProtocolOptionsUseDownstreamHttpConfig,
)
from envoy_data_plane.envoy.type.v3 import Percent
from envoy_data_plane.google.protobuf import Any

from translators.ir.cluster import (
    Discovery,
    ExternalCluster,
    InternalCluster,
    OriginateCluster,
    PassthroughCluster,
    ServiceCluster,
    UpstreamProtocol,
)
from translators.ir.endpoint import EndpointSet
from translators.wire import pack, shared, template
from translators.xds.address import internal_address, socket_address
from translators.xds.config_source import ads
from translators.xds.dynamic_dns import dynamic_cluster, resolver
from translators.xds.endpoint import load_assignment
from translators.xds.metadata import provenance
from translators.xds.names import (
    CONNECT_ORIGINATE,
    HBONE_METADATA,
    ORIGINAL_DST_METADATA,
    PASSTHROUGH,
    stat_name,
)
from translators.xds.tls import dial_server, dial_tunnels
from translators.xds.transport import internal_upstream

_CONNECT_TIMEOUT = timedelta(seconds=10)
_CLEANUP_INTERVAL = timedelta(seconds=60)
_DNS_REFRESH = timedelta(seconds=60)
_IDLE_TUNNELS = timedelta(hours=1)
_HBONE_PORT = 15008
_UNLIMITED = (1 << 32) - 1


def service_cluster(node: ServiceCluster) -> Cluster:
    """One port of a service, its endpoints in tunnels or not, side by side."""
    origins, stat = provenance(node.origins), stat_name(node.name)
    if node.discovery is Discovery.EDS:
        return _found_by_eds(node.name, stat, origins, node.protocol)
    return _service(node.name, stat, origins, node.protocol, _discovery(node))


@template
def _found_by_eds(
    name: str, stat: str, origins: Metadata | None, protocol: UpstreamProtocol
) -> Cluster:
    return _service(name, stat, origins, protocol, _eds(name))


def _service(
    name: str,
    stat: str,
    origins: Metadata | None,
    protocol: UpstreamProtocol,
    discovery: "_DiscoveryFields",
) -> Cluster:
    return Cluster(
        name=name,
        alt_stat_name=stat,
        **discovery,
        connect_timeout=_CONNECT_TIMEOUT,
        circuit_breakers=_no_limits(),
        # An endpoint that is not healthy gets nothing, even if few others are left.
        common_lb_config=ClusterCommonLbConfig(healthy_panic_threshold=Percent(value=0.0)),
        typed_extension_protocol_options=_protocol(protocol),
        transport_socket=internal_upstream((ORIGINAL_DST_METADATA, HBONE_METADATA)),
        metadata=origins,
    )


def external_cluster(node: ExternalCluster) -> Cluster:
    """A server outside the mesh, dialled directly."""
    names = _static(node.name, [socket_address(node.host, node.port)])
    return Cluster(
        name=node.name,
        alt_stat_name=stat_name(node.name),
        **_by_dns(names, node.dns_servers, one_endpoint=True),
        connect_timeout=_CONNECT_TIMEOUT,
        circuit_breakers=_no_limits(),
        transport_socket=dial_server(node.host, node.roots) if node.roots else None,
        metadata=provenance(node.origins),
    )


def internal_cluster(node: InternalCluster) -> Cluster:
    """The way to an internal listener. Its connections are as many as the tunnels, hence no limit.

    Connections are kept apart by the filter state that they share, which can be hashed.
    """
    return Cluster(
        name=node.name,
        alt_stat_name=stat_name(node.name),
        type=ClusterDiscoveryType.STATIC,
        connect_timeout=_CONNECT_TIMEOUT,
        circuit_breakers=_no_limits(),
        load_assignment=_static(node.name, [internal_address(node.listener)]),
        typed_extension_protocol_options=_of_internal(node),
        transport_socket=internal_upstream(),
    )


def _of_internal(node: InternalCluster) -> dict[str, Any]:
    if node.connects:
        return _one_connect_each()
    return _protocol(UpstreamProtocol.AS_DOWNSTREAM) if node.requests else {}


def _one_connect_each() -> dict[str, Any]:
    """Tunnels that share a connection would wait for each other, and would end together."""
    http2 = Http2ProtocolOptions(allow_connect=True)
    return _options(
        UpstreamOptions(
            common_http_protocol_options=HttpProtocolOptions(max_requests_per_connection=1),
            explicit_http_config=HttpProtocolOptionsExplicitHttpConfig(
                http2_protocol_options=http2
            ),
        )
    )


def originate_cluster(node: OriginateCluster) -> Cluster:
    """Tunnels to the HBONE port of whatever address a connection is for."""
    tunnels = Http2ProtocolOptions(
        allow_connect=True,
        connection_keepalive=KeepaliveSettings(
            interval=timedelta(seconds=10), timeout=timedelta(seconds=20)
        ),
    )
    options = UpstreamOptions(
        common_http_protocol_options=HttpProtocolOptions(idle_timeout=_IDLE_TUNNELS),
        explicit_http_config=HttpProtocolOptionsExplicitHttpConfig(http2_protocol_options=tunnels),
    )
    return Cluster(
        name=CONNECT_ORIGINATE,
        type=ClusterDiscoveryType.ORIGINAL_DST,
        lb_policy=ClusterLbPolicy.CLUSTER_PROVIDED,
        original_dst_lb_config=ClusterOriginalDstLbConfig(upstream_port_override=_HBONE_PORT),
        connect_timeout=_CONNECT_TIMEOUT,
        cleanup_interval=_CLEANUP_INTERVAL,
        circuit_breakers=_no_limits(),
        typed_extension_protocol_options=_options(options),
        transport_socket=dial_tunnels(node.trust_domains),
    )


def passthrough_cluster(_: PassthroughCluster) -> Cluster:
    """Whatever address a connection is for, in plaintext."""
    return Cluster(
        name=PASSTHROUGH,
        type=ClusterDiscoveryType.ORIGINAL_DST,
        lb_policy=ClusterLbPolicy.CLUSTER_PROVIDED,
        connect_timeout=_CONNECT_TIMEOUT,
        cleanup_interval=_CLEANUP_INTERVAL,
        circuit_breakers=_no_limits(),
        typed_extension_protocol_options=_protocol(UpstreamProtocol.AS_DOWNSTREAM),
    )


class _DiscoveryFields(TypedDict, total=False):
    type: ClusterDiscoveryType
    cluster_type: ClusterCustomClusterType
    lb_policy: ClusterLbPolicy
    eds_cluster_config: ClusterEdsClusterConfig
    load_assignment: ClusterLoadAssignment
    cleanup_interval: timedelta
    original_dst_lb_config: ClusterOriginalDstLbConfig | None


def _discovery(node: ServiceCluster) -> _DiscoveryFields:
    match node.discovery:
        case Discovery.EDS:
            return _eds(node.name)
        case Discovery.STRICT_DNS:
            return _by_dns(_resolved(node), node.dns_servers, one_endpoint=False)
        case Discovery.LOGICAL_DNS:
            return _by_dns(_resolved(node), node.dns_servers, one_endpoint=True)
        case Discovery.RACING_DNS:
            return _by_dns(
                _resolved(node), node.dns_servers, one_endpoint=True, family=DnsLookupFamily.ALL
            )
        case Discovery.ORIGINAL_DST:
            return _DiscoveryFields(
                type=ClusterDiscoveryType.ORIGINAL_DST,
                lb_policy=ClusterLbPolicy.CLUSTER_PROVIDED,
                cleanup_interval=_CLEANUP_INTERVAL,
                original_dst_lb_config=_instead(node.port_override),
            )
        case Discovery.DYNAMIC_DNS:
            return _DiscoveryFields(
                cluster_type=dynamic_cluster(node.name, node.dns_servers),
                lb_policy=ClusterLbPolicy.CLUSTER_PROVIDED,
            )
        case _:
            assert_never(node.discovery)


def _eds(name: str) -> _DiscoveryFields:
    return _DiscoveryFields(
        type=ClusterDiscoveryType.EDS,
        lb_policy=ClusterLbPolicy.LEAST_REQUEST,
        eds_cluster_config=ClusterEdsClusterConfig(eds_config=ads(), service_name=name),
    )


def _resolved(node: ServiceCluster) -> ClusterLoadAssignment:
    return load_assignment(EndpointSet(node.name, node.dns_endpoints))


def _instead(port: int) -> ClusterOriginalDstLbConfig | None:
    return ClusterOriginalDstLbConfig(upstream_port_override=port) if port else None


def _by_dns(
    names: ClusterLoadAssignment,
    servers: tuple[str, ...],
    *,
    one_endpoint: bool,
    family: DnsLookupFamily = DnsLookupFamily.V4_PREFERRED,
) -> _DiscoveryFields:
    """By DNS: each address of a name an endpoint, or all of them together one."""
    dns = DnsCluster(
        dns_refresh_rate=_DNS_REFRESH,
        respect_dns_ttl=True,
        dns_lookup_family=family,
        all_addresses_in_single_endpoint=one_endpoint,
        typed_dns_resolver_config=resolver(servers),
    )
    return _DiscoveryFields(
        cluster_type=ClusterCustomClusterType(name="envoy.clusters.dns", typed_config=pack(dns)),
        lb_policy=ClusterLbPolicy.LEAST_REQUEST,
        load_assignment=names,
    )


def _static(name: str, addresses: Iterable[Address]) -> ClusterLoadAssignment:
    endpoints = [LbEndpoint(endpoint=Endpoint(address=address)) for address in addresses]
    return ClusterLoadAssignment(
        cluster_name=name, endpoints=[LocalityLbEndpoints(lb_endpoints=endpoints)]
    )


@shared
def _no_limits() -> CircuitBreakers:
    """Envoy's own limits are a thousand of each, which a busy service reaches when it is well."""
    return CircuitBreakers(
        thresholds=[
            CircuitBreakersThresholds(
                max_connections=_UNLIMITED,
                max_pending_requests=_UNLIMITED,
                max_requests=_UNLIMITED,
                max_retries=_UNLIMITED,
                track_remaining=True,
            )
        ]
    )


def _protocol(protocol: UpstreamProtocol) -> dict[str, Any]:
    http1, http2 = Http1ProtocolOptions(), Http2ProtocolOptions()
    match protocol:
        case UpstreamProtocol.TCP:
            return {}
        case UpstreamProtocol.HTTP1:
            explicit = HttpProtocolOptionsExplicitHttpConfig(http_protocol_options=http1)
            return _options(UpstreamOptions(explicit_http_config=explicit))
        case UpstreamProtocol.HTTP2:
            explicit = HttpProtocolOptionsExplicitHttpConfig(http2_protocol_options=http2)
            return _options(UpstreamOptions(explicit_http_config=explicit))
        case UpstreamProtocol.AS_DOWNSTREAM:
            same = HttpProtocolOptionsUseDownstreamHttpConfig(
                http_protocol_options=http1, http2_protocol_options=http2
            )
            return _options(UpstreamOptions(use_downstream_protocol_config=same))
        case _:
            assert_never(protocol)


def _options(options: UpstreamOptions) -> dict[str, Any]:
    return {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": pack(options)}
