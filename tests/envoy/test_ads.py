"""The ADS service and a real Envoy, in both variants: first load, edit, NACK, heal, resume."""

import asyncio
import http.client
from pathlib import Path
from typing import Any

import pytest
from envoy_data_plane.envoy.config.cluster.v3 import Cluster
from envoy_data_plane.envoy.config.endpoint.v3 import ClusterLoadAssignment
from envoy_data_plane.envoy.config.listener.v3 import Listener
from envoy_data_plane.envoy.config.route.v3 import RouteConfiguration
from envoy_data_plane.envoy.extensions.filters.http.router.v3 import Router
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import (
    HttpConnectionManager,
)

from tests.support.adsserver import SHOP, Running, eventually, running
from tests.support.envoyproc import EnvoyProcess
from tests.support.loopback import LoopbackNet, free_port
from translators.wire.resource import Resource, TypeUrl, finish
from xds_server.identity.peer import GATEWAY_NAME_LABEL

ADS = {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "0s"}
TYPE = "type.googleapis.com/envoy.extensions.filters."
PACKED = (HttpConnectionManager, Router)
"""Imported so that ``Any`` knows them."""


def bootstrap(xds_port: int, api_type: str) -> dict[str, Any]:
    """An Envoy of the waypoint shop/waypoint that gets everything over ADS."""
    address = {"socket_address": {"address": "127.0.0.1", "port_value": xds_port}}
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": address}}]}]
    return {
        "node": {
            "id": "envoy-1",
            "cluster": "waypoint.shop",
            "metadata": {
                "NAMESPACE": SHOP.namespace,
                "LABELS": {GATEWAY_NAME_LABEL: SHOP.name},
            },
        },
        "dynamic_resources": {
            "ads_config": {
                "api_type": api_type,
                "transport_api_version": "V3",
                "grpc_services": [{"envoy_grpc": {"cluster_name": "xds"}}],
                "set_node_on_first_message_only": True,
            },
            "cds_config": ADS,
            "lds_config": ADS,
        },
        "static_resources": {
            "clusters": [
                {
                    "name": "xds",
                    "type": "STATIC",
                    "connect_timeout": "1s",
                    "typed_extension_protocol_options": {
                        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                            "@type": "type.googleapis.com/"
                            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                            "explicit_http_config": {"http2_protocol_options": {}},
                        }
                    },
                    "load_assignment": {"cluster_name": "xds", "endpoints": endpoints},
                }
            ]
        },
    }


def shop(ip: str, port: int, routes: Resource) -> list[Resource]:
    """A listener whose routes come by RDS, and a cluster whose endpoints come by EDS."""
    manager = {
        "@type": f"{TYPE}network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "web",
        "rds": {"route_config_name": "web", "config_source": ADS},
        "http_filters": [
            {"name": "router", "typed_config": {"@type": f"{TYPE}http.router.v3.Router"}}
        ],
    }
    listener = {
        "name": "web",
        "address": {"socket_address": {"address": ip, "port_value": port}},
        "filter_chains": [{"filters": [{"name": "hcm", "typed_config": manager}]}],
    }
    cluster = {"name": "backend", "type": "EDS", "eds_cluster_config": {"eds_config": ADS}}
    return [
        finish(TypeUrl.CLUSTER, "backend", Cluster.from_dict(cluster)),
        finish(TypeUrl.ENDPOINT, "backend", ClusterLoadAssignment(cluster_name="backend")),
        finish(TypeUrl.LISTENER, "web", Listener.from_dict(listener)),
        routes,
    ]


def answering(status: int) -> Resource:
    """Routes that answer everything with this status; Envoy refuses one that is none."""
    answer = {"match": {"prefix": "/"}, "direct_response": {"status": status}}
    host = {"name": "all", "domains": ["*"], "routes": [answer]}
    content = RouteConfiguration.from_dict({"name": "web", "virtual_hosts": [host]})
    return finish(TypeUrl.ROUTE, "web", content)


def ask(ip: str, port: int) -> int:
    """The status that the data plane answers; 0 if it does not."""
    connection = http.client.HTTPConnection(ip, port, timeout=2)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


async def answers(ip: str, port: int, status: int) -> None:
    async with asyncio.timeout(10):
        while await asyncio.to_thread(ask, ip, port) != status:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def accepted(server: Running, resource: Resource) -> bool:
    states = [stream.state() for stream in server.service.registry.streams()]
    return any(
        resource.key in state and state[resource.key].acked == resource.version for state in states
    )


@pytest.mark.parametrize("variant", ["DELTA_GRPC", "GRPC"])
async def test_an_envoy_loads_follows_refuses_heals_and_comes_back(
    variant: str, net: LoopbackNet, tmp_path: Path
) -> None:
    ip, xds_port = net.ip(7), free_port("127.0.0.1")
    port, address = free_port(ip), f"127.0.0.1:{xds_port}"
    good, edited, better = answering(201), answering(202), answering(203)
    bad = answering(99)
    async with running(shop=shop(ip, port, good), address=address) as server:
        envoy = await EnvoyProcess.start(bootstrap(xds_port, variant), tmp_path, "envoy")
        async with envoy:
            await answers(ip, port, 201)
            server.world.set(SHOP, *shop(ip, port, edited))
            await answers(ip, port, 202)
            await eventually(lambda: accepted(server, edited))

            server.world.set(SHOP, *shop(ip, port, bad))
            await eventually(lambda: len(server.world.store.rejections(SHOP)) == 1)
            [rejection] = server.world.store.rejections(SHOP)
            assert rejection.key == bad.key
            assert "status" in rejection.message.lower()
            await answers(ip, port, 202)
            second = bootstrap(xds_port, variant)
            second["node"]["id"] = "envoy-2"
            async with await EnvoyProcess.start(second, tmp_path, "newcomer") as newcomer:
                rds = await newcomer.stats(r"^http\.web\.rds\.web\.update_(success|rejected)$")
                assert sorted(rds.values()) == [0, 1], rds
                assert '"status": 202' in str(await newcomer.get("/config_dump"), "utf-8")

            server.world.set(SHOP, *shop(ip, port, better))
            await answers(ip, port, 203)
            assert server.world.store.rejections(SHOP) == ()
            await eventually(lambda: accepted(server, better))
            assert await envoy.stat("cluster_manager.warming_clusters") == 0

            await server.server.stop()
            await answers(ip, port, 203)
            async with running(shop=shop(ip, port, better), address=address) as restarted:
                await eventually(lambda: accepted(restarted, better))
                if variant == "DELTA_GRPC":
                    assert restarted.service.counters.resource_bytes_sent == 0
                restarted.world.set(SHOP, *shop(ip, port, good))
                await answers(ip, port, 201)
