"""xDS over TLS by the commands that people use, and a server that hands its Envoy to the next."""

import json
import signal
from asyncio import open_connection, sleep, timeout
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.support.controlplane import ServerProcess
from tests.support.envoyproc import EnvoyProcess
from tests.support.loopback import LoopbackNet, free_port
from tests.support.manifests import WAYPOINT, ManifestFolder, gateway, namespace
from xds_server.cli import main

HOME = "shop"
DRAIN_S = 4.0


@dataclass(frozen=True)
class Replicas:
    """Servers with one authority and one folder, which take the same address one after another."""

    folder: Path
    xds: str

    @contextmanager
    def one(self, name: str) -> Iterator[ServerProcess]:
        ip = self.xds.partition(":")[0]
        options = ("--xds-tls", self.xds, "--xds-host", "waypost.test", "--drain", str(DRAIN_S))
        with ServerProcess(
            self.folder / "manifests",
            self.folder / "ca",
            f"unix:{self.folder}/{name}.sock",
            f"{ip}:{free_port(ip)}",
            self.folder / f"{name}.log",
            *options,
        ) as server:
            yield server


def waypost(*arguments: str) -> None:
    """Run a command that must succeed."""
    outcome = CliRunner().invoke(main, arguments)
    assert outcome.exit_code == 0, outcome.output


def bootstrap(folder: Path, xds: str) -> Mapping[str, Any]:
    """Issue a certificate, and make the files that Envoy starts from."""
    svid = folder / "svid"
    workload = f"{HOME}/{WAYPOINT}"
    waypost("ca", "issue", workload, "--ca-dir", f"{folder}/ca", "--out", f"{svid}")
    waypost(
        *("bootstrap", "--waypoint", workload, "--xds", xds, "--xds-name", "waypost.test"),
        *("--xds-roots", f"{svid}/root-cert.pem", "--xds-key", f"{svid}/key.pem"),
        *("--xds-certificate", f"{svid}/cert-chain.pem", "--out", f"{folder}/envoy"),
        *("--bind", "127.0.0.1:0", "--admin", "127.0.0.1:0"),
    )
    made: Mapping[str, Any] = json.loads((folder / "envoy/envoy.json").read_text())
    return made


async def until_synced(server: ServerProcess) -> None:
    async with timeout(20):
        while not [one for one in await server.get("/syncz") if one["synced"]]:  # noqa: ASYNC110
            await sleep(0.02)


async def until_free(address: str) -> None:
    """Return when nobody listens there any more."""
    host, _, port = address.partition(":")
    with pytest.raises(ConnectionRefusedError):  # noqa: PT012
        async with timeout(DRAIN_S):
            while True:
                _, writer = await open_connection(host, int(port))
                writer.close()
                await sleep(0.02)


async def test_an_envoy_goes_on_at_the_next_replica(tmp_path: Path, net: LoopbackNet) -> None:
    ManifestFolder(tmp_path / "manifests").put("base", namespace(HOME), gateway(HOME))
    ip = net.ip(151)
    replicas = Replicas(tmp_path, f"{ip}:{free_port(ip)}")
    config = bootstrap(tmp_path, replicas.xds)
    with replicas.one("first") as first:
        await first.wait_ready()
        async with await EnvoyProcess.start(config, tmp_path, "waypoint") as envoy:
            await until_synced(first)
            before = await changes(envoy)
            first.tell(signal.SIGTERM)
            await until_free(replicas.xds)
            with replicas.one("second") as second:
                await second.wait_ready()
                await until_synced(second)
                assert await first.ended(within=DRAIN_S + 4) == 0
                second.kill()
            assert await changes(envoy) == before
    log = (tmp_path / "first.log").read_text()
    assert "handing over" in log
    assert "the server is shutting down" in log


async def changes(envoy: EnvoyProcess) -> Mapping[str, int]:
    return await envoy.stats(
        r"^(listener_manager\.listener_(added|modified|in_place_updated|removed)"
        r"|cluster_manager\.cluster_(added|modified|removed))$|update_rejected$"
    )
