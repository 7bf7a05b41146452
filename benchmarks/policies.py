"""What AuthorizationPolicies cost: until an edit bites, and 1,000 of them on one service.

The first part saves and removes a DENY policy, again and again, while requests go through a real
Envoy on connections that stay open, and waits for the first 403 and for the first 200 after it. The
second translates 1,000 ALLOW policies, and compares the time of requests that the last of them
allows with the time of requests without any policy, in turns.

Usage: python -m benchmarks.policies [flips] [policies]. Prints JSON.
"""

import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks import worlds
from benchmarks.plane import quantile
from tests.support.fleet import EchoFleet
from tests.support.http1 import http1_request
from tests.support.load import Load, Sample
from tests.support.loopback import LoopbackNet
from tests.support.manifests import Manifest, allows, policy
from tests.support.shop import HOME
from tests.support.stand import Stand, stand
from translators.compiler import Compiler
from translators.ir.waypoint import Mesh, WaypointName
from translators.resources import parse
from translators.resources.metadata import KubernetesObject
from translators.wire import TypeUrl
from translators.world import Change

CLIENT = f"cluster.local/ns/{HOME}/sa/client"
_RATE = 200
_ROUNDS, _REQUESTS = 6, 300
_CHANGES = 20


def policies(count: int, service: str, namespace: str) -> list[Manifest]:
    """As many ALLOW policies, each for another caller and path; the last one is for the client."""
    made = []
    for number in range(count):
        who = CLIENT if number == count - 1 else f"cluster.local/ns/team-{number}/sa/web"
        path = "/*" if number == count - 1 else f"/team-{number}/*"
        rule = allows({"principals": [who]}, {"paths": [path], "methods": ["GET"]})
        made.append(policy(f"policy-{number:04}", namespace, rule, service=service))
    return made


async def bites(one: Stand, flips: int) -> dict[str, Any]:
    """Milliseconds from saving or removing a DENY policy to the first answer that obeys."""
    deny = policy("deny", HOME, allows({"principals": [CLIENT]}), action="DENY", service="web")
    denied, allowed = [], []
    async with one.load(rate=_RATE, tunnels=4) as load:
        for _ in range(flips):
            began = time.monotonic()
            one.manifests.put("deny", deny)
            denied.append(1000 * (await _first(load, 403) - began))
            await asyncio.sleep(0.1)
            began = time.monotonic()
            one.manifests.remove("deny")
            allowed.append(1000 * (await _first(load, 200) - began))
            await asyncio.sleep(0.1)
    return {
        "flips": flips,
        "requests_per_second": _RATE,
        "requests": len(load.outcome.samples),
        "failed_requests": len(load.outcome.failures),
        "first_403_p50_ms": quantile(denied, 0.5),
        "first_403_max_ms": round(max(denied), 2),
        "first_200_p50_ms": quantile(allowed, 0.5),
        "first_200_max_ms": round(max(allowed), 2),
    }


async def _first(load: Load, status: int) -> float:
    def obeys(sample: Sample) -> bool:
        return sample.status == status

    return (await load.wait_for(obeys)).at


def translation(count: int) -> dict[str, Any]:
    """What it costs to translate that many policies of one service, and to change one of them."""
    base = list(worlds.namespace("ns-0", 0, services=1, pods=2, rules=1))
    given = [_read(one) for one in policies(count, "svc-0", "ns-0")]
    compiler = Compiler(Mesh())
    compiler.apply(Change(found.key, found) for found in (*base, *given))
    began = time.perf_counter()
    resources = compiler.resources(WaypointName("ns-0", "waypoint"))
    cold = time.perf_counter() - began
    tables = (made for key, made in resources.items() if key.type_url is TypeUrl.ROUTE)
    times = [_one_change(compiler, number) for number in range(_CHANGES)]
    return {
        "policies": count,
        "translate_cold_ms": round(1000 * cold, 1),
        "change_p50_ms": round(statistics.median(times), 1),
        "rds_bytes": max(len(table.body) for table in tables),
    }


def _read(manifest: Manifest) -> KubernetesObject:
    value = parse(manifest).value
    assert value is not None
    return value


def _one_change(compiler: Compiler, number: int) -> float:
    """Milliseconds from another path in one policy to resources."""
    rule = allows({"namespaces": [f"changed-{number}"]}, {"paths": [f"/{time.perf_counter_ns()}"]})
    changed = _read(policy(f"policy-{number:04}", "ns-0", rule, service="svc-0"))
    began = time.perf_counter()
    compiler.apply([Change(changed.key, changed)])
    compiler.resources(WaypointName("ns-0", "waypoint"))
    return 1000 * (time.perf_counter() - began)


async def latency(one: Stand, count: int) -> dict[str, Any]:
    """The time of requests with that many policies and with none, in turns."""
    without, with_all = [], []
    for _ in range(_ROUNDS):
        without += await _times(one)
        one.manifests.put("many", *policies(count, "web", HOME))
        await _until(one, "/nowhere", "POST", 403)
        with_all += await _times(one)
        one.manifests.remove("many")
        await _until(one, "/nowhere", "POST", 200)
    plain, guarded = statistics.median(without), statistics.median(with_all)
    return {
        "policies": count,
        "requests": len(without),
        "without_p50_ms": round(plain, 3),
        "with_p50_ms": round(guarded, 3),
        "ratio_p50": round(guarded / plain, 2),
        "ratio_p99": round(_p99(with_all) / _p99(without), 2),
    }


def _p99(times: Sequence[float]) -> float:
    return sorted(times)[int(0.99 * len(times))]


async def _times(one: Stand) -> list[float]:
    """How long each of some requests takes that follow each other on one connection."""
    times = []
    async with await one.tunnel() as tunnel:
        for _ in range(_REQUESTS):
            began = time.perf_counter()
            answer = await http1_request(tunnel, "GET", "/")
            times.append(1000 * (time.perf_counter() - began))
            assert answer.status == 200
    return times


async def _until(one: Stand, path: str, method: str, status: int) -> None:
    """Wait until such a request is answered with that status."""
    async with asyncio.timeout(30):
        while True:
            with suppress(ConnectionError):
                async with await one.tunnel() as tunnel:
                    if (await http1_request(tunnel, method, path)).status == status:
                        return
            await asyncio.sleep(0.05)


async def measure(flips: int, count: int) -> dict[str, Any]:
    """Everything, from the start of the programs to their end."""
    translation(1)  # what is loaded and compiled once
    with tempfile.TemporaryDirectory() as folder, EchoFleet() as fleet:
        net = LoopbackNet()
        async with stand(net, fleet, Path(folder), first_host=11) as one:
            bite = await bites(one, flips)
            ratio = await latency(one, count)
        net.close()
    return {
        "benchmark": "policies",
        "bite": bite,
        "translation": [translation(size) for size in (1, 10, 100, count)],
        "latency": ratio,
    }


def main() -> None:
    """Measure and print the figures."""
    flips = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
    print(json.dumps(asyncio.run(measure(flips, count))))


if __name__ == "__main__":
    main()
