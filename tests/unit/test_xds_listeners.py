"""Listeners and the table ``connect``: how a connection finds its service."""

from typing import Any

import pytest

from translators.ir import Origin
from translators.ir.authorization import (
    AllOf,
    AnyOf,
    Authorization,
    AuthzRule,
    DestinationIp,
    DestinationPort,
    Everything,
    HeaderIs,
    Not,
    Predicate,
    TextKind,
    TextMatch,
)
from translators.ir.listener import (
    ConnectHost,
    ConnectOriginate,
    ConnectTable,
    ConnectTerminate,
    HttpChain,
    InternalListener,
    PortBinding,
    TcpChain,
)
from translators.wire import ResourceKey, TypeUrl
from translators.xds import render, resource
from translators.xds.connect_policy import on_connect
from translators.xds.filters.ext_authz import CUSTOM_FILTERS
from translators.xds.filters.menu import Filter
from translators.xds.filters.rbac import LAYERED_FILTERS, OPAQUE_FILTERS, TUNNEL_FILTERS

HTTP = HttpChain("http|a.shop", "a.shop", 80)
TCP = TcpChain("tcp|a.shop", "to-a")


def config_of(chain: dict[str, Any], index: int = 0) -> dict[str, Any]:
    return dict(chain["filters"][index]["typedConfig"])


def terminate(bind: str = "0.0.0.0:15008") -> dict[str, Any]:
    return render(ConnectTerminate(bind, ("td", "alias"))).to_dict()


def internal(*bindings: PortBinding, sniff: bool = False) -> dict[str, Any]:
    return render(InternalListener("main", bindings, sniff)).to_dict()


def decide(matcher: dict[str, Any], *keys: str) -> dict[str, Any] | None:
    """Walks the look-ups as Envoy does; None if there is no entry."""
    if not keys:
        return matcher
    found = matcher["matcherTree"]["exactMatchMap"]["map"].get(keys[0], matcher.get("onNoMatch"))
    if found is None or "action" in found:
        return found
    return decide(found["matcher"], *keys[1:])


def chain_for(listener: dict[str, Any], *keys: str) -> str | None:
    found = decide(listener["filterChainMatcher"], *keys)
    return None if found is None else found["action"]["typedConfig"]["value"]


# --- connect_terminate


@pytest.mark.parametrize(
    ("bind", "address"),
    [("0.0.0.0:15008", "0.0.0.0"), ("[::]:15008", "::"), ("127.0.0.2:15008", "127.0.0.2")],
)
def test_the_hbone_listener_binds_where_it_is_told(bind: str, address: str):
    assert terminate(bind)["address"]["socketAddress"] == {"address": address, "portValue": 15008}


@pytest.mark.parametrize("bind", ["", "15008", ":15008", "0.0.0.0:", "0.0.0.0:x"])
def test_a_bind_of_another_form_is_an_error(bind: str):
    with pytest.raises(ValueError, match="host:port"):
        terminate(bind)


def test_only_members_of_the_trust_domains_get_in_and_no_session_is_resumed():
    tls = terminate()["filterChains"][0]["transportSocket"]["typedConfig"]
    assert tls["requireClientCertificate"] is True
    assert tls["disableStatelessSessionResumption"] is True
    assert tls["disableStatefulSessionResumption"] is True
    context = tls["commonTlsContext"]["combinedValidationContext"]
    names = context["defaultValidationContext"]["matchTypedSubjectAltNames"]
    assert names == [
        {"sanType": "URI", "matcher": {"prefix": "spiffe://td/"}},
        {"sanType": "URI", "matcher": {"prefix": "spiffe://alias/"}},
    ]
    assert context["validationContextSdsSecretConfig"]["name"] == "ROOTCA"


def test_identity_is_known_before_rbac_reads_it():
    manager = config_of(terminate()["filterChains"][0])
    names = [each["name"] for each in manager["httpFilters"]]
    asked = (*LAYERED_FILTERS, *CUSTOM_FILTERS, Filter.AUDIT, Filter.DENY, Filter.ALLOW)
    guards = (*asked, *OPAQUE_FILTERS, "opaque_verdict")
    assert names == ["connect_authority", *guards, "connect_destination", Filter.ROUTER]


def test_routes_are_looked_for_once_more_when_the_client_is_known():
    manager = config_of(terminate()["filterChains"][0])
    assert manager["httpFilters"][0]["typedConfig"]["clearRouteCache"] is True


