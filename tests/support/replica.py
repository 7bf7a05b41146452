"""A replica of the control plane on a cluster, in the test's event loop.

It writes status, and deploys waypoints if it is told how.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp

from tests.support.controlplane import eventually, settings
from tests.support.following import IMPATIENT
from tests.support.kubeapi import KubeApi
from translators.deployment import DeploymentSettings
from translators.ir.waypoint import Mesh
from xds_server.deployment import Deployer, managed_source
from xds_server.identity.authority import Authority
from xds_server.identity.token_review import TokenReviews
from xds_server.identity.tokens import TokenCredentials
from xds_server.serving.listeners import SecureXds
from xds_server.serving.server import Addresses, Server
from xds_server.sources.kubernetes import KubernetesSource
from xds_server.sources.kubernetes.login import Login, choose_login
from xds_server.sources.kubernetes.transport import Transport
from xds_server.status import Leader, Objects, StatusWriter, Terms

QUICK = Terms(duration=1.0, deadline=0.6, retry=0.1)


@dataclass(frozen=True, slots=True)
class Replica:
    """``running`` ends only if it is stopped or killed."""

    server: Server
    writer: StatusWriter
    addresses: Addresses
    deployer: Deployer | None
    running: "asyncio.Task[None]"

    @property
    def leads(self) -> bool:
        return self.writer.leader.leads

    async def settled(self) -> None:
        """Wait until everything that is to be said has been written."""
        await eventually(lambda: self.leads and self._is_quiet(), "quiet")

    async def deployed(self) -> None:
        """Wait until everything that is to be there is there."""
        await eventually(lambda: self.leads and self._has_deployed(), "deployed")

    def _has_deployed(self) -> bool:
        deployer = self.deployer
        return (
            deployer is not None
            and not deployer._changed.is_set()
            and deployer._look_at > 0
            and not len(deployer._backlog)
        )

    def _is_quiet(self) -> bool:
        said = {each.subject.key for each in self.server._statuses() if each}
        return (
            not self.writer._changed.is_set()
            and not self.writer.waiting
            and self.writer._written.keys() == said
        )

    async def page(self, path: str) -> tuple[int, str]:
        """A page of the admin port."""
        url = f"http://{self.addresses.admin}{path}"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            return answer.status, await answer.text()

    def kill(self) -> None:
        """Stop it as a crash does: the lease is not given back."""
        self.writer.leader._election.lose()
        self.running.cancel()


@asynccontextmanager
async def replica(
    api: KubeApi,
    folder: Path,
    authority: Authority,
    name: str = "a",
    terms: Terms = QUICK,
    deploys: DeploymentSettings | None = None,
    *,
    token: str = "",
    namespace: str = "default",
    xds_ip: str = "127.0.0.1",
) -> AsyncIterator[Replica]:
    """A replica that has started; ``name`` is its identity, ``token`` shows who it runs as.

    If it deploys, it serves xDS by TLS on ``xds_ip``, at the port that waypoints are told.
    """
    login = choose_login(api.write_kubeconfig(folder / f"kubeconfig-{name}", token))
    objects = Objects(Transport(login))
    writer = StatusWriter(objects, Leader(objects, namespace, "waypost-status", name, terms))
    source = KubernetesSource(login, patience=IMPATIENT)
    mesh = Mesh(revision="default")
    given, deployer = settings(folder / name, mesh=mesh), None
    if deploys is not None:
        managed = managed_source(login, IMPATIENT)
        deployer = Deployer(objects, writer.leader, managed, mesh, deploys)
        given = replace(given, secure=_secure(login, deploys, xds_ip))
    server = Server(given, source, authority, writer, deployer)
    started: asyncio.Future[Addresses] = asyncio.get_running_loop().create_future()
    running = asyncio.create_task(server.run(started.set_result))
    try:
        async with asyncio.timeout(15):
            await asyncio.wait({running, started}, return_when=asyncio.FIRST_COMPLETED)
        yield Replica(server, writer, started.result(), deployer, running)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def _secure(login: Login, deploys: DeploymentSettings, ip: str) -> SecureXds:
    host, _, port = deploys.xds.rpartition(":")
    reviews = TokenReviews(Transport(login), deploys.audience)
    credentials = TokenCredentials(reviews, lambda: datetime.now(UTC), time.monotonic)
    return SecureXds(f"{ip}:{port}", (host,), credentials)


def conditions(entry: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Status and reason by type."""
    return {one["type"]: (one["status"], one["reason"]) for one in entry.get("conditions", ())}
