"""Access logs: JSON on stdout, so that no value can forge a line."""

from envoy_data_plane.envoy.config.accesslog.v3 import (
    AccessLog,
    AccessLogFilter,
    ComparisonFilter,
    ComparisonFilterOp,
    ExtensionFilter,
    ResponseFlagFilter,
    StatusCodeFilter,
)
from envoy_data_plane.envoy.config.core.v3 import RuntimeUInt32, SubstitutionFormatString
from envoy_data_plane.envoy.extensions.access_loggers.filters.cel.v3 import ExpressionFilter
from envoy_data_plane.envoy.extensions.access_loggers.stream.v3 import StdoutAccessLog

from translators.wire import pack, shared
from translators.xds.metadata import struct
from translators.xds.names import (
    CONNECT_ORIGINATE,
    CONNECT_TERMINATE,
    OPAQUE_POLICY,
    PEER_PRINCIPAL,
    REFUSED,
    TLS_DISPATCH,
)

_CONNECTION = {
    "start_time": "%START_TIME%",
    "source": "%DOWNSTREAM_REMOTE_ADDRESS%",
    "destination": "%DOWNSTREAM_LOCAL_ADDRESS%",
    "bytes_received": "%BYTES_RECEIVED%",
    "bytes_sent": "%BYTES_SENT%",
    "duration_ms": "%DURATION%",
    "flags": "%RESPONSE_FLAGS%",
    "upstream_failure": "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
}
# Says which of many chains it was without being a text of its own in each of them.
_CHAIN = "%FILTER_CHAIN_NAME%"
_PEER = {"peer": f"%FILTER_STATE({PEER_PRINCIPAL}:PLAIN)%"}
_UPSTREAM = {"upstream_cluster": "%UPSTREAM_CLUSTER%", "upstream_host": "%UPSTREAM_HOST%"}
_RESPONSE = {"code": "%RESPONSE_CODE%", "details": "%RESPONSE_CODE_DETAILS%"}
_REQUEST = {
    "method": "%REQ(:METHOD)%",
    "authority": "%REQ(:AUTHORITY)%",
    "path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
    "protocol": "%PROTOCOL%",
    "user_agent": "%REQ(USER-AGENT)%",
    "request_id": "%REQ(X-REQUEST-ID)%",
    "route": "%ROUTE_NAME%",
}


@shared
def request_log() -> AccessLog:
    """Every request of the service port that the filter chain is named after."""
    return _log(_CHAIN, _CONNECTION | _PEER | _REQUEST | _RESPONSE | _UPSTREAM)


@shared
def connection_log() -> AccessLog:
    """Every connection that carries no HTTP, of the port that the filter chain is named after."""
    details = {"details": "%CONNECTION_TERMINATION_DETAILS%"}
    return _log(_CHAIN, _CONNECTION | _PEER | details | _UPSTREAM)


def dispatch_log() -> AccessLog:
    """Every connection that is routed by its server name, which the authority begins with."""
    authority = {"authority": "%REQ(:AUTHORITY)%", "route": "%ROUTE_NAME%"}
    return _log(TLS_DISPATCH, _CONNECTION | _PEER | authority | _RESPONSE | _UPSTREAM)


def refused_tunnel_log() -> AccessLog:
    """Tunnels that a client did not get."""
    refused = StatusCodeFilter(
        comparison=ComparisonFilter(
            op=ComparisonFilterOp.GE, value=RuntimeUInt32(default_value=400, runtime_key="unset")
        )
    )
    peer = {"peer": "%DOWNSTREAM_PEER_URI_SAN%", "authority": "%REQ(:AUTHORITY)%"}
    return _log(
        CONNECT_TERMINATE,
        _CONNECTION | peer | _RESPONSE,
        AccessLogFilter(status_code_filter=refused),
    )


@shared
def refused_connection_log() -> AccessLog:
    """Connections that turned out to carry no HTTP, and that policies deny; ``policy``: a DENY."""
    refused = ExtensionFilter(
        name="refused",
        typed_config=pack(ExpressionFilter(expression=f"xds.filter_chain_name == '{REFUSED}'")),
    )
    policy = {"policy": f"%FILTER_STATE({OPAQUE_POLICY}:PLAIN)%"}
    return _log(_CHAIN, _CONNECTION | _PEER | policy, AccessLogFilter(extension_filter=refused))


def failed_tunnel_log() -> AccessLog:
    """Tunnels that could not be opened; nothing else tells why."""
    failed = ResponseFlagFilter(flags=["UF", "URX", "UH", "UC"])
    return _log(
        CONNECT_ORIGINATE, _CONNECTION | _UPSTREAM, AccessLogFilter(response_flag_filter=failed)
    )


def _log(name: str, fields: dict[str, str], only: AccessLogFilter | None = None) -> AccessLog:
    text = SubstitutionFormatString(json_format=struct({"listener": name} | fields))
    return AccessLog(
        name="stdout", filter=only, typed_config=pack(StdoutAccessLog(log_format=text))
    )
