"""Several replicas: one writes, all serve, and the next takes over."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.certs import CertFolder
from tests.support.controlplane import eventually
from tests.support.following import service
from tests.support.kubeapi import Answer, Delay, Fault, KubeApi
from tests.support.replica import QUICK, replica
from xds_server.sources.kubernetes.login import choose_login
from xds_server.sources.kubernetes.transport import Transport
from xds_server.status import Leader, Objects

LEASES = ("coordination.k8s.io", "leases")


@asynccontextmanager
async def candidate(api: KubeApi, folder: Path, name: str) -> AsyncIterator[Leader]:
    login = choose_login(api.write_kubeconfig(folder / f"kubeconfig-{name}"))
    objects = Objects(Transport(login))
    leader = Leader(objects, "default", "waypost-status", name, QUICK)
    running = asyncio.create_task(leader.run())
    try:
        yield leader
    finally:
        assert not running.done()
        running.cancel()
        await asyncio.wait([running])
        await objects.close()


def holder(api: KubeApi) -> str:
    lease = api.store.get(LEASES, ("default", "waypost-status"))
    return lease["spec"]["holderIdentity"] if lease else ""


async def test_never_two_and_the_next_takes_over_at_once_when_one_leaves(tmp_path: Path) -> None:
    async with KubeApi() as api, candidate(api, tmp_path, "b") as second:
        await eventually(lambda: second.leads)
        async with candidate(api, tmp_path, "a") as first:
            for _ in range(50):
                assert first.leads + second.leads <= 1
                await asyncio.sleep(0.01)
            assert second.leads
    async with KubeApi() as api, candidate(api, tmp_path, "b") as second:
        await eventually(lambda: second.leads)
        async with candidate(api, tmp_path, "a") as first:
            await second._release()
            left = time.monotonic()
            await eventually(lambda: first.leads or second.leads)
            assert time.monotonic() - left < QUICK.duration


async def test_a_lease_is_given_back_at_the_end(tmp_path: Path) -> None:
    async with KubeApi() as api:
        async with candidate(api, tmp_path, "a") as leader:
            await eventually(lambda: leader.leads)
            assert holder(api) == "a"
        assert holder(api) == ""
        async with candidate(api, tmp_path, "b") as leader:
            await eventually(lambda: leader.leads, timeout_s=QUICK.duration)
            lease = api.store.get(LEASES, ("default", "waypost-status"))
            assert lease is not None
            assert lease["spec"]["leaseTransitions"] == 1


async def test_who_can_not_renew_stops_before_another_starts(tmp_path: Path) -> None:
    async with KubeApi() as api, candidate(api, tmp_path, "a") as leader:
        await eventually(lambda: leader.leads)
        api.faults.add(Fault(Answer(503), "*", "leases", times=None))
        begin = time.monotonic()
        await eventually(lambda: not leader.leads)
        assert time.monotonic() - begin < QUICK.duration
        assert leader.problem
        api.faults.clear()
        await eventually(lambda: leader.leads)
        await eventually(lambda: leader.problem == "")


async def test_an_api_server_that_answers_late_does_not_make_a_lease_longer(
    tmp_path: Path,
) -> None:
    async with KubeApi() as api, candidate(api, tmp_path, "a") as leader:
        await eventually(lambda: leader.leads)
        api.faults.add(Fault(Delay(QUICK.deadline * 2), "*", "leases", times=None))
        await eventually(lambda: not leader.leads, timeout_s=QUICK.duration)
        api.faults.clear()
        await eventually(lambda: leader.leads)


@pytest.mark.parametrize("spec", [{"leaseDurationSeconds": "long"}, ["x"], "x"])
async def test_a_lease_that_makes_no_sense_is_a_problem_and_no_end(
    spec: object, tmp_path: Path
) -> None:
    async with KubeApi() as api, candidate(api, tmp_path, "a") as leader:
        await eventually(lambda: leader.leads)
        lease = api.store.get(LEASES, ("default", "waypost-status"))
        assert lease is not None
        api.store.put(LEASES, {**lease, "spec": spec})
        await eventually(lambda: "the lease can't be used" in leader.problem)
        await eventually(lambda: not leader.leads)


async def test_a_lease_taken_by_hand_is_noticed_before_the_next_write(tmp_path: Path) -> None:
    async with KubeApi() as api, candidate(api, tmp_path, "a") as leader:
        await eventually(lambda: leader.leads)
        lease = api.store.get(LEASES, ("default", "waypost-status"))
        assert lease is not None
        api.put({**lease, "spec": {**lease["spec"], "holderIdentity": "other"}})
        assert not await leader.confirm()


@pytest.mark.parametrize("crashes", [True, False], ids=["killed", "stopped"])
async def test_when_the_leader_goes_the_other_writes_once_and_has_served_all_along(
    crashes: bool, tmp_path: Path, certs: CertFolder
) -> None:
    async with KubeApi(("gateway-api-standard", "istio")) as api:
        labels = {"istio.io/use-waypoint": "nobody"}
        api.put(service("s", labels=labels))
        async with replica(api, tmp_path, certs.authority, "a") as first:
            await first.settled()
            async with replica(api, tmp_path, certs.authority, "b") as second:
                assert (await second.page("/readyz"))[0] == 200
                assert not second.leads
                if crashes:
                    first.kill()
                else:
                    first.running.cancel()
                api.put(service("t", labels=labels))
                await second.settled()
                assert second.writer.writes == 1
                assert api.count("patch", "services/status") == 2
                assert holder(api) == "b"
                assert (await second.page("/readyz"))[0] == 200
