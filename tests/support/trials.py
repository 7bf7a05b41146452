"""Manifests put on trial: one Envoy as the waypoint of the namespace ``demo``."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from tests.support.envoyproc import ENVOY
from translators.compiler import Compiler
from translators.ir.waypoint import Mesh, WaypointName
from translators.resources import parse
from translators.wire import Resource
from translators.world import Change
from xds_server.demo.ztunnel import Address
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


def addresses(names: Iterable[str]) -> dict[str, Address]:
    """An address of its own for each service."""
    return {name: Address(str(ip_address("10.96.0.1") + n), 80) for n, name in enumerate(names)}


def each_guarded(
    policies: Mapping[str, tuple[str, Manifest]], at: Mapping[str, Address]
) -> list[Manifest]:
    """Services, each with one policy of its name: an action and a rule."""
    return [
        manifest
        for name, (action, rule) in policies.items()
        for manifest in (
            service(name, [at[name].ip], {"http": 80}),
            policy(name, name, action, rule),
        )
    ]


@asynccontextmanager
async def on_trial(
    folder: Path, manifests: Iterable[Manifest], callers: Iterable[SpiffeId], mesh: Mesh
) -> AsyncIterator[Trial]:
    """An Envoy that serves these manifests, and the waypoint's Gateway."""
    resources = rendered([GATEWAY, *manifests], mesh)
    async with run_trial(ENVOY, folder, resources, mesh.trust_domains, callers) as trial:
        yield trial
