"""Two Envoys of one waypoint in two zones: each sends to the endpoints that are near to it."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.controlplane import ControlPlane, eventually
from tests.support.envoyproc import EnvoyProcess
from tests.support.http1 import http1_request
from tests.support.loopback import LoopbackNet
from tests.support.manifests import HTTP, Manifest
from tests.support.mesh import Clients, Mesh, Offer, waypoint_bootstrap
from xds_server.demo.ztunnel import Address, Waypoint

pytestmark = pytest.mark.asyncio(loop_scope="session")


def slices(mesh: Mesh, offer: Offer, ready: Mapping[str, bool]) -> Manifest:
    """v1 in the zone of the mesh's waypoint, v2 in the other one."""
    apps = (("zone-a", mesh.pods.v1), ("zone-b", mesh.pods.v2))
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{offer.name}-1",
            "namespace": mesh.home,
            "labels": {"kubernetes.io/service-name": offer.name},
        },
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": HTTP}],
        "endpoints": [
            {
                "addresses": [app.ip],
                "zone": zone,
                "conditions": {"ready": ready.get(zone, True)},
                "targetRef": {"kind": "Pod", "name": app.version},
            }
            for zone, app in apps
        ],
    }


def asking(offer: Offer, wish: str) -> Manifest:
    manifest: dict[str, Any] = dict(offer.manifest)
    return manifest | {"spec": {**manifest["spec"], "trafficDistribution": wish}}


async def reached(mesh: Mesh, clients: Clients, offer: Offer) -> set[str | None]:
    connection = await clients.connection(mesh.friend)
    async with await connection.connect(str(offer.http)) as tunnel:
        answers = [await http1_request(tunnel, "GET", "/") for _ in range(20)]
    assert Counter(answer.status for answer in answers) == {200: 20}
    return {answer.header("x-echo-version") for answer in answers}


async def test_each_zone_keeps_to_itself_until_it_has_nothing(
    mesh: Mesh, plane: ControlPlane, net: LoopbackNet, mesh_folder: Path
) -> None:
    web = mesh.offer("near", ports=(("http", 80, HTTP),))
    await mesh.put("near", web.manifest, slices(mesh, web, {}))
    config = waypoint_bootstrap(mesh.home, net.ip(130), plane.addresses.xds)
    at = Waypoint(Address(net.ip(130), 15008), mesh.clients.waypoint.identity)
    other = Clients(at, mesh.certs, net.ip(131))
    zone = ("--service-zone", "zone-b")
    async with await EnvoyProcess.start(config, mesh_folder, "waypoint-zone-b", *zone):
        await eventually(lambda: len(plane.server._store.proxies(mesh.name)) == 2)
        await plane.until_obeyed()
        assert await reached(mesh, mesh.clients, web) == {"v1", "v2"}

        await mesh.put("near", asking(web, "PreferClose"), slices(mesh, web, {}))
        assert await reached(mesh, mesh.clients, web) == {"v1"}
        assert await reached(mesh, other, web) == {"v2"}
        before = await mesh.listener_changes()

        await mesh.put("near", asking(web, "PreferClose"), slices(mesh, web, {"zone-a": False}))
        assert await reached(mesh, mesh.clients, web) == {"v2"}
        assert await reached(mesh, other, web) == {"v2"}

        await mesh.put("near", web.manifest, slices(mesh, web, {}))
        assert await reached(mesh, mesh.clients, web) == {"v1", "v2"}
        assert await reached(mesh, other, web) == {"v1", "v2"}
        assert await mesh.listener_changes() == before
        await other.close()
    await eventually(lambda: len(plane.server._store.proxies(mesh.name)) == 1)
