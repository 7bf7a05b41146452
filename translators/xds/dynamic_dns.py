"""Names that are resolved when a request for them comes (Envoy's dynamic forward proxy)."""

from datetime import timedelta

from envoy_data_plane.envoy.config.cluster.v3 import (
    ClusterCustomClusterType,
    ClusterDnsLookupFamily,
)
from envoy_data_plane.envoy.extensions.clusters.dynamic_forward_proxy.v3 import ClusterConfig
from envoy_data_plane.envoy.extensions.common.dynamic_forward_proxy.v3 import DnsCacheConfig

from translators.wire import pack

_REFRESH = timedelta(seconds=60)
_UNUSED = timedelta(minutes=5)


def dynamic_cluster(name: str) -> ClusterCustomClusterType:
    """A cluster whose endpoints are the names in the cache that it shares with its filter."""
    config = ClusterConfig(dns_cache_config=dns_cache(name))
    return ClusterCustomClusterType(
        name="envoy.clusters.dynamic_forward_proxy", typed_config=pack(config)
    )


def dns_cache(name: str) -> DnsCacheConfig:
    """The cache of a cluster; whoever names it must give it the same settings."""
    return DnsCacheConfig(
        name=name,
        dns_lookup_family=ClusterDnsLookupFamily.V4_PREFERRED,
        dns_refresh_rate=_REFRESH,
        host_ttl=_UNUSED,
    )
