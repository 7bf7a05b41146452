"""The objects of waypoints: what an API server and pod security would say of them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from kubernetes.client import ApiClient

from tests.golden.case import CASES
from tests.unit.test_deployment_overlay import GATEWAY
from translators.deployment import (
    NO_OVERLAYS,
    DeploymentSettings,
    deployed,
    gateway_class,
    owner_uid,
    roots,
)
from translators.ir.waypoint import Mesh
from xds_server.deployment import Shelf, Workshop
from xds_server.deployment.live import obstacle, says, settled, stamped
from xds_server.status import Objects
from xds_server.status.objects import Refused

SETTINGS = DeploymentSettings("waypost.istio-system.svc:15012")
PLAIN = {each["kind"]: each for each in deployed(Mesh(), SETTINGS, GATEWAY, NO_OVERLAYS)}


def goldens() -> list[tuple[str, Mapping[str, Any]]]:
    found = []
    for path in sorted(Path(CASES).glob("deployment/*/deployment.yaml")):
        documents = [each for each in yaml.safe_load_all(path.read_text()) if each]
        found += [(f"{path.parent.name}-{each['kind']}", each) for each in documents]
    return [*found, ("roots", roots(SETTINGS, "shop", [GATEWAY], "PEM"))]


@pytest.mark.parametrize("manifest", [pytest.param(each, id=name) for name, each in goldens()])
def test_every_field_is_one_of_kubernetes_and_of_its_type(manifest: Mapping[str, Any]) -> None:
    version = manifest["apiVersion"].rpartition("/")[2]
    model = f"{version[0].upper()}{version[1:]}{manifest['kind']}"
    client, text = ApiClient(), json.dumps(manifest)
    read = client.deserialize(text, model, "application/json")
    assert client.sanitize_for_serialization(read) == json.loads(text)


def test_pods_are_as_restricted_as_pod_security_asks_for() -> None:
    pod = PLAIN["Deployment"]["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert not pod.keys() & {"hostNetwork", "hostPID", "hostIPC"}
    assert {next(iter(volume.keys() - {"name"})) for volume in pod["volumes"]} == {
        "configMap",
        "projected",
    }
    [container] = pod["containers"]
    security = container["securityContext"]
    assert security["allowPrivilegeEscalation"] is False
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert security["readOnlyRootFilesystem"] is True
    assert security["runAsUser"] > 0
    assert not any("hostPort" in port for port in container["ports"])
    assert container["resources"]["limits"]["memory"]


def test_the_grace_is_longer_than_the_drain() -> None:
    long = DeploymentSettings("x:1", drain_s=300)
    found = {each["kind"]: each for each in deployed(Mesh(), long, GATEWAY, NO_OVERLAYS)}
    assert found["Deployment"]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 310


def test_the_token_is_for_the_control_plane_alone() -> None:
    volumes = PLAIN["Deployment"]["spec"]["template"]["spec"]["volumes"]
    [source] = next(each["projected"]["sources"] for each in volumes if "projected" in each)
    assert source["serviceAccountToken"]["audience"] == SETTINGS.audience


def test_the_selector_finds_the_pods_of_this_gateway_alone() -> None:
    spec = PLAIN["Deployment"]["spec"]
    wanted = {"gateway.networking.k8s.io/gateway-name": "waypoint"}
    assert spec["selector"]["matchLabels"] == wanted == PLAIN["Service"]["spec"]["selector"]
    assert wanted.items() <= spec["template"]["metadata"]["labels"].items()


def test_the_class_is_istios() -> None:
    assert gateway_class()["spec"]["controllerName"] == "istio.io/mesh-controller"


def live(kind: str) -> dict[str, Any]:
    """An object as an API server has it: with fields of its own."""
    found: dict[str, Any] = json.loads(json.dumps(stamped(PLAIN[kind])))
    found["metadata"] |= {"uid": "7", "resourceVersion": "9"}
    return found


def test_what_is_there_says_what_is_wanted_whatever_else_it_says() -> None:
    wanted, there = stamped(PLAIN["Deployment"]), live("Deployment")
    there["spec"] |= {"revisionHistoryLimit": 10, "replicas": 1}
    pod = there["spec"]["template"]["spec"]
    pod["containers"][0]["terminationMessagePath"] = "/dev/termination-log"
    pod["containers"].insert(0, {"name": "injected"})
    assert says(there, wanted)
    pod["containers"][1]["image"] = "other"
    assert not says(there, wanted)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("metadata", "labels", "gateway.istio.io/managed"), "other"),
        (("metadata", "annotations", "waypost.dev/applied"), "other"),
        (("metadata", "ownerReferences"), []),
        (("spec", "ports"), []),
        (("spec", "selector"), {}),
    ],
)
def test_a_difference_is_found(path: tuple[str, ...], value: object) -> None:
    there = live("Service")
    at = there
    for name in path[:-1]:
        at = at[name]
    at[path[-1]] = value
    assert not says(there, stamped(PLAIN["Service"]))


class Rewriting:
    """An API server that writes what it is given in its own way."""

    writes = 0

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> dict[str, Any]:
        raise Refused(404, "not found", 0)

    async def apply(self, path: str, manifest: dict[str, Any], manager: str) -> dict[str, Any]:
        self.writes += 1
        stored: dict[str, Any] = json.loads(json.dumps(manifest).replace('"100m"', '"0.1"'))
        stored["metadata"] |= {"uid": "7", "resourceVersion": str(self.writes)}
        return stored


async def test_what_the_api_server_writes_in_its_own_way_is_not_applied_again() -> None:
    objects, wanted = Rewriting(), [stamped(PLAIN["Deployment"])]
    workshop = Workshop(cast("Objects", objects), Shelf(lambda: None))
    assert not workshop.is_right(wanted)
    await workshop.put_right(wanted)
    assert workshop.is_right(wanted)
    await workshop.put_right(wanted)
    assert objects.writes == 1


def test_what_settled_stays_so_until_somebody_changes_it() -> None:
    wanted, there = stamped(PLAIN["Deployment"]), live("Deployment")
    before = settled(there, wanted)
    there["status"] = {"readyReplicas": 1}
    there["metadata"]["resourceVersion"] = "10"
    assert settled(there, wanted) == before
    there["spec"]["replicas"] = 2
    assert settled(there, wanted) != before


def test_only_objects_of_the_same_gateway_are_in_our_hands() -> None:
    wanted = stamped(PLAIN["Service"])
    assert obstacle(live("Service"), wanted) == ""
    assert owner_uid(wanted) == "1"
    foreign = live("Service")
    del foreign["metadata"]["labels"]
    assert "left alone" in obstacle(foreign, wanted)
    older = live("Service")
    older["metadata"]["ownerReferences"][0]["uid"] = "2"
    assert "another object" in obstacle(older, wanted)
