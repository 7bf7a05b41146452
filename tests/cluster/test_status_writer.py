"""Status in a cluster: what users see on their objects, and what it costs the API server."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.conftest import Kube
from tests.support.certs import CertFolder
from tests.support.controlplane import eventually
from tests.support.kubeapi import Answer, Drop, Fault, KubeApi
from tests.support.kubeapi.client import Client
from tests.support.replica import Replica, conditions, replica
from translators.ir.waypoint import WaypointName
from translators.wire import ResourceKey, TypeUrl
from xds_server.protocol import Rejected
from xds_server.snapshots import ProxyKey

CRDS = ("gateway-api-experimental", "istio")
GATEWAY = "gateway.networking.k8s.io/v1"
CLASS = {
    "apiVersion": GATEWAY,
    "kind": "GatewayClass",
    "metadata": {"name": "istio-waypoint"},
    "spec": {"controllerName": "istio.io/mesh-controller"},
}
WAYPOINT = {
    "apiVersion": GATEWAY,
    "kind": "Gateway",
    "metadata": {"name": "waypoint", "namespace": "default"},
    "spec": {
        "gatewayClassName": "istio-waypoint",
        "listeners": [{"name": "mesh", "port": 15008, "protocol": "HBONE"}],
    },
}
POLICY = {
    "apiVersion": "security.istio.io/v1",
    "kind": "AuthorizationPolicy",
    "metadata": {"name": "readers", "namespace": "default"},
    "spec": {
        "targetRefs": [{"group": "", "kind": "Service", "name": "web"}],
        "rules": [{"to": [{"operation": {"methods": ["GET"]}}]}],
    },
}

ENTRY = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "ServiceEntry",
    "metadata": {
        "name": "api",
        "namespace": "default",
        "labels": {"istio.io/use-waypoint": "waypoint"},
    },
    "spec": {
        "hosts": ["api.example.com"],
        "resolution": "DNS",
        "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
    },
}

VM = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "WorkloadEntry",
    "metadata": {
        "name": "vm",
        "namespace": "default",
        "labels": {"istio.io/use-waypoint": "waypoint"},
    },
    "spec": {"address": "10.0.0.9"},
}


def service(name: str = "web", label: str = "waypoint") -> dict[str, Any]:
    labels = {"istio.io/use-waypoint": label} if label else {}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default", "labels": labels},
        "spec": {
            "clusterIP": "10.96.0.9",
            "clusterIPs": ["10.96.0.9"],
            "ports": [{"name": "http", "port": 80, "appProtocol": "http"}],
        },
    }


def route(name: str = "r", backend: str = "web", path: str = "/", *more: Any) -> dict[str, Any]:
    parent = {"group": "", "kind": "Service", "name": "web", "port": 80}
    rule = {
        "matches": [{"path": {"type": "PathPrefix", "value": path}}],
        "backendRefs": [{"name": backend, "port": 80}],
    }
    return {
        "apiVersion": GATEWAY,
        "kind": "HTTPRoute",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"parentRefs": [parent, *more], "rules": [rule]},
    }


@pytest.fixture
async def api() -> AsyncIterator[KubeApi]:
    async with KubeApi(CRDS) as server:
        for manifest in (CLASS, WAYPOINT, service(), route(), POLICY, ENTRY, VM):
            server.put(manifest)
        yield server


@pytest.fixture
async def one(api: KubeApi, tmp_path: Path, certs: CertFolder) -> AsyncIterator[Replica]:
    async with replica(api, tmp_path, certs.authority) as started:
        await started.settled()
        yield started


def stored(api: KubeApi, kind: str, name: str) -> dict[str, Any]:
    plural, group = {
        "Service": ("services", ""),
        "HTTPRoute": ("httproutes", "gateway.networking.k8s.io"),
        "Gateway": ("gateways", "gateway.networking.k8s.io"),
        "GatewayClass": ("gatewayclasses", "gateway.networking.k8s.io"),
        "AuthorizationPolicy": ("authorizationpolicies", "security.istio.io"),
        "ServiceEntry": ("serviceentries", "networking.istio.io"),
        "WorkloadEntry": ("workloadentries", "networking.istio.io"),
    }[kind]
    found = api.store.get((group, plural), ("" if kind == "GatewayClass" else "default", name))
    assert found is not None
    return found


def status(api: KubeApi, kind: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = stored(api, kind, name).get("status", {})
    return found


def patches(api: KubeApi) -> int:
    return sum(number for (verb, _), number in api.counts.items() if verb == "patch")


def parents(api: KubeApi, name: str = "r") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = status(api, "HTTPRoute", name).get("parents", [])
    return found


@pytest.mark.usefixtures("one")
async def test_every_object_says_what_became_of_it(api: KubeApi) -> None:
    [parent] = parents(api)
    assert parent["parentRef"]["name"] == "web"
    assert parent["controllerName"] == "istio.io/gateway-controller"
    assert conditions(parent)["Accepted"] == ("True", "Accepted")
    assert conditions(parent)["ResolvedRefs"] == ("True", "ResolvedRefs")
    assert all(each["observedGeneration"] == 1 for each in parent["conditions"])
    gateway = status(api, "Gateway", "waypoint")
    assert conditions(gateway)["Accepted"] == ("True", "Accepted")
    assert [each["name"] for each in gateway["listeners"]] == ["mesh"]
    bound = conditions(status(api, "Service", "web"))["istio.io/WaypointBound"]
    assert bound == ("True", "WaypointAccepted")
    entry = status(api, "ServiceEntry", "api")
    assert conditions(entry)["istio.io/WaypointBound"] == ("True", "WaypointAccepted")
    assert entry["observedGeneration"] == 1
    unserved = conditions(status(api, "WorkloadEntry", "vm"))["istio.io/WaypointBound"]
    assert unserved == ("False", "UnsupportedTrafficType")
    policy = status(api, "AuthorizationPolicy", "readers")
    assert conditions(policy)["WaypointAccepted"][0] == "True"
    of_class = status(api, "GatewayClass", "istio-waypoint")
    assert conditions(of_class)["Accepted"] == ("True", "Accepted")
    assert {"name": "MeshHTTPRouteRewritePath"} in of_class["supportedFeatures"]


async def test_what_is_said_already_is_not_written_again(
    api: KubeApi, one: Replica, tmp_path: Path, certs: CertFolder
) -> None:
    before, writes = patches(api), one.writer.writes
    assert before == writes == 7
    api.put({**service(), "metadata": {**service()["metadata"], "annotations": {"a": "b"}}})
    await eventually(lambda: one.server._compiler.counts()["Service"] == 1)
    await one.settled()
    one.running.cancel()
    async with replica(api, tmp_path, certs.authority, "b") as other:
        await other.settled()
        assert patches(api) == before


async def test_a_time_changes_with_the_status_and_not_with_the_message(
    api: KubeApi, one: Replica
) -> None:
    long_ago = "2020-01-01T00:00:00Z"
    backdate(api, long_ago)
    api.put(route(backend="gone"))
    await eventually(
        lambda: conditions(parents(api)[0])["ResolvedRefs"] == ("False", "BackendNotFound")
    )
    await one.settled()
    times = {each["type"]: each["lastTransitionTime"] for each in parents(api)[0]["conditions"]}
    assert times["Accepted"] == long_ago
    assert times["ResolvedRefs"] > long_ago
    assert {each["observedGeneration"] for each in parents(api)[0]["conditions"]} == {2}


def backdate(api: KubeApi, time: str) -> None:
    """Say that the route's conditions are as they are since then."""
    found = json.loads(json.dumps(stored(api, "HTTPRoute", "r")))
    for each in found["status"]["parents"][0]["conditions"]:
        each["lastTransitionTime"] = time
    api.put(found)


