"""How long from a finished write (a rename into the folder) until the sink has the change.

Usage: python benchmarks/file_watch.py [rounds]. Prints JSON; times in milliseconds.
"""

import asyncio
import json
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from translators.world import Change
from xds_server.sources.files import FileSource

OTHERS = 200  # files that lie beside the one that changes


def manifest(name: str, port: int) -> str:
    """A Service with one port."""
    return (
        "apiVersion: v1\nkind: Service\n"
        f"metadata: {{name: {name}}}\nspec: {{ports: [{{port: {port}}}]}}\n"
    )


async def measure(root: Path, rounds: int) -> dict[str, float]:
    """Change one file again and again, then sit idle."""
    arrived: asyncio.Queue[float] = asyncio.Queue()
    synced = asyncio.Event()

    def sink(_changes: Sequence[Change]) -> None:
        arrived.put_nowait(time.perf_counter())

    async with asyncio.TaskGroup() as group:
        running = group.create_task(FileSource(root).run(sink, synced.set))
        await synced.wait()
        await arrived.get()
        await asyncio.sleep(0.2)
        latencies = [await change_once(root, index, arrived) for index in range(rounds)]
        idle = await idle_cpu()
        running.cancel()
    return {
        "rounds": rounds,
        "files": OTHERS + 1,
        "median_ms": round(statistics.median(latencies), 2),
        "p99_ms": round(statistics.quantiles(latencies, n=100)[98], 2),
        "max_ms": round(max(latencies), 2),
        "idle_cpu_percent": round(idle * 100, 2),
    }


async def change_once(root: Path, index: int, arrived: asyncio.Queue[float]) -> float:
    """The latency of one change, in milliseconds."""
    draft = root / ".draft"
    draft.write_text(manifest("changing", 1 + index % 60_000))
    start = time.perf_counter()
    draft.replace(root / "changing.yaml")
    latency = await asyncio.wait_for(arrived.get(), 5) - start
    await asyncio.sleep(0.02)
    return latency * 1000


async def idle_cpu(seconds: float = 3.0) -> float:
    """The share of one core that an idle watch takes."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    await asyncio.sleep(seconds)
    after = resource.getrusage(resource.RUSAGE_SELF)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / seconds


def main() -> None:
    """Measure in a folder of its own, and print the figures."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for index in range(OTHERS):
            (root / f"other-{index}.yaml").write_text(manifest(f"other-{index}", 80))
        print(json.dumps({"benchmark": "file_watch", **asyncio.run(measure(root, rounds))}))


if __name__ == "__main__":
    main()
