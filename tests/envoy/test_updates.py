"""What a change does to the connections of others: nothing."""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial

import pytest

from tests.support.controlplane import eventually
from tests.support.envoyproc import EnvoyProcess
from tests.support.http1 import Head, http1_request, read_body, read_head, send_request
from tests.support.http2 import Http2Connection, http2_request
from tests.support.load import Load, Sample
from tests.support.manifests import (
    DECLARED,
    HTTP,
    allows,
    backend,
    path,
    policy,
    route,
    route_of,
    rule,
)
from tests.support.mesh import DRAIN_S, Mesh
from tests.support.stream import ByteStream

pytestmark = pytest.mark.asyncio(loop_scope="session")

IN_PLACE = "listener_manager.listener_in_place_updated"
MODIFIED = "listener_manager.listener_modified"


async def test_a_service_comes_and_goes_while_others_stream(mesh: Mesh) -> None:
    old, new = mesh.offer("stays"), mesh.offer("comes")
    await mesh.put("stays", old.manifest)
    before = await mesh.listener_changes()
    seconds = DRAIN_S + 1
    async with (
        await mesh.tunnel(old.http) as streaming,
        await mesh.tunnel(old.tcp) as tcp,
        await mesh.tunnel(old.at(9001)) as sniffed,
        await mesh.tunnel(old.grpc) as inner,
        Http2Connection(inner) as h2c,
    ):
        await send_request(streaming, "GET", f"/?stream={10 * seconds},0.1")
        head = await read_head(streaming)
        body = asyncio.create_task(_length(streaming, head))
        for tunnel in (tcp, sniffed):
            await tunnel.write(b"\0one")
            assert await tunnel.readexactly(4) == b"\0one"
        await mesh.put("comes", new.manifest)
        assert (await mesh.get(new.http)).status == 200
        await mesh.remove("comes", new.manifest)
        assert await body > 0
        for tunnel in (tcp, sniffed):
            await tunnel.write(b"\0two")
            assert await tunnel.readexactly(4) == b"\0two"
        assert (await http2_request(h2c, "GET", "/")).status == 200
        assert not h2c.goaway
    after = await mesh.listener_changes()
    # Envoy counts an update in place as a modification as well; there is none of another sort.
    assert after[IN_PLACE] - before[IN_PLACE] == 4
    assert after[MODIFIED] - before[MODIFIED] == 4


async def _length(stream: ByteStream, head: Head) -> int:
    lengths = [len(chunk) async for chunk in read_body(stream, head)]
    return sum(lengths)


async def test_routes_and_policies_change_neither_listeners_nor_clusters(mesh: Mesh) -> None:
    web, other = mesh.offer("edits", ports=DECLARED), mesh.offer("edits-v2", {"pod": "v2"})
    await mesh.put("edits", web.manifest, other.manifest)
    both = rule(path("/"), to=[backend("edits"), backend("edits-v2")])
    await mesh.put("edits-route", route("edits", "demo", "edits", both))
    before = await mesh.listener_changes()

    async with await mesh.tunnel(web.http) as tunnel:
        for number, share in enumerate((0, 50, 100)):
            weights = [backend("edits", 100 - share), backend("edits-v2", share)]
            edited = rule(path(f"/{number}"), to=weights)
            limits = policy(
                "edits", "demo", allows(None, {"paths": [f"/{number}"]}), service="edits"
            )
            await mesh.put("edits-route", route("edits", "demo", "edits", edited))
            await mesh.put("edits-policy", limits)
            answer = await http1_request(tunnel, "GET", f"/{number}")
            assert (answer.status, answer.header("connection")) == (200, None)
    assert await mesh.listener_changes() == before


async def test_weights_are_edited_under_load(mesh: Mesh) -> None:
    web, other = mesh.offer("load"), mesh.offer("load-v2", {"pod": "v2"})
    await mesh.put("load", web.manifest, other.manifest)

    async def tunnel() -> ByteStream:
        return await mesh.tunnel(web.http)

    async with Load(tunnel, rate=200, tunnels=4) as load:
        for share in (0, 100, 0, 50, 100):
            weights = [backend("load", 100 - share), backend("load-v2", share)]
            await mesh.put("load-route", route("load", "demo", "load", rule(to=weights)))
            obeyed = len(load.outcome.samples)
            await load.wait_for(partial(_is_of, "v2" if share >= 50 else "v1"))
            await eventually(partial(_more_than, load, obeyed + 40))
            if share != 50:
                later = load.outcome.samples[obeyed + 4 :]  # those may have been under way
                assert len({sample.version for sample in later}) == 1
    assert load.outcome.failures == []


def _is_of(version: str, sample: Sample) -> bool:
    return sample.version == version


def _more_than(load: Load, count: int) -> bool:
    return len(load.outcome.samples) > count


async def test_a_renewed_certificate_closes_no_connection(mesh: Mesh) -> None:
    web = mesh.offer("rotation")
    await mesh.put("rotation", web.manifest)
    before = await _serials(mesh.envoy)
    svids = mesh.plane.server._svids
    async with await mesh.tunnel(web.http) as tunnel, await mesh.tunnel(web.tcp) as tcp:
        assert (await http1_request(tunnel, "GET", "/")).status == 200
        identity = next(i for i in svids._held if i.uri == mesh.clients.waypoint.identity)
        svids.forget(identity)
        svids._ttl -= timedelta(hours=1)  # else it would be the same again
        svids.get(identity)
        mesh.plane.server._renewed(frozenset({identity}))
        await mesh.plane.until_obeyed(by=mesh.name)
        after = await _serials(mesh.envoy)
        assert after
        assert after.isdisjoint(before)
        assert (await http1_request(tunnel, "GET", "/")).status == 200
        await tcp.write(b"ping")
        assert await tcp.readexactly(4) == b"ping"
    await mesh.clients.close()
    assert (await mesh.get(web.http)).status == 200


async def _serials(envoy: EnvoyProcess) -> set[str]:
    certificates = (await envoy.certs())["certificates"]
    return {chain["serial_number"] for one in certificates for chain in one["cert_chain"][:1]}


async def test_a_tcp_route_counts_for_new_connections_while_old_ones_stay(mesh: Mesh) -> None:
    ports = (("tcp", 90, HTTP),)  # HTTP, so that a pod can tell who it is; the proxy sees bytes
    old, new = mesh.offer("tcp-old", ports=ports), mesh.offer("tcp-new", {"pod": "v2"}, ports)
    await mesh.put("tcp-moved", old.manifest, new.manifest)
    async with AsyncExitStack() as stack:
        for name, version in (("tcp-old", "v1"), ("tcp-new", "v2"), ("tcp-old", "v1")):
            chosen = rule(to=[backend(name, port=90)])
            parent = {"port": 90}
            moved = route_of("TCPRoute", "tcp-moved", "demo", "tcp-old", chosen, parent=parent)
            await mesh.put("tcp-moved-route", moved)
            for _ in range(10):
                tunnel = await stack.enter_async_context(await mesh.tunnel(old.tcp))
                answer = await http1_request(tunnel, "GET", "/")
                assert answer.header("x-echo-version") == version
