"""Facts that one listener hands to the next as filter state: who asks, from where, for what."""

from envoy_data_plane.envoy.config.core.v3 import DataSource, SubstitutionFormatString
from envoy_data_plane.envoy.config.listener.v3 import Filter
from envoy_data_plane.envoy.extensions.filters.common.set_filter_state.v3 import (
    FilterStateValue,
    FilterStateValueSharedWithUpstream,
)
from envoy_data_plane.envoy.extensions.filters.http.set_filter_state.v3 import Config as HttpConfig
from envoy_data_plane.envoy.extensions.filters.network.set_filter_state.v3 import (
    Config as NetworkConfig,
)
from envoy_data_plane.google.protobuf import Any

from translators.wire import pack
from translators.xds.filters.rbac import OPAQUE_FILTERS, verdict_prefix
from translators.xds.names import (
    EXPECTED_IDENTITY,
    HBONE_METADATA,
    LOCAL_ADDRESS,
    LOCAL_PRINCIPAL,
    OPAQUE_ALLOW,
    OPAQUE_DENY,
    OPAQUE_POLICY,
    PEER_PRINCIPAL,
    REMOTE_ADDRESS,
    TCP_DESTINATION,
)

CONNECT_DESTINATION = "connect_destination"
"""The filter of a tunnel that a share of its route arms."""

_EXPECTED_NAMES = "envoy.network.upstream_subject_alt_names"
_DYNAMIC_PORT = "envoy.upstream.dynamic_port"
_TCP_CLUSTER = "envoy.tcp_proxy.cluster"

# Envoy keeps apart the pooled connections whose shared state differs only if the state can be
# hashed. With a plain string a client could be handed a connection that bears another's identity.
_HASHABLE = "envoy.hashable_string"


def connect_authority() -> HttpConfig:
    """On a CONNECT: what the client named and who it is, for the internal listener behind.

    Routes are looked for once more, because some are for certain clients only.
    """
    return HttpConfig(
        clear_route_cache=True,
        on_request_headers=[
            _shared(LOCAL_ADDRESS, "%REQ(:AUTHORITY)%"),
            _shared(REMOTE_ADDRESS, "%DOWNSTREAM_REMOTE_ADDRESS%"),
            _shared(PEER_PRINCIPAL, "%DOWNSTREAM_PEER_URI_SAN%", _HASHABLE),
            _shared(LOCAL_PRINCIPAL, "%DOWNSTREAM_LOCAL_URI_SAN%", _HASHABLE),
        ],
    )


def opaque_verdict() -> HttpConfig:
    """On a CONNECT: whether it is to be closed if it turns out to carry no HTTP."""
    deny, allow = (verdict_prefix(filter_) for filter_ in OPAQUE_FILTERS)
    return HttpConfig(
        on_request_headers=[
            _noted(OPAQUE_DENY, f"{deny}shadow_engine_result"),
            _noted(OPAQUE_ALLOW, f"{allow}shadow_engine_result"),
            _noted(OPAQUE_POLICY, f"{deny}shadow_effective_policy_id"),
        ]
    )


def found_anew() -> HttpConfig:
    """On a request that another filter has changed: routes are looked for once more."""
    return HttpConfig(clear_route_cache=True)


def inert_destination() -> HttpConfig:
    """Says nothing of the cluster that bytes are forwarded to."""
    return HttpConfig()


def armed_destination(cluster: str, identity: str = "") -> dict[str, Any]:
    """On a CONNECT: the cluster that the TCP chain behind forwards to, instead of its own.

    ``identity`` is the SPIFFE ID that must be found there, for ``same_destination``.
    """
    text = _literal(cluster)
    # The object that the proxy reads can't be hashed; its twin keeps the pools apart.
    states = [_shared(_TCP_CLUSTER, text), _shared(TCP_DESTINATION, text, _HASHABLE)]
    if identity:
        states.append(_shared(EXPECTED_IDENTITY, _literal(identity), _HASHABLE))
    return {CONNECT_DESTINATION: pack(HttpConfig(on_request_headers=states))}


def same_destination() -> Filter:
    """On a connection to a pod: which one it is, and who must answer there, go along.

    The identity goes as far as to the cluster that dials, two listeners on.
    """
    identity = FilterStateValue(
        object_key=_EXPECTED_NAMES,
        format_string=_format(f"%FILTER_STATE({EXPECTED_IDENTITY}:PLAIN)%"),
        skip_if_empty=True,
        shared_with_upstream=FilterStateValueSharedWithUpstream.TRANSITIVE,
    )
    address = _shared(LOCAL_ADDRESS, "%DOWNSTREAM_LOCAL_ADDRESS%")
    config = NetworkConfig(on_new_connection=[address, identity])
    return Filter(name="same_destination", typed_config=pack(config))


def dynamic_port(port: int) -> HttpConfig:
    """On a request: the port that is dialled if its host names none."""
    return HttpConfig(
        on_request_headers=[
            FilterStateValue(object_key=_DYNAMIC_PORT, format_string=_format(str(port)))
        ]
    )


def same_connection() -> Filter:
    """On a connection that goes to another internal listener: what is known of it goes along."""
    config = NetworkConfig(
        on_new_connection=[
            _shared(LOCAL_ADDRESS, "%DOWNSTREAM_LOCAL_ADDRESS%"),
            _shared(REMOTE_ADDRESS, "%DOWNSTREAM_REMOTE_ADDRESS%"),
            _shared(PEER_PRINCIPAL, f"%FILTER_STATE({PEER_PRINCIPAL}:PLAIN)%", _HASHABLE),
        ]
    )
    return Filter(name="same_connection", typed_config=pack(config))


def expected_identity() -> Filter:
    """On a new tunnel: the identity that its endpoint must show, if the endpoint has one."""
    config = NetworkConfig(
        on_new_connection=[
            FilterStateValue(
                object_key=_EXPECTED_NAMES,
                format_string=_format(f"%DYNAMIC_METADATA({HBONE_METADATA}:san)%"),
                skip_if_empty=True,
                shared_with_upstream=FilterStateValueSharedWithUpstream.ONCE,
            )
        ]
    )
    return Filter(name="expected_identity", typed_config=pack(config))


def _noted(key: str, verdict: str) -> FilterStateValue:
    """What a filter of RBAC wrote down, if it did."""
    text = f"%DYNAMIC_METADATA(envoy.filters.http.rbac:{verdict})%"
    return _shared(key, text, _HASHABLE, skip_if_empty=True)


def _shared(
    key: str, text: str, factory: str = "", *, skip_if_empty: bool = False
) -> FilterStateValue:
    """Shared once: with the next listener, not with what that one dials."""
    return FilterStateValue(
        object_key=key,
        factory_key=factory,
        format_string=_format(text),
        skip_if_empty=skip_if_empty,
        shared_with_upstream=FilterStateValueSharedWithUpstream.ONCE,
    )


def _literal(text: str) -> str:
    return text.replace("%", "%%")


def _format(text: str) -> SubstitutionFormatString:
    return SubstitutionFormatString(
        text_format_source=DataSource(inline_string=text), omit_empty_values=True
    )
