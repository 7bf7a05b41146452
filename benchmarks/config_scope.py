"""How much configuration a mesh distributes: to a sidecar in every pod, or to waypoints.

A configuration is what one proxy is told about one service. The founding example of waypoints has
two namespaces with 25 services of 10 pods each: 12,500 configurations if every sidecar knows the
services of its own namespace, 25,000 if it knows all of them, as it does unless somebody says
otherwise; 100 with two waypoint Envoys a namespace. The waypoints' side is rendered and counted.
Sidecars' bytes are computed: what a waypoint is sent for a service, times the services that a
sidecar knows. Their own listeners would come on top.
"""

import json
import sys
from typing import Any

from benchmarks import worlds
from translators.compiler import Compiler
from translators.ir.waypoint import Mesh, WaypointName
from translators.wire import Snapshot, TypeUrl
from translators.world import Change
from translators.xds.names import CONNECT_ROUTES

REPLICAS = 2
EXAMPLE, LARGE = (2, 25, 10), (1000, 25, 10)


def rendered(namespaces: int, services: int, pods: int) -> list[Snapshot]:
    """What the Envoys of each namespace's waypoint get."""
    compiler = Compiler(Mesh())
    compiler.apply(Change(one.key, one) for one in worlds.world(namespaces, services, pods))
    names = [WaypointName(f"ns-{n}", "waypoint") for n in range(namespaces)]
    return [compiler.edition(name).snapshot for name in names]


def configurations(snapshot: Snapshot) -> int:
    """The services that one Envoy is told about: each has one HTTP port, hence one route table."""
    return len(snapshot.of_type(TypeUrl.ROUTE).keys() - {CONNECT_ROUTES})


def size(snapshot: Snapshot) -> int:
    """The bytes of all resources."""
    return sum(len(resource.body) for resource in snapshot.all())


def row(proxies: int, known_services: int, mb: float, told: int, base: int) -> dict[str, Any]:
    """One model: how many configurations and bytes there are, and who hears of one change."""
    count = proxies * known_services
    return {
        "proxies": proxies,
        "configurations": count,
        "percent_of_namespace_sidecars": round(100 * count / base, 5),
        "mb": round(mb, 2),
        "proxies_told_of_one_change": told,
    }


def models(mesh: tuple[int, int, int], a_service: float, known: int, mb: float) -> dict[str, Any]:
    """The three models; a waypoint knows ``known`` services, all of them together have ``mb``."""
    namespaces, services, pods = mesh
    sidecars = namespaces * services * pods
    base = sidecars * services
    return {
        "sidecars_that_know_their_namespace": row(
            sidecars, services, base * a_service / 1e6, services * pods, base
        ),
        "sidecars_that_know_all": row(
            sidecars,
            namespaces * services,
            sidecars * namespaces * services * a_service / 1e6,
            sidecars,
            base,
        ),
        "waypoints": row(namespaces * REPLICAS, known, mb, REPLICAS, base),
    }


def main() -> None:
    """Print the figures as JSON."""
    snapshots = rendered(*EXAMPLE)
    total = sum(map(size, snapshots))
    a_service = total / (EXAMPLE[0] * EXAMPLE[1])
    (known,) = set(map(configurations, snapshots))
    large_mb = LARGE[0] * LARGE[1] * REPLICAS * a_service / 1e6
    figures = {
        "benchmark": "config_scope",
        "bytes_a_service": round(a_service),
        "2 x 25 x 10, waypoints rendered": models(
            EXAMPLE, a_service, known, REPLICAS * total / 1e6
        ),
        "1000 x 25 x 10, computed": models(LARGE, a_service, LARGE[1], large_mb),
    }
    json.dump(figures, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