async def test_entries_of_other_controllers_stay_as_they_are(api: KubeApi, one: Replica) -> None:
    gateway = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "edge"}
    foreign = {
        "parentRef": gateway,
        "controllerName": "example.com/edge",
        "conditions": [
            {
                "type": "Accepted",
                "status": "True",
                "reason": "Accepted",
                "message": "",
                "lastTransitionTime": "2020-01-01T00:00:00Z",
            }
        ],
    }
    ours = parents(api)
    changed = route("r", "web", "/other", gateway)
    api.put({**changed, "status": {"parents": [foreign, *ours]}})
    await eventually(lambda: parents(api)[1]["conditions"][0]["observedGeneration"] == 2)
    assert parents(api)[0] == foreign
    parted = route("r", "web", "/other")
    parted["spec"]["parentRefs"] = [gateway]
    api.put({**parted, "status": status(api, "HTTPRoute", "r")})
    await eventually(lambda: parents(api) == [foreign])


async def test_what_is_no_longer_ours_to_say_is_taken_back(api: KubeApi, one: Replica) -> None:
    api.put({**service(label=""), "status": status(api, "Service", "web")})
    await eventually(lambda: conditions(status(api, "Service", "web")) == {})
    assert conditions(parents(api)[0])["Accepted"] == ("True", "Accepted")


