"""ServiceEntries and WorkloadEntries as destinations, through a real waypoint."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.envoy.conftest import BANK, DEMO
from tests.support.dns import NameServer
from tests.support.hbone import ConnectRefusedError
from tests.support.loopback import LoopbackNet
from tests.support.manifests import (
    BANNER,
    HTTP,
    TCP,
    WAYPOINT,
    Manifest,
    allows,
    gateway,
    namespace,
    pod,
    policy,
    route,
    rule,
    service_entry,
    workload_entry,
)
from tests.support.mesh import Mesh
from translators.gateway_api import INDEXES
from translators.gateway_api.served import hosts_of
from translators.ir.waypoint import Mesh as MeshFacts
from translators.resources.parsing.manifest import parse
from translators.resources.serviceentry import ServiceEntry
from translators.world import Change, Reader, World
from xds_server.demo.ztunnel import Address

pytestmark = pytest.mark.asyncio(loop_scope="session")

RAW = {"number": 90, "name": "raw", "protocol": "TCP", "targetPort": BANNER}
HOSTNAME = {"group": "networking.istio.io", "kind": "Hostname"}


def plain_http(port: int) -> Mapping[str, Any]:
    return {"number": port, "name": "http", "protocol": "HTTP"}


def own_address(manifest: Manifest) -> str:
    """The IPv4 address that is allocated for the only host of an entry which is alone."""
    entry = parse(manifest).value
    assert isinstance(entry, ServiceEntry)
    world = World(INDEXES)
    world.apply([Change(entry.key, entry)])
    (host,) = hosts_of(Reader(world), MeshFacts(), entry)
    return host.addresses[0]


def entry_route(name: str, entry: str, *rules: Manifest) -> Manifest:
    made = route(name, DEMO, entry, *rules)
    parent = {"group": "networking.istio.io", "kind": "ServiceEntry", "name": entry}
    return {**made, "spec": {**made["spec"], "parentRefs": [parent]}}


async def pods_met(mesh: Mesh, at: Address, count: int = 12) -> set[str]:
    return {(await mesh.get(at)).json()["pod"] for _ in range(count)}


async def test_listed_endpoints_in_and_out_of_the_mesh_at_an_allocated_address(mesh: Mesh) -> None:
    inside = {"labels": {"networking.istio.io/tunnel": "http"}, "serviceAccount": "app"}
    entry = service_entry(
        "stock",
        DEMO,
        "stock.example.com",
        resolution="STATIC",
        ports=[{**plain_http(80), "targetPort": HTTP}, RAW],
        endpoints=[
            {"address": mesh.pods.v1.ip, **inside},
            {"address": mesh.pods.plain.ip},
            {"address": "no address"},
        ],
    )
    await mesh.put("stock", entry)
    ip = own_address(entry)
    assert ip.startswith("240.240.")
    before = await mesh.envoy.stat("cluster.connect_originate.upstream_rq_total")
    assert await pods_met(mesh, Address(ip, 80)) == {mesh.pods.v1.ip, mesh.pods.plain.ip}
    assert await mesh.envoy.stat("cluster.connect_originate.upstream_rq_total") > before
    async with await mesh.tunnel(Address(ip, 90)) as tunnel:
        assert await tunnel.readuntil(b"\n") == b"hello from app\n"


async def test_workloads_selected_by_an_entry_and_by_a_service(mesh: Mesh) -> None:
    labels = {"app": "selected"}
    web = mesh.offer("selected", labels)
    entry = service_entry(
        "selected",
        DEMO,
        "selected.example.com",
        addresses=["10.50.0.1"],
        resolution="STATIC",
        workloadSelector={"labels": labels},
    )
    vm = workload_entry("vm", DEMO, mesh.pods.v1.ip, labels)
    outside = workload_entry("outside", DEMO, mesh.pods.plain.ip, labels, captured=False)
    one = pod("selected-1", DEMO, mesh.pods.v2.ip, labels)
    await mesh.put("selected", web.manifest, entry, vm, outside, one)
    everybody = {mesh.pods.v1.ip, mesh.pods.v2.ip, mesh.pods.plain.ip}
    assert await pods_met(mesh, Address("10.50.0.1", 80), 24) == everybody
    assert await pods_met(mesh, web.http, 24) == everybody
    await mesh.put("selected", web.manifest, entry, vm)
    assert await pods_met(mesh, Address("10.50.0.1", 80)) == {mesh.pods.v1.ip}
    assert await pods_met(mesh, web.http) == {mesh.pods.v1.ip}


async def test_a_name_is_looked_up_and_followed(mesh: Mesh, names: NameServer) -> None:
    names.records["api.example.com"] = [mesh.pods.plain.ip]
    entry = service_entry("api", DEMO, "api.example.com", addresses=["10.50.0.2"], resolution="DNS")
    await mesh.put("api", entry)
    at = Address("10.50.0.2", 80)
    await mesh.envoy.wait_until(lambda: names.asked["api.example.com"] > 0, "asking for the name")
    assert await pods_met(mesh, at, 2) == {mesh.pods.plain.ip}
    names.records["one.example.com"] = [mesh.pods.v1.ip, mesh.pods.v2.ip]
    names.records["two.example.com"] = [mesh.pods.plain.ip]
    endpoints = [{"address": "one.example.com"}, {"address": "two.example.com"}]
    await mesh.put("api", {**entry, "spec": {**entry["spec"], "endpoints": endpoints}})
    everybody = {mesh.pods.v1.ip, mesh.pods.v2.ip, mesh.pods.plain.ip}
    assert await pods_met(mesh, at, 24) == everybody
    robin = {"resolution": "DNS_ROUND_ROBIN", "endpoints": endpoints[1:]}
    await mesh.put("api", {**entry, "spec": {**entry["spec"], **robin}})
    assert await pods_met(mesh, at, 3) == {mesh.pods.plain.ip}


async def test_a_connection_goes_where_its_client_meant_it_to(mesh: Mesh) -> None:
    entry = service_entry(
        "legacy",
        DEMO,
        "legacy.example.com",
        addresses=[mesh.pods.v1.ip, mesh.pods.plain.ip, "127.0.0.1"],
        resolution="NONE",
        ports=[plain_http(HTTP), {"number": TCP, "name": "raw", "protocol": "TCP"}],
    )
    await mesh.put("legacy", entry)
    for one in (mesh.pods.v1, mesh.pods.plain):
        assert (await mesh.get(Address(one.ip, HTTP))).json()["pod"] == one.ip
        async with await mesh.tunnel(Address(one.ip, TCP)) as tunnel:
            await tunnel.write(b"ping")
            assert await tunnel.readexactly(4) == b"ping"
    for refused in (mesh.pods.v2.ip, "127.0.0.1"):
        with pytest.raises(ConnectRefusedError):
            await mesh.tunnel(Address(refused, HTTP))


async def test_a_range_of_addresses(mesh: Mesh) -> None:
    one, other = mesh.pods.v1, mesh.pods.plain
    entry = service_entry(
        "range",
        DEMO,
        "range.example.com",
        addresses=[f"{one.ip}/20"],
        resolution="NONE",
        ports=[plain_http(HTTP), {"number": TCP, "name": "raw", "protocol": "TCP"}],
    )
    guard = policy("range", DEMO, {"when": [{"key": "destination.ip", "values": [other.ip]}]})
    target = {"group": "networking.istio.io", "kind": "ServiceEntry", "name": "range"}
    guard = {**guard, "spec": {**guard["spec"], "action": "DENY", "targetRefs": [target]}}
    await mesh.put("range", entry)
    for pod_ in (one, other):
        assert (await mesh.get(Address(pod_.ip, HTTP))).json()["pod"] == pod_.ip
        async with await mesh.tunnel(Address(pod_.ip, TCP)) as tunnel:
            await tunnel.write(b"ping")
            assert await tunnel.readexactly(4) == b"ping"
    for nowhere in (Address("10.77.0.1", HTTP), Address(one.ip, HTTP + 1)):
        with pytest.raises(ConnectRefusedError, match="404"):
            await mesh.tunnel(nowhere)
    await mesh.put("range", entry, guard)
    assert (await mesh.get(Address(one.ip, HTTP))).status == 200
    assert (await mesh.get(Address(other.ip, HTTP))).status == 403
    async with await mesh.tunnel(Address(one.ip, TCP)):
        pass
    with pytest.raises(ConnectRefusedError, match="403"):
        await mesh.tunnel(Address(other.ip, TCP))


@pytest.mark.parametrize(
    "addresses",
    [["0.0.0.0/1"], ["127.0.0.0/8", "127.0.0.0/24"], ["127.0.0.1", "0.0.0.0"], ["127.0.0.0/30"]],
)
async def test_no_address_leads_into_the_proxy_itself(mesh: Mesh, addresses: list[str]) -> None:
    """The admin interface of this very Envoy, which no entry may lead anybody to."""
    _, admin = mesh.envoy.admin
    entry = service_entry(
        "inside",
        DEMO,
        "inside.example.com",
        addresses=addresses,
        resolution="NONE",
        ports=[plain_http(admin)],
    )
    await mesh.put("inside", entry)
    for host in ("127.0.0.1", "0.0.0.0"):
        with pytest.raises(ConnectRefusedError, match="404"):
            await mesh.tunnel(Address(host, admin))


async def test_names_below_a_wildcard_are_resolved_on_demand(mesh: Mesh, names: NameServer) -> None:
    names.records["one.wild.example"] = [mesh.pods.v1.ip]
    names.records["two.wild.example"] = [mesh.pods.plain.ip]
    names.records["other.example"] = [mesh.pods.v2.ip]
    entry = service_entry(
        "wild", DEMO, "*.wild.example", resolution="DYNAMIC_DNS", ports=[plain_http(HTTP)]
    )
    await mesh.put("wild", entry)
    at = Address(own_address(entry), HTTP)

    async def asked(host: str, path: str = "/") -> tuple[int, str]:
        response = await mesh.get(at, path, [("host", host)])
        return response.status, response.json()["pod"] if response.status == 200 else ""

    assert await asked("one.wild.example") == (200, mesh.pods.v1.ip)
    assert await asked(f"two.wild.example:{HTTP}") == (200, mesh.pods.plain.ip)
    for host in ("other.example", "wild.example", f"one.wild.example:{HTTP + 1}", mesh.pods.v2.ip):
        assert await asked(host) == (404, ""), host
    assert (await asked("gone.wild.example"))[0] == 503
    assert "other.example" not in names.asked

    guard = policy("wild", DEMO, allows(operation={"paths": ["/open"]}))
    target = {"group": "networking.istio.io", "kind": "ServiceEntry", "name": "wild"}
    guard = {**guard, "spec": {**guard["spec"], "targetRefs": [target]}}
    own = {**HOSTNAME, "name": "*.wild.example", "port": HTTP}
    header = {"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [TAG]}}
    routed = entry_route("wild", "wild", rule(to=[own], filters=[header]))
    await mesh.put("wild", entry, guard, routed)
    assert await asked("one.wild.example") == (403, "")
    response = await mesh.get(at, "/open", [("host", "one.wild.example")])
    assert (response.status, dict(response.json()["headers"])["x-tag"]) == (200, "wild")


TAG = {"name": "x-tag", "value": "wild"}


async def test_no_name_below_a_wildcard_leads_to_the_proxy_itself(
    mesh: Mesh, names: NameServer, net: LoopbackNet
) -> None:
    """The same server is reached at an address that is not the proxy's own."""
    met: list[str] = []

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        met.append(writer.get_extra_info("sockname")[0])
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        writer.close()

    near = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = near.sockets[0].getsockname()[1]
    far = await asyncio.start_server(answer, net.ip(112), port)
    addresses = {"me": "127.0.0.1", "any": "0.0.0.0", "link": "169.254.169.254", "far": net.ip(112)}
    names.records.update({f"{name}.near.example": [at] for name, at in addresses.items()})
    entry = service_entry(
        "near", DEMO, "*.near.example", resolution="DYNAMIC_DNS", ports=[plain_http(port)]
    )
    async with near, far:
        await mesh.put("near", entry)
        at = Address(own_address(entry), port)
        statuses = {
            name: (await mesh.get(at, "/", [("host", f"{name}.near.example")])).status
            for name in addresses
        }
    assert statuses == {"me": 503, "any": 503, "link": 503, "far": 200}
    assert met == [net.ip(112)]


