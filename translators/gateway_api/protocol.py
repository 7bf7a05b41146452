"""What a service port speaks (Istio's protocol selection)."""

from enum import StrEnum

from translators.ir.cluster import UpstreamProtocol
from translators.resources.core import ServicePort


class PortProtocol(StrEnum):
    """How the connections to a port are treated."""

    HTTP = "http"
    HTTP2 = "http2"
    GRPC_WEB = "grpc-web"  # gRPC as browsers speak it, sent on as gRPC
    TCP = "tcp"
    TLS = "tls"  # forwarded as it is
    AUTO = "auto"  # not declared: sniffed

    @property
    def speaks_http(self) -> bool:
        """Whether requests to the port can be routed."""
        return self not in (PortProtocol.TCP, PortProtocol.TLS)

    @property
    def forwards_bytes(self) -> bool:
        """Whether there are connections to the port that carry no HTTP."""
        return self not in (PortProtocol.HTTP, PortProtocol.HTTP2, PortProtocol.GRPC_WEB)


_STANDARD = {
    "kubernetes.io/h2c": PortProtocol.HTTP2,
    "kubernetes.io/ws": PortProtocol.HTTP,
    "kubernetes.io/wss": PortProtocol.TLS,
}
_BY_NAME = {
    "http": PortProtocol.HTTP,
    "http2": PortProtocol.HTTP2,
    "grpc": PortProtocol.HTTP2,
    "https": PortProtocol.TLS,
    "tls": PortProtocol.TLS,
    "tcp": PortProtocol.TCP,
    "mongo": PortProtocol.TCP,
    "mysql": PortProtocol.TCP,
    "redis": PortProtocol.TCP,
}
_WELL_KNOWN_TCP = frozenset({25, 53, 3306, 27017})  # their servers speak first


def protocol_of(port: ServicePort) -> PortProtocol | None:
    """What a port speaks: by ``appProtocol``, else by the port's name up to its first dash.

    None if the port can't be served at all because it isn't TCP.
    """
    if port.protocol != "TCP":
        return None
    if port.app_protocol in _STANDARD:
        return _STANDARD[port.app_protocol]
    name = (port.app_protocol or port.name).lower()
    if f"{name}-".startswith("grpc-web-"):
        return PortProtocol.GRPC_WEB
    declared = _BY_NAME.get(name.partition("-")[0])
    if declared is not None:
        return declared
    return PortProtocol.TCP if port.port in _WELL_KNOWN_TCP else PortProtocol.AUTO


def http_upstream(protocol: PortProtocol) -> UpstreamProtocol:
    """What requests to such a port are sent on as."""
    match protocol:
        case PortProtocol.HTTP2 | PortProtocol.GRPC_WEB:
            return UpstreamProtocol.HTTP2
        case PortProtocol.AUTO:
            return UpstreamProtocol.AS_DOWNSTREAM
        case PortProtocol.HTTP | PortProtocol.TCP | PortProtocol.TLS:
            return UpstreamProtocol.HTTP1
