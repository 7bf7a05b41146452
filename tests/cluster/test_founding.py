"""The founding scenario: a namespace gets a waypoint by kubectl, and real Envoys serve it."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cluster.stage import (
    CLIENT,
    DRAIN_S,
    GATEWAY,
    RULES,
    SECOND,
    WEB,
    Stage,
    set_scene,
    stage,
)
from tests.cluster.test_waypoint_cli import Shell
from tests.support.caller import Caller, asking
from tests.support.certs import CertFolder
from tests.support.controlplane import eventually
from tests.support.fleet import EchoFleet
from tests.support.hbone import ConnectRefusedError
from tests.support.http1 import http1_request
from tests.support.loopback import LoopbackNet
from tests.support.mesh import Clients
from tests.support.replica import replica
from translators.wire import TypeUrl
from xds_server.demo.ztunnel import Address, Waypoint

TWO = """
apiVersion: v1
kind: ConfigMap
metadata: {name: two, namespace: shop}
data:
  deployment: "spec: {replicas: 2}"
"""


@pytest.fixture
async def cluster(
    tmp_path: Path, certs: CertFolder, net: LoopbackNet, fleet: EchoFleet
) -> AsyncIterator[Stage]:
    async with stage(tmp_path, certs, net, fleet) as running:
        await set_scene(running, net)
        yield running


async def test_a_waypoint_by_kubectl(cluster: Stage, net: LoopbackNet, certs: CertFolder) -> None:
    await cluster.apply(GATEWAY)
    await cluster.programmed()
    assert "waypoint" in await cluster.kubectl("get", "deployment,service,serviceaccount")
    addresses = cluster.gateway()["status"]["addresses"]
    assert [each["type"] for each in addresses] == ["IPAddress", "Hostname"]
    streams = cluster.one.server._ads.registry.streams()
    assert {str(stream.proxy.waypoint) for stream in streams} == {"shop/waypoint"}

    await cluster.apply(RULES)
    await everything_says_what_became_of_it(cluster)

    [pod] = cluster.pods.of("shop")
    at = Waypoint(Address(pod.ip, 15008), certs.svid("shop", "waypoint").uri)
    clients = Clients(at, certs, net.ip(CLIENT))
    try:
        await until_answered(clients, certs, "friend", "/", (200, "v1"))
        await until_answered(clients, certs, "friend", "/v2", (200, "v2"))
        await until_answered(clients, certs, "stranger", "/", (403, None))
        connection = await clients.connection(certs.svid("shop", "friend"))
        with pytest.raises(ConnectRefusedError):
            await connection.connect("10.96.7.9:80")
    finally:
        await clients.close()

    assert b"envoy_" in pod.get(15020, "/stats/prometheus")[1]
    for port, path, method in (
        (15020, "/quitquitquit", "POST"),
        (15020, "/config_dump", "GET"),
        (15020, "/stats/prometheus", "POST"),
        (15021, "/healthcheck/fail", "POST"),
        (15021, "/", "GET"),
    ):
        assert pod.get(port, path, method)[0] == 404

    await cluster.kubectl("delete", "gateway", "waypoint")
    await eventually(lambda: not cluster.pods.pods, timeout_s=DRAIN_S + 10)
    assert pod.farewell == 0
    left = await cluster.kubectl("get", "deployment,serviceaccount,configmap", "-o", "name")
    assert "waypo" not in left


async def everything_says_what_became_of_it(cluster: Stage) -> None:
    for what, condition in (
        ("gatewayclass/istio-waypoint", "Accepted"),
        ("gateway/waypoint", "Accepted"),
        ("service/web", "istio.io/WaypointBound"),
        ("authorizationpolicy/readers", "WaypointAccepted"),
    ):
        await cluster.kubectl("wait", f"--for=condition={condition}", what, "--timeout=10s")
    accepted = "--for=jsonpath={.status.parents[0].conditions[0].status}=True"
    await cluster.kubectl("wait", accepted, "httproute/web", "--timeout=10s")


async def until_answered(
    clients: Clients, certs: CertFolder, who: str, path: str, wanted: tuple[int, str | None]
) -> None:
    """Ask until the answer is as it should be."""
    seen: list[tuple[int, str | None]] = []
    for _ in range(100):
        connection = await clients.connection(certs.svid("shop", who))
        async with await connection.connect(WEB) as tunnel:
            answer = await http1_request(tunnel, "GET", path)
        seen.append((answer.status, answer.header("x-echo-version")))
        if seen[-1] == wanted:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(seen[-5:])


async def test_a_waypoint_by_our_own_command(cluster: Stage, tmp_path: Path) -> None:
    shell = Shell(cluster.api, tmp_path / "kubectl")
    applied = await shell.run("apply", "-n", "shop", "--enroll-namespace", "--overwrite", "--wait")
    assert applied.exit_code == 0, applied.output
    assert "✅ waypoint shop/waypoint is ready!" in applied.output
    assert [pod.is_ready for pod in cluster.pods.of("shop")] == [True]
    streams = cluster.one.server._ads.registry.streams()
    assert {str(stream.proxy.waypoint) for stream in streams} == {"shop/waypoint"}
    told = await shell.run("status", "-n", "shop")
    assert "Programmed" in told.output
    assert "True" in told.output
    deleted = await shell.run("delete", "-n", "shop", "waypoint")
    assert "waypoint shop/waypoint deleted\n" in deleted.output
    await eventually(lambda: not cluster.pods.pods, timeout_s=DRAIN_S + 10)


async def test_a_pod_is_not_ready_before_it_has_its_configuration(cluster: Stage) -> None:
    """Readiness stands for an acknowledged configuration: nobody connects, none is ready."""
    cluster.pods.names = {}  # the name of the control plane is not known
    await cluster.apply(GATEWAY)
    await eventually(lambda: bool(cluster.pods.of("shop")))
    await asyncio.sleep(2)
    [pod] = cluster.pods.of("shop")
    assert not pod.is_ready
    conditions = {each["type"]: each for each in cluster.gateway()["status"]["conditions"]}
    assert conditions["Programmed"]["status"] == "False"
    assert conditions["Programmed"]["reason"] == "AddressNotAssigned"


async def test_a_killed_leader_is_not_missed(
    cluster: Stage, tmp_path: Path, certs: CertFolder, net: LoopbackNet
) -> None:
    await cluster.apply(GATEWAY, RULES)
    await cluster.programmed()
    await everything_says_what_became_of_it(cluster)
    svid = certs.svid("shop", "friend")
    caller = Caller(cluster.api, certs.svid("shop", "waypoint").uri, svid, certs.root)
    second = replica(
        *(cluster.api, tmp_path, certs.authority, "b"),
        deploys=cluster.settings,
        xds_ip=net.ip(SECOND),
    )
    try:
        async with second as two, asking(caller, "/", "/v2", authority=WEB):
            await cluster.one.settled()
            before = writes(cluster)
            cluster.one.kill()
            await two.settled()
            await two.deployed()
            counters = two.server._ads.counters
            await eventually(lambda: counters.streams_open == 1, "reconnected", timeout_s=30)
            await asyncio.sleep(1)
            assert writes(cluster) == before
            assert +counters.resources == {}  # Envoy has it all already
            await cluster.kubectl("delete", "httproute", "web")
            await eventually(lambda: counters.resources[TypeUrl.ROUTE] > 0)
            await cluster.apply(GATEWAY.replace("name: waypoint", "name: another"))
            other = "gateway/another"
            await cluster.kubectl("wait", "--for=condition=programmed", other, "--timeout=30s")
    finally:
        await caller.close()
    assert set(caller.asked) == {"200"}


def writes(cluster: Stage) -> int:
    """All writes to the cluster but those of the lease."""
    return sum(
        number
        for (verb, resource), number in cluster.api.counts.items()
        if verb in ("patch", "create", "update", "delete")
        and resource not in ("leases", "tokenreviews")
    )


async def test_a_rolling_update_loses_no_request(
    cluster: Stage, certs: CertFolder, net: LoopbackNet
) -> None:
    parameters = "  infrastructure: {parametersRef: {group: '', kind: ConfigMap, name: two}}\n"
    await cluster.apply(TWO, GATEWAY + parameters)
    await cluster.programmed()
    await eventually(lambda: [pod.is_ready for pod in cluster.pods.of("shop")] == [True, True])
    before = set(cluster.pods.pods)
    svid = certs.svid("shop", "friend")
    caller = Caller(cluster.api, certs.svid("shop", "waypoint").uri, svid, certs.root)
    try:
        paths = ("/", "/", "/?delay=1", "/?delay=0.1", "/?delay=1")
        async with asking(caller, *paths, authority=WEB):
            await asyncio.sleep(1)
            await cluster.kubectl("annotate", "gateway", "waypoint", "rolled=once")
            await eventually(
                lambda: len(cluster.pods.pods) == 2 and not before & set(cluster.pods.pods),
                "rolled",
                timeout_s=40,
            )
            await asyncio.sleep(1)
    finally:
        await caller.close()
    print(json.dumps(caller.asked))  # noqa: T201
    assert set(caller.asked) == {"200"}
    assert caller.asked["200"] > 100
    assert len(caller.pods) == 4
