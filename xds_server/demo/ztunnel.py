"""The bootstrap of one stock Envoy that stands in for the ztunnels of every node.

Client side: a plain TCP listener per client and destination, whose bytes travel in an HTTP/2
CONNECT to the destination's waypoint, as ztunnel's outbound path sends them. Destination side: an
HBONE terminator on port 15008 of every pod, which connects to its own pod and to nothing else.
"""

from collections.abc import Iterable
from dataclasses import dataclass

HBONE_PORT = 15008

JsonObject = dict[str, object]

_TYPES = "type.googleapis.com/envoy."
_CONNECT: JsonObject = {"upgrade_type": "CONNECT"}


@dataclass(frozen=True, slots=True)
class Address:
    """An IP address and a TCP port."""

    ip: str
    port: int

    def __str__(self) -> str:
        """The address as an HTTP/2 authority: an IPv6 address stands in brackets."""
        return f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"


@dataclass(frozen=True, slots=True)
class SvidFiles:
    """An SVID on disk: its SPIFFE URI, and the paths of its PEM chain and PEM key."""

    uri: str
    chain: str
    key: str


@dataclass(frozen=True, slots=True)
class Waypoint:
    """Where a waypoint accepts HBONE, and the SPIFFE URI that its certificate must carry."""

    address: Address
    identity: str


@dataclass(frozen=True, slots=True)
class Client:
    """One workload's way to one service port.

    What connects to ``listen`` is carried to ``destination`` through ``waypoint`` under the
    workload's identity, and from the address that it listens on: that is its pod IP.
    """

    listen: Address
    svid: SvidFiles
    destination: Address
    waypoint: Waypoint


@dataclass(frozen=True, slots=True)
class Pod:
    """A workload that can be reached by HBONE, under its own identity."""

    ip: str
    svid: SvidFiles


def ztunnel_bootstrap(
    clients: Iterable[Client], pods: Iterable[Pod], root: str, admin: Address
) -> JsonObject:
    """The Envoy bootstrap as JSON-ready values; ``root`` is the path of the PEM trust bundle."""
    clients, pods = tuple(clients), tuple(pods)
    # Clients with the same identity and source share their connection to a waypoint.
    tunnels = {_tunnel_name(client): _tunnel_cluster(client, root) for client in clients}
    return {
        "node": {"id": "ztunnel", "cluster": "ztunnel"},
        "admin": {"address": _socket_address(admin)},
        "static_resources": {
            "listeners": [
                *(_outbound_listener(client) for client in clients),
                *(_inbound_listener(pod, root) for pod in pods),
            ],
            "clusters": [*tunnels.values(), _pods_cluster()],
        },
    }


def _outbound_listener(client: Client) -> JsonObject:
    proxy: JsonObject = {
        "stat_prefix": "outbound",
        "cluster": _tunnel_name(client),
        "idle_timeout": "0s",
        "tunneling_config": {"hostname": str(client.destination)},
        "access_log": [_failure_log(client)],
    }
    return {
        "name": f"outbound|{client.listen}",
        "address": _socket_address(client.listen),
        "filter_chains": [
            {
                "filters": [
                    _extension(
                        "envoy.filters.network.tcp_proxy",
                        "extensions.filters.network.tcp_proxy.v3.TcpProxy",
                        proxy,
                    )
                ]
            }
        ],
    }


def _failure_log(client: Client) -> JsonObject:
    """A line on stdout for each tunnel that could not be opened, or broke, and why."""
    reason = "%RESPONSE_FLAGS% %UPSTREAM_TRANSPORT_FAILURE_REASON%"
    line = f"[%START_TIME%] {client.svid.uri} to {client.destination}: {reason}\n"
    log = _extension(
        "envoy.access_loggers.stdout",
        "extensions.access_loggers.stream.v3.StdoutAccessLog",
        {"log_format": {"text_format_source": {"inline_string": line}}},
    )
    return {**log, "filter": {"response_flag_filter": {}}}


def _tunnel_name(client: Client) -> str:
    waypoint = client.waypoint
    return "|".join(
        (
            "waypoint",
            str(waypoint.address),
            waypoint.identity,
            client.svid.uri,
            client.listen.ip,
        )
    )


