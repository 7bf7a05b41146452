"""A cluster source under test, and what it has told so far."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.support.kubeapi import KubeApi
from translators.resources.metadata import KubernetesObject, ObjectKey
from translators.world import Change
from xds_server.sources.kubernetes import KubernetesSource, Patience
from xds_server.sources.kubernetes.kinds import RESOURCES, Resource
from xds_server.sources.kubernetes.login import choose_login

IMPATIENT = Patience(answer=1.0, listing=2.0, silence=1.0, alive=0.5)


class Following:
    """What the sink was told: ``objects`` as they are now, and every change in turn."""

    def __init__(self, source: KubernetesSource) -> None:
        self.source = source
        self.objects: dict[ObjectKey, KubernetesObject] = {}
        self.changes: list[Change] = []
        self.times_synced = 0

    def take(self, changes: Sequence[Change]) -> None:
        """The sink. An object that is not there can't be told to be gone."""
        for change in changes:
            self.changes.append(change)
            if change.value is None:
                del self.objects[change.key]
            else:
                self.objects[change.key] = change.value

    def synced(self) -> None:
        """All kinds are there."""
        self.times_synced += 1

    def names(self, kind: str) -> list[str]:
        """The names of all objects of a kind."""
        return sorted(key.name for key in self.objects if key.kind == kind)

    def problems(self) -> list[str]:
        """The problems at present."""
        return [str(problem) for problem in self.source.problems()]

    async def until(self, condition: Callable[[], bool], seconds: float = 15.0) -> None:
        """Wait until something holds. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110  # the condition is any
                await asyncio.sleep(0.005)

    async def until_named(self, kind: str, *names: str) -> None:
        """Wait until exactly these objects of a kind are there."""
        await self.until(lambda: self.names(kind) == sorted(names))

    async def until_problem(self, text: str) -> None:
        """Wait until there is a problem that says so."""
        await self.until(lambda: any(text in problem for problem in self.problems()))


def only(*names: str) -> tuple[Resource, ...]:
    """The resources of these names, without their groups."""
    return tuple(each for each in RESOURCES if each.plural in names)


@asynccontextmanager
async def following(
    api: KubeApi,
    *names: str,
    patience: Patience = IMPATIENT,
    until_synced: bool = True,
    kubeconfig: Path | None = None,
) -> AsyncIterator[Following]:
    """Follow an API server; all kinds, or those named."""
    with TemporaryDirectory() as folder:
        login = choose_login(kubeconfig or api.write_kubeconfig(Path(folder) / "kubeconfig"))
        resources = only(*names) if names else RESOURCES
        follow = Following(KubernetesSource(login, resources, patience))
        running = asyncio.create_task(follow.source.run(follow.take, follow.synced))
        try:
            if until_synced:
                await follow.until(lambda: follow.times_synced == 1 or running.done())
            yield follow
        finally:
            if running.done():
                running.result()  # it never ends by itself
            running.cancel()
            await asyncio.wait([running])
        assert follow.times_synced <= 1


def service(name: str = "a", port: object = 80, **metadata: Any) -> dict[str, Any]:
    """A Service with one port."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default", **metadata},
        "spec": {"ports": [{"port": port}]},
    }


def httproute(name: str = "a", version: str = "v1", host: str = "a.example") -> dict[str, Any]:
    """An HTTPRoute with one host."""
    return {
        "apiVersion": f"gateway.networking.k8s.io/{version}",
        "kind": "HTTPRoute",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"hostnames": [host]},
    }


def pod(name: str = "a", phase: str = "Running") -> dict[str, Any]:
    """A Pod."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"containers": [{"name": "app", "image": "app"}]},
        "status": {"phase": phase},
    }


def port_of(value: KubernetesObject) -> object:
    """The port of a Service."""
    ports: Any = getattr(value, "ports", ())
    return ports[0].port
