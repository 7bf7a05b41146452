"""The parts of the demo that need no Envoy."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import yaml

from tests.support.loopback import LoopbackNet
from xds_server.demo import child as child_module
from xds_server.demo.bookinfo import (
    Bookinfo,
    copy_bookinfo,
    find_examples,
    replace_file,
    with_weights,
    without_reader,
)
from xds_server.demo.child import Child, ChildFailed
from xds_server.demo.connection import Connection
from xds_server.demo.echo import Echo, EchoApp
from xds_server.demo.load import Load
from xds_server.demo.network import LoopbackNetwork
from xds_server.demo.report import wants_colour
from xds_server.demo.ztunnel import Address


@pytest.fixture
def bookinfo(tmp_path: Path) -> Bookinfo:
    return copy_bookinfo(tmp_path / "manifests", "127.1.2")


class TestBookinfo:
    def test_pods_move_to_the_network(self, bookinfo: Bookinfo) -> None:
        addresses = [pod.ips for pod in bookinfo.pods()]
        assert len(addresses) == len(set(addresses)) == 6
        assert all(ip.startswith("127.1.2.") for [ip] in addresses)
        assert "127.30.0." not in "".join(f.read_text() for f in bookinfo.folder.iterdir())

    def test_finds_pods_and_addresses(self, bookinfo: Bookinfo) -> None:
        assert bookinfo.pod("details").meta.name == "details-v1"
        assert bookinfo.virtual_ip("reviews") == "10.96.0.40"

    def test_weights_change_and_nothing_else(self, bookinfo: Bookinfo) -> None:
        before = bookinfo.route.read_text()
        after = with_weights(before, 0, 100)
        backends = yaml.safe_load(after)["spec"]["rules"][1]["backendRefs"]
        assert [(each["name"], each["weight"]) for each in backends] == [
            ("reviews-v1", 0),
            ("reviews-v2", 100),
        ]
        assert with_weights(after, 90, 10) == before

    def test_policy_loses_its_reader(self, bookinfo: Bookinfo) -> None:
        before = bookinfo.policy.read_text()
        principals = yaml.safe_load(without_reader(before))["spec"]["rules"][0]["from"]
        assert principals == [{"source": {"principals": ["cluster.local/ns/bookinfo/sa/nobody"]}}]

    def test_a_replaced_file_is_a_new_file(self, bookinfo: Bookinfo) -> None:
        before = bookinfo.route.stat().st_ino
        replace_file(bookinfo.route, "x")
        assert bookinfo.route.read_text() == "x"
        assert bookinfo.route.stat().st_ino != before
        assert not [file for file in bookinfo.folder.iterdir() if file.name.startswith(".")]

    def test_examples_are_those_of_the_checkout(self) -> None:
        assert find_examples() == Path(__file__).parents[2] / "examples"


class TestNetwork:
    def test_two_never_meet(self) -> None:
        with LoopbackNetwork() as one, LoopbackNetwork() as other:
            assert one.prefix != other.prefix

    def test_is_free_again_afterwards(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("random.randint", lambda low, high: low)
        with LoopbackNetwork() as first, pytest.raises(OSError, match="no free network"):
            LoopbackNetwork()
        with LoopbackNetwork() as again:
            assert again.prefix == first.prefix


def python(code: str, log: Path) -> Child:
    return Child("it", [sys.executable, "-c", code], log)


def is_running(child: Child) -> bool:
    return Path(f"/proc/{child.pid}").exists()


async def never() -> bool:
    return False


class TestChild:
    async def test_that_ends_is_told_with_its_last_words(self, tmp_path: Path) -> None:
        child = python("import sys; sys.exit('no port')", tmp_path / "log")
        with pytest.raises(ChildFailed, match=r"it ended with exit code 1\nno port"):
            await child.wait_for(never)
        child.stop()

    async def test_that_is_slow_is_given_up(self, tmp_path: Path) -> None:
        child = python("import time; time.sleep(60)", tmp_path / "log")
        with pytest.raises(ChildFailed, match=r"it was not ready in 0.1 s"):
            await child.wait_for(never, timeout_s=0.1)
        child.stop()
        assert not is_running(child)

    async def test_that_ignores_sigterm_is_killed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(child_module, "_STOP_S", 0.1)
        code = (
            "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
            "print('deaf', flush=True); time.sleep(60)"
        )
        child = python(code, tmp_path / "log")

        async def deaf() -> bool:
            return "deaf" in child.tail()

        await child.wait_for(deaf)
        child.stop()
        assert not is_running(child)

    def test_that_can_not_be_run_is_an_oserror(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            Child("it", [str(tmp_path / "missing")], tmp_path / "log")


@asynccontextmanager
async def echo(net: LoopbackNet, host: int) -> AsyncIterator[Address]:
    app = EchoApp("app", f"v{host}", net.ip(host), http_ports=(9080,))
    async with Echo(app):
        yield Address(app.ip, 9080)


class TestLoad:
    async def test_sees_who_answers_and_counts_no_failure(self, net: LoopbackNet) -> None:
        async with echo(net, 231) as address, Load(address, 2) as load:
            async with asyncio.timeout(5):
                await load.first_answer("v231")
                await load.settled("v231")
        assert load.requests > 2
        assert load.failures == 0

    async def test_counts_every_failure(self, net: LoopbackNet) -> None:
        nobody = Load(Address(net.ip(232), 1), 1)
        async with nobody, asyncio.timeout(5):
            while True:
                await asyncio.sleep(0.01)
                if nobody.failures >= 3:
                    break
        assert nobody.requests == 0


async def test_a_connection_can_be_used_again_after_any_answer(net: LoopbackNet) -> None:
    async with echo(net, 233) as address, await Connection.open(address) as connection:
        assert (await connection.request("/?status=503")).status == 503
        answer = await connection.request("/", {"a": "b"}, method="PUT")
        assert (answer.status, answer.version) == (200, "v233")
        assert b'"method": "PUT"' in answer.body


@pytest.mark.parametrize(
    ("terminal", "no_color", "colour"),
    [(True, "", True), (True, "1", False), (False, "", False)],
)
def test_only_a_terminal_gets_colour(
    terminal: bool, no_color: str, colour: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    assert wants_colour(terminal) is colour
