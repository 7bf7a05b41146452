"""The rig itself, end to end: ztunnel stand-in, a hand-written waypoint, stand-in, echo.

What fails here is the fault of the rig, never of the translators.
"""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from h2.exceptions import TooManyStreamsError

from tests.support.certs import CertFolder
from tests.support.envoyproc import EnvoyFailedError, EnvoyProcess, validate
from tests.support.fleet import EchoFleet
from tests.support.hbone import ConnectRefusedError, HboneConnection, WrongIdentityError
from tests.support.http1 import http1_request, read_body, read_head, send_request
from tests.support.http2 import Http2Connection, http2_request
from tests.support.load import Load
from tests.support.loopback import LoopbackNet, free_port
from tests.support.static_waypoint import static_waypoint
from tests.support.stream import ByteStream, StreamClosedError, TcpStream
from xds_server.demo.echo import EchoApp
from xds_server.demo.ztunnel import Address, Client, Pod, SvidFiles, Waypoint, ztunnel_bootstrap

pytestmark = pytest.mark.asyncio(loop_scope="module")

MEGABYTES = 20 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Rig:
    """Addresses of everything, and the two Envoys."""

    client_ip: str
    app: EchoApp
    svid: SvidFiles
    root: Path
    waypoint: Waypoint
    http: Address
    h2c: Address
    tcp: Address
    unknown: Address
    waypoint_envoy: EnvoyProcess
    ztunnel_envoy: EnvoyProcess

    def hbone(self, svid: SvidFiles | None = None) -> HboneConnection:
        return HboneConnection(
            self.waypoint, svid or self.svid, self.root, source_ip=self.client_ip
        )

    def listener(self, number: int) -> Address:
        return Address(self.client_ip, 9001 + number)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rig(
    net: LoopbackNet, certs: CertFolder, fleet: EchoFleet, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Rig]:
    folder = tmp_path_factory.mktemp("rig")
    client_ip, waypoint_ip, pod_ip = net.ip(21), net.ip(22), net.ip(23)
    app = EchoApp("app", "v1", pod_ip, http_ports=(8080,), banner_ports=(9000,))
    fleet.add(app, h2c_ports=(8081,))
    client, waypoint_svid = certs.svid("demo", "client"), certs.svid("demo", "waypoint")
    waypoint = Waypoint(Address(waypoint_ip, 15008), waypoint_svid.uri)
    http, h2c, tcp, unknown = (Address("10.96.0.1", port) for port in (80, 81, 90, 99))
    ways = [
        Client(Address(client_ip, 9001 + number), client, destination, waypoint)
        for number, destination in enumerate((http, h2c, tcp, unknown))
    ]
    impostor = Waypoint(waypoint.address, certs.svid("demo", "impostor").uri)
    ways.append(Client(Address(client_ip, 9005), client, http, impostor))
    config = static_waypoint(
        waypoint_ip,
        waypoint_svid,
        certs.root,
        http=(http, Address(pod_ip, 8080)),
        h2c=(h2c, Address(pod_ip, 8081)),
        tcp=(tcp, Address(pod_ip, 9000)),
    )
    pods = [Pod(pod_ip, certs.svid("demo", "app"))]
    admin = Address("127.0.0.1", 0)
    stand_in = ztunnel_bootstrap(ways, pods, str(certs.root), admin)
    async with (
        await EnvoyProcess.start(config, folder, "waypoint") as waypoint_envoy,
        await EnvoyProcess.start(stand_in, folder, "ztunnel") as ztunnel_envoy,
    ):
        yield Rig(
            client_ip,
            app,
            client,
            certs.root,
            waypoint,
            http,
            h2c,
            tcp,
            unknown,
            waypoint_envoy,
            ztunnel_envoy,
        )
    fleet.remove(pod_ip)


async def open_listener(rig: Rig, number: int) -> ByteStream:
    return await TcpStream.connect(rig.client_ip, rig.listener(number).port)


