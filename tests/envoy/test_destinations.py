"""Where bytes end up: endpoints in and out of the mesh, TCP, undeclared ports, large bodies."""

import asyncio
import re
from collections import Counter

import pytest

from tests.support.hbone import ConnectRefusedError
from tests.support.http1 import http1_request, read_body, read_head, send_request
from tests.support.http2 import Http2Connection, http2_request
from tests.support.manifests import pod
from tests.support.mesh import Mesh
from tests.support.stream import StreamClosedError
from xds_server.demo.ztunnel import Address

pytestmark = pytest.mark.asyncio(loop_scope="session")

MEGABYTES = 20 * 1024 * 1024


async def tunnels_opened(mesh: Mesh) -> int:
    """How many tunnels to pods the waypoint has tried to open."""
    return await mesh.envoy.stat("cluster.connect_originate.upstream_rq_total")


async def test_a_pod_in_the_mesh_and_one_outside(mesh: Mesh) -> None:
    inside, outside = mesh.offer("inside"), mesh.offer("outside", {"pod": "plain"})
    await mesh.put("sides", inside.manifest, outside.manifest)
    before = await tunnels_opened(mesh)
    assert (await mesh.get(inside.http)).json()["pod"] == mesh.pods.v1.ip
    between = await tunnels_opened(mesh)
    assert between == before + 1
    assert (await mesh.get(outside.http)).json()["pod"] == mesh.pods.plain.ip
    async with await mesh.tunnel(outside.banner) as tunnel:
        assert await tunnel.readuntil(b"\n") == b"hello from app\n"
    assert await tunnels_opened(mesh) == between


async def test_a_pod_with_another_identity_gets_nothing(mesh: Mesh) -> None:
    web = mesh.offer("impostor", {"pod": "impostor"})
    await mesh.put("impostor", web.manifest)
    assert (await mesh.get(web.http)).status == 503
    with pytest.raises((StreamClosedError, ConnectRefusedError)):  # if known before the answer
        async with await mesh.tunnel(web.tcp) as tunnel:
            await tunnel.readexactly(1)
    shown = mesh.certs.svid(mesh.home, "someone").uri
    reason = re.compile(rf"certificate_SANs:_\[{re.escape(shown)}\]")
    await mesh.envoy.wait_until(
        lambda: reason.search(mesh.envoy.log()) is not None, "telling which identity it saw"
    )


async def test_endpoints_of_both_sorts_share_the_requests(mesh: Mesh) -> None:
    web = mesh.offer("mixed", {"app": "mixed"})
    labels = {"app": "mixed"}
    await mesh.put(
        "mixed",
        web.manifest,
        pod("mixed-1", "demo", mesh.pods.v1.ip, labels),
        pod("mixed-2", "demo", mesh.pods.plain.ip, labels, captured=False),
    )
    async with await mesh.tunnel(web.http) as tunnel:
        answers = [await http1_request(tunnel, "GET", "/") for _ in range(40)]
    counts = Counter(answer.header("x-echo-pod") for answer in answers)
    assert set(counts) == {mesh.pods.v1.ip, mesh.pods.plain.ip}


async def test_tcp_and_servers_that_speak_first(mesh: Mesh) -> None:
    db = mesh.offer("tcp")
    await mesh.put("tcp", db.manifest)
    async with await mesh.tunnel(db.tcp) as tunnel:
        await tunnel.write(b"ping")
        assert await tunnel.readexactly(4) == b"ping"
        await tunnel.write_eof()
        assert await tunnel.read() == b""
    async with await mesh.tunnel(db.banner) as tunnel:
        assert await tunnel.readuntil(b"\n") == b"hello from app\n"


async def test_undeclared_ports_take_what_comes(mesh: Mesh) -> None:
    web = mesh.offer("auto")
    await mesh.put("auto", web.manifest)
    assert (await mesh.get(web.undeclared, "/x")).json()["path"] == "/x"
    async with await mesh.tunnel(web.at(9001)) as tunnel:
        await tunnel.write(b"\0\1\2")
        assert await tunnel.readexactly(3) == b"\0\1\2"
    async with await mesh.tunnel(web.at(9000)) as tunnel:
        assert await tunnel.readuntil(b"\n") == b"hello from app\n"