def test_what_is_shared_with_the_next_listener_goes_no_further():
    manager = config_of(terminate()["filterChains"][0])
    shared = manager["httpFilters"][0]["typedConfig"]["onRequestHeaders"]
    assert {each["sharedWithUpstream"] for each in shared} == {"ONCE"}
    hashable = {each["objectKey"] for each in shared if each.get("factoryKey")}
    assert hashable == {"io.istio.peer_principal", "io.istio.local_principal"}


def test_a_new_tunnel_expects_the_identity_that_its_endpoint_names():
    (chain,) = render(ConnectOriginate()).to_dict()["filterChains"]
    (expected,) = config_of(chain)["onNewConnection"]
    assert expected["objectKey"] == "envoy.network.upstream_subject_alt_names"
    assert expected["skipIfEmpty"] is True


# --- internal listeners


def test_chains_are_found_by_address_and_port():
    other = HttpChain("other", "b.shop", 80)
    listener = internal(
        PortBinding(("10.0.0.1", "fd00:0::1"), 80, HTTP, None),
        PortBinding(("10.0.0.1",), 90, None, TCP),
        PortBinding(("10.0.0.2",), 80, other, None),
    )
    assert chain_for(listener, "10.0.0.1", "80") == HTTP.name
    assert chain_for(listener, "fd00::1", "80") == HTTP.name
    assert chain_for(listener, "10.0.0.1", "90") == TCP.name
    assert chain_for(listener, "10.0.0.2", "80") == "other"
    assert chain_for(listener, "10.0.0.2", "90") is None
    assert chain_for(listener, "10.0.0.3", "80") is None
    named = {chain["name"] for chain in listener["filterChains"]}
    assert named == {HTTP.name, TCP.name, "other"}


def test_an_undeclared_protocol_is_sniffed():
    listener = internal(PortBinding(("10.0.0.1",), 80, HTTP, TCP), sniff=True)
    assert chain_for(listener, "10.0.0.1", "80", "'http/1.1'") == HTTP.name
    assert chain_for(listener, "10.0.0.1", "80", "'h2c'") == HTTP.name
    assert chain_for(listener, "10.0.0.1", "80", "", "", "") == TCP.name
    assert listener["continueOnListenerFiltersTimeout"] is True
    assert listener["listenerFiltersTimeout"] == "0.200s"


def test_declared_protocols_are_never_sniffed():
    listener = internal(PortBinding(("10.0.0.1",), 80, HTTP, None))
    assert [each["name"] for each in listener["listenerFilters"]] == [
        "envoy.filters.listener.original_dst"
    ]


def test_the_first_of_two_bindings_for_one_port_counts():
    second = HttpChain("second", "b.shop", 80)
    bindings = [PortBinding(("10.0.0.1",), 80, chain, None) for chain in (HTTP, second)]
    assert chain_for(internal(*bindings), "10.0.0.1", "80") == HTTP.name


def test_a_chain_that_two_bindings_share_stands_there_once():
    bindings = [PortBinding((address,), 80, HTTP, None) for address in ("10.0.0.1", "10.0.0.2")]
    assert len(internal(*bindings)["filterChains"]) == 1


def test_a_listener_without_services_still_is_one():
    listener = internal()
    assert "filterChainMatcher" not in listener
    assert listener["defaultFilterChain"]["name"] == "unknown"


def test_only_chains_and_look_up_change_with_the_services():
    """Any other difference would make Envoy drain every connection of the listener."""
    empty, full = internal(), internal(PortBinding(("10.0.0.1",), 80, HTTP, TCP))
    may_change = {"filterChains", "filterChainMatcher"}
    assert {key: value for key, value in full.items() if key not in may_change} == empty


def test_every_filter_of_the_menu_is_there_and_paths_have_one_form():
    (chain,) = internal(PortBinding(("10.0.0.1",), 80, HTTP, None))["filterChains"]
    manager = config_of(chain)
    assert [each["name"] for each in manager["httpFilters"]] == [
        filter_.value for filter_ in Filter if filter_ not in TUNNEL_FILTERS
    ]
    assert manager["rds"]["routeConfigName"] == HTTP.name
    assert manager["normalizePath"] is True
    assert manager["mergeSlashes"] is True
    assert manager["pathWithEscapedSlashesAction"] == "UNESCAPE_AND_REDIRECT"


