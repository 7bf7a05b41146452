"""The parts of the rig that need no Envoy: echo controls, the stand-in's bootstrap, the network."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fleet import EchoFleet
from tests.support.http1 import http1_request, read_head, send_request
from tests.support.http2 import Http2Connection, http2_request
from tests.support.load import Load
from tests.support.loopback import LoopbackNet, free_port
from tests.support.stream import ByteStream, StreamClosedError, TcpStream
from xds_server.demo.echo import Controls, Echo, EchoApp
from xds_server.demo.ztunnel import Address, Client, Pod, SvidFiles, Waypoint, ztunnel_bootstrap

CLIENT = SvidFiles("spiffe://td/ns/a/sa/client", "client.pem", "client.key")
OTHER = SvidFiles("spiffe://td/ns/a/sa/other", "other.pem", "other.key")
WAYPOINT = Waypoint(Address("10.0.0.9", 15008), "spiffe://td/ns/a/sa/waypoint")


class TestControls:
    def test_everything(self) -> None:
        query = {"status": "503", "delay": "0.5", "size": "10", "stream": "3,0.1"}
        assert Controls.parse(query) == Controls(503, 0.5, 10, (3, 0.1))
        assert Controls.parse({}) == Controls()

    @pytest.mark.parametrize(
        "query",
        [
            {"status": "99"},
            {"status": "x"},
            {"delay": "61"},
            {"delay": "-1"},
            {"delay": "nan"},
            {"size": "-1"},
            {"size": str(2**40)},
            {"stream": "1000000,0"},
            {"stream": "3,600"},
            {"stream": ","},
        ],
    )
    def test_nonsense_is_refused(self, query: dict[str, str]) -> None:
        with pytest.raises(ValueError):  # noqa: PT011 - whatever float() or the bounds say
            Controls.parse(query)

    @given(st.dictionaries(st.sampled_from(["status", "delay", "size", "stream"]), st.text()))
    def test_any_text_is_parsed_or_refused(self, query: dict[str, str]) -> None:
        with suppress(ValueError):
            Controls.parse(query)


class TestZtunnelBootstrap:
    def client(self, port: int, svid: SvidFiles = CLIENT, ip: str = "127.1.1.1") -> Client:
        return Client(Address(ip, port), svid, Address("10.96.0.1", 80), WAYPOINT)

    def clusters(self, *clients: Client) -> list[str]:
        bootstrap = json.loads(
            json.dumps(ztunnel_bootstrap(clients, [], "root.pem", Address("127.0.0.1", 0)))
        )
        return [cluster["name"] for cluster in bootstrap["static_resources"]["clusters"]]

    def test_one_identity_at_one_address_shares_its_connection(self) -> None:
        assert len(self.clusters(self.client(1), self.client(2))) == 2

    def test_identities_and_addresses_never_share_one(self) -> None:
        elsewhere = self.client(1, ip="127.1.1.2")
        assert len(self.clusters(self.client(1), self.client(2, OTHER), elsewhere)) == 4

    def test_a_pod_lets_through_its_own_address_only(self) -> None:
        pods = [Pod("10.1.0.1", CLIENT), Pod("fd00::1", OTHER)]
        text = json.dumps(ztunnel_bootstrap([], pods, "root.pem", Address("127.0.0.1", 0)))
        listeners = json.loads(text)["static_resources"]["listeners"]
        domains = [_manager(listener)["route_config"]["virtual_hosts"] for listener in listeners]
        assert [[host["domains"] for host in hosts] for hosts in domains] == [
            [["10.1.0.1:*"]],
            [["[fd00::1]:*"]],
        ]


def _manager(listener: dict) -> dict:  # type: ignore[type-arg]
    manager: dict = listener["filter_chains"][0]["filters"][0]["typed_config"]  # type: ignore[type-arg]
    return manager


class TestEcho:
    async def test_a_stopped_application_frees_its_ports(self, net: LoopbackNet) -> None:
        ip = net.ip(31)
        app = EchoApp("a", "v1", ip, http_ports=(8080,), tcp_ports=(9000,), banner_ports=(9001,))
        async with Echo(app):
            tcp = await TcpStream.connect(ip, 9000)
            await tcp.write(b"x")
            assert await tcp.read() == b"x"
        with pytest.raises((ConnectionError, StreamClosedError)):
            await tcp.readexactly(1)
        with pytest.raises(ConnectionRefusedError):
            await TcpStream.connect(ip, 8080)
        async with Echo(app), await TcpStream.connect(ip, 9001) as banner:
            assert await banner.readuntil(b"\n") == b"hello from a\n"

    async def test_a_taken_port_leaves_nothing_behind(self, net: LoopbackNet) -> None:
        ip = net.ip(32)
        async with Echo(EchoApp("a", "v1", ip, tcp_ports=(9000,))):
            with pytest.raises(OSError, match="in use"):
                await Echo(EchoApp("b", "v1", ip, (8080,), tcp_ports=(9000,))).start()
            with pytest.raises(ConnectionRefusedError):
                await TcpStream.connect(ip, 8080)

    async def test_repeated_headers_keep_their_order(self, net: LoopbackNet) -> None:
        ip = net.ip(33)
        async with (
            Echo(EchoApp("a", "v1", ip, (8080,))),
            await TcpStream.connect(ip, 8080) as stream,
        ):
            headers = [("x-a", "1"), ("x-b", "2"), ("x-a", "3")]
            answer = await http1_request(stream, "PUT", "/p?q=1", headers)
            assert answer.received("x-a") == ["1", "3"]
            assert (answer.json()["method"], answer.json()["path"]) == ("PUT", "/p?q=1")
            assert (await http1_request(stream, "GET", "/?status=x")).status == 400
            assert (await http1_request(stream, "HEAD", "/")).body == b""
            assert (await http1_request(stream, "GET", "/?size=0")).body == b""
            assert (await http1_request(stream, "GET", "/?stream=2,0")).body.count(b"\n") == 2


@pytest.fixture(scope="module")
def app(net: LoopbackNet, fleet: EchoFleet) -> Iterator[EchoApp]:
    app = fleet.add(EchoApp("a", "v1", net.ip(34)), h2c_ports=(8081,))
    yield app
    fleet.remove(app.ip)


class TestH2c:
    async def test_answers_of_every_size(self, app: EchoApp) -> None:
        async with Http2Connection(await TcpStream.connect(app.ip, 8081)) as connection:
            sizes = [0, 1, 65_535, 65_536, 3_000_000]
            answers = await asyncio.gather(
                *(http2_request(connection, "GET", f"/?size={size}") for size in sizes)
            )
            assert [len(answer.body) for answer in answers] == sizes
            assert (await http2_request(connection, "GET", "/?status=418")).status == 418

    async def test_a_reset_stream_gives_its_window_back(self, app: EchoApp) -> None:
        """More is dropped unread than the connection window holds."""
        async with Http2Connection(await TcpStream.connect(app.ip, 8081)) as connection:
            for _ in range(20):
                head = [(":method", "GET"), (":path", "/?size=1000000"), (":scheme", "http")]
                stream = await connection.open([*head, (":authority", "a")], end=True)
                while not stream.ended:
                    await connection.progress()
                await stream.close()
            assert len((await http2_request(connection, "GET", "/?size=3000000")).body) == 3_000_000


class TestLoad:
    async def test_a_pod_that_goes_and_comes_back_shows(self, net: LoopbackNet) -> None:
        ip, port = net.ip(35), 8080

        async def connect() -> ByteStream:
            return await TcpStream.connect(ip, port)

        async with Load(connect, rate=200, tunnels=2) as load:
            async with Echo(EchoApp("a", "v1", ip, (port,))):
                await load.wait_for(lambda sample: sample.version == "v1")
            await load.wait_for(lambda sample: sample.status is None)
            async with Echo(EchoApp("a", "v2", ip, (port,))):
                back = await load.wait_for(lambda sample: sample.version == "v2")
                outcome = await load.finish()
        assert outcome.failures
        assert outcome.first_after(back.at, lambda sample: sample.version == "v2") == 0
        last_v1 = outcome.last_after(0, lambda sample: sample.version == "v1")
        assert last_v1 is not None
        assert last_v1 < back.at


class TestLoopback:
    def test_two_networks_differ(self, net: LoopbackNet) -> None:
        other = LoopbackNet()
        assert other.prefix != net.prefix
        other.close()

    async def test_a_free_port_can_be_listened_on(self, net: LoopbackNet) -> None:
        ip = net.ip(36)
        port = free_port(ip)
        async with (
            Echo(EchoApp("a", "v1", ip, (port,))),
            await TcpStream.connect(ip, port) as stream,
        ):
            await send_request(stream, "GET", "/")
            assert (await read_head(stream)).status == 200
