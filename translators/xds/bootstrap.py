"""What an Envoy starts from: who it is, and one stream to the control plane for all the rest."""

from datetime import timedelta
from ipaddress import ip_address

from envoy_data_plane.envoy.config.bootstrap.v3 import (
    Admin,
    BootstrapDynamicResources,
    BootstrapStaticResources,
    LayeredRuntime,
    RuntimeLayer,
)
from envoy_data_plane.envoy.config.bootstrap.v3 import Bootstrap as EnvoyBootstrap
from envoy_data_plane.envoy.config.cluster.v3 import Cluster, ClusterDiscoveryType
from envoy_data_plane.envoy.config.core.v3 import (
    Address,
    ApiConfigSource,
    ApiConfigSourceApiType,
    ApiVersion,
    GrpcService,
    GrpcServiceEnvoyGrpc,
    Http2ProtocolOptions,
    KeepaliveSettings,
    Node,
    Pipe,
    TypedExtensionConfig,
)
from envoy_data_plane.envoy.config.endpoint.v3 import (
    ClusterLoadAssignment,
    Endpoint,
    LbEndpoint,
    LocalityLbEndpoints,
)
from envoy_data_plane.envoy.config.overload.v3 import OverloadManager, ResourceMonitor
from envoy_data_plane.envoy.extensions.bootstrap.internal_listener.v3 import InternalListener
from envoy_data_plane.envoy.extensions.resource_monitors.downstream_connections.v3 import (
    DownstreamConnectionsConfig,
)
from envoy_data_plane.envoy.extensions.upstreams.http.v3 import (
    HttpProtocolOptions,
    HttpProtocolOptionsExplicitHttpConfig,
)
from envoy_data_plane.google.protobuf import Struct, Value

from translators.ir.bootstrap import MAX_REGEX_SIZE, Bootstrap
from translators.wire import pack
from translators.xds.address import socket_address, split_address
from translators.xds.config_source import ads
from translators.xds.probes import probe_clusters, probe_listeners

_XDS_CLUSTER = "xds-grpc"
_MAX_CONNECTIONS = 100_000
_UNIX = "unix:"


def bootstrap(node: Bootstrap) -> EnvoyBootstrap:
    """The bootstrap. Raises ValueError if an address of the node is not of its form."""
    return EnvoyBootstrap(
        node=_node(node),
        admin=Admin(address=socket_address(*split_address(node.admin))),
        dynamic_resources=BootstrapDynamicResources(
            ads_config=_stream(), lds_config=ads(patient=True), cds_config=ads(patient=True)
        ),
        static_resources=BootstrapStaticResources(
            listeners=probe_listeners(node),
            clusters=[_control_plane(node.xds), *probe_clusters(node)],
        ),
        bootstrap_extensions=[internal_listeners()],
        layered_runtime=runtime(),
        overload_manager=_limits(),
    )


def to_json(node: Bootstrap) -> str:
    """The bootstrap as text for Envoy's ``--config-path`` (proto3 JSON)."""
    return bootstrap(node).to_json(indent=2)


def internal_listeners() -> TypedExtensionConfig:
    """Lets Envoy have listeners that only its own clusters can reach."""
    return TypedExtensionConfig(
        name="envoy.bootstrap.internal_listener", typed_config=pack(InternalListener())
    )


def runtime() -> LayeredRuntime:
    """Room for the regular expressions of routes and policies."""
    size = Struct(fields={"re2.max_program_size.error_level": _number(MAX_REGEX_SIZE)})
    return LayeredRuntime(layers=[RuntimeLayer(name="waypost", static_layer=size)])


def _node(node: Bootstrap) -> Node:
    waypoint = node.waypoint
    name = {"gateway.networking.k8s.io/gateway-name": _text(waypoint.name)}
    metadata = {
        "NAMESPACE": _text(waypoint.namespace),
        "LABELS": Value(struct_value=Struct(fields=name)),
        "WAYPOST_BIND": _text(node.bind),
    }
    return Node(
        id=node.node_id,
        cluster=f"{waypoint.name}.{waypoint.namespace}",
        metadata=Struct(fields=metadata),
    )


def _stream() -> ApiConfigSource:
    return ApiConfigSource(
        api_type=ApiConfigSourceApiType.DELTA_GRPC,
        transport_api_version=ApiVersion.V3,
        # The node lists hundreds of extensions: once a stream is enough.
        set_node_on_first_message_only=True,
        grpc_services=[GrpcService(envoy_grpc=GrpcServiceEnvoyGrpc(cluster_name=_XDS_CLUSTER))],
    )


def _control_plane(target: str) -> Cluster:
    address, discovery = _target(target)
    http2 = Http2ProtocolOptions(
        connection_keepalive=KeepaliveSettings(
            interval=timedelta(seconds=30), timeout=timedelta(seconds=5)
        )
    )
    options = HttpProtocolOptions(
        explicit_http_config=HttpProtocolOptionsExplicitHttpConfig(http2_protocol_options=http2)
    )
    endpoint = LbEndpoint(endpoint=Endpoint(address=address))
    return Cluster(
        name=_XDS_CLUSTER,
        type=discovery,
        connect_timeout=timedelta(seconds=2),
        load_assignment=ClusterLoadAssignment(
            cluster_name=_XDS_CLUSTER, endpoints=[LocalityLbEndpoints(lb_endpoints=[endpoint])]
        ),
        typed_extension_protocol_options={
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": pack(options)
        },
    )


def _target(target: str) -> tuple[Address, ClusterDiscoveryType]:
    """Where the control plane is, and whether its name must be looked up."""
    if target.startswith(_UNIX):
        pipe = Address(pipe=Pipe(path=target.removeprefix(_UNIX)))
        return pipe, ClusterDiscoveryType.STATIC
    host, port = split_address(target)
    try:
        ip_address(host)
    except ValueError:
        return socket_address(host, port), ClusterDiscoveryType.STRICT_DNS
    return socket_address(host, port), ClusterDiscoveryType.STATIC


def _limits() -> OverloadManager:
    monitor = DownstreamConnectionsConfig(max_active_downstream_connections=_MAX_CONNECTIONS)
    return OverloadManager(
        resource_monitors=[
            ResourceMonitor(
                name="envoy.resource_monitors.global_downstream_max_connections",
                typed_config=pack(monitor),
            )
        ]
    )


def _text(value: str) -> Value:
    return Value(string_value=value)


def _number(value: int) -> Value:
    return Value(number_value=float(value))
