"""What a crash of the server costs: it is killed (SIGKILL) and started again under load.

Requests go through a real Envoy at a steady rate. ``received_bytes`` is all that Envoy got from
the server after a restart, protocol and all; beside it, what the first configuration took.

Usage: python benchmarks/restart.py [kills] [requests a second]. Prints JSON.
"""

import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from tests.support.controlplane import eventually
from tests.support.fleet import EchoFleet
from tests.support.load import Load
from tests.support.loopback import LoopbackNet
from tests.support.stand import Stand, stand

_CHANGES = r"^listener_manager\.listener_(added|modified|removed)$|\.rds\..*\.config_reload$"


async def measure(kills: int, rate: float) -> dict[str, Any]:
    """Everything, from the start of the programs to their end."""
    with tempfile.TemporaryDirectory() as folder, EchoFleet() as fleet:
        net = LoopbackNet()
        async with stand(net, fleet, Path(folder), first_host=11) as one:
            await one.until_connected()
            first, before = await one.received(), await one.envoy.stats(_CHANGES)
            async with one.load(rate=rate, tunnels=8) as load:
                rounds = [await kill(one, load) for _ in range(kills)]
            after = await one.envoy.stats(_CHANGES)
        net.close()
    received, seconds = zip(*rounds, strict=True)
    return {
        "benchmark": "restart",
        "kills": kills,
        "requests_per_second": rate,
        "requests": len(load.outcome.samples),
        "failed_requests": len(load.outcome.failures),
        "changed_resources": sum(after.values()) - sum(before.values()),
        "first_configuration_bytes": first,
        "received_bytes_median": median(received),
        "received_bytes_max": max(received),
        "start_to_in_sync_median_s": round(median(seconds), 2),
    }


async def kill(one: Stand, load: Load) -> tuple[int, float]:
    """Kill and start; what Envoy received since, and how long until it was in sync again."""
    one.server.kill()
    seen = len(load.outcome.samples)
    await eventually(lambda: len(load.outcome.samples) > seen + 20)
    before, began = await one.received(), time.monotonic()
    one.server.start()
    await one.server.wait_ready()
    await one.until_connected()
    took = time.monotonic() - began
    return await one.received() - before, took


def main() -> None:
    """Measure and print the figures."""
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    rate = float(sys.argv[2]) if len(sys.argv) > 2 else 200
    print(json.dumps(asyncio.run(measure(kills, rate))))


if __name__ == "__main__":
    main()
