"""What a waypoint's pod shows to the kubelet and to Prometheus: that it is ready, its metrics.

The admin interface itself stays on the pod's own loopback address.
"""

from betterproto2 import Message
from envoy_data_plane.envoy.config.cluster.v3 import Cluster
from envoy_data_plane.envoy.config.core.v3 import Address
from envoy_data_plane.envoy.config.endpoint.v3 import (
    ClusterLoadAssignment,
    Endpoint,
    LbEndpoint,
    LocalityLbEndpoints,
)
from envoy_data_plane.envoy.config.listener.v3 import Filter, FilterChain, Listener
from envoy_data_plane.envoy.config.route.v3 import (
    HeaderMatcher,
    Route,
    RouteAction,
    RouteConfiguration,
    RouteMatch,
    VirtualHost,
)
from envoy_data_plane.envoy.extensions.filters.http.health_check.v3 import HealthCheck
from envoy_data_plane.envoy.extensions.filters.http.router.v3 import Router
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import (
    HttpConnectionManager,
    HttpFilter,
)
from envoy_data_plane.envoy.type.matcher.v3 import StringMatcher
from envoy_data_plane.envoy.type.v3 import Percent

from translators.ir.bootstrap import METRICS_PATH, READY_PATH, Bootstrap
from translators.wire import pack
from translators.xds.address import socket_address, split_address
from translators.xds.names import MAIN_INTERNAL

_ADMIN = "admin"
_GET = HeaderMatcher(name=":method", string_match=StringMatcher(exact="GET"))


def probe_listeners(node: Bootstrap) -> list[Listener]:
    """The listeners of a bootstrap. They answer to one path each, and to GET alone."""
    return [
        *([_ready(node.ready)] if node.ready else []),
        *([_metrics(node.metrics)] if node.metrics else []),
    ]


def probe_clusters(node: Bootstrap) -> list[Cluster]:
    """What those listeners lead to."""
    return [local_cluster(_ADMIN, node.admin)] if node.metrics else []


def local_cluster(name: str, address: str) -> Cluster:
    """A cluster of one address, ``ip:port``."""
    return Cluster(
        name=name,
        load_assignment=ClusterLoadAssignment(
            cluster_name=name,
            endpoints=[LocalityLbEndpoints(lb_endpoints=[LbEndpoint(endpoint=_at(address))])],
        ),
    )


def http_listener(name: str, address: str, filters: list[HttpFilter], *routes: Route) -> Listener:
    """A listener for plain HTTP; what no route matches is 404."""
    manager = HttpConnectionManager(
        stat_prefix=name,
        route_config=RouteConfiguration(
            virtual_hosts=[VirtualHost(name=name, domains=["*"], routes=list(routes))]
        ),
        http_filters=[*filters, filter_("envoy.filters.http.router", Router())],
    )
    chain = Filter(name="envoy.filters.network.http_connection_manager", typed_config=pack(manager))
    return Listener(
        name=name,
        address=_address(address),
        filter_chains=[FilterChain(filters=[chain])],
        ignore_global_conn_limit=True,  # many clients are no reason to seem dead
    )


def filter_(name: str, config: Message) -> HttpFilter:
    """A filter of such a listener."""
    return HttpFilter(name=name, typed_config=pack(config))


def route_to(cluster: str, path: str, *headers: HeaderMatcher) -> Route:
    """A route of one path."""
    match = RouteMatch(path=path, headers=list(headers))
    return Route(match=match, route=RouteAction(cluster=cluster))


def _ready(address: str) -> Listener:
    """Says 200 once this Envoy works by its first configuration, until it is told to drain.

    It accepts connections only when that configuration is there, and then asks for a cluster that
    every one has: one that was refused doesn't count.
    """
    check = HealthCheck(
        pass_through_mode=False,
        headers=[HeaderMatcher(name=":path", string_match=StringMatcher(exact=READY_PATH)), _GET],
        cluster_min_healthy_percentages={MAIN_INTERNAL: Percent(value=0.0)},
    )
    return http_listener("ready", address, [filter_("envoy.filters.http.health_check", check)])


def _metrics(address: str) -> Listener:
    return http_listener("metrics", address, [], route_to(_ADMIN, METRICS_PATH, _GET))


def _at(address: str) -> Endpoint:
    return Endpoint(address=_address(address))


def _address(text: str) -> Address:
    return socket_address(*split_address(text))
