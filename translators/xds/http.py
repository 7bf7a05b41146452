"""HTTP connection managers: of the tunnels, and of every HTTP service port."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

from betterproto2 import Message
from envoy_data_plane.envoy.config.core.v3 import (
    Http1ProtocolOptions,
    Http2ProtocolOptions,
    HttpProtocolOptions,
    KeepaliveSettings,
)
from envoy_data_plane.envoy.config.listener.v3 import Filter as NetworkFilter
from envoy_data_plane.envoy.config.rbac.v3 import RbacAction
from envoy_data_plane.envoy.extensions.filters.http.fault.v3 import HttpFault
from envoy_data_plane.envoy.extensions.filters.http.grpc_web.v3 import GrpcWeb
from envoy_data_plane.envoy.extensions.filters.http.header_mutation.v3 import HeaderMutation
from envoy_data_plane.envoy.extensions.filters.http.router.v3 import Router
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import (
    HttpConnectionManager,
    HttpConnectionManagerCodecType,
    HttpConnectionManagerForwardClientCertDetails,
    HttpConnectionManagerPathWithEscapedSlashesAction,
    HttpConnectionManagerServerHeaderTransformation,
    HttpConnectionManagerUpgradeConfig,
    HttpFilter,
    Rds,
)

from translators.ir.listener import HttpChain
from translators.wire import pack, shared, template
from translators.xds.access_log import dispatch_log, refused_tunnel_log, request_log
from translators.xds.config_source import ads
from translators.xds.dynamic_dns import resolve_on_demand
from translators.xds.filters.cors import inert_cors
from translators.xds.filters.ext_authz import CUSTOM_FILTERS, inert_check
from translators.xds.filters.header_mutation import client_identity, note_source, source_from_note
from translators.xds.filters.jwt_authn import inert_tokens
from translators.xds.filters.menu import Filter, discovered_filter, http_filter
from translators.xds.filters.rbac import (
    LAYERED_FILTERS,
    OPAQUE_FILTERS,
    TUNNEL_FILTERS,
    inert_rbac,
    inert_verdict,
)
from translators.xds.filters.set_filter_state import (
    CONNECT_DESTINATION,
    connect_authority,
    dynamic_port,
    found_anew,
    inert_destination,
    opaque_verdict,
)
from translators.xds.filters.stateful_session import inert_session
from translators.xds.names import (
    CONNECT_ROUTES,
    CONNECT_TERMINATE,
    TLS_DISPATCH,
    TLS_ROUTES,
    stat_name,
)

_NEVER = timedelta(0)

_ALWAYS = (Filter.CLIENT_IDENTITY, Filter.ROUTER)

_CONNECTION_GUARDS = (*CUSTOM_FILTERS, Filter.AUDIT, Filter.DENY, Filter.ALLOW)


def tunnels() -> NetworkFilter:
    """Takes CONNECT requests; its route table says which destinations exist and who may call."""
    return _filter(
        HttpConnectionManager(
            stat_prefix=CONNECT_TERMINATE,
            codec_type=HttpConnectionManagerCodecType.HTTP2,
            rds=_routes(CONNECT_ROUTES, patient=True),
            http2_protocol_options=_tunnel_protocol(),
            upgrade_configs=[HttpConnectionManagerUpgradeConfig(upgrade_type="CONNECT")],
            stream_idle_timeout=_NEVER,
            use_remote_address=False,
            generate_request_id=False,
            http_filters=_tunnel_filters(),
            access_log=[refused_tunnel_log()],
        )
    )


def dispatched() -> NetworkFilter:
    """Takes the CONNECTs that name a server name; its route table says where each goes."""
    return _filter(
        HttpConnectionManager(
            stat_prefix=TLS_DISPATCH,
            codec_type=HttpConnectionManagerCodecType.HTTP2,
            rds=_routes(TLS_ROUTES),
            http2_protocol_options=Http2ProtocolOptions(allow_connect=True),
            upgrade_configs=[HttpConnectionManagerUpgradeConfig(upgrade_type="CONNECT")],
            stream_idle_timeout=_NEVER,
            use_remote_address=False,
            generate_request_id=False,
            http_filters=[*map(_unarmed_filter, (*_CONNECTION_GUARDS, Filter.ROUTER))],
            access_log=[dispatch_log()],
        )
    )


def requests(chain: HttpChain) -> NetworkFilter:
    """Serves the requests of one service port.

    Paths are brought to one form before anything looks at them, and the client's address is the
    tunnel's, so that neither can be forged.
    """
    like = replace(chain, name="", host="", port=0)
    return _requests(chain.name, stat_name(chain.name), chain.host, like)


@template
def _requests(name: str, stat: str, host: str, like: HttpChain) -> NetworkFilter:
    return _filter(
        HttpConnectionManager(
            stat_prefix=stat,
            rds=_routes(name),
            # An HTTP/1.0 request need not name a host; policies must find one all the same.
            http_protocol_options=Http1ProtocolOptions(
                accept_http_10=True, default_host_for_http_10=host
            ),
            normalize_path=True,
            merge_slashes=True,
            path_with_escaped_slashes_action=(
                HttpConnectionManagerPathWithEscapedSlashesAction.UNESCAPE_AND_REDIRECT
            ),
            use_remote_address=False,
            early_header_mutation_extensions=[note_source()],
            original_ip_detection_extensions=[source_from_note()],
            # Keeps the header that the first filter writes over whatever the client sent.
            forward_client_cert_details=(
                HttpConnectionManagerForwardClientCertDetails.ALWAYS_FORWARD_ONLY
            ),
            server_header_transformation=(
                HttpConnectionManagerServerHeaderTransformation.PASS_THROUGH
            ),
            stream_idle_timeout=_NEVER,
            common_http_protocol_options=_lifetime(like.max_duration_ms),
            upgrade_configs=[HttpConnectionManagerUpgradeConfig(upgrade_type="websocket")],
            http_filters=_request_filters(like),
            access_log=[request_log()],
        )
    )


def _lifetime(max_ms: int | None) -> HttpProtocolOptions | None:
    """A connection of that age takes no more requests, and no stream gets older."""
    if max_ms is None:
        return None
    age = timedelta(milliseconds=max_ms)
    return HttpProtocolOptions(max_connection_duration=age, max_stream_duration=age)


def _tunnel_protocol() -> Http2ProtocolOptions:
    """All streams of a connection share a worker: few streams, so that clients open more."""
    return Http2ProtocolOptions(
        allow_connect=True,
        max_concurrent_streams=100,
        initial_stream_window_size=4 << 20,
        initial_connection_window_size=16 << 20,
        connection_keepalive=KeepaliveSettings(
            interval=timedelta(seconds=10), timeout=timedelta(seconds=20)
        ),
    )


def _tunnel_filters() -> list[HttpFilter]:
    """The authority comes first: RBAC reads the identity that it puts into filter state."""
    return [
        http_filter("connect_authority", connect_authority()),
        *map(_unarmed_filter, (*LAYERED_FILTERS, *_CONNECTION_GUARDS, *OPAQUE_FILTERS)),
        http_filter("opaque_verdict", opaque_verdict()),
        http_filter(CONNECT_DESTINATION, inert_destination()),
        _unarmed_filter(Filter.ROUTER),
    ]


def _request_filters(chain: HttpChain) -> list[HttpFilter]:
    menu = [each for each in Filter if each not in TUNNEL_FILTERS]
    if chain.tokens_first:
        menu.remove(Filter.TOKENS)
        menu.insert(menu.index(CUSTOM_FILTERS[0]), Filter.TOKENS)
    *before, router = map(_skipped_filter, menu)
    return [*_as_grpc(chain), *before, *_name_filters(chain), router]


def _as_grpc(chain: HttpChain) -> Iterator[HttpFilter]:
    """Routes are looked for once more: only then it can be seen that it is a gRPC call."""
    if chain.grpc_web:
        yield http_filter("envoy.filters.http.grpc_web", GrpcWeb())
        yield http_filter("as_grpc", found_anew())


def _name_filters(chain: HttpChain) -> Iterator[HttpFilter]:
    """What is allowed only: a request that is refused has no name looked up."""
    if chain.names is not None:
        yield http_filter("dynamic_port", dynamic_port(chain.names.port))
        yield http_filter(
            "envoy.filters.http.dynamic_forward_proxy", resolve_on_demand(chain.names)
        )


@shared
def _unarmed_filter(filter_: Filter) -> HttpFilter:
    return http_filter(filter_, _unarmed(filter_))


@shared
def _skipped_filter(filter_: Filter) -> HttpFilter:
    """A filter that requests pass by, unless their routes have a use for it."""
    if filter_ is Filter.TOKENS:
        return discovered_filter(filter_, inert_tokens(), skipped=True)
    return http_filter(filter_, _unarmed(filter_), skipped=filter_ not in _ALWAYS)


def _unarmed(filter_: Filter) -> Message:  # noqa: C901 (a closed union)
    """What a filter of the menu does where no route arms it."""
    match filter_:
        case Filter.EARLY_HEADERS:
            return HeaderMutation()
        case Filter.CLIENT_IDENTITY:
            return client_identity()
        case Filter.CUSTOM_1 | Filter.CUSTOM_2 | Filter.EXTERNAL_AUTH:
            return inert_check()
        case Filter.TOKENS:
            return inert_tokens()
        case Filter.AUDIT:
            return inert_rbac(RbacAction.LOG)
        case Filter.DENY | Filter.LAYERED_DENY:
            return inert_rbac(RbacAction.DENY)
        case Filter.ALLOW | Filter.LAYERED_ALLOW:
            return inert_rbac(RbacAction.ALLOW)
        case Filter.OPAQUE_DENY | Filter.OPAQUE_ALLOW:
            return inert_verdict(filter_)
        case Filter.FAULT:
            return HttpFault()
        case Filter.CORS:
            return inert_cors()
        case Filter.STATEFUL_SESSION:
            return inert_session()
        case Filter.ROUTER:
            return Router()


def _routes(name: str, *, patient: bool = False) -> Rds:
    return Rds(route_config_name=name, config_source=ads(patient=patient))


def _filter(config: HttpConnectionManager) -> NetworkFilter:
    return NetworkFilter(
        name="envoy.filters.network.http_connection_manager", typed_config=pack(config)
    )
