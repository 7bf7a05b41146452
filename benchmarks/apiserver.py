"""The tests' API server in a process of its own, and waypost following it in another."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import yaml

from tests.support.controlplane import ServerProcess
from tests.support.kubeapi import KubeApi
from tests.support.loopback import free_port
from tests.support.manifests import Manifest

CRDS = ("gateway-api-standard", "istio")
GATEWAY_API = "/apis/gateway.networking.k8s.io/v1/namespaces"
_START_S = 60.0


@contextmanager
def api_server(folder: Path, manifests: Iterable[Manifest]) -> Iterator[Path]:
    """An API server that has these objects; gives its kubeconfig. Raises RuntimeError."""
    given, kubeconfig = folder / "objects.json", folder / "kubeconfig"
    given.write_text(json.dumps(list(manifests)))
    command = [sys.executable, "-m", "benchmarks.apiserver", str(given), str(kubeconfig)]
    server = subprocess.Popen(command)
    try:
        deadline = time.monotonic() + _START_S
        while not kubeconfig.exists():
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the API server did not start")
            time.sleep(0.05)
        yield kubeconfig
    finally:
        server.kill()
        server.wait()


def url_of(kubeconfig: Path) -> str:
    """Where the API server of a kubeconfig is."""
    url: str = yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]["server"]
    return url


@asynccontextmanager
async def waypost(folder: Path, kubeconfig: Path, ip: str) -> AsyncIterator[ServerProcess]:
    """``waypost serve --kubernetes``, once it is ready."""
    xds, admin = (f"{ip}:{free_port(ip)}" for _ in range(2))
    options = (
        "--kubernetes",
        "--kubeconfig",
        str(kubeconfig),
        "--namespace",
        "default",
        "--drain",
        "0",
    )
    log = folder / "waypost.log"
    with ServerProcess(None, folder / "ca", xds, admin, log, *options) as server:
        await server.wait_ready()
        yield server


async def _serve(manifests: Iterable[Manifest], kubeconfig: Path) -> None:
    """Be the API server, until killed. The kubeconfig appears once it can be used."""
    async with KubeApi(CRDS) as api:
        for manifest in manifests:
            api.put(dict(manifest))
        api.write_kubeconfig(kubeconfig.with_suffix(".new")).replace(kubeconfig)
        await asyncio.Event().wait()


if __name__ == "__main__":
    given, kubeconfig = map(Path, sys.argv[1:])
    asyncio.run(_serve(json.loads(given.read_text()), kubeconfig))
