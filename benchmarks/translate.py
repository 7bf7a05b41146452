"""What a namespace of 1,000 services costs to translate, and what one change of it costs."""

import gc
import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks import worlds
from translators.compiler import Compiler
from translators.ir.waypoint import Mesh, WaypointName
from translators.resources.metadata import KubernetesObject
from translators.world import Change

SERVICES, PODS, CHANGES = 1000, 10, 100
WAYPOINT = WaypointName("ns-0", "waypoint")


def timed(work: Callable[[], Any]) -> float:
    """How long some work takes, in seconds."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def one_change(compiler: Compiler, change: KubernetesObject) -> tuple[float, int]:
    """Milliseconds from a changed object to resources, and how many of these are new."""
    start = time.perf_counter()
    compiler.apply([Change(change.key, change)])
    edition = compiler.edition(WAYPOINT)
    spent = 1000 * (time.perf_counter() - start)
    return spent, len(edition.changed)


def changes(kind: str) -> Callable[[int], KubernetesObject]:
    """The n-th change of some kind."""
    match kind:
        case "endpoints":
            return lambda n: list(worlds.slice_of("ns-0", 0, n, PODS, first=1))[-1]
        case "route":
            return lambda n: worlds.route("ns-0", n, 10, prefix="other")
        case _:
            return lambda n: worlds.policy("ns-0", n, caller="other")


def main() -> None:
    """Print the figures as JSON."""
    compiler = Compiler(Mesh())
    objects = [Change(found.key, found) for found in worlds.world(1, SERVICES, PODS)]
    loaded = timed(lambda: compiler.apply(objects))
    cold = timed(lambda: compiler.edition(WAYPOINT))
    resources = compiler.resources(WAYPOINT)
    gc.collect()
    gc.freeze()
    figures: dict[str, Any] = {
        "benchmark": "translate",
        "services": SERVICES,
        "pods_a_service": PODS,
        "objects": len(objects),
        "resources": len(resources),
        "bytes": sum(len(made.body) for made in resources.values()),
        "index_s": round(loaded, 3),
        "translate_cold_s": round(cold, 3),
        "change": {},
    }
    for kind in ("endpoints", "route", "policy"):
        make = changes(kind)
        runs = [one_change(compiler, make(n)) for n in range(CHANGES)]
        times = sorted(spent for spent, _ in runs)
        figures["change"][kind] = {
            "p50_ms": round(statistics.median(times), 3),
            "p99_ms": round(times[int(len(times) * 0.99) - 1], 3),
            "resources_changed": sorted({count for _, count in runs}),
        }
    json.dump(figures, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
