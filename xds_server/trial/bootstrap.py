"""The bootstrap of an Envoy that is a waypoint, its callers and its pods all at once.

What the translators made of a waypoint stands in it unchanged, but for four things: the HBONE
listener takes the client's address from a PROXY header, so that a caller may come from any
address; the claims of a request are those in its header ``x-waypost-claims``, as if a token had
been verified; protocols are sniffed with more patience, so that no request passes for bytes because
the machine is busy; and every cluster of a service leads to a listener that answers 200. A caller
is a listener that carries bytes to the waypoint by HBONE under its own identity: to the address and
port, and from the address, that a PROXY header in front of the bytes names.
"""

from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from betterproto2 import Message
from envoy_data_plane.google.protobuf import Struct, Value
from envoy_data_plane.message_pool import default_message_pool

from translators.ir.listener import ConnectTerminate
from translators.ir.secret import Certificate, TrustBundle
from translators.wire import Resource
from translators.xds import key_of, render
from translators.xds.names import CONNECT_TERMINATE, MAIN_INTERNAL_SNIFF, ROOTS, SVID
from xds_server.demo.ztunnel import Address
from xds_server.identity.svid import Svid
from xds_server.trial.static import Json, static_bootstrap

_TYPES = "type.googleapis.com/envoy."
CLAIMS_HEADER = "x-waypost-claims"
"""The header with the claims that a trial takes for verified."""

_ANSWERS = "waypost.answers"
_OF_DESTINATIONS = ("transportSocket", "clusterType", "lbPolicy", "originalDstLbConfig")


@dataclass(frozen=True, slots=True)
class Caller:
    """A client of the waypoint: it listens on ``listen`` for what it shall say."""

    listen: Address
    svid: Svid


def trial_bootstrap(
    resources: Iterable[Resource],
    *,
    waypoint: tuple[Address, Svid],
    trust_domains: tuple[str, ...],
    roots: bytes,
    callers: Iterable[Caller],
    answers: Address,
) -> Json:
    """The bootstrap as JSON-ready values, without an admin interface.

    ``waypoint`` is where it listens and who it is; ``answers`` is where the pods' stand-in does.
    """
    address, svid = waypoint
    own = (
        ConnectTerminate(str(address), trust_domains),
        Certificate(SVID, svid.chain, svid.key),
        TrustBundle(ROOTS, roots),
    )
    messages = [(key_of(node).type_url.value, render(node)) for node in own]
    config = static_bootstrap([*messages, *map(_message, resources)])
    static = config["staticResources"]
    for listener in static["listeners"]:
        if listener["name"] == CONNECT_TERMINATE:
            listener["listenerFilters"] = [_proxy_protocol()]
        if listener["name"] == MAIN_INTERNAL_SNIFF:
            listener["listenerFiltersTimeout"] = "10s"
        if listener["name"].startswith("main_"):
            _believe_claims(listener)
    static["clusters"] = [_answered(cluster, answers) for cluster in static["clusters"]]
    for caller in callers:
        static["listeners"].append(_caller_listener(caller))
        static["clusters"].append(_caller_cluster(caller, address, roots))
    static["listeners"].append(_answering_listener(answers))
    return config


def encode_claims(claims: Mapping[str, Any]) -> str:
    """The value of the header ``CLAIMS_HEADER`` that makes these the claims of a request."""
    return b64encode(bytes(Value(struct_value=Struct.from_dict(dict(claims))))).decode()


def _believe_claims(listener: Json) -> None:
    """Put a filter in front of all others that takes the claims from a header, and the header."""
    rule = {
        "header": CLAIMS_HEADER,
        "remove": True,
        "onHeaderPresent": {
            "metadataNamespace": "envoy.filters.http.jwt_authn",
            "key": "payload",
            "type": "PROTOBUF_VALUE",
            "encode": "BASE64",
        },
    }
    believing = _extension(
        "waypost.claims",
        "extensions.filters.http.header_to_metadata.v3.Config",
        {"requestRules": [rule]},
    )
    for chain in listener.get("filterChains", ()):
        for filter_ in chain["filters"]:
            if filter_["name"] == "envoy.filters.network.http_connection_manager":
                filter_["typedConfig"]["httpFilters"].insert(0, believing)


