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

from translators.wire import pack
from translators.xds.names import (
    HBONE_METADATA,
    LOCAL_ADDRESS,
    LOCAL_PRINCIPAL,
    PEER_PRINCIPAL,
    REMOTE_ADDRESS,
)

_EXPECTED_NAMES = "envoy.network.upstream_subject_alt_names"

# Envoy keeps apart the pooled connections whose shared state differs only if the state can be
# hashed. With a plain string a client could be handed a connection that bears another's identity.
_HASHABLE = "envoy.hashable_string"


def connect_authority() -> HttpConfig:
    """On a CONNECT: what the client named and who it is, for the internal listener behind."""
    return HttpConfig(
        on_request_headers=[
            _shared(LOCAL_ADDRESS, "%REQ(:AUTHORITY)%"),
            _shared(REMOTE_ADDRESS, "%DOWNSTREAM_REMOTE_ADDRESS%"),
            _shared(PEER_PRINCIPAL, "%DOWNSTREAM_PEER_URI_SAN%", _HASHABLE),
            _shared(LOCAL_PRINCIPAL, "%DOWNSTREAM_LOCAL_URI_SAN%", _HASHABLE),
        ]
    )


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


def _shared(key: str, text: str, factory: str = "") -> FilterStateValue:
    """Shared once: with the next listener, not with what that one dials."""
    return FilterStateValue(
        object_key=key,
        factory_key=factory,
        format_string=_format(text),
        shared_with_upstream=FilterStateValueSharedWithUpstream.ONCE,
    )


def _format(text: str) -> SubstitutionFormatString:
    return SubstitutionFormatString(
        text_format_source=DataSource(inline_string=text), omit_empty_values=True
    )
