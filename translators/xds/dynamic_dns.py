"""Host names: whom to ask for them, and those that are resolved when a request for one comes."""

from datetime import timedelta

from envoy_data_plane.envoy.config.cluster.v3 import (
    ClusterCustomClusterType,
    ClusterDnsLookupFamily,
)
from envoy_data_plane.envoy.config.core.v3 import TypedExtensionConfig
from envoy_data_plane.envoy.extensions.clusters.dynamic_forward_proxy.v3 import ClusterConfig
from envoy_data_plane.envoy.extensions.common.dynamic_forward_proxy.v3 import DnsCacheConfig
from envoy_data_plane.envoy.extensions.filters.http.dynamic_forward_proxy.v3 import FilterConfig
from envoy_data_plane.envoy.extensions.network.dns_resolver.cares.v3 import CaresDnsResolverConfig
from envoy_data_plane.envoy.type.matcher.v3 import AddressMatcher

from translators.ir.cluster import NameCache
from translators.wire import pack
from translators.xds.address import cidr, socket_address, split_address

_REFRESH = timedelta(seconds=60)
_FORBIDDEN = (
    *("0.0.0.0/32", "127.0.0.1/32", "169.254.0.0/16"),
    *("::/127", "fe80::/10", "::ffff:0:0/96"),
)
_UNUSED = timedelta(minutes=5)


def resolver(servers: tuple[str, ...]) -> TypedExtensionConfig | None:
    """Asks these servers, ``address:port``; None if there are none: then those of the host."""
    if not servers:
        return None
    addresses = [socket_address(*split_address(server)) for server in servers]
    return TypedExtensionConfig(
        name="envoy.network.dns_resolver.cares",
        typed_config=pack(CaresDnsResolverConfig(resolvers=addresses)),
    )


def dynamic_cluster(name: str, servers: tuple[str, ...]) -> ClusterCustomClusterType:
    """A cluster whose endpoints are the names in the cache that it shares with its filter."""
    config = ClusterConfig(
        dns_cache_config=_cache(name, servers),
        # The options of TLS, which Envoy asks for otherwise: requests go on as they came, without.
        allow_insecure_cluster_options=True,
    )
    return ClusterCustomClusterType(
        name="envoy.clusters.dynamic_forward_proxy", typed_config=pack(config)
    )


def resolve_on_demand(names: NameCache) -> FilterConfig:
    """Holds a request until its host is resolved, if its route leads to the cluster of the names.

    What filter state says of the port counts for a host without one.
    """
    return FilterConfig(
        dns_cache_config=_cache(names.cluster, names.dns_servers),
        allow_dynamic_host_from_filter_state=True,
    )


def _cache(name: str, servers: tuple[str, ...]) -> DnsCacheConfig:
    """Envoy refuses two caches of one name with different settings."""
    return DnsCacheConfig(
        name=name,
        dns_lookup_family=ClusterDnsLookupFamily.V4_PREFERRED,
        dns_refresh_rate=_REFRESH,
        host_ttl=_UNUSED,
        typed_dns_resolver_config=resolver(servers),
        # Whoever owns a name says where it leads: never to the proxy itself, nor to its link, where
        # clouds tell secrets.
        resolved_address_filter=AddressMatcher(ranges=[cidr(each) for each in _FORBIDDEN]),
    )
