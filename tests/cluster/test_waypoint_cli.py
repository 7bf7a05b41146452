"""``waypost waypoint`` on a cluster: what is written there, and what people are told."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from tests.support.controlplane import eventually
from tests.support.kubeapi import Answer, Fault, KubeApi
from xds_server.cli import main

READY = {
    "type": "Programmed",
    "status": "True",
    "reason": "Programmed",
    "message": "Resource programmed, assigned to service(s) waypoint.shop.svc.cluster.local:15008",
    "lastTransitionTime": "2026-01-01T00:00:00Z",
}
PENDING = READY | {"status": "False", "reason": "AddressNotAssigned", "message": "no pod yet"}


class Shell:
    """Runs commands beside the server that they talk to."""

    def __init__(self, api: KubeApi, kubeconfig: Path) -> None:
        self.api = api
        self._kubeconfig = str(kubeconfig)

    async def run(self, command: str, *arguments: str) -> Result:
        line = ["waypoint", command, "--kubeconfig", self._kubeconfig, *arguments]
        return await asyncio.to_thread(CliRunner().invoke, main, line)

    def gateway(self, name: str = "waypoint") -> dict[str, Any] | None:
        return self.api.store.get(("gateway.networking.k8s.io", "gateways"), ("shop", name))

    def labels(self) -> dict[str, str]:
        found = self.api.store.get(("", "namespaces"), ("", "shop"))
        assert found is not None
        labels: dict[str, str] = found["metadata"].get("labels", {})
        return labels

    def put_gateway(self, name: str, *conditions: dict[str, Any], **changes: Any) -> None:
        self.api.put(
            {
                "apiVersion": "gateway.networking.k8s.io/v1",
                "kind": "Gateway",
                "metadata": {
                    "name": name,
                    "namespace": changes.get("namespace", "shop"),
                    "labels": changes.get("labels", {}),
                },
                "spec": {
                    "gatewayClassName": changes.get("of", "istio-waypoint"),
                    "listeners": [{"name": "mesh", "port": 15008, "protocol": "HBONE"}],
                },
                "status": {"conditions": list(conditions)},
            }
        )


def put_namespace(api: KubeApi, **labels: str) -> None:
    api.put(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": labels}}
    )


@pytest.fixture
async def shell(tmp_path: Path) -> AsyncIterator[Shell]:
    async with KubeApi(["gateway-api-standard"]) as api:
        put_namespace(api, **{"istio.io/dataplane-mode": "ambient", "team": "a"})
        yield Shell(api, api.write_kubeconfig(tmp_path / "kubeconfig"))


async def test_apply_makes_the_gateway(shell: Shell):
    result = await shell.run("apply", "-n", "shop", "--for", "all", "-r", "canary")
    assert (result.exit_code, result.output) == (0, "✅ waypoint shop/waypoint applied\n")
    made = shell.gateway()
    assert made is not None
    assert made["metadata"]["labels"] == {
        "istio.io/waypoint-for": "all",
        "istio.io/rev": "canary",
    }
    assert made["spec"]["gatewayClassName"] == "istio-waypoint"
    assert made["spec"]["listeners"][0]["port"] == 15008
    assert {one["manager"] for one in made["metadata"]["managedFields"]} == {"waypost.dev/cli"}


async def test_apply_again_keeps_what_others_added(shell: Shell):
    shell.put_gateway("waypoint", labels={"team": "b"})
    await shell.run("apply", "-n", "shop", "--for", "workload")
    made = shell.gateway()
    assert made is not None
    assert made["metadata"]["labels"] == {"team": "b", "istio.io/waypoint-for": "workload"}


async def test_apply_leaves_a_gateway_of_another_class_alone(shell: Shell):
    shell.put_gateway("waypoint", of="istio")
    result = await shell.run("apply", "-n", "shop")
    assert result.exit_code == 1
    assert 'exists and is of class "istio": it is no waypoint' in result.output
    assert shell.api.count("patch") == 0


async def test_enrolment_labels_the_namespace_and_nothing_else(shell: Shell):
    result = await shell.run("apply", "-n", "shop", "--enroll-namespace", "--name", "wp")
    assert result.output == (
        '✅ waypoint shop/wp applied\n✅ namespace shop labeled with "istio.io/use-waypoint: wp"\n'
    )
    assert (
        shell.labels().items()
        >= {
            "istio.io/use-waypoint": "wp",
            "istio.io/dataplane-mode": "ambient",
            "team": "a",
        }.items()
    )


async def test_an_enrolled_namespace_is_left_alone_unless_told_otherwise(shell: Shell):
    put_namespace(shell.api, **{"istio.io/use-waypoint": "old"})
    refused = await shell.run("apply", "-n", "shop", "--enroll-namespace")
    assert refused.exit_code == 0
    assert refused.output == (
        "⚠️ Warning: namespace (shop) already has an enrolled Waypoint. Consider adding the "
        "`--overwrite` flag to your apply command.\n"
    )
    assert shell.gateway() is None
    done = await shell.run("apply", "-n", "shop", "--enroll-namespace", "--overwrite")
    assert "namespace is not enrolled in ambient. Consider running\t`kubectl" in done.output
    assert shell.labels()["istio.io/use-waypoint"] == "waypoint"


async def test_a_namespace_that_is_not_there_is_not_made(shell: Shell):
    result = await shell.run("apply", "-n", "lost", "--enroll-namespace")
    assert (result.exit_code, result.output) == (1, "Error: namespace: lost not found\n")
    assert shell.api.count("patch") == 0


async def test_apply_waits_for_programmed(shell: Shell):
    shell.put_gateway("waypoint", PENDING)
    waiting = asyncio.create_task(shell.run("apply", "-n", "shop", "-w"))
    await eventually(lambda: shell.api.count("patch") > 0)
    assert not waiting.done()
    shell.put_gateway("waypoint", READY)
    result = await waiting
    assert result.output == (
        "✅ waypoint shop/waypoint applied\n✅ waypoint shop/waypoint is ready!\n"
    )


async def test_waiting_ends_before_the_namespace_is_enrolled(shell: Shell):
    result = await shell.run(
        *("apply", "-n", "shop", "-w", "--waypoint-timeout", "1ms", "--enroll-namespace")
    )
    assert result.exit_code == 1
    assert "timed out while waiting for waypoint\tshop/waypoint: Waiting for" in result.output
    assert "istio.io/use-waypoint" not in shell.labels()


async def test_list(shell: Shell):
    shell.put_gateway("waypoint", READY, labels={"istio.io/rev": "canary"})
    shell.put_gateway("b", PENDING, labels={"istio.io/waypoint-for": "workload"})
    shell.put_gateway("ingress", READY, of="istio")
    shell.put_gateway("far", namespace="default")
    own = await shell.run("list", "-n", "shop")
    assert own.output == (
        "NAME         REVISION     TRAFFIC TYPE     PROGRAMMED\n"
        "b            default      workload         False\n"
        "waypoint     canary       service          True\n"
    )
    everywhere = await shell.run("list", "-A")
    assert everywhere.output == (
        "NAMESPACE     NAME         REVISION     TRAFFIC TYPE     PROGRAMMED\n"
        "default       far          default      service          Unknown\n"
        "shop          b            default      workload         False\n"
        "shop          waypoint     canary       service          True\n"
    )


async def test_traffic_is_that_of_the_class_where_the_waypoint_says_nothing(shell: Shell):
    shell.api.put(
        {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "GatewayClass",
            "metadata": {"name": "istio-waypoint", "labels": {"istio.io/waypoint-for": "all"}},
            "spec": {"controllerName": "istio.io/mesh-controller"},
        }
    )
    shell.put_gateway("waypoint")
    result = await shell.run("list", "-n", "shop")
    assert result.output.splitlines()[1].split() == ["waypoint", "default", "all", "Unknown"]


async def test_nothing_to_list(shell: Shell):
    result = await shell.run("list")
    assert (result.exit_code, result.output) == (0, "No waypoints found.\n")


async def test_status_waits_until_all_are_ready(shell: Shell):
    shell.put_gateway("waypoint", PENDING)
    waiting = asyncio.create_task(shell.run("status", "-n", "shop"))
    await eventually(lambda: shell.api.count("list", "gateways") > 0)
    shell.put_gateway("waypoint", READY)
    result = await waiting
    assert result.exit_code == 0
    assert result.output == (
        "NAME         STATUS     TYPE           REASON         MESSAGE\n"
        f"waypoint     True       Programmed     Programmed     {READY['message']}\n"
    )


async def test_status_tells_when_time_is_up(shell: Shell):
    shell.put_gateway("waypoint", PENDING)
    late = await shell.run("status", "-n", "shop", "--waypoint-timeout", "1ms")
    assert late.exit_code == 1
    assert "AddressNotAssigned     no pod yet" in late.output
    assert "timed out while retrieving status for waypoint\tshop/waypoint" in late.output
    patient = await shell.run("status", "-n", "shop", "--no-wait")
    assert patient.exit_code == 0


async def test_what_was_said_of_an_earlier_generation_does_not_count(shell: Shell):
    shell.put_gateway("waypoint", READY | {"observedGeneration": 0})
    result = await shell.run("list", "-n", "shop")
    assert result.output.splitlines()[1].split()[-1] == "Unknown"


async def test_delete_by_name(shell: Shell):
    shell.put_gateway("waypoint")
    shell.put_gateway("ingress", of="istio")
    result = await shell.run("delete", "-n", "shop", "waypoint", "ingress", "lost")
    assert result.output == (
        "waypoint shop/waypoint deleted\n"
        "waypoint shop/ingress not found\n"
        "waypoint shop/lost not found\n"
    )
    assert shell.gateway() is None
    assert shell.gateway("ingress") is not None


async def test_delete_of_a_revision_and_of_all(shell: Shell):
    shell.put_gateway("a", labels={"istio.io/rev": "old"})
    shell.put_gateway("b")
    shell.put_gateway("ingress", of="istio")
    await shell.run("delete", "-n", "shop", "-r", "old")
    assert (shell.gateway("a"), shell.gateway("b") is None) == (None, False)
    await shell.run("delete", "-n", "shop", "--all")
    assert shell.gateway("b") is None
    assert shell.gateway("ingress") is not None


async def test_a_refusal_is_told(shell: Shell):
    shell.api.faults.add(Fault(Answer(403, "Forbidden", "you may not"), verb="patch"))
    result = await shell.run("apply", "-n", "shop")
    assert result.exit_code == 1
    assert "403 you may not" in result.output


async def test_the_namespace_is_that_of_the_context(shell: Shell, tmp_path: Path):
    shell.put_gateway("waypoint", READY)
    path = tmp_path / "kubeconfig"
    config = yaml.safe_load(path.read_text())
    config["contexts"][0]["context"]["namespace"] = "shop"
    path.write_text(yaml.safe_dump(config))
    own = await shell.run("list")
    assert own.output.splitlines()[1].split()[0] == "waypoint"
    named = await shell.run("list", "--context", "test")
    assert named.output == own.output
    other = await shell.run("list", "-n", "default")
    assert other.output == "No waypoints found.\n"
