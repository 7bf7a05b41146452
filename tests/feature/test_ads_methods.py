"""Two methods are served. All others do not exist, with credentials or without."""

import grpc
import pytest

from tests.support.adsserver import running
from tests.support.resources import cluster

PACKAGE = "envoy.service"
PER_TYPE = {
    "listener.v3.ListenerDiscoveryService": ("StreamListeners", "DeltaListeners", "FetchListeners"),
    "cluster.v3.ClusterDiscoveryService": ("StreamClusters", "DeltaClusters", "FetchClusters"),
    "route.v3.RouteDiscoveryService": ("StreamRoutes", "DeltaRoutes", "FetchRoutes"),
    "route.v3.ScopedRoutesDiscoveryService": (
        "StreamScopedRoutes",
        "DeltaScopedRoutes",
        "FetchScopedRoutes",
    ),
    "route.v3.VirtualHostDiscoveryService": ("DeltaVirtualHosts",),
    "endpoint.v3.EndpointDiscoveryService": ("StreamEndpoints", "DeltaEndpoints", "FetchEndpoints"),
    "endpoint.v3.LocalityEndpointDiscoveryService": ("DeltaLocalityEndpoints",),
    "secret.v3.SecretDiscoveryService": ("StreamSecrets", "DeltaSecrets", "FetchSecrets"),
    "runtime.v3.RuntimeDiscoveryService": ("StreamRuntime", "DeltaRuntime", "FetchRuntime"),
    "extension.v3.ExtensionConfigDiscoveryService": (
        "StreamExtensionConfigs",
        "DeltaExtensionConfigs",
        "FetchExtensionConfigs",
    ),
    "status.v3.ClientStatusDiscoveryService": ("StreamClientStatus", "FetchClientStatus"),
    "load_stats.v3.LoadReportingService": ("StreamLoadStats",),
    "health.v3.HealthDiscoveryService": ("StreamHealthCheck", "FetchHealthCheck"),
}
ADS = "/envoy.service.discovery.v3.AggregatedDiscoveryService"
FOREIGN_PATHS = [
    f"/{PACKAGE}.{service}/{method}" for service, methods in PER_TYPE.items() for method in methods
]
ODD_PATHS = [
    f"{ADS}/FetchAggregatedResources",
    f"{ADS}/",
    f"{ADS}/deltaaggregatedresources",
    f"{ADS}/DeltaAggregatedResources/",
    f"{ADS}/DeltaAggregatedResources%00",
    f"{ADS}/../AggregatedDiscoveryService/DeltaAggregatedResources",
    f"/{ADS}/DeltaAggregatedResources",
    f"{ADS[1:]}/DeltaAggregatedResources",
    "/envoy.service.discovery.v2.AggregatedDiscoveryService/DeltaAggregatedResources",
    "/envoy.api.v2.ClusterDiscoveryService/StreamClusters",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/",
]


@pytest.fixture
async def channel():
    async with (
        running(shop=[cluster("a")]) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        yield channel


async def outcome(call) -> grpc.StatusCode:
    return await call.code()


async def test_no_other_method_exists_as_a_stream(channel: grpc.aio.Channel) -> None:
    answers = {}
    for path in FOREIGN_PATHS + ODD_PATHS:
        call = channel.stream_stream(path)()
        await call.done_writing()
        answers[path] = await outcome(call)

    assert len(answers) > 40
    assert set(answers.values()) == {grpc.StatusCode.UNIMPLEMENTED}, answers


async def test_no_other_method_exists_as_a_single_call(channel: grpc.aio.Channel) -> None:
    answers = {}
    for path in FOREIGN_PATHS + ODD_PATHS:
        call = channel.unary_unary(path)(b"")
        answers[path] = await outcome(call)

    assert set(answers.values()) == {grpc.StatusCode.UNIMPLEMENTED}, answers
