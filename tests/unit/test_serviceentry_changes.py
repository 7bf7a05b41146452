"""Whatever happens to entries, workloads and what names them: as if all had always been so."""

import random
from typing import Any

from tests.support.manifests import gateway, pod, policy, rule, service_entry, workload_entry
from translators.compiler import Compiler
from translators.ir.waypoint import Mesh, WaypointName
from translators.resources import parse
from translators.resources.metadata import KubernetesObject
from translators.world import Change
from translators.xds.consistency import check

WAYPOINT = WaypointName("shop", "waypoint")
HOMES = ("shop", "other")
HOSTS = ("a.example", "b.example", "*.example", "web.shop.svc.cluster.local")
RESOLUTIONS = ("STATIC", "DNS", "DNS_ROUND_ROBIN", "NONE", "DYNAMIC_DNS")
STEPS = 250


def some_object(dice: random.Random) -> Any:
    home, name = dice.choice(HOMES), f"n{dice.randrange(3)}"
    makers = (a_gateway, a_namespace, an_entry, an_entry, an_entry, a_workload, a_pod, a_service)
    return dice.choice((*makers, a_route, a_policy))(dice, home, name)


def a_gateway(dice: random.Random, home: str, name: str) -> Any:
    made = gateway("shop")
    (listener,) = made["spec"]["listeners"]
    allowed = {"namespaces": {"from": dice.choice(("Same", "All"))}}
    return {**made, "spec": {**made["spec"], "listeners": [{**listener, "allowedRoutes": allowed}]}}


def a_namespace(dice: random.Random, home: str, name: str) -> Any:
    return named("v1", "Namespace", "", home, labels=use(dice))


def use(dice: random.Random) -> dict[str, str]:
    labels = {"istio.io/use-waypoint": "waypoint", "istio.io/use-waypoint-namespace": "shop"}
    return dice.choice((labels, labels, {}, {"istio.io/use-waypoint": "none"}))


def named(version: str, kind: str, home: str, name: str, **meta: Any) -> Any:
    metadata = {"name": name, **({"namespace": home} if home else {}), **meta}
    return {"apiVersion": version, "kind": kind, "metadata": metadata}


def an_entry(dice: random.Random, home: str, name: str) -> Any:
    spec: dict[str, Any] = {
        "hosts": dice.sample(HOSTS, dice.randint(1, 2)),
        "resolution": dice.choice(RESOLUTIONS),
    }
    if dice.random() < 0.5:
        spec["addresses"] = dice.sample(["10.1.0.1", "10.1.0.2", "10.1.0.0/16"], 2)
    if dice.random() < 0.3:
        spec["workloadSelector"] = {"labels": {"app": dice.choice("ab")}}
    elif dice.random() < 0.7:
        spec["endpoints"] = [{"address": dice.choice(("10.9.0.1", "one.example", "?"))}]
    if dice.random() < 0.3:
        spec["exportTo"] = [dice.choice((".", "*", "other"))]
    made: Any = service_entry(name, home, "", **spec)
    made["metadata"]["labels"] = use(dice)
    made["metadata"]["creationTimestamp"] = f"2024-01-0{dice.randint(1, 3)}T00:00:00Z"
    made["spec"]["ports"] = [
        {"number": number, "name": protocol.lower(), "protocol": protocol}
        for number, protocol in ((80, "HTTP"), (443, "TLS"), (90, "TCP"), (53, "UDP"))
        if dice.random() < 0.7
    ]
    return made


def a_workload(dice: random.Random, home: str, name: str) -> Any:
    address = dice.choice(("10.9.1.1", "10.9.1.2", "vm.example"))
    return workload_entry(name, home, address, {"app": dice.choice("ab")})


def a_pod(dice: random.Random, home: str, name: str) -> Any:
    return pod(name, home, f"10.9.2.{dice.randint(1, 3)}", {"app": dice.choice("ab")})


def a_service(dice: random.Random, home: str, name: str) -> Any:
    made = named("v1", "Service", home, "web", labels=use(dice))
    ports = [{"name": "http", "port": 80}]
    return {**made, "spec": {"clusterIP": "10.1.0.3", "selector": {"app": "a"}, "ports": ports}}


def a_route(dice: random.Random, home: str, name: str) -> Any:
    host = {"group": "networking.istio.io", "kind": "Hostname", "name": dice.choice(HOSTS)}
    parent = {"group": "networking.istio.io", "kind": "ServiceEntry", "name": name}
    spec = {"parentRefs": [parent], "rules": [rule(to=[{**host, "port": 80}])]}
    return {**named("gateway.networking.k8s.io/v1", "HTTPRoute", home, name), "spec": spec}


def a_policy(dice: random.Random, home: str, name: str) -> Any:
    made = policy(name, home, {}, action=dice.choice(("ALLOW", "DENY")))
    target = {"group": "networking.istio.io", "kind": "ServiceEntry", "name": name}
    return {**made, "spec": {**made["spec"], "targetRefs": [target]}}


def change(dice: random.Random) -> Change:
    parsed = parse(some_object(dice))
    assert parsed.key is not None
    assert parsed.value is not None, parsed.problems
    return Change(parsed.key, None if dice.random() < 0.25 else parsed.value)


def is_wrong(complaint: str) -> bool:
    """Not so what is wrong with every waypoint that serves nothing on some kind of ports."""
    return not complaint.startswith("cluster main_internal")


def test_a_change_comes_to_the_same_as_a_fresh_start():
    dice = random.Random(4)
    mesh = Mesh()
    compiler, there = Compiler(mesh), dict[Any, KubernetesObject]()
    served = 0
    for _ in range(STEPS):
        one = change(dice)
        compiler.apply([one])
        there.pop(one.key, None)
        if one.value is not None:
            there[one.key] = one.value
        fresh = Compiler(mesh)
        fresh.apply(Change(key, value) for key, value in there.items())
        assert compiler.resources(WAYPOINT) == fresh.resources(WAYPOINT)
        assert compiler.conditions() == fresh.conditions()
        assert not any(map(is_wrong, check(fresh._plan(WAYPOINT).nodes)))
        served += len(fresh.resources(WAYPOINT)) > 10
    assert served > STEPS / 4
