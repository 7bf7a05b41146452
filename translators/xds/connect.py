"""The route table ``connect``: which destinations there are, and who may open a tunnel to them."""

from collections.abc import Iterable, Iterator
from datetime import timedelta

from envoy_data_plane.envoy.config.route.v3 import (
    Route,
    RouteAction,
    RouteActionUpgradeConfig,
    RouteActionUpgradeConfigConnectConfig,
    RouteConfiguration,
    RouteMatch,
    RouteMatchConnectMatcher,
    VirtualHost,
)

from translators.ir.listener import ConnectHost, ConnectTable
from translators.xds.connect_policy import on_connect
from translators.xds.filters.menu import per_filter_config
from translators.xds.filters.rbac import armed_rbac
from translators.xds.metadata import provenance
from translators.xds.names import CONNECT_ROUTES


def connect_table(node: ConnectTable) -> RouteConfiguration:
    """A virtual host for each destination, found by a look-up of the CONNECT's authority.

    There is none for other authorities: those are answered 404.
    """
    return RouteConfiguration(
        name=CONNECT_ROUTES,
        virtual_hosts=[
            _virtual_host(host, authorities) for host, authorities in _distinct(node.hosts)
        ],
        validate_clusters=False,
        metadata=provenance(node.origins),
    )


def _distinct(hosts: Iterable[ConnectHost]) -> Iterator[tuple[ConnectHost, list[str]]]:
    """Each host with the authorities that no host before it has, if there are any.

    Envoy refuses a table in which two hosts share one.
    """
    taken: set[str] = set()
    for host in hosts:
        fresh = [each for each in dict.fromkeys(host.authorities) if each not in taken]
        taken.update(fresh)
        if fresh:
            yield host, fresh


def _virtual_host(host: ConnectHost, authorities: list[str]) -> VirtualHost:
    guard = on_connect(host.authorization, tuple(authorities))
    return VirtualHost(
        name=host.name,
        domains=authorities,
        routes=[_tunnel_to(host)],
        typed_per_filter_config=per_filter_config(armed_rbac(guard)),
    )


def _tunnel_to(host: ConnectHost) -> Route:
    tunnel = RouteActionUpgradeConfig(
        upgrade_type="CONNECT", connect_config=RouteActionUpgradeConfigConnectConfig()
    )
    return Route(
        name=host.name,
        match=RouteMatch(connect_matcher=RouteMatchConnectMatcher()),
        route=RouteAction(cluster=host.cluster, timeout=timedelta(0), upgrade_configs=[tunnel]),
    )
