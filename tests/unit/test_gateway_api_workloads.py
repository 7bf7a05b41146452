"""Pods served by their own addresses: who gets which waypoint, and what a pod costs."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from translators.compiler import Compiler
from translators.gateway_api import INDEXES, Bound, NotBound, workload_waypoint_of
from translators.ir.waypoint import Mesh, WaypointName
from translators.resources.authorizationpolicy import AuthorizationPolicy, TargetRef
from translators.resources.core import Namespace, Pod, Service, ServicePort
from translators.resources.gateway import Gateway, GatewayListener
from translators.resources.metadata import KubernetesObject, Metadata
from translators.resources.workloadentry import Workload, WorkloadEntry
from translators.world import Change, Reader, World

ANNOTATED = {"ambient.istio.io/redirection": "enabled"}


def gateway(
    name: str, traffic: str = "workload", home: str = "shop", allowed: str = "Same", **more: str
) -> Gateway:
    labels = {"istio.io/waypoint-for": traffic} if traffic else {}
    annotations = {"istio.io/for-service-account": more["account"]} if more else {}
    return Gateway(
        Metadata(name, home, labels, annotations),
        class_name="istio-waypoint",
        listeners=(GatewayListener("mesh", 15008, "HBONE", allowed),),
    )


def pod(name: str = "p", home: str = "shop", ip: str = "10.244.0.1", **labels: str) -> Pod:
    given = {key.replace("_", "-"): value for key, value in labels.items()}
    meta = Metadata(name, home, {f"istio.io/{key}": value for key, value in given.items()})
    return Pod(meta, ips=(ip,), service_account="web")


def namespace(name: str, waypoint: str) -> Namespace:
    return Namespace(Metadata(name, labels={"istio.io/use-waypoint": waypoint}))


def found(subject: Pod, *others: KubernetesObject) -> Bound | NotBound | None:
    world = World(INDEXES)
    world.apply(Change(one.key, one) for one in (subject, *others))
    return workload_waypoint_of(Reader(world), subject)


OWN, HOMES = gateway("own"), gateway("homes")
SHOP = namespace("shop", "homes")


def test_own_label_decides_before_account_and_namespace():
    account = gateway("accounts", account="web")
    everything = (OWN, HOMES, account, SHOP)
    assert found(pod(use_waypoint="own"), *everything) == Bound(WaypointName("shop", "own"))
    assert found(pod(), *everything) == Bound(WaypointName("shop", "accounts"))
    assert found(pod(), OWN, HOMES, SHOP) == Bound(WaypointName("shop", "homes"))
    assert found(pod(use_waypoint="none"), *everything) is None
    assert found(replace(pod(), service_account="db"), *everything) == Bound(
        WaypointName("shop", "homes")
    )


def test_waypoint_for_an_account_is_for_workloads_unless_its_label_says_otherwise():
    implicit = gateway("accounts", "", account="web")
    assert found(pod(), implicit) == Bound(WaypointName("shop", "accounts"))
    assert found(pod(), gateway("accounts", "service", account="web"), HOMES, SHOP) == Bound(
        WaypointName("shop", "homes")
    )


def test_waypoint_for_an_account_is_for_no_other():
    account = gateway("accounts", account="other")
    refused = found(pod(use_waypoint="accounts"), account)
    assert isinstance(refused, NotBound)
    assert refused.reason == "AttachmentDenied"
    assert '"other" alone' in refused.message
    assert found(pod(), account, namespace("shop", "accounts")) is None


def test_own_label_is_told_of_a_wrong_type_and_a_namespace_is_not():
    services = gateway("homes", "service")
    assert found(pod(), services, SHOP) is None
    refused = found(pod(use_waypoint="homes"), services, SHOP)
    assert refused == NotBound(
        WaypointName("shop", "homes"),
        "UnsupportedTrafficType",
        'attempting to bind to traffic type "workload" which the waypoint "shop/homes" '
        "does not support",
    )


def test_no_way_back_from_a_label_that_names_nothing():
    refused = found(pod(use_waypoint="missing"), HOMES, SHOP)
    assert isinstance(refused, NotBound)
    assert refused.reason == "WaypointIsNotReady"


@pytest.mark.parametrize(("allowed", "bound"), [("Same", False), ("All", True)])
def test_other_namespaces_need_to_be_allowed(allowed: str, bound: bool):
    far = gateway("far", home="infra", allowed=allowed)
    got = found(pod(use_waypoint="far", use_waypoint_namespace="infra"), far)
    assert isinstance(got, Bound) is bound


@pytest.mark.parametrize(
    "change",
    [
        {"host_network": True},
        {"phase": "Succeeded"},
        {"phase": "Failed"},
        {"meta": Metadata("p", "shop", {"gateway.networking.k8s.io/gateway-name": "x"})},
        {"meta": Metadata("p", "shop", {"gateway.istio.io/managed": "istio.io-mesh-controller"})},
    ],
)
def test_addresses_that_are_not_a_pods_own_are_never_served(change: dict[str, object]):
    assert found(replace(pod(), **change), HOMES, SHOP) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "0.0.0.0", "::1", "::", "::1%lo", "::ffff:127.0.0.1"]
)
def test_no_workload_entry_leads_into_the_proxy_itself(address: str):
    """Its admin interface listens there."""
    entry = WorkloadEntry(
        Metadata("e", "shop", {"istio.io/use-waypoint": "homes"}), Workload(address=address)
    )
    compiler = compiled(SHOP, HOMES, entry)
    (table,) = (
        made
        for key, made in compiler.resources(WaypointName("shop", "homes")).items()
        if key.name == "connect"
    )
    assert b":*" not in table.body
    (said,) = (one for one in compiler.conditions() if one.origin.kind == WorkloadEntry.kind)
    assert (said.status, said.reason) == (False, "UnsupportedAddress")


def compiled(*objects: KubernetesObject) -> Compiler:
    compiler = Compiler(Mesh())
    compiler.apply(Change(one.key, one) for one in objects)
    compiler.resources(WaypointName("shop", "homes"))
    return compiler


def changed(compiler: Compiler, *changes: Change) -> set[tuple[str, str]]:
    waypoint = WaypointName("shop", "homes")
    before = dict(compiler.resources(waypoint))
    compiler.apply(changes)
    after = compiler.resources(waypoint)
    return {
        (key.type_url.name, key.name)
        for key in before.keys() | after.keys()
        if before.get(key) is not after.get(key)
    }


def put(one: KubernetesObject) -> Change:
    return Change(one.key, one)


@pytest.mark.parametrize("traffic", ["workload", "all"])
def test_a_pod_is_one_route_table_and_a_restart_of_its_process_nothing(traffic: str):
    many = [pod(f"p{n}", ip=f"10.244.0.{n}") for n in range(1, 50)]
    service = Service(Metadata("web", "shop"), cluster_ips=("10.96.0.1",), ports=(ServicePort(80),))
    compiler = compiled(SHOP, gateway("homes", traffic), service, *many)
    new = pod("new", ip="10.244.1.1")
    assert changed(compiler, put(new)) == {("ROUTE", "connect")}
    assert changed(compiler, put(replace(new, ready=False))) == set()
    assert changed(compiler, Change(new.key, None)) == {("ROUTE", "connect")}


def test_the_first_pod_of_all_costs_no_more():
    compiler = compiled(SHOP, HOMES)
    assert changed(compiler, put(pod())) == {("ROUTE", "connect")}


def test_a_waypoint_for_services_has_nothing_of_it():
    compiler = compiled(SHOP, gateway("homes", ""))
    assert changed(compiler, put(pod())) == set()
    keys = compiler.resources(WaypointName("shop", "homes"))
    assert not {key.name for key in keys} & {"main_internal_direct", "encap", "passthrough"}


def test_an_address_that_was_given_to_another_pod_is_that_ones():
    old = replace(pod("old"), meta=Metadata("old", "shop", created="2024-01-01T00:00:00Z"))
    new = Pod(
        Metadata("new", "shop", annotations=ANNOTATED, created="2024-01-02T00:00:00Z"),
        ips=old.ips,
        service_account="web",
    )
    compiler = compiled(SHOP, HOMES, old, new)
    (table,) = (
        made
        for key, made in compiler.resources(WaypointName("shop", "homes")).items()
        if key.name == "connect"
    )
    assert b"direct|spiffe://cluster.local/ns/shop/sa/web" in table.body
    assert b"direct|passthrough" not in table.body


POLICY = AuthorizationPolicy(
    Metadata("p", "shop"),
    targets=(TargetRef("gateway.networking.k8s.io", "Gateway", "homes"),),
    action="DENY",
    rules=(),
)
EDITS: list[KubernetesObject] = [
    *(gateway("homes", traffic) for traffic in ("all", "workload", "service")),
    gateway("homes", allowed="All"),
    gateway("accounts", account="web"),
    SHOP,
    namespace("shop", "none"),
    namespace("far", "homes"),
    pod(),
    pod(use_waypoint="none"),
    pod(ip="10.244.0.2"),
    replace(pod(), host_network=True),
    Pod(Metadata("p", "shop", annotations=ANNOTATED), ips=("10.244.0.1",), service_account="db"),
    pod("q", "far", "10.244.0.3", use_waypoint="homes", use_waypoint_namespace="shop"),
    WorkloadEntry(Metadata("e", "shop"), Workload(address="192.168.0.1")),
    WorkloadEntry(Metadata("e", "shop"), Workload(address="10.244.0.1", service_account="vm")),
    POLICY,
    replace(POLICY, action="ALLOW"),
]


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(EDITS), st.booleans(), st.booleans()), max_size=14))
def test_whatever_changes_in_whatever_order_the_bytes_are_the_same(
    edits: list[tuple[KubernetesObject, bool, bool]],
):
    home = WaypointName("shop", "homes")
    start: list[KubernetesObject] = [HOMES, SHOP, pod("first", ip="10.244.9.9")]
    incremental, state = Compiler(Mesh()), {one.key: one for one in start}
    incremental.apply(map(put, start))
    for edit, present, look in edits:
        incremental.apply([Change(edit.key, edit if present else None)])
        state.pop(edit.key, None)
        if present:
            state[edit.key] = edit
        if look:
            incremental.resources(home)
    whole = Compiler(Mesh())
    whole.apply(map(put, state.values()))
    assert dict(incremental.resources(home)) == dict(whole.resources(home))
    assert incremental.conditions() == whole.conditions()


def test_no_workload_entry_takes_the_address_of_a_pod():
    """Whatever it names: its owner decides neither who answers there nor how it is spoken to."""
    target = replace(pod(), meta=Metadata("p", "shop", annotations=ANNOTATED, created="2024"))
    claim = Metadata("e", "shop", {"istio.io/use-waypoint": "homes"}, created="2025")
    entry = WorkloadEntry(claim, Workload(address=target.ips[0], service_account="other"))
    compiler = compiled(SHOP, HOMES, target, entry)
    (table,) = (
        made
        for key, made in compiler.resources(WaypointName("shop", "homes")).items()
        if key.name == "connect"
    )
    assert b"direct|spiffe://cluster.local/ns/shop/sa/web" in table.body
    assert table.body.count(b"10.244.0.1:*") == 1
    assert b"direct|passthrough" not in table.body