def _tunnel_cluster(client: Client, root: str) -> JsonObject:
    waypoint = client.waypoint
    name = _tunnel_name(client)
    endpoint = {"endpoint": {"address": _socket_address(waypoint.address)}}
    return {
        "name": name,
        "alt_stat_name": f"waypoint_{waypoint.address}".replace(".", "_"),
        "type": "STATIC",
        "connect_timeout": "2s",
        "upstream_bind_config": {
            "source_address": {"address": client.listen.ip, "port_value": 0},
        },
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
        "typed_extension_protocol_options": _http2_options(),
        "transport_socket": _extension(
            "envoy.transport_sockets.tls",
            "extensions.transport_sockets.tls.v3.UpstreamTlsContext",
            {"common_tls_context": _tls(client.svid, root, {"exact": waypoint.identity})},
        ),
    }


def _inbound_listener(pod: Pod, root: str) -> JsonObject:
    tls = {
        "require_client_certificate": True,
        "common_tls_context": _tls(pod.svid, root, {"prefix": _trust_domain(pod.svid.uri)}),
    }
    return {
        "name": f"inbound|{pod.ip}",
        "address": _socket_address(Address(pod.ip, HBONE_PORT)),
        "filter_chains": [
            {
                "transport_socket": _extension(
                    "envoy.transport_sockets.tls",
                    "extensions.transport_sockets.tls.v3.DownstreamTlsContext",
                    tls,
                ),
                "filters": [_terminator(pod)],
            }
        ],
    }


def _terminator(pod: Pod) -> JsonObject:
    return _extension(
        "envoy.filters.network.http_connection_manager",
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        {
            "stat_prefix": "inbound",
            "codec_type": "HTTP2",
            "stream_idle_timeout": "0s",
            "generate_request_id": False,
            "upgrade_configs": [_CONNECT],
            "http2_protocol_options": {"allow_connect": True},
            "route_config": _own_pod_routes(pod),
            "http_filters": [
                _extension(
                    "envoy.filters.http.router", "extensions.filters.http.router.v3.Router", {}
                )
            ],
        },
    )


def _own_pod_routes(pod: Pod) -> JsonObject:
    """Any port of the pod itself; another address finds no virtual host and is answered 404."""
    route = {
        "cluster": "pods",
        "timeout": "0s",
        "upgrade_configs": [{**_CONNECT, "connect_config": {}}],
    }
    ports = str(Address(pod.ip, 0)).removesuffix("0") + "*"
    return {
        "name": f"inbound|{pod.ip}",
        "virtual_hosts": [
            {
                "name": pod.ip,
                "domains": [ports],
                "routes": [{"match": {"connect_matcher": {}}, "route": route}],
            }
        ],
    }


def _pods_cluster() -> JsonObject:
    """Connects to the address that the CONNECT names."""
    return {
        "name": "pods",
        "type": "ORIGINAL_DST",
        "lb_policy": "CLUSTER_PROVIDED",
        "connect_timeout": "2s",
        "original_dst_lb_config": {"use_http_header": True, "http_header_name": ":authority"},
    }


def _http2_options() -> JsonObject:
    return {
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": f"{_TYPES}extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {"http2_protocol_options": {"allow_connect": True}},
        }
    }


def _tls(svid: SvidFiles, root: str, peer: dict[str, str]) -> JsonObject:
    """TLS 1.3 and HTTP/2 under ``svid``; the peer's URI SAN must match the matcher ``peer``."""
    return {
        "alpn_protocols": ["h2"],
        "tls_params": {
            "tls_minimum_protocol_version": "TLSv1_3",
            "tls_maximum_protocol_version": "TLSv1_3",
        },
        "tls_certificates": [
            {
                "certificate_chain": {"filename": svid.chain},
                "private_key": {"filename": svid.key},
            }
        ],
        "validation_context": {
            "trusted_ca": {"filename": root},
            "match_typed_subject_alt_names": [{"san_type": "URI", "matcher": peer}],
        },
    }


def _trust_domain(uri: str) -> str:
    """The prefix that every identity of the trust domain of ``uri`` has."""
    scheme, _, rest = uri.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}/"


def _extension(name: str, type_name: str, config: JsonObject) -> JsonObject:
    return {"name": name, "typed_config": {"@type": _TYPES + type_name, **config}}


def _socket_address(address: Address) -> JsonObject:
    return {"socket_address": {"address": address.ip, "port_value": address.port}}