async def test_unknown_destinations_are_refused_on_the_connect(mesh: Mesh) -> None:
    web = mesh.offer("known")
    await mesh.put("known", web.manifest)
    for to in (Address("10.99.0.1", 80), web.at(4711), Address(mesh.pods.v1.ip, 8080)):
        with pytest.raises(ConnectRefusedError) as refusal:
            await mesh.tunnel(to)
        assert refusal.value.status == 404
    assert (await mesh.get(web.http)).status == 200


async def test_a_service_without_pods_is_a_503(mesh: Mesh) -> None:
    web = mesh.offer("empty", {"pod": "none"})
    await mesh.put("empty", web.manifest)
    assert (await mesh.get(web.http)).status == 503


async def test_the_hosts_of_the_callers_do_not_mix(mesh: Mesh) -> None:
    web = mesh.offer("mixing")
    await mesh.put("mixing", web.manifest)
    callers = [mesh.friend, mesh.stranger] * 10
    answers = await asyncio.gather(*(mesh.get(web.http, caller=caller) for caller in callers))
    shown = [answer.received("x-forwarded-client-cert")[0] for answer in answers]
    assert [text.rpartition("URI=")[2] for text in shown] == [caller.uri for caller in callers]


async def test_20_megabytes_both_ways(mesh: Mesh) -> None:
    web = mesh.offer("large")
    await mesh.put("large", web.manifest)
    body, target = bytes(MEGABYTES), f"/?size={MEGABYTES}"
    answer = await mesh.get(web.http, target, method="POST", body=body)
    assert (answer.status, len(answer.body)) == (200, MEGABYTES)
    async with mesh.http2(web.grpc) as connection:
        answer = await http2_request(connection, "POST", target, body=body)
    assert (answer.status, len(answer.body)) == (200, MEGABYTES)
    async with await mesh.tunnel(web.tcp) as tunnel:
        echoed, _ = await asyncio.gather(tunnel.readexactly(MEGABYTES), tunnel.write(body))
    assert len(echoed) == MEGABYTES


async def test_websocket(mesh: Mesh) -> None:
    web = mesh.offer("websocket")
    await mesh.put("websocket", web.manifest)
    upgrade = [
        ("upgrade", "websocket"),
        ("connection", "upgrade"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ]
    async with await mesh.tunnel(web.http) as tunnel:
        await send_request(tunnel, "GET", "/ws", upgrade)
        assert (await read_head(tunnel)).status == 101
        await tunnel.write(b"\x81\x82\0\0\0\0hi")  # a masked text frame
        assert await tunnel.readexactly(4) == b"\x81\x02hi"


async def test_an_answer_is_streamed(mesh: Mesh) -> None:
    web = mesh.offer("streamed")
    await mesh.put("streamed", web.manifest)
    loop = asyncio.get_running_loop()
    async with await mesh.tunnel(web.http) as tunnel:
        await send_request(tunnel, "GET", "/?stream=3,0.2")
        head = await read_head(tunnel)
        arrivals = [loop.time() async for _ in read_body(tunnel, head)]
    assert arrivals[-1] - arrivals[0] > 0.3


async def test_pods_come_and_go_without_a_connection_lost(mesh: Mesh) -> None:
    web = mesh.offer("eds", {"app": "eds"})
    first = pod("eds-1", "demo", mesh.pods.v1.ip, {"app": "eds"})
    second = pod("eds-2", "demo", mesh.pods.v2.ip, {"app": "eds"})
    await mesh.put("eds", web.manifest)
    await mesh.put("eds-1", first)
    before = await mesh.listener_changes()

    async with (
        await mesh.tunnel(web.http) as tunnel,
        await mesh.tunnel(web.grpc) as inner,
        Http2Connection(inner) as connection,
    ):

        async def reached() -> set[str | None]:
            answers = [await http1_request(tunnel, "GET", "/") for _ in range(20)]
            answers += [await http2_request(connection, "GET", "/") for _ in range(20)]
            assert {answer.status for answer in answers} == {200}
            return {answer.header("x-echo-version") for answer in answers}

        assert await reached() == {"v1"}
        await mesh.put("eds-2", second)
        assert await reached() == {"v1", "v2"}
        await mesh.remove("eds-1", first)
        assert await reached() == {"v2"}
        assert not connection.goaway
    assert await mesh.listener_changes() == before
