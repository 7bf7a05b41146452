"""How long from a finished edit (a rename into the folder) until the first request obeys.

An HTTPRoute's weights are turned from 100/0 to 0/100 and back, again and again, while requests go
through a real Envoy at a steady rate. The server is a process of its own. What is measured has the
grain of the load: a request comes every ``1 / rate`` seconds, and takes its time.

Usage: python benchmarks/propagation.py [flips] [requests a second]. Prints JSON.
"""

import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.plane import quantile
from tests.support.fleet import EchoFleet
from tests.support.load import Load
from tests.support.loopback import LoopbackNet
from tests.support.stand import Stand, stand

_CALM = 10  # answers in a row that must obey before the next edit


async def measure(flips: int, rate: float) -> dict[str, Any]:
    """Everything, from the start of the programs to their end."""
    with tempfile.TemporaryDirectory() as folder, EchoFleet() as fleet:
        net = LoopbackNet()
        async with (
            stand(net, fleet, Path(folder), first_host=11) as one,
            one.load(rate=rate, tunnels=8) as load,
        ):
            times = [1000 * await flip(one, load, number) for number in range(flips)]
        net.close()
    return {
        "benchmark": "propagation",
        "flips": flips,
        "requests_per_second": rate,
        "requests": len(load.outcome.samples),
        "failed_requests": len(load.outcome.failures),
        "p50_ms": quantile(times, 0.5),
        "p99_ms": quantile(times, 0.99),
        "max_ms": round(max(times), 2),
    }


async def flip(one: Stand, load: Load, number: int) -> float:
    """Turn the weights over; seconds from the edit to the end of the first answer that obeys."""
    new = number % 2 == 0
    version = "v2" if new else "v1"
    edited = time.monotonic()
    one.split(100 if new else 0)
    first = await load.wait_for(lambda sample: sample.version == version)
    while {sample.version for sample in load.outcome.samples[-_CALM:]} != {version}:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    return first.at - edited


def main() -> None:
    """Measure and print the figures."""
    flips = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    rate = float(sys.argv[2]) if len(sys.argv) > 2 else 200
    print(json.dumps(asyncio.run(measure(flips, rate))))


if __name__ == "__main__":
    main()
