"""TLSRoutes: connections routed by server name, their TLS untouched from end to end."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from tests.support.hbone import ConnectRefusedError
from tests.support.manifests import Manifest, backend, grant, namespace, policy, route_of, rule
from tests.support.mesh import DRAIN_S, Mesh, Offer
from tests.support.stream import ByteStream, StreamClosedError
from xds_server.demo.ztunnel import Address, SvidFiles

pytestmark = pytest.mark.asyncio(loop_scope="session")

TLS_PORT = 8443
PORTS = (("tls", 443, TLS_PORT), ("tcp", 90, TLS_PORT))


@pytest_asyncio.fixture(loop_scope="session", scope="module", autouse=True)
async def tls_pods(standing_mesh: Mesh) -> AsyncIterator[None]:
    """On the pods v1 and v2 a server that tells its version to whoever speaks TLS."""
    svid = standing_mesh.certs.svid(standing_mesh.home, "server")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(svid.chain, svid.key)

    async def serve(stack: AsyncExitStack, ip: str, version: str) -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while line := await reader.readline():
                writer.write(version.encode() + b" " + line)
            writer.close()

        server = await asyncio.start_server(answer, ip, TLS_PORT, ssl=context)
        stack.callback(server.close)

    async with AsyncExitStack() as stack:
        for pod in (standing_mesh.pods.v1, standing_mesh.pods.v2):
            await serve(stack, pod.ip, pod.version)
        yield


class TlsClient:
    """TLS over any byte stream."""

    def __init__(self, wire: ByteStream, server_name: str | None) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self._wire = wire
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name)

    async def handshake(self) -> None:
        """Raises StreamClosedError if the connection is refused."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._exchange()
            else:
                await self._wire.write(self._outgoing.read())
                return

    async def ask(self, line: bytes) -> bytes:
        """Send a line, and what comes back."""
        self._tls.write(line)
        await self._wire.write(self._outgoing.read())
        while True:
            try:
                return self._tls.read()
            except ssl.SSLWantReadError:
                await self._exchange()

    async def _exchange(self) -> None:
        if data := self._outgoing.read():
            await self._wire.write(data)
        received = await self._wire.read()
        if not received:
            raise StreamClosedError("ended")
        self._incoming.write(received)


@asynccontextmanager
async def client(
    mesh: Mesh, at: Address, server_name: str | None, caller: SvidFiles | None = None
) -> AsyncIterator[TlsClient]:
    """A client that has made its handshake through the waypoint."""
    async with await mesh.tunnel(at, caller) as tunnel:
        one = TlsClient(tunnel, server_name)
        await one.handshake()
        yield one


async def version(
    mesh: Mesh, at: Address, server_name: str | None, caller: SvidFiles | None = None
) -> str:
    """Which pod a new connection leads to."""
    try:
        async with client(mesh, at, server_name, caller) as one:
            return (await one.ask(b"hello\n")).split()[0].decode()
    except (ConnectRefusedError, StreamClosedError):
        return "refused"


def two(mesh: Mesh, name: str) -> tuple[Offer, Offer]:
    """A service of pod v1, and another of pod v2."""
    return mesh.offer(name, ports=PORTS), mesh.offer(f"{name}-v2", {"pod": "v2"}, PORTS)


def by_name(name: str, hosts: list[str], *to: Manifest, parent: str, **more: Any) -> Manifest:
    return route_of("TLSRoute", name, "demo", parent, rule(to=to), hostnames=hosts, **more)


def to(name: str, weight: int = 1, **more: Any) -> Manifest:
    return backend(name, weight, 443, **more)


async def test_server_names(mesh: Mesh) -> None:
    one, other = two(mesh, "names")
    at = one.at(443)
    await mesh.put("names", one.manifest, other.manifest)
    assert await version(mesh, at, "any.example.com") == "v1"
    exact = by_name("names-one", ["one.example.com"], to("names"), parent="names")
    below = by_name("names-all", ["*.example.com"], to("names-v2"), parent="names")
    gone = by_name("names-gone", ["gone.example.com"], to("nowhere"), parent="names")
    await mesh.put("names-routes", exact, below, gone)
    cases = {
        "one.example.com": "v1",
        "ONE.example.com": "v1",
        "two.example.com": "v2",
        "a.one.example.com": "v2",
        "example.com": "refused",
        "one.example.org": "refused",
        "gone.example.com": "refused",
        f"one.example.com.{at}": "refused",
        None: "refused",
    }
    assert {name: await version(mesh, at, name) for name in cases} == cases
    rest = route_of("TCPRoute", "names-rest", "demo", "names", rule(to=[to("names")]))
    await mesh.put("names-rest", rest)
    assert await version(mesh, at, "one.example.org") == "v1"
    assert await version(mesh, at, None) == "v1"
    assert await version(mesh, at, "two.example.com") == "v2"
    async with await mesh.tunnel(one.tcp) as tunnel:
        plain = TlsClient(tunnel, "two.example.com")
        await plain.handshake()
        assert await plain.ask(b"hello\n") == b"v1 hello\n", "the other port has no TLSRoute"


