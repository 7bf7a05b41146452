"""What spans several nodes, and what a proxy starts from."""

import json
from typing import Any

import pytest

from translators.ir import Node, WaypointName
from translators.ir.bootstrap import Bootstrap, node_id
from translators.ir.cluster import (
    InternalCluster,
    OriginateCluster,
    ServiceCluster,
    UpstreamProtocol,
)
from translators.ir.endpoint import Endpoint, EndpointSet
from translators.ir.listener import (
    ConnectHost,
    ConnectOriginate,
    ConnectTable,
    HttpChain,
    InternalListener,
    PortBinding,
    TcpChain,
)
from translators.ir.route import Forward, Route, RouteMatch, RouteTable, WeightedBackend
from translators.xds import check
from translators.xds.bootstrap import to_json

LISTENER = InternalListener(
    "main_internal",
    (PortBinding(("10.0.0.1",), 80, HttpChain("web", "a.shop", 80), TcpChain("db", "to-db")),),
    sniff=False,
)
TABLE = RouteTable(
    "web", "a.shop", 80, (Route("r", RouteMatch(), Forward((WeightedBackend("to-web"),))),)
)
COMPLETE: tuple[Node, ...] = (
    LISTENER,
    ConnectOriginate(),
    TABLE,
    ConnectTable((ConnectHost("h", ("10.0.0.1:80",), "main_internal"),)),
    InternalCluster("main_internal", "main_internal"),
    OriginateCluster(("td",)),
    ServiceCluster("to-web", "a.shop", 80, UpstreamProtocol.HTTP1),
    ServiceCluster("to-db", "a.shop", 90, UpstreamProtocol.TCP),
    EndpointSet("to-web", (Endpoint("10.1.0.1", 80, tunnel=True),)),
)


def test_a_complete_set_has_no_problems():
    assert check(COMPLETE) == ()


@pytest.mark.parametrize(
    ("missing", "problem"),
    [
        (0, "cluster main_internal leads to listener main_internal"),
        (1, "endpoint to-web leads to listener connect_originate"),
        (2, "listener main_internal leads to route web"),
        (4, "route connect leads to cluster main_internal"),
        (5, "endpoint to-web leads to cluster connect_originate"),
        (6, "route web leads to cluster to-web"),
        (7, "listener main_internal leads to cluster to-db"),
    ],
)
def test_what_leads_nowhere_is_told(missing: int, problem: str):
    problems = check([node for index, node in enumerate(COMPLETE) if index != missing])
    assert f"{problem}, which is not there" in problems


def test_two_nodes_of_one_name_are_told():
    assert check((*COMPLETE, LISTENER)) == ("two nodes render to listener main_internal",)


# --- bootstrap

WAYPOINT = WaypointName("shop", "gate")


def bootstrap(xds: str = "127.0.0.1:15010") -> dict[str, Any]:
    identity = node_id(WAYPOINT, "10.0.0.9")
    return dict(json.loads(to_json(Bootstrap(WAYPOINT, identity, xds, bind="127.0.0.2:15008"))))


def test_the_node_says_which_waypoint_it_is_and_where_it_listens():
    node = bootstrap()["node"]
    assert node["id"] == "waypoint~10.0.0.9~gate.shop~shop.svc.cluster.local"
    assert node["cluster"] == "gate.shop"
    assert node["metadata"] == {
        "NAMESPACE": "shop",
        "LABELS": {"gateway.networking.k8s.io/gateway-name": "gate"},
        "WAYPOST_BIND": "127.0.0.2:15008",
    }


@pytest.mark.parametrize(
    ("xds", "kind", "address"),
    [
        (
            "127.0.0.1:15010",
            "STATIC",
            {"socketAddress": {"address": "127.0.0.1", "portValue": 15010}},
        ),
        ("[::1]:15010", "STATIC", {"socketAddress": {"address": "::1", "portValue": 15010}}),
        (
            "cp.svc:15010",
            "STRICT_DNS",
            {"socketAddress": {"address": "cp.svc", "portValue": 15010}},
        ),
        ("unix:/run/x.sock", "STATIC", {"pipe": {"path": "/run/x.sock"}}),
    ],
)
def test_the_control_plane_is_found(xds: str, kind: str, address: dict[str, Any]):
    (cluster,) = bootstrap(xds)["staticResources"]["clusters"]
    assert cluster.get("type", "STATIC") == kind
    (endpoint,) = cluster["loadAssignment"]["endpoints"][0]["lbEndpoints"]
    assert endpoint["endpoint"]["address"] == address


def test_without_a_control_plane_an_envoy_waits():
    dynamic = bootstrap()["dynamicResources"]
    assert dynamic["adsConfig"]["apiType"] == "DELTA_GRPC"
    assert dynamic["ldsConfig"]["initialFetchTimeout"] == "0s"
    assert dynamic["cdsConfig"]["initialFetchTimeout"] == "0s"
