"""What an Envoy starts from: who it is, and one stream to the control plane for all the rest."""

from datetime import timedelta

from envoy_data_plane.envoy.config.bootstrap.v3 import (
    Admin,
    BootstrapDynamicResources,
    BootstrapStaticResources,
    LayeredRuntime,
    RuntimeLayer,
)
from envoy_data_plane.envoy.config.bootstrap.v3 import Bootstrap as EnvoyBootstrap
from envoy_data_plane.envoy.config.core.v3 import (
    ApiConfigSource,
    ApiConfigSourceApiType,
    ApiVersion,
    BackoffStrategy,
    GrpcService,
    GrpcServiceEnvoyGrpc,
    Node,
    RetryPolicy,
    TypedExtensionConfig,
)
from envoy_data_plane.envoy.config.overload.v3 import OverloadManager, ResourceMonitor
from envoy_data_plane.envoy.extensions.bootstrap.internal_listener.v3 import InternalListener
from envoy_data_plane.envoy.extensions.resource_monitors.downstream_connections.v3 import (
    DownstreamConnectionsConfig,
)
from envoy_data_plane.google.protobuf import Struct, Value

from translators.ir.bootstrap import MAX_REGEX_SIZE, Bootstrap, SecureStream
from translators.wire import pack
from translators.xds.address import socket_address, split_address
from translators.xds.config_source import ads
from translators.xds.control_plane import CLUSTER, cluster, secrets
from translators.xds.probes import probe_clusters, probe_listeners

BOOTSTRAP_FILE = "envoy.json"
"""The file that is Envoy's ``--config-path``."""

_MAX_CONNECTIONS = 100_000

_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(seconds=0.5), timedelta(seconds=10)
"""Between attempts to open the stream again. Envoy's own longest is 30 s: for so long would what
has changed meanwhile go unheard."""


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
            clusters=[cluster(node.xds, node.secure), *probe_clusters(node)],
        ),
        bootstrap_extensions=[internal_listeners()],
        layered_runtime=runtime(),
        overload_manager=_limits(),
    )


def to_json(node: Bootstrap) -> str:
    """The bootstrap as text for Envoy's ``--config-path`` (proto3 JSON)."""
    return bootstrap(node).to_json(indent=2)


def files(node: Bootstrap) -> dict[str, str]:
    """The bootstrap and its companions: file names and contents (JSON)."""
    beside = {} if node.secure is None else companions(node.secure)
    return {BOOTSTRAP_FILE: to_json(node), **beside}


def companions(secure: SecureStream) -> dict[str, str]:
    """What Envoy is to find in ``secure.folder`` for a secure stream: file names and contents.

    They are the same for every waypoint, and hold no secret: they say where secrets are.
    """
    return {name: content.to_json(indent=2) for name, content in secrets(secure).items()}


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
    pauses = BackoffStrategy(base_interval=_FIRST_PAUSE, max_interval=_LONGEST_PAUSE)
    service = GrpcServiceEnvoyGrpc(
        cluster_name=CLUSTER, retry_policy=RetryPolicy(retry_back_off=pauses)
    )
    return ApiConfigSource(
        api_type=ApiConfigSourceApiType.DELTA_GRPC,
        transport_api_version=ApiVersion.V3,
        # The node lists hundreds of extensions: once a stream is enough.
        set_node_on_first_message_only=True,
        grpc_services=[GrpcService(envoy_grpc=service)],
    )


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
