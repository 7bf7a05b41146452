"""Envoy refuses something that we rendered: the rest goes on, and a sound version heals it."""

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from envoy_data_plane.envoy.config.cluster.v3 import Cluster
from envoy_data_plane.envoy.config.listener.v3 import Listener
from envoy_data_plane.envoy.config.route.v3 import DirectResponseAction, RouteConfiguration

from tests.support.certs import CertFolder
from tests.support.controlplane import (
    SETTLE_S,
    ControlPlane,
    control_plane,
    eventually,
    settings,
)
from tests.support.dumps import by_name, listeners
from tests.support.envoyproc import EnvoyProcess
from tests.support.fleet import EchoFleet
from tests.support.loopback import LoopbackNet, free_port
from tests.support.manifests import (
    DECLARED,
    WAYPOINT,
    Manifest,
    ManifestFolder,
    backend,
    gateway,
    namespace,
    path,
    route,
    rule,
    service,
)
from tests.support.mesh import Mesh, Offer, Pods, start_pods, waypoint, waypoint_bootstrap
from translators.ir.waypoint import WaypointName
from translators.wire import ResourceKey, Snapshot, TypeUrl
from translators.wire.resource import content_version
from xds_server.snapshots import ProxyKey

HOME = "fault"
PLAIN = {"pod": "plain"}
Damage = Callable[[bytes], bytes]


def bad_route(body: bytes) -> bytes:
    """The table with a status that no answer can have."""
    table = RouteConfiguration.parse(body)
    table.virtual_hosts[0].routes[0].route = None
    table.virtual_hosts[0].routes[0].direct_response = DirectResponseAction(status=99)
    return bytes(table)


def bad_cluster(body: bytes) -> bytes:
    """The cluster with no time to connect."""
    cluster = Cluster.parse(body)
    cluster.connect_timeout = timedelta(0)
    return bytes(cluster)


def bad_listener(body: bytes) -> bytes:
    """The listener with one chain twice."""
    listener = Listener.parse(body)
    listener.filter_chains.append(listener.filter_chains[0])
    return bytes(listener)


_PORT = f"inbound-vip|80|http|web.{HOME}.svc.cluster.local"
CASES: Mapping[ResourceKey, Damage] = {
    ResourceKey(TypeUrl.ROUTE, _PORT): bad_route,
    ResourceKey(TypeUrl.CLUSTER, _PORT): bad_cluster,
    ResourceKey(TypeUrl.LISTENER, "main_internal"): bad_listener,
}


@pytest.fixture(scope="module")
def pods(net: LoopbackNet, fleet: EchoFleet) -> Iterator[Pods]:
    echoes = start_pods(fleet, net, 181)
    yield echoes
    for app in echoes:
        fleet.remove(app.ip)


@pytest.mark.parametrize(("key", "damage"), CASES.items(), ids=("route", "cluster", "listener"))
async def test_refused_healed_and_gone_with_a_restart(
    key: ResourceKey,
    damage: Damage,
    net: LoopbackNet,
    certs: CertFolder,
    pods: Pods,
    tmp_path: Path,
) -> None:
    given = settings(tmp_path, free_port("127.0.0.1"))
    manifests = ManifestFolder(tmp_path / "manifests")
    async with AsyncExitStack() as stack:
        server = AsyncExitStack()
        plane = await server.enter_async_context(
            control_plane(given, manifests.root, certs.authority)
        )
        stack.push_async_callback(server.aclose)
        mesh = await stack.enter_async_context(
            waypoint(HOME, net.ip(188), plane, tmp_path, pods, certs, manifests, net.ip(189))
        )
        web = Offer("web", "10.98.0.1", service("web", HOME, "10.98.0.1", PLAIN, DECLARED))
        other = Offer("other", "10.98.0.2", service("other", HOME, "10.98.0.2", PLAIN, DECLARED))
        await mesh.put("services", web.manifest, other.manifest, *only("/1", "web", "other"))
        assert await statuses(mesh, web, other) == {"/1": [200, 200], "/2": [404, 404]}

        with damaged(plane, key, damage):
            await mesh.put("services", web.manifest, other.manifest, *only("/2", "web", "other"))
            [rejection] = plane.server._store.rejections(mesh.name)
            assert rejection.key == key
            assert rejection.message
            seen = await statuses(mesh, web, other)
            assert seen["/2"][1] == 200  # what was sound has arrived
            assert 503 not in seen["/1"] + seen["/2"]  # and what was not has broken nothing

        republish(plane, mesh.name)
        await plane.until_obeyed(by=mesh.name)
        assert plane.server._store.rejections(mesh.name) == ()
        assert await statuses(mesh, web, other) == {"/1": [404, 404], "/2": [200, 200]}

        with damaged(plane, key, damage):
            republish(plane, mesh.name)
            await eventually(lambda: bool(plane.server._store.rejections(mesh.name)))
            await server.aclose()
        async with control_plane(given, manifests.root, certs.authority) as again:
            await eventually(lambda: again.waypoints() == {mesh.name}, "connected")
            await again.until_obeyed(by=mesh.name)
            assert again.server._ads.counters.rejections.total() == 0
            await assert_equal(mesh, again)
            assert await statuses(mesh, web, other) == {"/1": [404, 404], "/2": [200, 200]}


