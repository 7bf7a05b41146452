"""TCPRoutes: connections that are shared out, or refused, before anything listens to them."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from tests.support.hbone import ConnectRefusedError
from tests.support.http1 import http1_request
from tests.support.manifests import (
    BANNER,
    HTTP,
    TCP,
    Manifest,
    backend,
    grant,
    namespace,
    route_of,
    rule,
)
from tests.support.mesh import DRAIN_S, Mesh, Offer
from tests.support.stream import StreamClosedError
from xds_server.demo.ztunnel import Address, SvidFiles

pytestmark = pytest.mark.asyncio(loop_scope="session")

# The pods speak HTTP, so that they can tell who they are; the proxy knows of bytes only.
OPAQUE = (("tcp", 90, HTTP), ("tcp-bytes", 91, TCP), ("tcp-first", 92, BANNER), ("", 8000, HTTP))
REFUSED = "refused"


def two(mesh: Mesh, name: str) -> tuple[Offer, Offer]:
    """A service of pod v1, and another of pod v2."""
    return mesh.offer(name, ports=OPAQUE), mesh.offer(f"{name}-v2", {"pod": "v2"}, OPAQUE)


def shares(name: str, *to: Manifest, port: int = 90, **more: Any) -> Manifest:
    parent = {"port": port, **more.pop("parent", {})}
    return route_of("TCPRoute", name, "demo", name, rule(to=to), parent=parent, **more)


def to(name: str, weight: int = 1, port: int = 90, **more: Any) -> Manifest:
    return backend(name, weight, port, **more)


async def version(mesh: Mesh, at: Address, caller: SvidFiles | None = None) -> str | None:
    """Which pod a new connection leads to."""
    try:
        return (await mesh.get(at, caller=caller)).header("x-echo-version")
    except (ConnectRefusedError, StreamClosedError):
        return REFUSED


async def test_weights(mesh: Mesh) -> None:
    one, other = two(mesh, "shared")
    await mesh.put("shared", one.manifest, other.manifest)
    assert await version(mesh, one.tcp) == "v1"
    split = shares("shared", to("shared", 75), to("shared-v2", 25), to("shared", 0))
    await mesh.put("shared-route", split)
    found = Counter([await version(mesh, one.tcp) for _ in range(200)])
    assert set(found) == {"v1", "v2"}
    assert 20 < found["v2"] < 85


async def test_what_can_not_be_had_is_refused_by_its_share(mesh: Mesh) -> None:
    one, _ = two(mesh, "gaps")
    await mesh.put("gaps", one.manifest, shares("gaps", to("gaps"), to("nowhere")))
    found = Counter([await version(mesh, one.tcp) for _ in range(100)])
    assert set(found) == {"v1", REFUSED}
    assert 25 < found[REFUSED] < 75
    for none in (shares("gaps", to("nowhere")), shares("gaps", to("gaps", 0))):
        await mesh.put("gaps-route", none)
        await mesh.put("gaps", one.manifest)
        with pytest.raises(ConnectRefusedError) as refused:
            await mesh.tunnel(one.tcp)
        assert refused.value.status == 503


async def test_servers_that_speak_first_and_ends_of_streams(mesh: Mesh) -> None:
    one, _ = two(mesh, "streams")
    first = shares("streams", to("streams", port=92), port=92)
    echo = {**shares("streams", to("streams", port=91), port=91)}
    echo["metadata"] = {"name": "streams-echo", "namespace": "demo"}
    await mesh.put("streams", one.manifest, first, echo)
    async with await mesh.tunnel(one.at(92)) as tunnel:
        assert await tunnel.readuntil(b"\n") == b"hello from app\n"
    data = bytes(range(256)) * 4096
    async with await mesh.tunnel(one.at(91)) as tunnel:
        writing = asyncio.create_task(tunnel.write(data))
        assert await tunnel.readexactly(len(data)) == data
        await writing
        await tunnel.write_eof()
        assert await tunnel.read() == b""


async def test_an_undeclared_port_forwards_what_is_no_http(mesh: Mesh) -> None:
    one, other = two(mesh, "mixed")
    echoing = mesh.offer("mixed-echo", ports=OPAQUE)
    manifests = (one.manifest, other.manifest, echoing.manifest)
    await mesh.put("mixed", *manifests, shares("mixed", to("mixed-echo", port=91), port=8000))
    assert await version(mesh, one.undeclared) == "v1", "what is HTTP has no use for a TCPRoute"
    async with await mesh.tunnel(one.undeclared) as tunnel:
        await tunnel.write(b"\0\1\2")
        assert await tunnel.readexactly(3) == b"\0\1\2"
    await mesh.put("mixed", *manifests, shares("mixed", to("nowhere"), port=8000))
    assert await version(mesh, one.undeclared) == "v1"
    async with await mesh.tunnel(one.undeclared) as tunnel:
        await tunnel.write(b"\0\1\2")
        with pytest.raises(StreamClosedError):
            await tunnel.readexactly(3)


async def test_the_oldest_route_counts_and_others_for_their_own_clients(mesh: Mesh) -> None:
    one, other = two(mesh, "aged")
    older, younger = shares("aged", to("aged")), shares("aged", to("aged-v2"))
    for manifest, name, year in ((older, "b", 2024), (younger, "a", 2025)):
        created = f"{year}-01-01T00:00:00Z"
        manifest["metadata"].update(name=name, creationTimestamp=created)
    theirs = shares("aged", to("aged-v2", namespace="demo"), parent={"namespace": "demo"})
    theirs["metadata"].update(namespace="travellers")
    permitted = grant("demo", "TCPRoute", "travellers")
    routes = (older, younger, namespace("travellers"), theirs, permitted)
    await mesh.put("aged", one.manifest, other.manifest, *routes)
    assert {await version(mesh, one.tcp) for _ in range(10)} == {"v1"}
    traveller = mesh.certs.svid("travellers", "any")
    assert {await version(mesh, one.tcp, traveller) for _ in range(10)} == {"v2"}


async def test_edits_change_routes_and_nothing_else(mesh: Mesh) -> None:
    one, other = two(mesh, "moved")
    await mesh.put("moved", one.manifest, other.manifest)
    before = await mesh.listener_changes()
    async with await mesh.tunnel(one.tcp) as tunnel:
        for name, number in (("moved", "v1"), ("moved-v2", "v2"), ("moved", "v1")):
            await mesh.put("moved-route", shares("moved", to(name)))
            assert await version(mesh, one.tcp) == number
        await asyncio.sleep(DRAIN_S + 0.5)  # an affected connection would be closed by then
        assert (await http1_request(tunnel, "GET", "/")).status == 200
    assert await mesh.listener_changes() == before
