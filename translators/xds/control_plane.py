"""The way to the control plane: TLS that is verified, and a credential that is sent along.

What has to be followed while Envoy runs (roots, token, certificate) comes by SDS from files beside
the bootstrap, because Envoy reads files that the bootstrap names directly once and never again.
A folder is watched for moves, which is how Kubernetes changes mounted volumes.

A token is put on each stream by the credential injector, an upstream filter. Envoy's other way, the
``file_based_metadata`` plugin, needs ``google_grpc``: a second gRPC library with its own TLS, which
reads the roots once and shows in no cluster statistics. ``initial_metadata`` with the formatter
``FILE_CONTENT`` would need no second file, but formatters of extensions are not allowed there.
"""

from collections.abc import Mapping
from datetime import timedelta
from posixpath import dirname, join
from typing import Final, assert_never

from envoy_data_plane.envoy.config.cluster.v3 import Cluster, ClusterDiscoveryType
from envoy_data_plane.envoy.config.core.v3 import (
    Address,
    ApiVersion,
    ConfigSource,
    DataSource,
    Http2ProtocolOptions,
    KeepaliveSettings,
    PathConfigSource,
    Pipe,
    TransportSocket,
    TypedExtensionConfig,
    WatchedDirectory,
)
from envoy_data_plane.envoy.config.core.v3 import (
    HttpProtocolOptions as CoreHttpProtocolOptions,
)
from envoy_data_plane.envoy.config.endpoint.v3 import (
    ClusterLoadAssignment,
    Endpoint,
    LbEndpoint,
    LocalityLbEndpoints,
)
from envoy_data_plane.envoy.extensions.filters.http.credential_injector.v3 import (
    CredentialInjector,
)
from envoy_data_plane.envoy.extensions.filters.http.upstream_codec.v3 import UpstreamCodec
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import HttpFilter
from envoy_data_plane.envoy.extensions.http.injected_credentials.generic.v3 import Generic
from envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 import (
    CertificateValidationContext,
    GenericSecret,
    SdsSecretConfig,
    Secret,
    TlsCertificate,
)
from envoy_data_plane.envoy.extensions.upstreams.http.v3 import (
    HttpProtocolOptions,
    HttpProtocolOptionsExplicitHttpConfig,
)
from envoy_data_plane.envoy.service.discovery.v3 import DiscoveryResponse

from translators.ir.bootstrap import CertificateFiles, SecureStream, TokenFile
from translators.wire import pack
from translators.xds.address import is_ip, socket_address, split_address
from translators.xds.tls import dial_control_plane

CLUSTER: Final = "xds-grpc"

_ROOTS, _CERTIFICATE, _TOKEN = "xds-roots", "xds-certificate", "xds-token"
_UNIX = "unix:"

# A stream that has ended is opened again by a handshake of its own: with the certificates and roots
# of that moment, and at whichever replica is there.
_ONE_STREAM = CoreHttpProtocolOptions(max_requests_per_connection=1)


def cluster(target: str, secure: SecureStream | None) -> Cluster:
    """The cluster of the control plane at ``host:port`` or ``unix:/path``.

    Raises ValueError if the target is not of that form.
    """
    address, discovery = _target(target)
    endpoint = LbEndpoint(endpoint=Endpoint(address=address))
    return Cluster(
        name=CLUSTER,
        type=discovery,
        connect_timeout=timedelta(seconds=2 if secure is None else 5),
        load_assignment=ClusterLoadAssignment(
            cluster_name=CLUSTER, endpoints=[LocalityLbEndpoints(lb_endpoints=[endpoint])]
        ),
        transport_socket=None if secure is None else _socket(secure),
        typed_extension_protocol_options={
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": pack(_http(secure))
        },
    )


def secrets(secure: SecureStream) -> Mapping[str, DiscoveryResponse]:
    """What the files beside the bootstrap say, by file name."""
    roots = CertificateValidationContext(
        trusted_ca=DataSource(filename=secure.roots), watched_directory=_folder(secure.roots)
    )
    found = (Secret(name=_ROOTS, validation_context=roots), _secret(secure.credential))
    return {
        _file(secret.name): DiscoveryResponse(version_info="1", resources=[pack(secret)])
        for secret in found
    }


def _secret(credential: TokenFile | CertificateFiles) -> Secret:
    match credential:
        case TokenFile(path=path):
            token = GenericSecret(secret=DataSource(filename=path))
            return Secret(name=_TOKEN, generic_secret=token)
        case CertificateFiles(chain=chain, key=key):
            certificate = TlsCertificate(
                certificate_chain=DataSource(filename=chain),
                private_key=DataSource(filename=key),
                watched_directory=_folder(chain),
            )
            return Secret(name=_CERTIFICATE, tls_certificate=certificate)
        case _:
            assert_never(credential)


def _http(secure: SecureStream | None) -> HttpProtocolOptions:
    http2 = Http2ProtocolOptions(
        connection_keepalive=KeepaliveSettings(
            interval=timedelta(seconds=30), timeout=timedelta(seconds=5)
        )
    )
    return HttpProtocolOptions(
        common_http_protocol_options=None if secure is None else _ONE_STREAM,
        explicit_http_config=HttpProtocolOptionsExplicitHttpConfig(http2_protocol_options=http2),
        http_filters=[] if secure is None else _filters(secure),
    )


def _filters(secure: SecureStream) -> list[HttpFilter]:
    """Filters that a stream passes on its way out. A stream without its token is not sent."""
    if not isinstance(secure.credential, TokenFile):
        return []
    # A secret that is a token is read anew when its source is: so that watches the token's folder.
    source = _from_file(secure, _TOKEN, watched=secure.credential.path)
    generic = Generic(credential=source, header_value_prefix="Bearer ")
    injector = CredentialInjector(
        overwrite=True,
        credential=TypedExtensionConfig(
            name="envoy.http.injected_credentials.generic", typed_config=pack(generic)
        ),
    )
    return [
        HttpFilter(name="credential_injector", typed_config=pack(injector)),
        HttpFilter(name="upstream_codec", typed_config=pack(UpstreamCodec())),
    ]


def _from_file(secure: SecureStream, name: str, watched: str = "") -> SdsSecretConfig:
    path = PathConfigSource(
        path=join(secure.folder, _file(name)),
        watched_directory=_folder(watched) if watched else None,
    )
    source = ConfigSource(path_config_source=path, resource_api_version=ApiVersion.V3)
    return SdsSecretConfig(name=name, sds_config=source)


def _file(secret: str) -> str:
    return f"{secret}.json"


def _folder(path: str) -> WatchedDirectory:
    return WatchedDirectory(path=dirname(path))


def _socket(secure: SecureStream) -> TransportSocket:
    has_certificate = isinstance(secure.credential, CertificateFiles)
    return dial_control_plane(
        secure.server,
        roots=_from_file(secure, _ROOTS),
        certificate=_from_file(secure, _CERTIFICATE) if has_certificate else None,
    )


def _target(target: str) -> tuple[Address, ClusterDiscoveryType]:
    """Where the control plane is, and whether its name must be looked up."""
    if target.startswith(_UNIX):
        pipe = Address(pipe=Pipe(path=target.removeprefix(_UNIX)))
        return pipe, ClusterDiscoveryType.STATIC
    host, port = split_address(target)
    discovery = ClusterDiscoveryType.STATIC if is_ip(host) else ClusterDiscoveryType.STRICT_DNS
    return socket_address(host, port), discovery