async def test_many_routes_cost_one_write_each_and_the_gateway_none(
    api: KubeApi, one: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(one.writer._bucket, "_rate", 10_000.0)
    before = api.count("patch", "gateways/status")
    for index in range(200):
        api.put(route(f"r{index:03}", path=f"/{index}"))
    await eventually(lambda: all(parents(api, f"r{index:03}") for index in range(200)))
    await one.settled()
    assert api.count("patch", "httproutes/status") == 201
    assert api.count("patch", "gateways/status") == before


async def test_writes_are_spread_over_time(api: KubeApi, one: Replica) -> None:
    begin = len(api.requests)
    for index in range(250):
        api.put(route(f"r{index:03}", path=f"/{index}"))
    await eventually(lambda: bool(parents(api, "r249")))
    times = [each.time for each in api.requests[begin:] if each.verb == "patch"]
    assert len(times) == 250
    assert times[-1] - times[0] > 0.5  # 160 at once, then 80 a second


async def test_whoever_lost_the_lease_without_noticing_writes_nothing(
    api: KubeApi, one: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(one.writer.leader, "_campaign", asyncio.Event().wait)
    await eventually(lambda: not one.leads)  # none is on its way any more
    one.writer.leader._election._held_until = float("inf")  # a clock that stood still
    lease = api.store.get(("coordination.k8s.io", "leases"), ("default", "waypost-status"))
    assert lease is not None
    api.put({**lease, "spec": {**lease["spec"], "holderIdentity": "other"}})
    one.writer.leader._confirmed_at = float("-inf")
    before = patches(api)
    one.writer.leader._won.set()
    api.put(route("late"))
    await eventually(lambda: not one.leads)
    assert patches(api) == before
    assert parents(api, "late") == []


@pytest.mark.parametrize("code", [409, 403, 429, 500, 422])
async def test_a_write_that_fails_is_tried_again(api: KubeApi, one: Replica, code: int) -> None:
    retry_after = 1 if code == 429 else None
    api.faults.add(Fault(Answer(code, "Scripted", retry_after=retry_after), "patch"))
    api.put(route(backend="gone"))
    if code not in (409, 429):
        await eventually(lambda: any("HTTPRoute default/r" in p for p in one.writer.problems()))
    await eventually(lambda: conditions(parents(api)[0])["ResolvedRefs"][0] == "False")
    await one.settled()
    assert one.writer.problems() == []


async def test_one_object_that_may_not_be_written_holds_up_no_other(
    api: KubeApi, one: Replica
) -> None:
    api.access.forbid("patch", "services/status")
    api.put(service("other"))
    api.put(route("late"))
    await eventually(lambda: bool(parents(api, "late")))
    await eventually(lambda: any("Service default/other" in p for p in one.writer.problems()))
    code, page = await one.page("/problems")
    assert (code, "Service default/other" in page) == (200, True)
    api.access.permit("patch", "services/status")
    await eventually(lambda: bool(status(api, "Service", "other")))


async def test_an_api_server_that_goes_and_comes_stops_nothing(api: KubeApi, one: Replica) -> None:
    await api.stop()
    await eventually(lambda: not one.leads)
    assert (await one.page("/readyz"))[0] == 200
    api.put(route("late"))
    await api.start()
    await eventually(lambda: bool(parents(api, "late")), timeout_s=20)
    await one.settled()
    assert not one.running.done()


async def test_a_connection_that_is_cut_loses_no_status(api: KubeApi, one: Replica) -> None:
    api.faults.add(Fault(Drop(), "patch", times=3))
    api.put(route("late"))
    await eventually(lambda: bool(parents(api, "late")), timeout_s=20)


async def test_what_an_envoy_refused_is_said_on_the_route_until_it_heals(
    api: KubeApi, one: Replica
) -> None:
    key = ProxyKey(WaypointName("default", "waypoint"), "127.0.0.1:15008")
    table = ResourceKey(TypeUrl.ROUTE, "inbound-vip|80|http|web.default.svc.cluster.local")
    store = one.server._store
    with store.attach(key, lambda: None):
        await eventually(lambda: store.served(key) is not None)
        served = store.served(key)
        assert served is not None
        culprit = served.get(table)
        assert culprit is not None
        store.reject(key, Rejected(TypeUrl.ROUTE, (culprit,), "bad regex: /(", (culprit,)))
        await eventually(lambda: "Programmed" in conditions(parents(api)[0]))
        told = {each["type"]: each for each in parents(api)[0]["conditions"]}["Programmed"]
        assert (told["status"], told["reason"]) == ("False", "RejectedByProxy")
        assert "bad regex: /(" in told["message"]
        assert "waypost.dev/Programmed" not in conditions(status(api, "Service", "web"))
        assert "bad regex" in (await one.page("/problems"))[1]
        assert "waypost_quarantined_resources 1.0" in (await one.page("/metrics"))[1]
        api.put(route(path="/mended"))
        await eventually(lambda: "Programmed" not in conditions(parents(api)[0]))
        assert "waypost_quarantined_resources 0.0" in (await one.page("/metrics"))[1]


async def test_kubectl_waits_for_what_is_written(
    api: KubeApi, one: Replica, tmp_path: Path
) -> None:
    client = Client(api.url)
    kube = Kube(client, "default", api.write_kubeconfig(tmp_path / "kubectl"), api)
    try:
        for what in (
            ("--for=condition=Accepted", "gateway/waypoint"),
            ("--for=condition=WaypointAccepted", "authorizationpolicy/readers"),
            ("--for=condition=istio.io/WaypointBound", "service/web"),
            ("--for=jsonpath={.status.parents[0].conditions[0].status}=True", "httproute/r"),
        ):
            code, output = await kube.kubectl("wait", *what, "--timeout=10s")
            assert code == 0, output
    finally:
        await client.close()


ISTIOS = {
    *("pilot_xds", "pilot_xds_pushes", "pilot_total_xds_rejects", "pilot_xds_write_timeout"),
    *("pilot_services", "pilot_inbound_updates", "citadel_server_success_cert_issuance_count"),
}
"""As Istio's dashboards ask for them, to the letter."""


async def test_metrics_and_health_tell_how_it_is(api: KubeApi, one: Replica) -> None:
    code, page = await one.page("/metrics")
    assert code == 200
    figures = dict(line.rsplit(" ", 1) for line in page.splitlines() if not line.startswith("#"))
    assert figures["pilot_services"] == "1.0"
    assert figures["waypost_leader"] == "1.0"
    assert figures["waypost_status_writes_total"] == "7.0"
    assert figures['waypost_objects{kind="HTTPRoute"}'] == "1.0"
    assert float(figures['waypost_watch_age_seconds{kind="services"}']) < 5
    assert float(figures["citadel_server_root_cert_expiry_timestamp"]) > 1.8e9
    assert float(figures["citadel_server_root_cert_expiry_seconds"]) > 86400
    assert float(figures['pilot_inbound_updates{type="svc"}']) >= 1
    assert {name.partition("{")[0] for name in figures} >= ISTIOS
    assert not any("readers" in name or '"waypoint"' in name for name in figures)
    code, page = await one.page("/healthz?verbose")
    assert code == 200
    assert "services" in page
    assert "confirmed" in page