def _message(resource: Resource) -> tuple[str, Message]:
    type_url = resource.key.type_url.value
    message: Message = default_message_pool.url_to_type[type_url].parse(resource.body)
    return type_url, message


def _answered(cluster: Json, answers: Address) -> Json:
    """A cluster of a service, leading to the answers; any other cluster as it is."""
    if "|" not in cluster["name"]:
        return cluster
    plain = {key: value for key, value in cluster.items() if key not in _OF_DESTINATIONS}
    return {**plain, "type": "STATIC", "loadAssignment": _endpoint(cluster["name"], answers)}


def _caller_listener(caller: Caller) -> Json:
    name = _name(caller)
    proxy = _extension(
        "envoy.filters.network.tcp_proxy",
        "extensions.filters.network.tcp_proxy.v3.TcpProxy",
        {
            "statPrefix": "caller",
            "cluster": name,
            "tunnelingConfig": {"hostname": "%DOWNSTREAM_LOCAL_ADDRESS%"},
        },
    )
    return {
        "name": name,
        "address": _socket_address(caller.listen),
        "listenerFilters": [_proxy_protocol()],
        "filterChains": [{"filters": [proxy]}],
    }


def _caller_cluster(caller: Caller, waypoint: Address, roots: bytes) -> Json:
    tls = {
        "alpnProtocols": ["h2"],
        "tlsParams": {
            "tlsMinimumProtocolVersion": "TLSv1_3",
            "tlsMaximumProtocolVersion": "TLSv1_3",
        },
        "tlsCertificates": [
            {
                "certificateChain": {"inlineString": caller.svid.chain.decode()},
                "privateKey": {"inlineString": caller.svid.key.decode()},
            }
        ],
        "validationContext": {"trustedCa": {"inlineString": roots.decode()}},
    }
    secure = _extension(
        "tls",
        "extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        {"commonTlsContext": tls},
    )
    # The PROXY header hands on the address that the caller was told to come from.
    addressed = _extension(
        "proxy_protocol",
        "extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport",
        {"config": {"version": "V2"}, "transportSocket": secure},
    )
    http2 = {
        "@type": f"{_TYPES}extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicitHttpConfig": {"http2ProtocolOptions": {"allowConnect": True}},
    }
    return {
        "name": _name(caller),
        "type": "STATIC",
        "loadAssignment": _endpoint(_name(caller), waypoint),
        "typedExtensionProtocolOptions": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": http2
        },
        "transportSocket": addressed,
    }


def _answering_listener(answers: Address) -> Json:
    """Answers 200 to all requests, with the path that it got in ``x-waypost-path``."""
    everything = {
        "match": {"prefix": "/"},
        "directResponse": {"status": 200},
        "responseHeadersToAdd": [{"header": {"key": "x-waypost-path", "value": "%REQ(:PATH)%"}}],
    }
    manager = _extension(
        "envoy.filters.network.http_connection_manager",
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        {
            "statPrefix": "answers",
            "routeConfig": {
                "virtualHosts": [{"name": "all", "domains": ["*"], "routes": [everything]}]
            },
            "httpFilters": [_extension("router", "extensions.filters.http.router.v3.Router", {})],
        },
    )
    return {
        "name": _ANSWERS,
        "address": _socket_address(answers),
        "filterChains": [{"filters": [manager]}],
    }


def _proxy_protocol() -> Json:
    return _extension(
        "envoy.filters.listener.proxy_protocol",
        "extensions.filters.listener.proxy_protocol.v3.ProxyProtocol",
        {},
    )


def _name(caller: Caller) -> str:
    return f"caller|{caller.listen}"


def _endpoint(cluster: str, address: Address) -> Json:
    endpoint = {"endpoint": {"address": _socket_address(address)}}
    return {"clusterName": cluster, "endpoints": [{"lbEndpoints": [endpoint]}]}


def _socket_address(address: Address) -> Json:
    return {"socketAddress": {"address": address.ip, "portValue": address.port}}


def _extension(name: str, type_: str, config: dict[str, Any]) -> Json:
    return {"name": name, "typedConfig": {"@type": _TYPES + type_, **config}}
