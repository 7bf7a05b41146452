"""What it costs to build and encode one resource of each kind.

Ours: unvalidated construction and the compiled encoder. Stock: the same calls as betterproto2
ships them, validated, and ``bytes(message)``. Both run in turns, so that the ratio is fair on a
machine with other work. Prints JSON; times are medians of the rounds, in microseconds.
"""

import json
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from statistics import median

from betterproto2 import Message
from envoy_data_plane.envoy.config.cluster.v3 import (
    Cluster,
    ClusterDiscoveryType,
    ClusterEdsClusterConfig,
)
from envoy_data_plane.envoy.config.core.v3 import (
    Address,
    AggregatedConfigSource,
    ApiVersion,
    CidrRange,
    ConfigSource,
    DataSource,
    EnvoyInternalAddress,
    Http2ProtocolOptions,
    Locality,
    Metadata,
    TransportSocket,
)
from envoy_data_plane.envoy.config.endpoint.v3 import (
    ClusterLoadAssignment,
    Endpoint,
    LbEndpoint,
    LocalityLbEndpoints,
)
from envoy_data_plane.envoy.config.listener.v3 import (
    Filter,
    FilterChain,
    FilterChainMatch,
    Listener,
    ListenerInternalListenerConfig,
)
from envoy_data_plane.envoy.config.rbac.v3 import (
    Permission,
    Policy,
    Principal,
    PrincipalAuthenticated,
    Rbac,
    RbacAction,
)
from envoy_data_plane.envoy.config.route.v3 import (
    HeaderMatcher,
    RetryPolicy,
    Route,
    RouteAction,
    RouteConfiguration,
    RouteMatch,
    VirtualHost,
    WeightedCluster,
    WeightedClusterClusterWeight,
)
from envoy_data_plane.envoy.extensions.filters.http.rbac.v3 import Rbac as RbacFilter
from envoy_data_plane.envoy.extensions.filters.http.router.v3 import Router
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import (
    HttpConnectionManager,
    HttpFilter,
    Rds,
)
from envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 import (
    CertificateValidationContext,
    CommonTlsContext,
    SdsSecretConfig,
    UpstreamTlsContext,
)
from envoy_data_plane.envoy.extensions.upstreams.http.v3 import (
    HttpProtocolOptions,
    HttpProtocolOptionsExplicitHttpConfig,
)
from envoy_data_plane.envoy.service.discovery.v3 import DeltaDiscoveryResponse
from envoy_data_plane.envoy.service.discovery.v3 import Resource as DiscoveryResource
from envoy_data_plane.envoy.type.matcher.v3 import StringMatcher
from envoy_data_plane.google.protobuf import Any, Struct

from translators.gateway_api.forwarding import DEFAULT_RETRY
from translators.ir import Node
from translators.ir.cluster import ServiceCluster, UpstreamProtocol
from translators.ir.endpoint import Endpoint as EndpointNode
from translators.ir.endpoint import EndpointSet
from translators.ir.origin import Origin
from translators.ir.route import (
    Forward,
    PathKind,
    PathMatch,
    RouteTable,
    WeightedBackend,
)
from translators.ir.route import Route as RouteNode
from translators.ir.route import RouteMatch as MatchNode
from translators.wire import Resource, TypeUrl, encode, finish, pack, unvalidated, validated
from translators.wire.discovery import delta_response
from translators.xds import render, resource

ROUNDS = 7
SECONDS_PER_TURN = 0.1

Pack = Callable[[Message], Any]
Operation = Callable[[], bytes]


def ads() -> ConfigSource:
    """Where secrets, endpoints and routes come from: this same stream."""
    return ConfigSource(ads=AggregatedConfigSource(), resource_api_version=ApiVersion.V3)


def tls(pack: Pack) -> TransportSocket:
    """Mutual TLS, with its context packed."""
    context = UpstreamTlsContext(
        common_tls_context=CommonTlsContext(
            tls_certificate_sds_secret_configs=[SdsSecretConfig(name="default", sds_config=ads())],
            validation_context=CertificateValidationContext(
                trusted_ca=DataSource(inline_string="-----BEGIN CERTIFICATE-----")
            ),
        ),
        sni="reviews.default.svc.cluster.local",
    )
    return TransportSocket(name="envoy.transport_sockets.tls", typed_config=pack(context))


