"""What 1,000 HTTPRoutes of one service cost: to translate, to change, and to send."""

import gc
import json
import statistics
import sys
import time
from typing import Any

from benchmarks import worlds
from translators.compiler import Compiler
from translators.ir.waypoint import Mesh, WaypointName
from translators.resources import parse
from translators.resources.metadata import KubernetesObject
from translators.wire import TypeUrl
from translators.world import Change

COUNTS, CHANGES = (1, 10, 100, 1000), 20
WAYPOINT = WaypointName("ns-0", "waypoint")
_HEADER = {"name": "x-tenant", "value": "blue"}


def route(number: int, path: str) -> KubernetesObject:
    """A route of two rules: one path for a tenant, and for everyone else."""
    to = [{"name": "svc-0", "port": 80}]
    match = {"path": {"type": "PathPrefix", "value": path}}
    manifest = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": f"route-{number}", "namespace": "ns-0"},
        "spec": {
            "parentRefs": [{"group": "", "kind": "Service", "name": "svc-0"}],
            "rules": [
                {"matches": [{**match, "headers": [_HEADER]}], "backendRefs": to},
                {"matches": [match], "backendRefs": to},
            ],
        },
    }
    value = parse(manifest).value
    assert value is not None
    return value


def measure(count: int) -> dict[str, Any]:
    """The figures of one service with so many routes."""
    base = list(worlds.namespace("ns-0", 0, services=1, pods=2, rules=1))
    routes = [route(number, f"/path-{number}") for number in range(count)]
    compiler = Compiler(Mesh())
    compiler.apply(Change(found.key, found) for found in (*base, *routes))
    start = time.perf_counter()
    resources = compiler.resources(WAYPOINT)
    cold = time.perf_counter() - start
    tables = [made for key, made in resources.items() if key.type_url is TypeUrl.ROUTE]
    times = sorted(_one_change(compiler, number % count) for number in range(CHANGES))
    return {
        "routes": count,
        "translate_cold_ms": round(1000 * cold, 2),
        "change_p50_ms": round(statistics.median(times), 2),
        "change_max_ms": round(times[-1], 2),
        "rds_bytes": max(len(table.body) for table in tables),
    }


def _one_change(compiler: Compiler, number: int) -> float:
    """Milliseconds from another path of one route to resources."""
    changed = route(number, f"/other-{time.perf_counter_ns()}")
    start = time.perf_counter()
    compiler.apply([Change(changed.key, changed)])
    compiler.resources(WAYPOINT)
    return 1000 * (time.perf_counter() - start)


def main() -> None:
    """Print the figures as JSON."""
    measure(COUNTS[0])  # imports and caches
    gc.collect()
    gc.freeze()
    figures = {"benchmark": "routes", "services": [measure(count) for count in COUNTS]}
    json.dump(figures, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
