"""What it costs to read a large cluster: time until synced, memory, and the longest stall.

Usage: python benchmarks/kubernetes_sync.py [slices] [services] [endpoints]. Prints JSON. The API
server of the tests runs in a process of its own, and answers both ways of listing in turn.
"""

import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.support.kubeapi import KubeApi
from translators.gateway_api import INDEXES
from translators.world import Change, World
from xds_server.sources.kubernetes import KubernetesSource
from xds_server.sources.kubernetes.login import choose_login

CRDS = ("gateway-api-standard", "istio")


def service(index: int) -> dict[str, Any]:
    """A Service with two ports."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": f"service-{index}", "labels": {"app": f"app-{index}"}},
        "spec": {
            "clusterIP": f"10.{index >> 16}.{index >> 8 & 255}.{index & 255}",
            "selector": {"app": f"app-{index}"},
            "ports": [{"name": "http", "port": 80, "targetPort": 8080}, {"name": "tcp", "port": 9}],
        },
    }


def endpoint(index: int) -> dict[str, Any]:
    """An endpoint as the controller writes it."""
    return {
        "addresses": [f"10.{index >> 16 & 255}.{index >> 8 & 255}.{index & 255}"],
        "conditions": {"ready": True, "serving": True, "terminating": False},
        "nodeName": f"node-{index % 100}",
        "zone": f"zone-{index % 3}",
        "targetRef": {"kind": "Pod", "namespace": "default", "name": f"pod-{index}", "uid": "x"},
    }


def endpointslice(index: int, services: int, endpoints: int) -> dict[str, Any]:
    """An EndpointSlice of one of the services."""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"slice-{index}",
            "labels": {"kubernetes.io/service-name": f"service-{index % max(1, services)}"},
        },
        "addressType": "IPv4",
        "endpoints": [endpoint(index * endpoints + each) for each in range(endpoints)],
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
    }


async def serve(kubeconfig: Path, slices: int, services: int, endpoints: int, paged: str) -> None:
    """Be the API server, until killed. The kubeconfig appears once it can be used."""
    async with KubeApi(CRDS, watch_list=paged != "paged") as api:
        for index in range(services):
            api.put(service(index))
        for index in range(slices):
            api.put(endpointslice(index, services, endpoints))
        api.write_kubeconfig(kubeconfig.with_suffix(".new")).replace(kubeconfig)
        await asyncio.Event().wait()


async def measure(kubeconfig: Path) -> dict[str, float]:
    """Read everything once."""
    world = World(INDEXES)
    synced = asyncio.Event()
    login = choose_login(kubeconfig)
    before = resident_mb()
    stalls: list[float] = []
    beat = asyncio.create_task(heartbeat(stalls))
    await asyncio.sleep(0.05)
    stalls.clear()

    def sink(changes: Sequence[Change]) -> None:
        world.apply(changes)

    start, cpu = time.perf_counter(), time.process_time()
    running = asyncio.create_task(KubernetesSource(login).run(sink, synced.set))
    await synced.wait()
    took, cpu = time.perf_counter() - start, time.process_time() - cpu
    beat.cancel()
    running.cancel()
    await asyncio.wait([running, beat])
    return {
        "objects": len(world),
        "synced_s": round(took, 3),
        "cpu_s": round(cpu, 3),
        "before_mb": round(before, 1),
        "held_mb": round(resident_mb(), 1),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "longest_stall_ms": round(max(stalls) * 1000, 1),
    }


async def heartbeat(stalls: list[float]) -> None:
    """Note how late each turn of the loop is."""
    while True:
        before = time.perf_counter()
        await asyncio.sleep(0.001)
        stalls.append(time.perf_counter() - before - 0.001)


def resident_mb() -> float:
    """Memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 1024**2


def run(mode: str, size: Sequence[str]) -> dict[str, float]:
    """One measurement, with a server and a reader in processes of their own."""
    with tempfile.TemporaryDirectory() as folder:
        kubeconfig = Path(folder) / "kubeconfig"
        program = [sys.executable, __file__]
        server = subprocess.Popen([*program, "serve", str(kubeconfig), *size, mode])
        try:
            while not kubeconfig.exists():
                if server.poll() is not None:
                    raise RuntimeError("the API server did not start")
                time.sleep(0.05)
            reader = [*program, "measure", str(kubeconfig)]
            output = subprocess.run(reader, check=True, capture_output=True, timeout=120).stdout
        finally:
            server.kill()
            server.wait()
    figures: dict[str, float] = json.loads(output.splitlines()[-1])
    return figures


def main() -> None:
    """Measure both ways of listing, or be one of the processes."""
    match sys.argv[1:]:
        case ["serve", path, slices, services, endpoints, mode]:
            asyncio.run(serve(Path(path), int(slices), int(services), int(endpoints), mode))
        case ["measure", path]:
            print(json.dumps(asyncio.run(measure(Path(path)))))
        case given:
            size = [*given, *("10000", "2000", "5")[len(given) :]]
            names = ("slices", "services", "endpoints_each")
            figures: dict[str, Any] = {"benchmark": "kubernetes_sync"}
            figures |= zip(names, map(int, size), strict=True)
            print(json.dumps(figures | {mode: run(mode, size) for mode in ("streamed", "paged")}))


if __name__ == "__main__":
    main()
