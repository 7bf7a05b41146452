"""CUSTOM and layered policies: who is asked, where nobody can be, and what their status says."""

from dataclasses import replace
from typing import Any

import pytest

from tests.support.manifests import gateway, namespace, pod, service, service_entry
from translators.compiler import Compiler
from translators.gateway_api.lookup import find_service
from translators.ir.external_authorization import AuthzProvider, CheckProtocol
from translators.ir.waypoint import Mesh, WaypointName
from translators.resources import parse
from translators.world import Change, Reader

WAYPOINT = WaypointName("shop", "waypoint")
PORTS = (("http", 80, 8080), ("tcp", 90, 9000), ("undeclared", 91, 9001))


def provider(name: str) -> AuthzProvider:
    return AuthzProvider(name, f"{name}.shop.svc.cluster.local", 80, CheckProtocol.HTTP)


def policy(name: str, action: str = "CUSTOM", **spec: Any) -> Any:
    target = {"group": "", "kind": "Service", "name": "web"}
    return {
        "apiVersion": "security.istio.io/v1",
        "kind": "AuthorizationPolicy",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"action": action, "targetRefs": [target], "rules": [{}], **spec},
    }


def custom(name: str) -> Any:
    return policy(name, provider={"name": name})


def untargeted(name: str, action: str, **spec: Any) -> Any:
    made = policy(name, action, **spec)
    del made["spec"]["targetRefs"]
    return made


def compile_with(mesh: Mesh, *manifests: Any) -> Compiler:
    services = [
        service(n, "shop", f"10.96.0.{i}", {"app": n}, PORTS) for i, n in enumerate(SERVICES)
    ]
    base = [namespace("shop"), gateway("shop"), *services, pod("p", "shop", "10.0.0.1", {})]
    parsed = [parse(manifest).value for manifest in (*base, *manifests)]
    compiler = Compiler(mesh)
    compiler.apply(Change(found.key, found) for found in parsed if found is not None)
    return compiler


SERVICES = ("web", "a", "b", "c")
MESH = Mesh(providers=tuple(map(provider, ("a", "b", "c", "nowhere"))))


@pytest.mark.parametrize(
    ("home", "namespace", "found"),
    [
        ("istio-system", "", True),
        ("istio-system", "auth", False),
        ("auth", "auth", True),
        ("auth", "", False),
    ],
)
def test_nobody_becomes_a_provider_by_claiming_its_host(home: str, namespace: str, found: bool):
    asked = replace(provider("p"), host="p.example.com", namespace=namespace)
    entry = service_entry("p", home, "p.example.com", resolution="DNS")
    compiler = compile_with(Mesh(providers=(asked,)), entry, custom("p"))
    said = [
        one for one in compiler.conditions() if one.origin.name == "p" and one.origin.kind != "Pod"
    ]
    told = " ".join(one.message for one in said)
    assert ("p.example.com was not found" in told) == (not found)


def node_of(compiler: Compiler, kind: str, name: str) -> Any:
    for node in compiler._plan(WAYPOINT).assembly.nodes:
        if type(node).__name__ == kind and name in str(getattr(node, "name", name)):
            return node
    raise AssertionError(f"no {kind} {name}")


def message_of(compiler: Compiler, name: str) -> tuple[bool, str, str]:
    told = (each for each in compiler.conditions() if each.origin.kind == "AuthorizationPolicy")
    (found,) = (each for each in told if each.origin.name == name)
    return found.status, found.reason, found.message


def test_each_known_provider_is_asked_and_its_cluster_is_there():
    compiler = compile_with(MESH, custom("a"), custom("b"))
    table = node_of(compiler, "RouteTable", "|web.")
    assert [check.provider.name for check in table.authorization.custom] == ["a", "b"]
    assert table.authorization.deny == ()
    for check in table.authorization.custom:
        assert node_of(compiler, "ServiceCluster", check.cluster)
    assert message_of(compiler, "a") == (True, "Accepted", "bound to shop/waypoint")