class TestStandIn:
    """Plain TCP into the client side of the stand-in."""

    async def test_http1_keeps_its_connection(self, rig: Rig) -> None:
        async with await open_listener(rig, 0) as stream:
            for number in range(3):
                answer = await http1_request(stream, "POST", f"/x?n={number}", body=b"12345")
                assert answer.status == 200
                seen = answer.json()
                assert (seen["app"], seen["pod"], seen["version"]) == ("app", rig.app.ip, "v1")
                assert (seen["path"], seen["body_bytes"]) == (f"/x?n={number}", 5)

    async def test_the_waypoint_sees_identity_and_address_of_the_client(self, rig: Rig) -> None:
        async with await open_listener(rig, 0) as stream:
            answer = await http1_request(stream, "GET", "/")
        assert answer.received("x-peer") == [rig.svid.uri]
        assert answer.received("x-source") == [rig.client_ip]

    async def test_h2c(self, rig: Rig) -> None:
        async with (
            await open_listener(rig, 1) as stream,
            Http2Connection(stream) as connection,
        ):
            answers = await asyncio.gather(
                *(http2_request(connection, "GET", f"/{n}") for n in range(20))
            )
        assert [a.json()["path"] for a in answers] == [f"/{n}" for n in range(20)]
        assert {a.json()["protocol"] for a in answers} == {"HTTP/2"}

    async def test_a_server_that_speaks_first_is_heard_at_once(self, rig: Rig) -> None:
        async with await open_listener(rig, 2) as stream:
            assert await stream.readuntil(b"\n") == b"hello from app\n"
            await stream.write(b"ping")
            assert await stream.readexactly(4) == b"ping"
            await stream.write_eof()
            assert await stream.read() == b""

    async def test_an_unknown_destination_is_closed(self, rig: Rig) -> None:
        async with await open_listener(rig, 3) as stream:
            with pytest.raises((StreamClosedError, ConnectionError)):
                await http1_request(stream, "GET", "/")

    async def test_a_waypoint_with_another_identity_is_refused(self, rig: Rig) -> None:
        async with await open_listener(rig, 4) as stream:
            with pytest.raises((StreamClosedError, ConnectionError)):
                await http1_request(stream, "GET", "/")
        failures = await rig.ztunnel_envoy.stats(r"ssl\.fail_verify_san$")
        assert sum(failures.values()) >= 1
        await rig.ztunnel_envoy.wait_until(
            lambda: f"to {rig.http}: UF" in rig.ztunnel_envoy.log(), "telling the reason"
        )


class TestPodSide:
    """The HBONE terminators of the pods."""

    async def test_it_connects_to_any_port_of_its_own_pod(
        self, rig: Rig, certs: CertFolder
    ) -> None:
        async with pod_connection(rig, certs) as connection:
            tunnel = await connection.connect(f"{rig.app.ip}:8080")
            assert (await http1_request(tunnel, "GET", "/")).status == 200

    @pytest.mark.parametrize("authority", ["127.0.0.1:8080", "localhost:8080"])
    async def test_it_connects_nowhere_else(
        self, rig: Rig, certs: CertFolder, authority: str
    ) -> None:
        async with pod_connection(rig, certs) as connection:
            with pytest.raises(ConnectRefusedError) as refusal:
                await connection.connect(authority)
        assert refusal.value.status == 404

    async def test_a_dead_port_is_answered_503(self, rig: Rig, certs: CertFolder) -> None:
        async with pod_connection(rig, certs) as connection:
            with pytest.raises(ConnectRefusedError) as refusal:
                await connection.connect(f"{rig.app.ip}:{free_port(rig.app.ip)}")
        assert refusal.value.status == 503

    async def test_it_lets_nobody_in_without_a_certificate_of_the_mesh(
        self, rig: Rig, certs: CertFolder, tmp_path: Path
    ) -> None:
        pod = Waypoint(Address(rig.app.ip, 15008), certs.svid("demo", "app").uri)
        for svid in (None, CertFolder(tmp_path).svid("demo", "waypoint")):
            with pytest.raises((StreamClosedError, ssl.SSLError, ConnectionError)):
                async with HboneConnection(pod, svid, rig.root) as connection:
                    await connection.connect(f"{rig.app.ip}:8080")


def pod_connection(rig: Rig, certs: CertFolder) -> HboneConnection:
    pod = Waypoint(Address(rig.app.ip, 15008), certs.svid("demo", "app").uri)
    return HboneConnection(pod, certs.svid("demo", "waypoint"), certs.root)


