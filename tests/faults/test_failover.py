"""Two replicas on a cluster, a real waypoint between them, and the one that serves it is killed."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path

from tests.support.certs import CertFolder
from tests.support.controlplane import eventually
from tests.support.envoyproc import EnvoyProcess
from tests.support.fleet import EchoFleet
from tests.support.kubeapi import KubeApi
from tests.support.load import Load
from tests.support.loopback import LoopbackNet
from tests.support.replica import replica
from tests.support.scene import UPDATES, in_sync, more, scene, versions
from tests.support.shop import split

FIRST_HOST = 151


def patches(api: KubeApi) -> Mapping[str, int]:
    return {
        resource: count
        for (verb, resource), count in api.counts.items()
        if verb == "patch" and resource.endswith("/status")
    }


async def test_envoy_moves_to_the_other_replica_and_nothing_is_sent_again(
    net: LoopbackNet, fleet: EchoFleet, certs: CertFolder, tmp_path: Path
) -> None:
    async with scene(net, fleet, certs, tmp_path, FIRST_HOST) as at, AsyncExitStack() as running:
        first = await running.enter_async_context(replica(at.api, tmp_path, certs.authority, "a"))
        await first.settled()
        second = await running.enter_async_context(replica(at.api, tmp_path, certs.authority, "b"))
        at.front.backends = [first.addresses.xds, second.addresses.xds]
        envoy = await running.enter_async_context(
            await EnvoyProcess.start(at.bootstrap, tmp_path, "waypoint")
        )
        await eventually(lambda: in_sync(first))
        before, written = await envoy.stats(UPDATES), patches(at.api)
        assert sum(written.values()) == first.writer.writes > 0
        async with Load(at.tunnel, rate=50, tunnels=2, limit_s=60) as load:
            await more(load, 20)
            first.kill()
            await eventually(lambda: in_sync(second), timeout_s=20)
            await more(load, 20)
            counters = second.server._ads.counters
            assert +counters.resource_bytes == {}  # it has it all already
            assert await envoy.stats(UPDATES) == before
            await second.settled()
            assert patches(at.api) == written
            at.api.put(dict(split(100)))
            await eventually(lambda: versions(load) == {"v2"})
        assert load.outcome.failures == []