def cluster(pack: Pack) -> Message:
    """A cluster with EDS, mutual TLS, HTTP/2 options and metadata."""
    http2 = HttpProtocolOptions(
        explicit_http_config=HttpProtocolOptionsExplicitHttpConfig(
            http2_protocol_options=Http2ProtocolOptions(max_concurrent_streams=1024)
        )
    )
    return Cluster(
        name="inbound-vip|9080|http|reviews.default.svc.cluster.local",
        alt_stat_name="inbound_9080_reviews_default",
        type=ClusterDiscoveryType.EDS,
        connect_timeout=timedelta(seconds=5),
        eds_cluster_config=ClusterEdsClusterConfig(eds_config=ads()),
        typed_extension_protocol_options={
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": pack(http2)
        },
        transport_socket=tls(pack),
        metadata=Metadata(filter_metadata={"istio": Struct.from_dict({"service": "reviews"})}),
    )


def route(number: int) -> Route:
    """A route with a header match, two weighted clusters, a timeout and retries."""
    header = HeaderMatcher(name="x-user", string_match=StringMatcher(exact=f"user-{number}"))
    weights = [
        WeightedClusterClusterWeight(name=f"inbound-vip|9080|http/v{each}|reviews", weight=weight)
        for each, weight in enumerate((90, 10))
    ]
    return Route(
        name=f"rule-{number}",
        match=RouteMatch(path_separated_prefix=f"/api/{number}", headers=[header]),
        route=RouteAction(
            weighted_clusters=WeightedCluster(clusters=weights),
            timeout=timedelta(seconds=15),
            retry_policy=RetryPolicy(retry_on="5xx", num_retries=2),
        ),
    )


def route_configuration(_: Pack) -> Message:
    """A route table of one host and ten routes."""
    host = VirtualHost(
        name="reviews", domains=["*"], routes=[route(number) for number in range(10)]
    )
    return RouteConfiguration(name="reviews|9080", virtual_hosts=[host])


def rbac() -> RbacFilter:
    """An authorization filter that allows one identity."""
    spiffe = StringMatcher(exact="spiffe://cluster.local/ns/default/sa/productpage")
    policy = Policy(
        permissions=[Permission(any=True)],
        principals=[Principal(authenticated=PrincipalAuthenticated(principal_name=spiffe))],
    )
    return RbacFilter(rules=Rbac(action=RbacAction.ALLOW, policies={"allow": policy}))


def filter_chain(pack: Pack, number: int) -> FilterChain:
    """An HTTP filter chain for one service address, its manager and filters packed."""
    manager = HttpConnectionManager(
        stat_prefix=f"inbound_{number}",
        rds=Rds(config_source=ads(), route_config_name=f"reviews|{number}"),
        http_filters=[
            HttpFilter(name="envoy.filters.http.rbac", typed_config=pack(rbac())),
            HttpFilter(name="envoy.filters.http.router", typed_config=pack(Router())),
        ],
        stream_idle_timeout=timedelta(0),
    )
    return FilterChain(
        name=f"10.96.0.{number}|9080",
        filter_chain_match=FilterChainMatch(
            prefix_ranges=[CidrRange(address_prefix=f"10.96.0.{number}", prefix_len=32)],
            destination_port=9080,
        ),
        filters=[
            Filter(name="envoy.filters.network.http_connection_manager", typed_config=pack(manager))
        ],
    )


def listener(pack: Pack) -> Message:
    """An internal listener of two HTTP filter chains."""
    return Listener(
        name="main_internal",
        internal_listener=ListenerInternalListenerConfig(),
        filter_chains=[filter_chain(pack, number) for number in (1, 2)],
    )


def endpoint(number: int) -> LbEndpoint:
    """A pod that is reached through a tunnel."""
    tunnel = EnvoyInternalAddress(server_listener_name="connect_originate", endpoint_id=str(number))
    destination = {"local": f"10.244.0.{number}:9080"}
    metadata = {"envoy.filters.listener.original_dst": Struct.from_dict(destination)}
    return LbEndpoint(
        endpoint=Endpoint(address=Address(envoy_internal_address=tunnel), hostname=f"pod-{number}"),
        metadata=Metadata(filter_metadata=metadata),
        load_balancing_weight=1,
    )


def load_assignment(_: Pack) -> Message:
    """A hundred endpoints of one locality."""
    group = LocalityLbEndpoints(
        locality=Locality(region="eu", zone="eu-1"),
        lb_endpoints=[endpoint(number) for number in range(100)],
        load_balancing_weight=100,
    )
    return ClusterLoadAssignment(cluster_name="reviews", endpoints=[group])


