"""Pods addressed by their own IP, through a waypoint that is for workloads too."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.hbone import ConnectRefusedError
from tests.support.http1 import http1_request
from tests.support.manifests import BANNER, HTTP, TCP, allows, pod, policy
from tests.support.mesh import DRAIN_S, Mesh
from tests.support.stream import StreamClosedError
from xds_server.demo.ztunnel import Address

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def for_all(mesh: Mesh) -> AsyncIterator[Mesh]:
    """The waypoint, for services and workloads."""
    await mesh.serve("all")
    yield mesh
    await mesh.serve()


async def refused(mesh: Mesh, to: Address | str) -> int:
    """The status of the answer to a CONNECT that must not lead anywhere."""
    connection = await mesh.clients.connection(mesh.friend)
    with pytest.raises(ConnectRefusedError) as refusal:
        await connection.connect(str(to))
    return refusal.value.status


async def test_any_port_of_a_pod(for_all: Mesh) -> None:
    mesh = for_all
    for app in (mesh.pods.v1, mesh.pods.v2, mesh.pods.plain):
        answer = await mesh.get(Address(app.ip, HTTP), "/x")
        assert (answer.json()["pod"], answer.json()["path"]) == (app.ip, "/x")
        shown = answer.received("x-forwarded-client-cert")
        assert [text.rpartition("URI=")[2] for text in shown] == [mesh.friend.uri]
        async with await mesh.tunnel(Address(app.ip, TCP)) as tunnel:
            await tunnel.write(b"\0\1\2")
            assert await tunnel.readexactly(3) == b"\0\1\2"
        async with await mesh.tunnel(Address(app.ip, BANNER)) as tunnel:
            assert await tunnel.readuntil(b"\n") == b"hello from app\n"


async def test_a_pod_with_another_identity_gets_nothing(for_all: Mesh) -> None:
    mesh = for_all
    assert (await mesh.get(Address(mesh.pods.impostor.ip, HTTP))).status == 503
    async with await mesh.tunnel(Address(mesh.pods.impostor.ip, TCP)) as tunnel:
        await tunnel.write(b"\0\1\2")
        with pytest.raises(StreamClosedError):
            await tunnel.readexactly(1)
    assert (await mesh.get(Address(mesh.pods.v1.ip, HTTP))).status == 200


async def test_nothing_but_pods_can_be_reached(for_all: Mesh) -> None:
    """No address of others, none that only looks like a pod's, and no port written oddly."""
    mesh = for_all
    pod_ip = mesh.pods.v1.ip
    addresses = ("127.0.0.1", mesh.clients.waypoint.address.ip, f"{pod_ip}1", f"{pod_ip}.")
    for address in addresses:
        assert await refused(mesh, f"{address}:{HTTP}") == 404
    for port in ("0", f"0{HTTP}", "65536", f"+{HTTP}", "", "http", f"{HTTP}.", f"{HTTP}:{HTTP}"):
        assert await refused(mesh, f"{pod_ip}:{port}") in (400, 404), port
    assert await refused(mesh, pod_ip) in (400, 404)


async def test_both_kinds_of_traffic_or_one(mesh: Mesh) -> None:
    web = mesh.offer("both")
    pod_at = Address(mesh.pods.v1.ip, HTTP)
    await mesh.put("both", web.manifest)
    assert await refused(mesh, pod_at) == 404
    await mesh.serve("all")
    assert (await mesh.get(web.http)).status == 200
    assert (await mesh.get(pod_at)).status == 200
    await mesh.serve("workload")
    assert await refused(mesh, web.http) == 404
    assert (await mesh.get(pod_at)).status == 200
    await mesh.serve("none")
    assert await refused(mesh, web.http) == await refused(mesh, pod_at) == 404
    await mesh.serve()


