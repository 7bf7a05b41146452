"""Routing by the server name of a TLS handshake (Gateway API TLSRoute, passthrough).

The authority ``<server name>.<address>:<port>`` names both, so that one look-up with Envoy's own
wildcards finds the destination, and one route table serves every service.
"""

from collections.abc import Iterable, Iterator

from envoy_data_plane.envoy.config.core.v3 import TrafficDirection
from envoy_data_plane.envoy.config.listener.v3 import (
    FilterChain,
    Listener,
    ListenerFilter,
    ListenerInternalListenerConfig,
)
from envoy_data_plane.envoy.config.route.v3 import (
    RouteConfiguration,
    VirtualHost,
    WeightedClusterClusterWeight,
)
from envoy_data_plane.envoy.extensions.filters.listener.tls_inspector.v3 import (
    TlsInspector as Inspector,
)

from translators.ir.tls import TlsDispatcher, TlsHost, TlsInspector, TlsTable
from translators.wire import pack
from translators.xds.connect_policy import on_handshake
from translators.xds.filters.ext_authz import armed_checks
from translators.xds.filters.menu import per_filter_config
from translators.xds.filters.rbac import armed_rbac
from translators.xds.filters.set_filter_state import same_connection
from translators.xds.filters.tcp_proxy import dispatch
from translators.xds.http import dispatched
from translators.xds.listener import original_dst
from translators.xds.metadata import provenance
from translators.xds.names import MAIN_INTERNAL_TLS, TLS_DISPATCH, TLS_ROUTES
from translators.xds.tunnel import rule_clusters, shares_of, tunnel_by


def tls_inspector(node: TlsInspector) -> Listener:
    """The listener that waits for a server name; bytes that are no TLS have none."""
    inspector = ListenerFilter(
        name="envoy.filters.listener.tls_inspector", typed_config=pack(Inspector())
    )
    return Listener(
        name=MAIN_INTERNAL_TLS,
        internal_listener=ListenerInternalListenerConfig(),
        traffic_direction=TrafficDirection.INBOUND,
        listener_filters=[original_dst(), inspector],
        filter_chains=[
            FilterChain(name="default", filters=[same_connection(), dispatch(node.max_duration_ms)])
        ],
    )


def tls_dispatcher(_: TlsDispatcher) -> Listener:
    """The listener that finds the cluster for a server name and a destination."""
    return Listener(
        name=TLS_DISPATCH,
        internal_listener=ListenerInternalListenerConfig(),
        traffic_direction=TrafficDirection.INBOUND,
        listener_filters=[original_dst()],
        filter_chains=[FilterChain(name="default", filters=[dispatched()])],
    )


def tls_table(node: TlsTable) -> RouteConfiguration:
    """A virtual host for each server name of each destination; the longest name wins."""
    return RouteConfiguration(
        name=TLS_ROUTES,
        virtual_hosts=[_virtual_host(host, domains) for host, domains in _distinct(node.hosts)],
        validate_clusters=False,
        metadata=provenance(node.origins),
    )


def tls_clusters(node: TlsTable) -> tuple[str, ...]:
    """The clusters that the table leads to or asks for consent, each once."""
    chosen = rule_clusters(rule for host in node.hosts for rule in host.rules)
    asked = (check.cluster for host in node.hosts for check in host.authorization.custom)
    return tuple(dict.fromkeys((*chosen, *asked)))


def _distinct(hosts: Iterable[TlsHost]) -> Iterator[tuple[TlsHost, list[str]]]:
    """Each host with the domains that no host before it has; Envoy refuses what is there twice."""
    taken: set[str] = set()
    for host in hosts:
        named = dict.fromkeys(f"{host.server_name}.{each}" for each in host.authorities)
        fresh = [domain for domain in named if domain not in taken]
        taken.update(fresh)
        if fresh:
            yield host, fresh


def _virtual_host(host: TlsHost, domains: list[str]) -> VirtualHost:
    guard = on_handshake(host.authorization)
    return VirtualHost(
        name=domains[0],
        domains=domains,
        routes=[
            tunnel_by(
                rule,
                [
                    WeightedClusterClusterWeight(name=cluster, weight=weight)
                    for cluster, weight in shares_of(rule)
                ],
            )
            for rule in host.rules
        ],
        typed_per_filter_config=per_filter_config((*armed_checks(guard), *armed_rbac(guard))),
    )