async def test_a_bad_table_among_the_first_of_a_new_envoy_takes_no_good_one_down(
    net: LoopbackNet, certs: CertFolder, tmp_path: Path
) -> None:
    key = ResourceKey(TypeUrl.ROUTE, _PORT)
    manifests = ManifestFolder(tmp_path / "manifests")
    names = ("web", "other", "third")
    services = [service(n, HOME, f"10.98.0.{i}", PLAIN, DECLARED) for i, n in enumerate(names, 1)]
    manifests.put("all", namespace(HOME), gateway(HOME), *services, *only("/1", *names))
    given = settings(tmp_path)
    async with control_plane(given, manifests.root, certs.authority) as plane:
        config = waypoint_bootstrap(HOME, net.ip(188), plane.addresses.xds)
        with damaged(plane, key, bad_route):
            envoy = await EnvoyProcess.start(config, tmp_path, "new")
        async with envoy:
            name = WaypointName(HOME, WAYPOINT)
            await eventually(lambda: bool(plane.server._store.rejections(name)), "refused")
            [rejection] = plane.server._store.rejections(name)
            assert rejection.key == key
            assert "value must be inside range [200, 600)" in rejection.message
            # One for all tables together, which then come by themselves, and one for the bad.
            assert plane.server._ads.counters.rejections[TypeUrl.ROUTE] == 2
            served = plane.served(name)
            assert served is not None
            wanted = {n: r.version for n, r in served.of_type(TypeUrl.ROUTE).items()}
            del wanted[key.name]
            assert len(wanted) > len(names)
            assert await held_tables(envoy, len(wanted)) == wanted
            republish(plane, name)
            await plane.until_obeyed()
            assert plane.server._store.rejections(name) == ()


async def held_tables(envoy: EnvoyProcess, count: int) -> Mapping[str, str]:
    """The versions of Envoy's route tables, once there are that many."""
    async with asyncio.timeout(SETTLE_S):
        while True:
            held = by_name(await envoy.config_dump())["dynamic_route_configs"]
            if len(held) >= count:
                return held
            await asyncio.sleep(0.02)


@contextmanager
def damaged(plane: ControlPlane, key: ResourceKey, damage: Damage) -> Iterator[None]:
    """Let everything that is published meanwhile have a damaged version of one resource."""
    store = plane.server._store
    publish = store.publish

    def publish_damaged(
        proxy: ProxyKey, snapshot: Snapshot, changed: Collection[ResourceKey] | None
    ) -> None:
        touched = None if changed is None else {*changed, key}
        publish(proxy, broken(snapshot, key, damage), touched)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "publish", publish_damaged)
        yield


def broken(snapshot: Snapshot, key: ResourceKey, damage: Damage) -> Snapshot:
    """The snapshot with one resource damaged."""
    sound = snapshot.get(key)
    assert sound is not None
    body = damage(sound.body)
    bad = replace(sound, body=body, version=content_version(body))
    names = {**snapshot.of_type(key.type_url), key.name: bad}
    return Snapshot({**snapshot.resources, key.type_url: names})


def republish(plane: ControlPlane, waypoint: WaypointName) -> None:
    """Publish what the world means once more, as a change of it would."""
    store, publisher = plane.server._store, plane.server._publisher
    for proxy in store.attached():
        if proxy.waypoint == waypoint:
            store.publish(proxy, publisher._published[proxy].snapshot, None)


def only(where: str, *services: str) -> list[Manifest]:
    """Routes that serve one path of each service and no other."""
    return [
        route(name, HOME, name, rule(path(where), to=[backend(name)]), port=80) for name in services
    ]


async def statuses(mesh: Mesh, *offers: Offer) -> dict[str, list[int]]:
    """What both paths of each service are answered."""
    return {
        where: [(await mesh.get(offer.http, where)).status for offer in offers]
        for where in ("/1", "/2")
    }


async def assert_equal(mesh: Mesh, plane: ControlPlane) -> None:
    """Envoy holds what is served, version by version."""
    dump = await mesh.envoy.config_dump()
    held, served = by_name(dump), plane.served(mesh.name)
    assert served is not None
    for kind, type_url in (
        ("dynamic_active_clusters", TypeUrl.CLUSTER),
        ("dynamic_route_configs", TypeUrl.ROUTE),
    ):
        wanted = {name: each.version for name, each in served.of_type(type_url).items()}
        assert held[kind] == wanted
    for name, each in served.of_type(TypeUrl.LISTENER).items():
        wanted_chains = {chain.name for chain in Listener.parse(each.body).filter_chains}
        assert listeners(dump)[name] == wanted_chains
