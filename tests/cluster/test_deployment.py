"""Waypoints on a cluster: what is deployed for a Gateway, what is left alone, what it costs."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from tests.support.certs import CertFolder
from tests.support.controlplane import eventually
from tests.support.kubeapi import Answer, Fault, KubeApi
from tests.support.replica import Replica, conditions, replica
from translators.deployment import DeploymentSettings
from xds_server.deployment import deployer as deployer_module
from xds_server.deployment import parameters

SETTINGS = DeploymentSettings("xds.example:0")
APPS, CORE = "apps", ""
Start = Callable[..., AbstractAsyncContextManager[Replica]]


def gateway(name: str = "waypoint", **more: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "default", **more.pop("metadata", {})}
    listeners = [{"name": "mesh", "port": 15008, "protocol": "HBONE"}]
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": metadata,
        "spec": {"gatewayClassName": "istio-waypoint", "listeners": listeners, **more},
    }


def config_map(name: str, namespace: str = "default", **data: str) -> dict[str, Any]:
    labels = {"gateway.istio.io/defaults-for-class": "istio-waypoint"}
    metadata: dict[str, Any] = {"name": name, "namespace": namespace}
    if namespace != "default":
        metadata["labels"] = labels
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def with_parameters(name: str, kind: str = "ConfigMap") -> dict[str, Any]:
    return gateway(infrastructure={"parametersRef": {"group": "", "kind": kind, "name": name}})


class Cluster:
    """What there is."""

    def __init__(self, api: KubeApi) -> None:
        self.api = api

    def find(self, group: str, plural: str, name: str = "waypoint") -> dict[str, Any] | None:
        return self.api.store.get((group, plural), ("default", name))

    def deployment(self) -> dict[str, Any]:
        found = self.find(APPS, "deployments")
        assert found is not None
        return found

    def container(self) -> dict[str, Any]:
        found: dict[str, Any] = self.deployment()["spec"]["template"]["spec"]["containers"][0]
        return found

    def conditions(self, name: str = "waypoint") -> dict[str, tuple[str, str]]:
        found = self.find("gateway.networking.k8s.io", "gateways", name)
        return conditions(found.get("status", {})) if found else {}

    def owned(self) -> set[str]:
        """What is there with the label of waypoints, but for the roots."""
        return {
            plural
            for (_, plural), _, each in self.api.store.everything()
            if "gateway.istio.io/managed" in each["metadata"].get("labels", {})
            and plural != "configmaps"
        }


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parameters, "AGAIN_S", 0.2)
    monkeypatch.setattr(deployer_module, "AGAIN_S", 0.2)


@pytest.fixture
async def api() -> AsyncIterator[KubeApi]:
    async with KubeApi(("gateway-api-standard", "istio")) as server:
        for name in ("istio-system",):
            manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            server.put(manifest)
        yield server


@pytest.fixture
def cluster(api: KubeApi) -> Cluster:
    return Cluster(api)


@pytest.fixture
def start(api: KubeApi, tmp_path: Path, certs: CertFolder) -> Start:
    def started(name: str = "a") -> AbstractAsyncContextManager[Replica]:
        return replica(api, tmp_path, certs.authority, name, deploys=SETTINGS)

    return started


@pytest.fixture
async def one(start: Start) -> AsyncIterator[Replica]:
    async with start() as running:
        yield running


def writes(api: KubeApi) -> int:
    """Writes to anything but statuses and the lease."""
    return sum(
        number
        for (verb, resource), number in api.counts.items()
        if verb in ("patch", "create", "update", "delete")
        and not resource.endswith("/status")
        and not resource.startswith("leases")
    )


async def test_a_gateway_gets_all_that_runs_it(cluster: Cluster, one: Replica) -> None:
    stored = cluster.api.put(gateway(metadata={"labels": {"team": "a"}}))
    await eventually(lambda: cluster.owned() == {"serviceaccounts", "services", "deployments"})
    for group, plural in ((CORE, "serviceaccounts"), (CORE, "services"), (APPS, "deployments")):
        found = cluster.find(group, plural)
        assert found is not None
        [owner] = found["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["uid"]) == ("Gateway", stored["metadata"]["uid"])
        assert owner["controller"] is True
        assert found["metadata"]["labels"]["team"] == "a"
        managers = {each["manager"] for each in found["metadata"]["managedFields"]}
        assert managers == {"waypost.dev/deployer"}
    roots = cluster.find(CORE, "configmaps", "waypost-ca-root-cert")
    assert roots is not None
    assert roots["data"]["root-cert.pem"] == one.server._authority.trust_bundle().decode()
    cluster.api.remove(gateway())
    assert cluster.owned() == set()
    assert cluster.find(CORE, "configmaps", "waypost-ca-root-cert") is None


async def test_the_class_is_made_once_and_never_changed(cluster: Cluster, one: Replica) -> None:
    key = ("gateway.networking.k8s.io", "gatewayclasses")
    await eventually(lambda: cluster.api.store.get(key, ("", "istio-waypoint")) is not None)
    await eventually(lambda: _class_status(cluster.api).get("Accepted") == ("True", "Accepted"))
    made = cluster.api.store.get(key, ("", "istio-waypoint"))
    assert made is not None
    assert {"name": "MeshHTTPRouteRewritePath"} in made["status"]["supportedFeatures"]
    cluster.api.remove(made)
    await eventually(lambda: _class_status(cluster.api).get("Accepted") == ("True", "Accepted"))
    assert cluster.api.count("create", "gatewayclasses") == 2
    assert cluster.api.count("patch", "gatewayclasses") == 0


def _class_status(api: KubeApi) -> dict[str, tuple[str, str]]:
    key = ("gateway.networking.k8s.io", "gatewayclasses")
    found = api.store.get(key, ("", "istio-waypoint"))
    return conditions(found.get("status", {})) if found else {}


async def test_a_class_of_somebody_else_is_left_to_them(cluster: Cluster, start: Start) -> None:
    theirs = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "GatewayClass",
        "metadata": {"name": "istio-waypoint"},
        "spec": {"controllerName": "example.com/other"},
    }
    before = cluster.api.put(theirs)
    cluster.api.put(gateway())
    async with start() as one:
        await one.deployed()
        await one.settled()
        assert writes(cluster.api) == 0
        key = ("gateway.networking.k8s.io", "gatewayclasses")
        assert cluster.api.store.get(key, ("", "istio-waypoint")) == before


async def test_what_is_as_it_should_be_is_not_written_again(cluster: Cluster, start: Start) -> None:
    cluster.api.put(gateway())
    async with start() as one:
        await one.deployed()
        await one.settled()
        before = writes(cluster.api)
        assert before == 5  # the class, the roots, three objects
        deployment = cluster.deployment()
        cluster.api.put({**deployment, "status": {"availableReplicas": 1}})
        await asyncio.sleep(0.6)
        assert writes(cluster.api) == before
    async with start("b") as other:
        await other.deployed()
        await asyncio.sleep(0.5)
        assert writes(cluster.api) == before


async def test_a_killed_leader_is_followed_by_one_that_finds_all_done(
    cluster: Cluster, start: Start
) -> None:
    async with start("a") as one, start("b") as two:
        first, second = (one, two) if await _leader_of(one, two) is one else (two, one)
        cluster.api.put(gateway())
        await first.deployed()
        await eventually(lambda: "deployments" in cluster.owned())
        before = writes(cluster.api)
        first.kill()
        await second.deployed()
        assert writes(cluster.api) == before
        cluster.api.put(gateway("another"))
        await eventually(lambda: cluster.find(APPS, "deployments", "another") is not None)


async def _leader_of(*replicas: Replica) -> Replica:
    await eventually(lambda: any(each.leads for each in replicas))
    return next(each for each in replicas if each.leads)


async def test_what_others_change_is_put_right_and_what_they_add_stays(
    cluster: Cluster, one: Replica
) -> None:
    cluster.api.put(gateway())
    await one.deployed()
    await eventually(lambda: "deployments" in cluster.owned())
    edited = json.loads(json.dumps(cluster.deployment()))
    edited["spec"]["template"]["spec"]["containers"][0]["image"] = "example.com/other"
    edited["spec"]["template"]["spec"]["nodeSelector"] = {"disk": "ssd"}
    edited["metadata"]["annotations"]["note"] = "mine"
    cluster.api.put(edited)
    await eventually(lambda: cluster.container()["image"] == SETTINGS.image)
    assert cluster.deployment()["spec"]["template"]["spec"]["nodeSelector"] == {"disk": "ssd"}
    assert cluster.deployment()["metadata"]["annotations"]["note"] == "mine"
    cluster.api.remove(cluster.deployment())
    await eventually(lambda: "deployments" in cluster.owned())


async def test_an_object_that_is_not_ours_is_never_touched(cluster: Cluster, one: Replica) -> None:
    theirs = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "waypoint", "namespace": "default"},
        "spec": {"ports": [{"port": 80}]},
    }
    before = cluster.api.put(theirs)
    cluster.api.put(gateway())
    await eventually(lambda: cluster.conditions().get("waypost.dev/Deployed") is not None)
    assert cluster.conditions()["waypost.dev/Deployed"] == ("False", "NotManaged")
    assert cluster.find(CORE, "services") == before
    assert "deployments" in cluster.owned()  # the rest is there
    assert "waypost_undeployed_waypoints 1.0" in (await one.page("/metrics"))[1]
    assert "is left alone" in (await one.page("/problems"))[1]
    cluster.api.remove(theirs)
    await eventually(lambda: "services" in cluster.owned())
    await eventually(lambda: "waypost.dev/Deployed" not in cluster.conditions())


@pytest.mark.parametrize(
    "foreign",
    [
        gateway(addresses=[{"type": "Hostname", "value": "by.hand"}]),
        gateway(metadata={"labels": {"istio.io/rev": "canary"}}),
        gateway(gatewayClassName="istio"),
        gateway(listeners=[{"name": "mesh", "port": 8080, "protocol": "HTTP"}]),
    ],
)
async def test_gateways_of_others_are_left_alone(
    cluster: Cluster, one: Replica, foreign: dict[str, Any]
) -> None:
    cluster.api.put(foreign)
    await eventually(lambda: one.server._compiler.counts()["Gateway"] == 1)
    await one.deployed()
    await asyncio.sleep(0.5)
    assert cluster.owned() == set()
    if "addresses" not in foreign["spec"] and foreign["spec"]["listeners"][0]["port"] == 15008:
        told = {status for status, _ in cluster.conditions().values()}
        assert told == {"Unknown"}  # as the API server's defaults have it


async def test_nothing_is_made_for_a_gateway_that_is_about_to_go(
    cluster: Cluster, one: Replica
) -> None:
    held = gateway(metadata={"finalizers": ["example.com/wait"]})
    cluster.api.put(held)
    await eventually(lambda: "deployments" in cluster.owned())
    cluster.api.remove(held)  # it stays until somebody removes the finalizer
    await eventually(lambda: one.server._compiler.deployable() == [])
    cluster.api.remove(cluster.deployment())
    await asyncio.sleep(0.7)
    assert cluster.find(APPS, "deployments") is None


async def test_a_namespace_of_another_revision_is_left_alone(
    cluster: Cluster, start: Start
) -> None:
    labels = {"istio.io/rev": "canary"}
    metadata = {"name": "default", "labels": labels}
    cluster.api.put({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    cluster.api.put(gateway())
    async with start() as one:
        await one.deployed()
        assert cluster.owned() == set()
        cluster.api.put(gateway(metadata={"labels": {"istio.io/rev": "default"}}))
        await eventually(lambda: "deployments" in cluster.owned())


async def test_overlays_come_and_go(cluster: Cluster, one: Replica) -> None:
    cluster.api.put(config_map("all", "istio-system", deployment="spec: {replicas: 3}"))
    wanted = {
        "deployment": "spec: {template: {spec: {nodeSelector: {disk: ssd}}}}",
        "podDisruptionBudget": "spec: {minAvailable: 1}",
    }
    cluster.api.put(config_map("params", **wanted))
    cluster.api.put(with_parameters("params"))
    await eventually(lambda: "poddisruptionbudgets" in cluster.owned())
    spec = cluster.deployment()["spec"]
    assert (spec["replicas"], spec["template"]["spec"]["nodeSelector"]) == (3, {"disk": "ssd"})
    cluster.api.put(config_map("params", service="spec: {type: LoadBalancer}"))
    await eventually(lambda: "poddisruptionbudgets" not in cluster.owned())
    await eventually(lambda: (cluster.find("", "services") or {})["spec"]["type"] != "ClusterIP")
    assert "nodeSelector" not in cluster.deployment()["spec"]["template"]["spec"]


@pytest.mark.parametrize(
    ("ref", "data"),
    [
        (("params", "ConfigMap"), None),
        (("params", "Secret"), {}),
        (("params", "ConfigMap"), {"deployment": "metadata: {name: other}"}),
        (("params", "ConfigMap"), {"deployment": "spec: ["}),
    ],
)
async def test_bad_parameters_are_told_and_hold_up_nobody_else(
    cluster: Cluster, one: Replica, ref: tuple[str, str], data: dict[str, str] | None
) -> None:
    if data is not None:
        cluster.api.put(config_map("params", **data))
    cluster.api.put(with_parameters(*ref))
    cluster.api.put(gateway("other"))
    bad = ("False", "InvalidParameters")
    await eventually(lambda: cluster.conditions().get("Accepted") == bad)
    await eventually(lambda: cluster.find(APPS, "deployments", "other") is not None)
    assert cluster.find(APPS, "deployments") is None
    cluster.api.put(config_map("params", deployment="spec: {replicas: 2}"))
    cluster.api.put(with_parameters("params"))
    await eventually(lambda: cluster.find(APPS, "deployments") is not None)
    await eventually(lambda: cluster.conditions().get("Accepted") == ("True", "Accepted"))


@pytest.mark.parametrize("code", [403, 409, 422, 429, 500])
async def test_a_write_that_fails_is_tried_again(cluster: Cluster, one: Replica, code: int) -> None:
    await one.deployed()
    cluster.api.faults.add(Fault(Answer(code, "Scripted"), "patch", "deployments"))
    cluster.api.put(gateway())
    await eventually(lambda: "deployments" in cluster.owned())
    await one.deployed()
    await eventually(lambda: "waypost.dev/Deployed" not in cluster.conditions())


async def test_an_api_server_that_goes_and_comes_stops_nothing(
    cluster: Cluster, one: Replica
) -> None:
    await one.deployed()
    await cluster.api.stop()
    cluster.api.put(gateway())
    await eventually(lambda: not one.leads)
    assert (await one.page("/readyz"))[0] == 200
    await cluster.api.start()
    await eventually(lambda: "deployments" in cluster.owned(), timeout_s=20)
    assert not one.running.done()


async def test_a_gateway_made_anew_gets_objects_of_its_own(cluster: Cluster, one: Replica) -> None:
    cluster.api.put(gateway())
    await eventually(lambda: "deployments" in cluster.owned())
    before = cluster.deployment()["metadata"]["uid"]
    cluster.api.remove(gateway())
    cluster.api.put(gateway())
    await eventually(lambda: cluster.find(APPS, "deployments") is not None)
    assert cluster.deployment()["metadata"]["uid"] != before
    await one.deployed()
