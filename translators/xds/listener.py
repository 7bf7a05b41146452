"""The listeners at both ends of the proxy: where tunnels arrive, and where they leave."""

from envoy_data_plane.envoy.config.core.v3 import TrafficDirection
from envoy_data_plane.envoy.config.listener.v3 import (
    FilterChain,
    Listener,
    ListenerConnectionBalanceConfig,
    ListenerConnectionBalanceConfigExactBalance,
    ListenerFilter,
    ListenerInternalListenerConfig,
)
from envoy_data_plane.envoy.extensions.filters.listener.original_dst.v3 import OriginalDst

from translators.ir.listener import ConnectOriginate, ConnectTerminate
from translators.wire import pack
from translators.xds.address import socket_address, split_address
from translators.xds.filters.set_filter_state import expected_identity
from translators.xds.filters.tcp_proxy import tunnel
from translators.xds.http import tunnels
from translators.xds.names import CONNECT_ORIGINATE, CONNECT_TERMINATE
from translators.xds.tls import accept_tunnels


def connect_terminate(node: ConnectTerminate) -> Listener:
    """The listener for HBONE: mutual TLS and CONNECT.

    Raises ValueError if ``bind`` is not ``address:port``.
    """
    host, port = split_address(node.bind)
    chain = FilterChain(
        name="default",
        transport_socket=accept_tunnels(node.trust_domains),
        filters=[tunnels()],
    )
    return Listener(
        name=CONNECT_TERMINATE,
        address=socket_address(host, port),
        traffic_direction=TrafficDirection.INBOUND,
        # Few connections live long and carry much: each worker gets its share.
        connection_balance_config=ListenerConnectionBalanceConfig(
            exact_balance=ListenerConnectionBalanceConfigExactBalance()
        ),
        filter_chains=[chain],
    )


def connect_originate(_: ConnectOriginate) -> Listener:
    """The internal listener that wraps bytes into a tunnel to where their endpoint says."""
    return Listener(
        name=CONNECT_ORIGINATE,
        internal_listener=ListenerInternalListenerConfig(),
        listener_filters=[original_dst()],
        filter_chains=[FilterChain(name="default", filters=[expected_identity(), tunnel()])],
    )


def original_dst() -> ListenerFilter:
    """Gives a connection the addresses that the step before it knew."""
    return ListenerFilter(
        name="envoy.filters.listener.original_dst", typed_config=pack(OriginalDst())
    )