async def test_routes_and_policies_of_an_entry(mesh: Mesh, names: NameServer) -> None:
    names.records["main.example.com"] = [mesh.pods.plain.ip]
    main = service_entry(
        "main", DEMO, "main.example.com", addresses=["10.50.0.3"], resolution="DNS"
    )
    next_one = service_entry(
        "next",
        DEMO,
        "next.example.com",
        resolution="STATIC",
        endpoints=[{"address": mesh.pods.v2.ip, "labels": {"networking.istio.io/tunnel": "http"}}],
    )
    to_main = {**HOSTNAME, "name": "main.example.com", "port": 80}
    to_next = {**HOSTNAME, "name": "next.example.com", "port": 80}
    routed = entry_route(
        "main",
        "main",
        rule({"path": {"type": "PathPrefix", "value": "/next"}}, to=[to_next]),
        rule(to=[to_main]),
    )
    await mesh.put("main", main, next_one, routed)
    at = Address("10.50.0.3", 80)
    assert (await mesh.get(at)).json()["pod"] == mesh.pods.plain.ip
    assert (await mesh.get(at, "/next")).json()["pod"] == mesh.pods.v2.ip
    guard = policy("main", DEMO, allows({"serviceAccounts": ["friend"]}))
    target = {"group": "networking.istio.io", "kind": "ServiceEntry", "name": "main"}
    await mesh.put(
        "main", main, next_one, routed, {**guard, "spec": {**guard["spec"], "targetRefs": [target]}}
    )
    assert (await mesh.get(at)).status == 200
    assert (await mesh.get(at, caller=mesh.stranger)).status == 403


