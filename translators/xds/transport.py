"""The plain transport of clusters that lead into the proxy's own listeners."""

from collections.abc import Iterable

from envoy_data_plane.envoy.config.core.v3 import TransportSocket
from envoy_data_plane.envoy.extensions.transport_sockets.internal_upstream.v3 import (
    InternalUpstreamTransport,
    InternalUpstreamTransportMetadataValueSource,
)
from envoy_data_plane.envoy.extensions.transport_sockets.raw_buffer.v3 import RawBuffer
from envoy_data_plane.envoy.type.metadata.v3 import MetadataKind, MetadataKindHost

from translators.wire import pack, shared


@shared
def internal_upstream(host_metadata: Iterable[str] = ()) -> TransportSocket:
    """Hands shared filter state, and metadata of the chosen endpoint, to an internal listener.

    To an endpoint with an ordinary address it is a plain socket.
    """
    transport = InternalUpstreamTransport(
        passthrough_metadata=[
            InternalUpstreamTransportMetadataValueSource(
                kind=MetadataKind(host=MetadataKindHost()), name=name
            )
            for name in host_metadata
        ],
        transport_socket=TransportSocket(name="raw_buffer", typed_config=pack(RawBuffer())),
    )
    return TransportSocket(name="internal_upstream", typed_config=pack(transport))