@pytest.mark.parametrize("name", ["nowhere", "unknown", ""])
def test_a_provider_that_cannot_be_asked_denies(name: str):
    compiler = compile_with(MESH, policy("p", provider={"name": name} if name else {}))
    table = node_of(compiler, "RouteTable", "|web.")
    assert table.authorization.custom == ()
    assert [rule.key for rule in table.authorization.deny] == [
        "ns[shop]-policy[p]-rule[0]-deny-due-to-bad-CUSTOM-action"
    ]
    assert message_of(compiler, "p")[1] == "UnsupportedValue"
    assert "denied" in message_of(compiler, "p")[2]


def test_one_provider_too_many_denies_and_is_told():
    compiler = compile_with(MESH, custom("a"), custom("b"), custom("c"))
    table = node_of(compiler, "RouteTable", "|web.")
    assert [check.provider.name for check in table.authorization.custom] == ["a", "b"]
    assert [rule.key for rule in table.authorization.deny] == [
        "ns[shop]-policy[c]-rule[0]-deny-due-to-bad-CUSTOM-action"
    ]
    assert message_of(compiler, "b")[1] == "Accepted"
    assert "more than 2 providers" in message_of(compiler, "c")[2]


def test_bytes_on_an_undeclared_port_are_denied_because_nobody_is_asked_there():
    compiler = compile_with(MESH, custom("a"))
    hosts = {host.name: host for host in node_of(compiler, "ConnectTable", "").hosts}
    sniffed = hosts["web.shop.svc.cluster.local:91"]
    assert (sniffed.opaque.custom, len(sniffed.opaque.deny)) == ((), 1)
    declared = hosts["web.shop.svc.cluster.local:90"].authorization
    assert [check.provider.name for check in declared.custom] == ["a"]
    assert hosts["web.shop.svc.cluster.local:91"].authorization.custom == ()


@pytest.mark.parametrize(
    ("host", "home", "found"),
    [
        ("web.shop.svc.cluster.local", "", True),
        ("WEB.shop.svc.cluster.local.", "", True),
        ("web.shop.svc", "shop", True),
        ("web.shop", "", True),
        ("web.shop.svc.cluster.local", "other", False),
        ("web.shop.svc.other", "", False),
        ("web.shop.example", "", False),
        ("web", "shop", False),
        ("", "", False),
    ],
)
def test_services_are_found_by_host_and_namespace(host: str, home: str, found: bool):
    reader = Reader(compile_with(MESH)._world)
    assert (find_service(reader, MESH, host, home) is not None) == found


LAYERED = Mesh(layered_authorization=True)


def test_layers_are_on_all_tunnels_and_say_so():
    compiler = compile_with(LAYERED, untargeted("all", "DENY"))
    hosts = node_of(compiler, "ConnectTable", "").hosts
    assert {len(host.layered.deny) for host in hosts} == {1}
    status, reason, message = message_of(compiler, "all")
    assert (status, reason) == (True, "Accepted")
    assert "shop/waypoint" in message


@pytest.mark.parametrize("action", ["AUDIT", "CUSTOM"])
def test_layers_know_only_allow_and_deny(action: str):
    compiler = compile_with(LAYERED, untargeted("other", action))
    hosts = node_of(compiler, "ConnectTable", "").hosts
    assert {host.layered for host in hosts} == {type(hosts[0].layered)()}
    assert message_of(compiler, "other")[0] is False


def test_a_layer_for_other_pods_says_that_it_means_no_waypoint():
    other = untargeted("other", "DENY", selector={"matchLabels": {"app": "x"}})
    assert message_of(compile_with(LAYERED, other), "other")[0] is False


def test_without_layers_a_policy_without_targets_says_who_enforces_it():
    compiler = compile_with(Mesh(), untargeted("all", "DENY"))
    hosts = node_of(compiler, "ConnectTable", "").hosts
    assert {len(host.layered.deny) for host in hosts} == {0}
    assert "ztunnel" in message_of(compiler, "all")[2]