class TestPythonClient:
    """The HBONE client of the tests against the same waypoint."""

    async def test_many_tunnels_in_one_connection(self, rig: Rig) -> None:
        async with rig.hbone() as connection:
            tunnels = [await connection.connect(str(rig.http)) for _ in range(10)]
            answers = await asyncio.gather(*(http1_request(t, "GET", "/") for t in tunnels))
        assert {answer.status for answer in answers} == {200}

    async def test_http2_inside_a_tunnel(self, rig: Rig) -> None:
        async with rig.hbone() as connection:
            tunnel = await connection.connect(str(rig.h2c))
            async with Http2Connection(tunnel) as inner:
                answer = await http2_request(inner, "POST", "/x", body=b"x" * 100_000)
                grpc = await http2_request(
                    inner,
                    "POST",
                    "/pkg.Echo/Say",
                    [("content-type", "application/grpc"), ("x-grpc-status", "5")],
                    b"\0\0\0\0\2ab",
                )
        assert answer.json()["body_bytes"] == 100_000
        assert (grpc.body, dict(grpc.trailers)) == (b"\0\0\0\0\2ab", {"grpc-status": "5"})

    async def test_20_megabytes_both_ways(self, rig: Rig) -> None:
        body = bytes(MEGABYTES)
        async with rig.hbone() as connection:
            tunnel = await connection.connect(str(rig.http))
            answer = await http1_request(tunnel, "POST", f"/?size={MEGABYTES}", body=body)
            assert (answer.status, len(answer.body)) == (200, MEGABYTES)
            tunnel = await connection.connect(str(rig.h2c))
            async with Http2Connection(tunnel) as inner:
                answer = await http2_request(inner, "POST", f"/?size={MEGABYTES}", body=body)
                assert (answer.status, len(answer.body)) == (200, MEGABYTES)

    async def test_20_megabytes_echoed_at_the_same_time(self, rig: Rig) -> None:
        async with rig.hbone() as connection:
            tunnel = await connection.connect(str(rig.tcp))
            await tunnel.readuntil(b"\n")
            echoed, _ = await asyncio.gather(
                tunnel.readexactly(MEGABYTES), tunnel.write(bytes(MEGABYTES))
            )
        assert len(echoed) == MEGABYTES

    async def test_a_tunnel_nobody_reads_does_not_hold_up_the_others(self, rig: Rig) -> None:
        async with rig.hbone() as connection:
            unread = await connection.connect(str(rig.http))
            await send_request(unread, "GET", f"/?size={MEGABYTES}")
            other = await connection.connect(str(rig.http))
            answer = await http1_request(other, "GET", f"/?size={MEGABYTES}")
        assert len(answer.body) == MEGABYTES

    async def test_chunks_arrive_while_the_answer_goes_on(self, rig: Rig) -> None:
        async with rig.hbone() as connection:
            tunnel = await connection.connect(str(rig.http))
            await send_request(tunnel, "GET", "/?stream=4,0.2")
            head = await read_head(tunnel)
            arrivals = [time.monotonic() async for _ in read_body(tunnel, head)]
        assert len(arrivals) == 4
        assert arrivals[-1] - arrivals[0] > 0.4

    async def test_websocket(self, rig: Rig) -> None:
        async with rig.hbone() as connection:
            tunnel = await connection.connect(str(rig.http))
            upgrade = [
                ("upgrade", "websocket"),
                ("connection", "upgrade"),
                ("sec-websocket-version", "13"),
                ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ]
            await send_request(tunnel, "GET", "/ws", upgrade)
            assert (await read_head(tunnel)).status == 101
            await tunnel.write(b"\x81\x82\0\0\0\0hi")  # a masked text frame
            assert await tunnel.readexactly(4) == b"\x81\x02hi"

    @pytest.mark.parametrize("status", [404, 503])
    async def test_status_control(self, rig: Rig, status: int) -> None:
        async with rig.hbone() as connection:
            tunnel = await connection.connect(str(rig.http))
            answer = await http1_request(tunnel, "GET", f"/?status={status}")
        assert answer.status == status

    async def test_an_unknown_destination_is_404_on_the_connect(self, rig: Rig) -> None:
        async with rig.hbone() as connection:
            with pytest.raises(ConnectRefusedError) as refusal:
                await connection.connect(str(rig.unknown))
            assert refusal.value.status == 404
            # The connection is still good.
            assert await connection.connect(str(rig.http))

    async def test_the_hundred_and_first_tunnel_must_wait(self, rig: Rig) -> None:
        async with rig.hbone() as connection:
            tunnels = [await connection.connect(str(rig.http)) for _ in range(100)]
            with pytest.raises(TooManyStreamsError):
                await connection.connect(str(rig.http))
            await tunnels[0].close()
            assert await connection.connect(str(rig.http))

    async def test_a_client_of_another_authority_is_refused(self, rig: Rig, tmp_path: Path) -> None:
        stranger = CertFolder(tmp_path).svid("demo", "client")
        with pytest.raises((StreamClosedError, ssl.SSLError, ConnectionError)):
            async with rig.hbone(stranger) as connection:
                await connection.connect(str(rig.http))

    async def test_a_client_without_certificate_is_refused(self, rig: Rig) -> None:
        anonymous = HboneConnection(rig.waypoint, None, rig.root)
        with pytest.raises((StreamClosedError, ssl.SSLError, ConnectionError)):
            async with anonymous as connection:
                await connection.connect(str(rig.http))

    async def test_the_client_verifies_the_waypoint(self, rig: Rig, tmp_path: Path) -> None:
        with pytest.raises(ssl.SSLCertVerificationError):
            await HboneConnection(rig.waypoint, rig.svid, CertFolder(tmp_path).root).__aenter__()
        impostor = Waypoint(rig.waypoint.address, "spiffe://cluster.local/ns/demo/sa/other")
        with pytest.raises(WrongIdentityError):
            await HboneConnection(impostor, rig.svid, rig.root).__aenter__()

    async def test_a_steady_load(self, rig: Rig) -> None:
        async with rig.hbone() as connection:

            async def tunnel() -> ByteStream:
                return await connection.connect(str(rig.http))

            async with Load(tunnel, rate=200, tunnels=4) as load:
                began = time.monotonic()
                await load.wait_for(lambda _: len(load.outcome.samples) >= 100)
                took = time.monotonic() - began
        assert 0.4 < took < 5
        assert set(load.outcome.statuses) == {200}
        assert set(load.outcome.pods) == {rig.app.ip}
        assert load.outcome.failures == []