async def test_an_entry_of_another_namespace_needs_to_be_admitted(mesh: Mesh) -> None:
    entry = service_entry(
        "guest",
        BANK,
        "guest.example.com",
        addresses=["10.50.0.4"],
        resolution="STATIC",
        endpoints=[{"address": mesh.pods.plain.ip}],
    )
    labels = {"istio.io/use-waypoint": WAYPOINT, "istio.io/use-waypoint-namespace": DEMO}
    entry = {**entry, "metadata": {**entry["metadata"], "labels": labels}}
    await mesh.put("guest", entry)
    at = Address("10.50.0.4", 80)
    with pytest.raises(ConnectRefusedError):
        await mesh.tunnel(at)
    async with everybody_admitted(mesh):
        assert (await mesh.get(at)).json()["pod"] == mesh.pods.plain.ip
    with pytest.raises(ConnectRefusedError):
        await mesh.tunnel(at)


@asynccontextmanager
async def everybody_admitted(mesh: Mesh) -> AsyncIterator[None]:
    """The waypoint takes what is in other namespaces as well."""
    rest = [namespace(DEMO), *mesh.pods.manifests(DEMO)]
    own = gateway(DEMO)
    (listener,) = own["spec"]["listeners"]
    all_of_them = {**listener, "allowedRoutes": {"namespaces": {"from": "All"}}}
    opened = {**own, "spec": {**own["spec"], "listeners": [all_of_them]}}
    await put_base(mesh, opened, *rest)
    try:
        yield
    finally:
        await put_base(mesh, own, *rest)


async def put_base(mesh: Mesh, *manifests: Manifest) -> None:
    """Write what the mesh began with, and return when the waypoint obeys it."""
    mesh.folder.put(DEMO, *manifests)
    await mesh.plane.until_obeyed(manifests, by=mesh.name)
    await mesh.put("unrelated", service_entry("unrelated", "nowhere", "unrelated.example.com"))