def test_statistics_have_no_dots():
    listener = internal(PortBinding(("10.0.0.1",), 80, HTTP, TCP), sniff=True)
    for chain in listener["filterChains"]:
        assert "." not in config_of(chain, -1).get("statPrefix", "")


def test_what_policies_deny_goes_to_a_chain_that_forwards_nothing():
    listener = internal(PortBinding(("10.0.0.1",), 80, HTTP, TCP), sniff=True)
    port = ("10.0.0.1", "80", "")
    assert chain_for(listener, *port, "denied") == "refused"
    assert chain_for(listener, *port, "allowed", "denied") == "refused"
    assert chain_for(listener, *port, "allowed", "allowed") == TCP.name
    (refused,) = (each for each in listener["filterChains"] if each["name"] == "refused")
    assert [each["name"] for each in refused["filters"]] == [
        "envoy.filters.network.direct_response"
    ]


def test_listeners_wait_for_the_clusters_of_their_tcp_chains():
    node = InternalListener("main", (PortBinding(("10.0.0.1",), 80, HTTP, TCP),), sniff=True)
    assert set(resource(node).requires) == {
        ResourceKey(TypeUrl.CLUSTER, "to-a"),
        ResourceKey(TypeUrl.ENDPOINT, "to-a"),
    }


# --- connect


def hosts(*nodes: ConnectHost) -> list[dict[str, Any]]:
    return list(render(ConnectTable(nodes)).to_dict().get("virtualHosts", []))


def test_a_destination_is_found_by_each_of_its_authorities_and_by_nothing_else():
    (host,) = hosts(ConnectHost("h", ("10.0.0.1:80", "[fd00::1]:80"), "main_internal"))
    assert host["domains"] == ["10.0.0.1:80", "[fd00::1]:80"]
    (route,) = host["routes"]
    assert route["match"] == {"connectMatcher": {}}
    assert route["route"]["cluster"] == "main_internal"
    assert route["route"]["timeout"] == "0s"
    assert hosts() == []


def test_an_authority_belongs_to_the_first_host_that_claims_it():
    first, second = hosts(
        ConnectHost("a", ("1.1.1.1:1", "1.1.1.1:2"), "c"),
        ConnectHost("b", ("1.1.1.1:2", "1.1.1.1:3"), "c"),
        ConnectHost("c", ("1.1.1.1:1",), "c"),
    )
    assert first["domains"] == ["1.1.1.1:1", "1.1.1.1:2"]
    assert second["domains"] == ["1.1.1.1:3"]


def test_the_table_waits_for_all_that_a_tunnel_leads_to():
    node = ConnectTable((ConnectHost("h", ("1.1.1.1:1",), "main_internal"),), ("t",))
    assert set(resource(node).requires) == {
        ResourceKey(TypeUrl.LISTENER, "main_internal"),
        ResourceKey(TypeUrl.LISTENER, "main_internal_sniff"),
        ResourceKey(TypeUrl.LISTENER, "main_internal_tls"),
        ResourceKey(TypeUrl.CLUSTER, "main_internal"),
        ResourceKey(TypeUrl.ROUTE, "t"),
    }


def host_is(authority: str) -> Predicate:
    return HeaderIs(":authority", TextMatch(TextKind.EXACT, authority))


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (DestinationPort(80), AnyOf((host_is("10.0.0.1:80"), host_is("[fd00::1]:80")))),
        (DestinationPort(81), AnyOf(())),
        (DestinationIp("10.0.0.0/8"), AnyOf((host_is("10.0.0.1:80"),))),
        (DestinationIp("fd00::/8"), AnyOf((host_is("[fd00::1]:80"),))),
        (Not(AllOf((DestinationPort(81),))), Not(AllOf((AnyOf(()),)))),
        (Everything(), Everything()),
    ],
)
def test_on_a_connect_the_destination_is_the_authority(asked: Predicate, expected: Predicate):
    rule = AuthzRule("k", Everything(), asked, Origin("AuthorizationPolicy", "a", "b"))
    everywhere = Authorization((rule,), (rule,), (rule,), (rule,), (rule,))
    guard = on_connect(everywhere, ("10.0.0.1:80", "[fd00::1]:80"))
    lists = (guard.deny, guard.allow, guard.audit, guard.dry_run_deny, guard.dry_run_allow)
    assert [rules[0].operations for rules in lists if rules] == [expected] * 5


def test_no_allow_stays_no_allow():
    assert on_connect(Authorization(), ()) == Authorization()