async def test_policies_of_the_waypoint_guard_its_pods(for_all: Mesh) -> None:
    mesh = for_all
    friend = {"principals": [mesh.friend.uri.removeprefix("spiffe://")]}
    await mesh.put(
        "guarded",
        policy("friends", mesh.home, allows(friend), gateway="waypoint"),
        policy(
            "no-admin",
            mesh.home,
            allows(None, {"paths": ["/admin*"]}),
            action="DENY",
            gateway="waypoint",
        ),
        policy(
            "no-tcp",
            mesh.home,
            allows(None, {"ports": [str(TCP)]}),
            action="DENY",
            gateway="waypoint",
        ),
    )
    web = Address(mesh.pods.v1.ip, HTTP)
    assert (await mesh.get(web)).status == 200
    assert (await mesh.get(web, "/admin/x")).status == 403
    assert await refused(mesh, Address(mesh.pods.v1.ip, TCP)) == 403
    assert await refused(mesh, Address(mesh.pods.plain.ip, TCP)) == 403
    with pytest.raises(ConnectRefusedError) as refusal:
        await mesh.tunnel(web, mesh.stranger)
    assert refusal.value.status == 403


async def test_pods_are_not_mixed_up(for_all: Mesh) -> None:
    mesh = for_all
    apps = (mesh.pods.v1, mesh.pods.v2, mesh.pods.plain)
    callers = (mesh.friend, mesh.stranger)

    async def ask(number: int) -> None:
        app, caller = apps[number % 3], callers[number % 2]
        async with await mesh.tunnel(Address(app.ip, HTTP), caller) as tunnel:
            for _ in range(3):
                answer = await http1_request(tunnel, "GET", "/")
                assert answer.json()["pod"] == app.ip
                assert answer.received("x-forwarded-client-cert")[0].endswith(caller.uri)

    await asyncio.gather(*map(ask, range(24)))


async def test_pods_come_and_go_without_a_connection_lost(for_all: Mesh) -> None:
    mesh = for_all
    later = pod("later", mesh.home, "127.99.0.1", {})
    before = await mesh.listener_changes()
    async with await mesh.tunnel(Address(mesh.pods.v1.ip, HTTP)) as tunnel:
        await mesh.put("later", later)
        assert (await http1_request(tunnel, "GET", "/")).status == 200
        assert (await mesh.get(Address("127.99.0.1", HTTP))).status == 503
        await mesh.remove("later", later)
        assert await refused(mesh, f"127.99.0.1:{HTTP}") == 404
        await asyncio.sleep(DRAIN_S)
        assert (await http1_request(tunnel, "GET", "/")).status == 200
    assert await mesh.listener_changes() == before


async def test_a_pod_that_wants_no_waypoint_has_none(for_all: Mesh) -> None:
    mesh = for_all
    mine = pod("mine", mesh.home, "127.99.0.2", {"istio.io/use-waypoint": "none"})
    await mesh.put("mine", mine)
    assert await refused(mesh, f"127.99.0.2:{HTTP}") == 404


async def test_both_families_and_workloads_that_are_no_pods(for_all: Mesh) -> None:
    """A pod with an IPv6 address as well, and a WorkloadEntry; on ports that nobody declared."""
    mesh = for_all

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(4))
        writer.close()

    async with await asyncio.start_server(answer, "::1", 0) as server:
        port: int = server.sockets[0].getsockname()[1]
        both = dict(pod("both", mesh.home, "127.99.0.3", {}, captured=False))
        both["status"] = {**both["status"], "podIPs": [{"ip": "127.99.0.3"}, {"ip": "::1"}]}
        machine = {
            "apiVersion": "networking.istio.io/v1",
            "kind": "WorkloadEntry",
            "metadata": {"name": "machine", "namespace": mesh.home},
            "spec": {"address": mesh.pods.plain.ip},
        }
        await mesh.put("both", both, machine)
        async with await mesh.tunnel(Address("::1", port)) as tunnel:
            await tunnel.write(b"\0\1\2\3")
            assert await tunnel.readexactly(4) == b"\0\1\2\3"
        assert (await mesh.get(Address(mesh.pods.plain.ip, HTTP))).status == 200
        assert await refused(mesh, "[::2]:80") == 404
        assert await refused(mesh, "[0:0::1]:80") == 404
        await mesh.remove("both", both, machine)
        assert await refused(mesh, f"[::1]:{port}") == 404