async def test_weights_and_clients_of_other_namespaces(mesh: Mesh) -> None:
    one, other = two(mesh, "weighed")
    split = by_name(
        "weighed", ["*.example.com"], to("weighed", 50), to("weighed-v2", 50), parent="weighed"
    )
    theirs = by_name(
        "theirs",
        ["*.example.com"],
        to("weighed-v2", namespace="demo"),
        parent="weighed",
    )
    theirs["metadata"].update(namespace="guests")
    theirs["spec"]["parentRefs"][0]["namespace"] = "demo"
    routes = (split, namespace("guests"), theirs, grant("demo", "TLSRoute", "guests"))
    await mesh.put("weighed", one.manifest, other.manifest, *routes)
    found = [await version(mesh, one.at(443), "www.example.com") for _ in range(60)]
    assert set(found) == {"v1", "v2"}
    guest = mesh.certs.svid("guests", "any")
    found = [await version(mesh, one.at(443), "www.example.com", guest) for _ in range(20)]
    assert set(found) == {"v2"}


async def test_edits_change_routes_and_nothing_else(mesh: Mesh) -> None:
    one, other = two(mesh, "turned")
    await mesh.put("turned", one.manifest, other.manifest)
    before = await mesh.listener_changes()
    async with client(mesh, one.at(443), "www.example.com") as early:
        first = by_name("turned", ["www.example.com"], to("turned"), parent="turned")
        await mesh.put("turned-route", first)
        async with client(mesh, one.at(443), "www.example.com") as late:
            second = by_name("turned", ["www.example.com"], to("turned-v2"), parent="turned")
            await mesh.put("turned-route", second)
            assert await version(mesh, one.at(443), "www.example.com") == "v2"
            await asyncio.sleep(DRAIN_S + 0.5)  # an affected connection would be closed by then
            assert await early.ask(b"still\n") == b"v1 still\n"
            assert await late.ask(b"still\n") == b"v1 still\n"
    assert await mesh.listener_changes() == before


@dataclass(frozen=True, slots=True)
class Sni:
    """Who gets in by which server name, on a port that declares TLS."""

    mesh: Mesh
    at: Address

    async def let_in(self, *names: str | None, caller: SvidFiles | None = None) -> list[bool]:
        found = [await version(self.mesh, self.at, name, caller) for name in names]
        return [one != "refused" for one in found]


def about_names(service: str, action: str, **condition: Any) -> Manifest:
    when = {"when": [{"key": "connection.sni", **condition}]}
    return policy(service, "demo", when, action=action, service=service)


async def test_policies_by_server_name(mesh: Mesh) -> None:
    one, _ = two(mesh, "sni")
    await mesh.put("sni", one.manifest)
    before = await mesh.listener_changes()
    sni = Sni(mesh, one.at(443))
    names = ("one.example", "ONE.example", "one.example.", "x.one.example", "two.example", None)
    cases = [
        ("DENY", {"values": ["One.example"]}, [False, False, False, True, True, True]),
        ("DENY", {"values": ["*.example"]}, [False, False, False, False, False, True]),
        ("DENY", {"values": ["*"]}, [False] * 5 + [True]),
        ("DENY", {"notValues": ["one.example"]}, [True, True, True, False, False, False]),
        ("ALLOW", {"values": ["one.example."]}, [True, True, True, False, False, False]),
        ("ALLOW", {"values": ["one*"]}, [True, True, True, False, False, False]),
        ("ALLOW", {"notValues": ["one.example"]}, [False, False, False, True, True, False]),
    ]
    for action, condition, expected in cases:
        await mesh.put("sni-policy", about_names("sni", action, **condition))
        assert await sni.let_in(*names) == expected, (action, condition)
    assert await mesh.listener_changes() == before


async def test_policies_by_server_name_and_identity_beside_routes(mesh: Mesh) -> None:
    one, other = two(mesh, "sni-routes")
    routed = by_name("sni-routes", ["*.example"], to("sni-routes-v2"), parent="sni-routes")
    rules = policy(
        "sni-routes",
        "demo",
        {
            "from": [{"source": {"principals": ["cluster.local/ns/demo/sa/friend"]}}],
            "when": [{"key": "connection.sni", "values": ["one.example"]}],
        },
        service="sni-routes",
    )
    await mesh.put("sni-routes", one.manifest, other.manifest, routed, rules)
    assert await version(mesh, one.at(443), "one.example") == "v2"
    sni = Sni(mesh, one.at(443))
    assert await sni.let_in("two.example", None) == [False, False]
    assert await sni.let_in("one.example", caller=mesh.stranger) == [False]
    async with await mesh.tunnel(one.at(443)) as tunnel:
        await tunnel.write(b"no TLS at all\r\n")
        with pytest.raises(StreamClosedError):
            await tunnel.readexactly(1)
    with pytest.raises(ConnectRefusedError):  # nobody reads server names on a port for TCP
        await mesh.tunnel(one.tcp)
