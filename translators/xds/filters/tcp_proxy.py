"""Forwarding bytes, to a cluster or into a new tunnel."""

from datetime import timedelta

from envoy_data_plane.envoy.config.core.v3 import HeaderValue, HeaderValueOption
from envoy_data_plane.envoy.config.listener.v3 import Filter
from envoy_data_plane.envoy.extensions.filters.network.tcp_proxy.v3 import (
    TcpProxy,
    TcpProxyTunnelingConfig,
)

from translators.wire import pack
from translators.xds.access_log import connection_log, failed_tunnel_log
from translators.xds.names import (
    CONNECT_ORIGINATE,
    MAIN_INTERNAL_TLS,
    SERVER_NAME_HEADER,
    TLS_DISPATCH,
    stat_name,
)

# The client's proxy owns the connection and knows when it has been idle for too long.
_NEVER = timedelta(0)


def forward(name: str, cluster: str, max_ms: int | None = None) -> Filter:
    """Bytes to a cluster and back, under the statistics of ``name``, for at most ``max_ms``."""
    return _filter(
        TcpProxy(
            stat_prefix=stat_name(name),
            cluster=cluster,
            idle_timeout=_NEVER,
            max_downstream_connection_duration=_age(max_ms),
            access_log=[connection_log()],
        )
    )


def tunnel() -> Filter:
    """Bytes into a CONNECT for the address that the endpoint's metadata named."""
    return _filter(
        TcpProxy(
            stat_prefix=CONNECT_ORIGINATE,
            cluster=CONNECT_ORIGINATE,
            idle_timeout=_NEVER,
            tunneling_config=TcpProxyTunnelingConfig(hostname="%DOWNSTREAM_LOCAL_ADDRESS%"),
            access_log=[failed_tunnel_log()],
        )
    )


def dispatch(max_ms: int | None) -> Filter:
    """Bytes into a CONNECT that names their server name and destination, as one authority.

    A header tells the server name alone; without one there is no such header.
    """
    authority = "%REQUESTED_SERVER_NAME%.%DOWNSTREAM_LOCAL_ADDRESS%"
    return _filter(
        TcpProxy(
            stat_prefix=MAIN_INTERNAL_TLS,
            cluster=TLS_DISPATCH,
            idle_timeout=_NEVER,
            max_downstream_connection_duration=_age(max_ms),
            tunneling_config=TcpProxyTunnelingConfig(
                hostname=authority,
                headers_to_add=[
                    HeaderValueOption(
                        header=HeaderValue(key=SERVER_NAME_HEADER, value="%REQUESTED_SERVER_NAME%")
                    )
                ],
            ),
        )
    )


def _age(max_ms: int | None) -> timedelta | None:
    return None if max_ms is None else timedelta(milliseconds=max_ms)


def _filter(config: TcpProxy) -> Filter:
    return Filter(name="envoy.filters.network.tcp_proxy", typed_config=pack(config))
