"""Pods addressed by their own IP: the listener for them, and the tunnels that lead to it.

Pods come and go all the time. All that there is of each is its address in a virtual host of the
route table ``connect``; the listener and the clusters behind it are the same for all.
"""

from collections.abc import Iterable, Iterator

from envoy_data_plane.envoy.config.core.v3 import TrafficDirection
from envoy_data_plane.envoy.config.listener.v3 import (
    FilterChain,
    Listener,
    ListenerInternalListenerConfig,
)
from envoy_data_plane.envoy.config.route.v3 import VirtualHost

from translators.ir.listener import ConnectPods, DirectListener
from translators.xds.access_log import refused_connection_log
from translators.xds.address import join_host
from translators.xds.connect_policy import on_connect_to_hosts
from translators.xds.filters.menu import per_filter_config
from translators.xds.filters.set_filter_state import armed_destination, same_destination
from translators.xds.internal import (
    SNIFFING,
    by_protocol,
    chain_filters,
    refusing,
    sniffing_filters,
)
from translators.xds.names import ENCAP, MAIN_INTERNAL_DIRECT, PASSTHROUGH
from translators.xds.text import regex
from translators.xds.tunnel import tunnel_by_authority
from translators.xds.tunnel_guard import armed_on_connect

# Numbers that everybody reads alike: a policy for port 80 must not miss one for 080 or 65616.
_PORT = "[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]"
_AUTHORITY = rf"(?:[0-9.]+|\[[0-9a-f:.]+\]):(?:{_PORT})"


def direct_listener(node: DirectListener) -> Listener:
    """The listener that asks nothing but what is spoken."""
    return Listener(
        name=MAIN_INTERNAL_DIRECT,
        internal_listener=ListenerInternalListenerConfig(),
        traffic_direction=TrafficDirection.INBOUND,
        listener_filters=sniffing_filters(),
        listener_filters_timeout=SNIFFING,
        continue_on_listener_filters_timeout=True,
        access_log=[refused_connection_log()],
        filter_chain_matcher=by_protocol(node.http, node.tcp),
        filter_chains=[
            *(
                FilterChain(name=chain.name, filters=[same_destination(), *chain_filters(chain)])
                for chain in (node.http, node.tcp)
            ),
            refusing(),
        ],
    )


def pod_hosts(groups: Iterable[ConnectPods]) -> Iterator[VirtualHost]:
    """A virtual host for each group that has an address which no group before it has."""
    taken: set[str] = set()
    for group in groups:
        fresh = [each for each in dict.fromkeys(group.addresses) if each not in taken]
        taken.update(fresh)
        if fresh:
            yield _virtual_host(group, fresh)


def _virtual_host(group: ConnectPods, addresses: list[str]) -> VirtualHost:
    hosts = [join_host(address) for address in addresses]
    armed = armed_on_connect(group, lambda rules: on_connect_to_hosts(rules, addresses))
    cluster = ENCAP if group.identity else PASSTHROUGH
    return VirtualHost(
        name=f"direct|{group.identity or PASSTHROUGH}",
        domains=[f"{host}:*" for host in hosts],
        routes=[tunnel_by_authority("direct", MAIN_INTERNAL_DIRECT, regex(_AUTHORITY))],
        typed_per_filter_config=per_filter_config(armed)
        | armed_destination(cluster, group.identity),
    )