class TestDrain:
    """The HBONE client outlives a graceful GOAWAY, as ztunnel does."""

    async def test_tunnels_go_on_while_the_waypoint_drains(
        self, rig: Rig, certs: CertFolder, net: LoopbackNet, tmp_path: Path
    ) -> None:
        ip = net.ip(24)
        config = static_waypoint(
            ip,
            certs.svid("demo", "waypoint"),
            certs.root,
            http=(rig.http, Address(rig.app.ip, 8080)),
            h2c=(rig.h2c, Address(rig.app.ip, 8081)),
            tcp=(rig.tcp, Address(rig.app.ip, 9000)),
        )
        waypoint = Waypoint(Address(ip, 15008), rig.waypoint.identity)
        arguments = ("--drain-time-s", "30", "--drain-strategy", "immediate")
        async with (
            await EnvoyProcess.start(config, tmp_path, "draining", *arguments) as envoy,
            HboneConnection(waypoint, rig.svid, rig.root) as connection,
        ):
            tunnel = await connection.connect(str(rig.tcp))
            await tunnel.readuntil(b"\n")
            await envoy.drain()
            # Envoy says GOAWAY with the next CONNECT, which it still serves.
            last = await connection.connect(str(rig.http))
            assert (await http1_request(last, "GET", "/")).status == 200
            assert connection.http2.goaway
            await tunnel.write(b"still here")
            assert await tunnel.readexactly(10) == b"still here"
            with pytest.raises(StreamClosedError):
                await connection.connect(str(rig.http))


class TestEnvoyProcess:
    """Admin helpers, and what happens when Envoy does not start."""

    async def test_admin(self, rig: Rig) -> None:
        envoy = rig.waypoint_envoy
        listeners = next(
            part
            for part in (await envoy.config_dump())["configs"]
            if part["@type"].endswith("ListenersConfigDump")
        )
        assert len(listeners["static_listeners"]) == 5
        assert (await envoy.certs())["certificates"]
        async with rig.hbone() as connection:
            await connection.connect(str(rig.http))
        await envoy.wait_stat("http.connect_terminate.downstream_rq_total", 1)
        assert await envoy.stat("no.such.stat") == 0

    async def test_a_bad_bootstrap_fails_with_the_log(self, tmp_path: Path) -> None:
        with pytest.raises(EnvoyFailedError, match="nonsense"):
            await EnvoyProcess.start({"nonsense": 1}, tmp_path, "bad")

    async def test_validate(self) -> None:
        assert validate({"static_resources": {}}) is None
        complaint = validate({"nonsense": 1})
        assert complaint is not None
        assert "nonsense" in complaint
