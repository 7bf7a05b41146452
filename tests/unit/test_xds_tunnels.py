"""Routes of tunnels: whose connections go where, and by which server name."""

from typing import Any

import pytest

from translators.ir import Node, Origin
from translators.ir.cluster import InternalCluster
from translators.ir.listener import ConnectHost, ConnectionRule, ConnectTable, Share
from translators.ir.tls import TlsDispatcher, TlsHost, TlsInspector, TlsTable
from translators.wire import ResourceKey, TypeUrl
from translators.xds import check, render, resource

ALL = ConnectionRule("all", (Share("to-a", 3), Share(None), Share("to-b", 0)))
SOME = ConnectionRule(
    "some", (Share("to-c"),), ("client",), Origin("TCPRoute", "client", "r", "spec.rules[0]")
)


def connect_routes(*rules: ConnectionRule) -> list[dict[str, Any]]:
    host = ConnectHost("h", ("10.0.0.1:90",), "main_internal", rules=rules)
    (found,) = render(ConnectTable((host,))).to_dict()["virtualHosts"]
    return list(found["routes"])


def steered(route: dict[str, Any]) -> list[tuple[str, int, str]]:
    """Where the shares of a route go to, how many, and what the chain there forwards them to."""
    found = []
    for choice in route["route"]["weightedClusters"]["clusters"]:
        states = choice["typedPerFilterConfig"]["connect_destination"]["onRequestHeaders"]
        # The second one can be hashed: without it Envoy mixes up pooled connections.
        assert [(state["objectKey"], state.get("factoryKey")) for state in states] == [
            ("envoy.tcp_proxy.cluster", None),
            ("waypost.tcp_destination", "envoy.hashable_string"),
        ]
        assert {state["sharedWithUpstream"] for state in states} == {"ONCE"}
        (text,) = {state["formatString"]["textFormatSource"]["inlineString"] for state in states}
        found.append((choice["name"], choice["weight"], text))
    return found


def test_without_rules_the_chain_decides():
    (route,) = connect_routes()
    assert route["route"]["cluster"] == "main_internal"


def test_shares_go_to_one_listener_with_different_destinations():
    (route,) = connect_routes(ALL)
    assert steered(route) == [("main_internal", 3, "to-a"), ("main_internal", 1, "UnknownService")]
    assert route["route"]["timeout"] == "0s"
    assert route["route"]["upgradeConfigs"] == [{"upgradeType": "CONNECT", "connectConfig": {}}]


def test_no_share_at_all_is_a_refusal():
    (route,) = connect_routes(ConnectionRule("none", (Share("to-a", 0),)))
    assert steered(route) == [("main_internal", 1, "UnknownService")]


def test_rules_for_some_come_before_what_is_for_all():
    some, rest = connect_routes(SOME)
    (state,) = some["match"]["filterState"]
    assert state["key"] == "io.istio.peer_principal"
    assert "client" in state["stringMatch"]["safeRegex"]["regex"]
    assert some["metadata"]["filterMetadata"]["waypost"]["origin"].startswith("TCPRoute client/r")
    assert rest["route"]["cluster"] == "main_internal"
    assert [route["name"] for route in connect_routes(SOME, ALL, SOME)] == ["some", "all"]


def test_a_server_name_and_a_destination_are_one_domain():
    hosts = (
        TlsHost("*.b.c", ("10.0.0.1:443", "[fd00::1]:443"), (SOME, ALL)),
        TlsHost("*", ("10.0.0.1:443",), (ALL,)),
        TlsHost("*", ("10.0.0.1:443",), (SOME,)),
    )
    table = render(TlsTable(hosts)).to_dict()
    assert [host["domains"] for host in table["virtualHosts"]] == [
        ["*.b.c.10.0.0.1:443", "*.b.c.[fd00::1]:443"],
        ["*.10.0.0.1:443"],
    ]
    some, rest = table["virtualHosts"][0]["routes"]
    assert some["route"]["weightedClusters"]["clusters"] == [{"name": "to-c", "weight": 1}]
    assert "filterState" in some["match"]
    assert "filterState" not in rest["match"]


def test_the_listeners_of_server_names_hold_nothing_of_any_service():
    inspector = render(TlsInspector()).to_dict()
    names = [one["name"] for one in inspector["listenerFilters"]]
    assert names == ["envoy.filters.listener.original_dst", "envoy.filters.listener.tls_inspector"]
    proxy = inspector["filterChains"][0]["filters"][-1]["typedConfig"]
    authority = "%REQUESTED_SERVER_NAME%.%DOWNSTREAM_LOCAL_ADDRESS%"
    assert proxy["tunnelingConfig"]["hostname"] == authority
    dispatcher = render(TlsDispatcher()).to_dict()
    manager = dispatcher["filterChains"][0]["filters"][0]["typedConfig"]
    assert manager["rds"]["routeConfigName"] == "tls"


def test_each_of_their_tunnels_has_a_connection_of_its_own():
    cluster = render(InternalCluster("tls_dispatch", "tls_dispatch", connects=True)).to_dict()
    (options,) = cluster["typedExtensionProtocolOptions"].values()
    assert options["commonHttpProtocolOptions"]["maxRequestsPerConnection"] == 1
    assert "typedExtensionProtocolOptions" not in render(InternalCluster("a", "a")).to_dict()


@pytest.mark.parametrize(
    "table",
    [
        ConnectTable((ConnectHost("h", ("10.0.0.1:90",), "main_internal", rules=(SOME, ALL)),)),
        TlsTable((TlsHost("*", ("10.0.0.1:443",), (SOME, ALL)),)),
    ],
)
def test_a_table_waits_for_the_clusters_that_it_leads_to(table: Node):
    needed = {
        ResourceKey(type_url, name)
        for type_url in (TypeUrl.CLUSTER, TypeUrl.ENDPOINT)
        for name in ("to-a", "to-c")
    }
    required = resource(table).requires
    assert needed <= set(required)
    assert ResourceKey(TypeUrl.CLUSTER, "to-b") not in required
    problems = check([table])
    assert any("leads to cluster to-a, which is not there" in problem for problem in problems)


def test_what_routes_by_server_name_needs_its_other_half():
    assert check([TlsInspector()]) == (
        "listener main_internal_tls leads to cluster tls_dispatch, which is not there",
    )
    assert check([TlsDispatcher()]) == (
        "listener tls_dispatch leads to route tls, which is not there",
    )
