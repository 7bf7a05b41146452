"""Manifests put on trial: one Envoy as the waypoint of the namespace ``demo``."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.support.envoyproc import ENVOY
from translators.compiler import Compiler
from translators.ir.waypoint import Mesh, WaypointName
from translators.resources import parse
from translators.wire import Resource
from translators.world import Change
from xds_server.identity.spiffe import SpiffeId
from xds_server.trial import Trial, run_trial

Manifest = dict[str, Any]

WAYPOINT = WaypointName("demo", "waypoint")
GATEWAY: Manifest = {
    "apiVersion": "gateway.networking.k8s.io/v1",
    "kind": "Gateway",
    "metadata": {"name": WAYPOINT.name, "namespace": WAYPOINT.namespace},
    "spec": {
        "gatewayClassName": "istio-waypoint",
        "listeners": [{"name": "mesh", "port": 15008, "protocol": "HBONE"}],
    },
}


def service(name: str, ips: list[str], ports: Mapping[str, int]) -> Manifest:
    """A service of the waypoint; ``ports`` are numbers by names."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": name,
            "namespace": "demo",
            "labels": {"istio.io/use-waypoint": WAYPOINT.name},
        },
        "spec": {
            "clusterIP": ips[0],
            "clusterIPs": ips,
            "selector": {"app": name},
            "ports": [{"name": name, "port": port} for name, port in ports.items()],
        },
    }


def policy(name: str, to: str, action: str, *rules: Manifest, **annotations: str) -> Manifest:
    """A policy for the service ``to``."""
    return {
        "apiVersion": "security.istio.io/v1",
        "kind": "AuthorizationPolicy",
        "metadata": {"name": name, "namespace": "demo", "annotations": annotations},
        "spec": {
            "targetRefs": [{"group": "", "kind": "Service", "name": to}],
            "action": action,
            "rules": list(rules),
        },
    }


def rendered(manifests: Iterable[Manifest], mesh: Mesh) -> list[Resource]:
    """What the waypoint's Envoys would get."""
    read = [parse(manifest).value for manifest in manifests]
    compiler = Compiler(mesh)
    compiler.apply(Change(each.key, each) for each in read if each is not None)
    return list(compiler.resources(WAYPOINT).values())


@asynccontextmanager
async def on_trial(
    folder: Path, manifests: Iterable[Manifest], callers: Iterable[SpiffeId], mesh: Mesh
) -> AsyncIterator[Trial]:
    """An Envoy that serves these manifests, and the waypoint's Gateway."""
    resources = rendered([GATEWAY, *manifests], mesh)
    async with run_trial(ENVOY, folder, resources, mesh.trust_domains, callers) as trial:
        yield trial