def cached_clusters() -> list[Resource]:
    """A hundred finished clusters of about 500 bytes."""
    clusters = [Cluster(name=f"inbound-vip|{each}", alt_stat_name="c" * 400) for each in range(100)]
    return [finish(TypeUrl.CLUSTER, each.name, each) for each in clusters]


def stock_response(resources: list[Resource]) -> bytes:
    """What the library makes of them."""
    return bytes(
        DeltaDiscoveryResponse(
            type_url=TypeUrl.CLUSTER,
            nonce="1",
            resources=[
                DiscoveryResource(
                    name=each.key.name,
                    version=each.version,
                    resource=Any(type_url=each.key.type_url, value=each.body),
                )
                for each in resources
            ],
        )
    )


def encoded_ours(build: Callable[[Pack], Message]) -> Operation:
    """Build without validation and encode, as a translation does."""

    def operation() -> bytes:
        with unvalidated():
            return encode(build(pack))

    return operation


def rendered(node: Node) -> "Case":
    """A node of our model: rendered by templates, and as the library would."""

    def stock() -> bytes:
        with validated():
            return bytes(render(node))

    return Case(lambda: resource(node).body, stock)


def nodes() -> dict[str, Node]:
    """What a service adds to a waypoint, and a hundred endpoints."""
    name, host = "inbound-vip|80|http|cart.shop.svc.cluster.local", "cart.shop.svc.cluster.local"
    routes = tuple(
        RouteNode(
            f"shop.cart.{number}",
            MatchNode(PathMatch(PathKind.PREFIX, f"/path-{number}")),
            Forward((WeightedBackend(name),), retry=DEFAULT_RETRY),
            origin=Origin("HTTPRoute", "shop", "cart", f"spec.rules[{number}]"),
        )
        for number in range(10)
    )
    account = "spiffe://cluster.local/ns/shop/sa/cart"
    endpoints = tuple(
        EndpointNode(f"10.0.0.{number}", 8080, tunnel=True, identity=account)
        for number in range(100)
    )
    origins = (Origin("Service", "shop", "cart"),)
    return {
        "our_cluster": ServiceCluster(name, host, 80, UpstreamProtocol.HTTP1, origins=origins),
        "our_route_table_10_routes": RouteTable(name, host, 80, routes, origins=origins),
        "our_load_assignment_100_endpoints": EndpointSet(name, endpoints, origins),
    }


def encoded_stock(build: Callable[[Pack], Message]) -> Operation:
    """Build and encode as the library ships it."""
    return lambda: bytes(build(Any.pack))


@dataclass(frozen=True, slots=True)
class Case:
    """One thing to do in two ways; ``read`` maps their outputs to what must be equal."""

    ours: Operation
    stock: Operation
    read: Callable[[bytes], object] = bytes


def cases() -> dict[str, Case]:
    """What is measured, by name."""
    builds = {
        "cluster": cluster,
        "route_configuration_10_routes": route_configuration,
        "listener_2_http_chains": listener,
        "load_assignment_100_endpoints": load_assignment,
    }
    clusters = cached_clusters()
    response = Case(
        lambda: delta_response(TypeUrl.CLUSTER, "1", clusters),
        lambda: stock_response(clusters),
        DeltaDiscoveryResponse.parse,  # the library orders fields by declaration, we by number
    )
    encoded = {name: Case(encoded_ours(each), encoded_stock(each)) for name, each in builds.items()}
    ours = {name: rendered(node) for name, node in nodes().items()}
    return encoded | ours | {"delta_response_100_cached_clusters": response}


def turn(operation: Callable[[], object]) -> float:
    """Microseconds of processor time per call, over as many calls as fit into a turn."""
    calls, start = 0, time.process_time()
    while (elapsed := time.process_time() - start) < SECONDS_PER_TURN:
        operation()
        calls += 1
    return elapsed / calls * 1e6


def measure(case: Case) -> dict[str, float | int]:
    """Compare the outputs of a case, then take its medians over the rounds."""
    body = case.ours()
    if case.read(body) != case.read(case.stock()):
        raise AssertionError("the two encoders disagree")
    turns = [(turn(case.ours), turn(case.stock)) for _ in range(ROUNDS)]
    return {
        "bytes": len(body),
        "ours_us": round(median(ours for ours, _ in turns), 1),
        "stock_us": round(median(stock for _, stock in turns), 1),
        "ratio": round(median(stock / ours for ours, stock in turns), 1),
    }


def main() -> None:
    """Print the report."""
    results = {name: measure(case) for name, case in cases().items()}
    report = {"benchmark": "encode", "python": platform.python_version(), "results": results}
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
