"""What happens to the cluster source when its API server fails: no change is lost, none made up."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.following import following, httproute, port_of, service
from tests.support.history import SERVICES
from tests.support.kubeapi import (
    Answer,
    CutMidLine,
    Delay,
    Drop,
    ErrorEvent,
    Fault,
    Garbage,
    HalfOpen,
    Identity,
    KubeApi,
)
from translators.resources.metadata import ObjectKey
from xds_server.sources.kubernetes import Patience
from xds_server.sources.kubernetes.reflector import Health

CRDS = ("gateway-api-standard", "istio")
both_ways = pytest.mark.parametrize("watch_list", [True, False], ids=["streamed", "paged"])


def key(name: str) -> ObjectKey:
    return ObjectKey("Service", "default", name)


async def test_all_that_changes_in_an_outage_is_told_and_nothing_else() -> None:
    async with KubeApi() as api:
        for name in "abcd":
            api.put(service(name))
        async with following(api, "services") as follow:
            before = len(follow.changes)
            await api.stop()
            await follow.until_problem("can't be followed")
            assert follow.names("Service") == ["a", "b", "c", "d"]
            api.put(service("b", port=81))
            api.remove(service("c"))
            api.put(service("e"))
            await api.start()
            await follow.until_named("Service", "a", "b", "d", "e")
            await follow.until(lambda: follow.problems() == [])
            assert sorted(change.key.name for change in follow.changes[before:]) == ["b", "c", "e"]
            assert follow.times_synced == 1


@both_ways
async def test_an_outage_that_outlives_the_log_costs_one_list_and_no_false_change(
    watch_list: bool,
) -> None:
    async with KubeApi(watch_list=watch_list) as api:
        for index in range(300):
            api.put(service(f"s{index}"))
        async with following(api, "services") as follow:
            lists = api.count("list", "services")
            before = len(follow.changes)
            await api.stop()
            api.put(service("s7", port=81))
            api.remove(service("s8"))
            api.store.compact()
            await api.start()
            await follow.until(lambda: len(follow.changes) == before + 2)
            changed = {change.key.name: change.value for change in follow.changes[before:]}
            assert changed["s8"] is None
            assert changed["s7"] is not None
            assert api.count("list", "services") - lists == (0 if watch_list else 2)


async def test_the_age_of_what_is_served_grows_while_the_server_is_away() -> None:
    async with KubeApi() as api, following(api, "services") as follow:
        await api.stop()
        await follow.until(lambda: (follow.source.ages()["services"] or 0) > 0.5)
        assert follow.source.health()["services"] is Health.FAILING
        await api.start()
        await follow.until(lambda: (follow.source.ages()["services"] or 9) < 0.2)
        assert follow.source.health()["services"] is Health.CURRENT


@pytest.mark.parametrize("behaviour", ["hangs up", "answers 503", "refuses"])
async def test_a_dead_server_gets_a_few_requests_a_second_from_all_kinds_together(
    behaviour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = 0
    connect = aiohttp.TCPConnector.connect

    async def count_and_connect(*arguments: Any, **options: Any) -> Any:
        nonlocal attempts
        attempts += 1
        return await connect(*arguments, **options)

    async with KubeApi(CRDS) as api, following(api) as follow:
        monkeypatch.setattr(aiohttp.TCPConnector, "connect", count_and_connect)
        await api.stop()
        async with _dead_server(api.url, behaviour):
            await asyncio.sleep(3)
        assert 2 <= attempts <= 20  # of 15 kinds; and the client library may try each twice
        await api.start()
        await follow.until(lambda: set(follow.source.health().values()) == {Health.CURRENT})


@asynccontextmanager
async def _dead_server(url: str, behaviour: str) -> AsyncIterator[None]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if behaviour == "answers 503":
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 503 x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            await writer.drain()
        writer.close()

    if behaviour == "refuses":
        yield
        return
    server = await asyncio.start_server(serve, "127.0.0.1", int(url.rpartition(":")[2]))
    async with server:
        yield


@pytest.mark.parametrize("fault", [Answer(410, "Expired"), ErrorEvent(410, "Expired")])
async def test_an_expired_watch_lists_again_and_tells_only_what_changed(
    fault: Answer | ErrorEvent,
) -> None:
    async with KubeApi() as api:
        api.put(service("a"))
        async with following(api, "services") as follow:
            api.faults.add(Fault(fault, "watch", "services"))
            api.reset_connections()
            api.put(service("b"))
            await follow.until_named("Service", "a", "b")
            await follow.until(lambda: api.count("watch", "services") >= 3)
            assert len(follow.changes) == 2
            assert follow.problems() == []


async def test_a_server_that_always_says_expired_is_asked_ever_more_seldom() -> None:
    async with KubeApi() as api, following(api, "services") as follow:
        before = api.count()
        api.faults.add(Fault(ErrorEvent(410, "Expired", after=1), "watch", times=None))
        api.reset_connections()
        await asyncio.sleep(3)
        assert api.count() - before <= 5
        api.faults.clear()
        api.put(service("a"))
        await follow.until_named("Service", "a")


async def test_a_list_that_expires_between_pages_is_read_again_in_full() -> None:
    async with KubeApi(watch_list=False) as api:
        for index in range(600):
            api.put(service(f"s{index}"))
        first, second = Fault(Delay(0), "list"), Fault(Answer(410, "Expired"), "list")
        api.faults.add(first, second)
        async with following(api, "services") as follow:
            assert len(follow.names("Service")) == 600
            assert len(follow.changes) == 600


async def test_a_list_that_always_expires_between_pages_is_read_at_once() -> None:
    async with KubeApi(watch_list=False) as api:
        for index in range(300):
            api.put(service(f"s{index}"))
        for _ in range(3):
            api.faults.add(Fault(Delay(0), "list"), Fault(Answer(410, "Expired"), "list"))
        async with following(api, "services") as follow:
            assert len(follow.names("Service")) == 300
            assert api.count("list") == 5


async def test_a_half_open_connection_is_noticed_and_what_it_hid_istold() -> None:
    async with KubeApi(bookmarks_s=0.2) as api:
        api.put(service("a"))
        async with following(api, "services") as follow:
            api.faults.add(Fault(HalfOpen(), "watch"))
            api.reset_connections()
            await follow.until(lambda: api.count("watch") == 2)
            api.put(service("b"))
            api.remove(service("a"))
            await follow.until_named("Service", "b")
            await follow.until(lambda: follow.problems() == [])


@pytest.mark.parametrize("fault", [HalfOpen(), Delay(30)])
async def test_a_server_that_never_answers_the_first_list_is_given_up(
    fault: HalfOpen | Delay,
) -> None:
    async with KubeApi() as api:
        api.put(service("a"))
        api.faults.add(Fault(fault))
        async with following(api, "services") as follow:
            assert follow.names("Service") == ["a"]


async def test_bookmarks_alone_keep_a_watch() -> None:
    patience = Patience(silence=0.5)
    async with (
        KubeApi(bookmarks_s=0.1) as api,
        following(api, "services", patience=patience) as follow,
    ):
        await asyncio.sleep(1.2)
        assert api.count("watch") == 1
        assert follow.problems() == []


@pytest.mark.parametrize("code", [429, 503])
async def test_the_pause_that_a_server_asks_for_is_kept(code: int) -> None:
    async with KubeApi() as api:
        api.put(service("a"))
        api.faults.add(Fault(Answer(code, "Busy", retry_after=1)))
        async with following(api, "services") as follow:
            assert follow.names("Service") == ["a"]
            first, second, *_ = (request.time for request in api.requests)
            assert second - first >= 1


async def test_a_kind_that_may_not_be_read_any_more_leaves_the_others_alone() -> None:
    async with KubeApi(CRDS) as api:
        api.put(service("a"))
        api.put(httproute("r"))
        async with following(api, "services", "httproutes") as follow:
            api.access.forbid("*", "services")
            api.reset_connections()
            await follow.until_problem("Grant our service account list and watch on services.")
            api.put(service("b"))
            api.put(httproute("s"))
            await follow.until_named("HTTPRoute", "r", "s")
            assert follow.names("Service") == ["a"]
            assert follow.source.health()["services"] is Health.FORBIDDEN
            api.access.permit("*", "services")
            await follow.until_named("Service", "a", "b")
            await follow.until(lambda: follow.problems() == [])


async def test_a_kind_that_may_never_be_read_holds_up_the_first_snapshot() -> None:
    async with KubeApi() as api:
        api.access.forbid("*", "pods")
        async with following(api, "services", "pods", until_synced=False) as follow:
            await follow.until_problem("Grant our service account list and watch on pods.")
            assert follow.times_synced == 0
            api.access.permit("*", "pods")
            await follow.until(lambda: follow.times_synced == 1)


async def test_after_a_restore_from_a_backup_the_list_of_the_server_counts() -> None:
    async with KubeApi(bookmarks_s=60) as api:
        api.put(service("a", port=81))
        api.put(service("b"))
        async with following(api, "services") as follow:
            await api.stop()
            api.store.restore(10)
            api.put(service("a", port=80))
            api.remove(service("b"))
            await api.start()
            await follow.until_named("Service", "a")
            assert port_of(follow.objects[key("a")]) == 80
            api.put(service("c"))
            await follow.until_named("Service", "a", "c")


async def test_an_object_made_anew_in_a_gap_is_another_one() -> None:
    async with KubeApi() as api:
        api.put(service("a"))
        async with following(api, "services") as follow:
            first = follow.objects[key("a")].meta.uid
            await api.stop()
            api.remove(service("a"))
            api.put(service("a"))
            api.store.compact()
            await api.start()
            await follow.until(lambda: len(follow.changes) == 3)
            assert follow.changes[1].value is None
            assert follow.objects[key("a")].meta.uid != first


@pytest.mark.parametrize("fault", [Garbage(), CutMidLine(), CutMidLine(after=1), Drop()])
@both_ways
async def test_an_answer_that_makes_no_sense_is_asked_for_again(
    watch_list: bool, fault: Garbage | CutMidLine | Drop
) -> None:
    async with KubeApi(watch_list=watch_list) as api:
        api.put(service("a"))
        api.put(service("b"))
        api.faults.add(Fault(fault, "watch" if watch_list else "list"))
        async with following(api, "services") as follow:
            assert follow.names("Service") == ["a", "b"]
            api.put(service("c"))
            await follow.until_named("Service", "a", "b", "c")
            assert len(follow.changes) == 3


@both_ways
async def test_one_bad_object_is_kept_apart(watch_list: bool) -> None:
    async with KubeApi(watch_list=watch_list) as api:
        api.put(service("good"))
        api.put(service("bad"))
        _spoil(api, "bad")
        async with following(api, "services") as follow:
            assert follow.names("Service") == ["good"]
            assert [problem for problem in follow.problems() if "default/bad" in problem]
            _spoil(api, "good")
            await follow.until_problem("default/good")
            assert follow.names("Service") == ["good"]
            api.put(service("other"))
            await follow.until_named("Service", "good", "other")
            api.put(service("bad", port=82))
            await follow.until_named("Service", "bad", "good", "other")


def _spoil(api: KubeApi, name: str) -> None:
    """Store what no API server would take: a port that is no number."""
    stored = api.store.get(SERVICES, ("default", name))
    assert stored is not None
    api.store.put(SERVICES, stored | {"spec": {"ports": [{"port": "http"}]}})


async def test_a_token_that_was_replaced_is_read_anew(tmp_path: Path) -> None:
    async with KubeApi() as api:
        api.access.require_token = True
        api.access.tokens["first"] = Identity("waypost")
        path = api.write_kubeconfig(tmp_path / "kubeconfig", "first")
        async with following(api, "services", "pods", kubeconfig=path) as follow:
            api.access.tokens = {"second": Identity("waypost")}
            api.write_kubeconfig(path, "second")
            api.reset_connections()
            api.put(service("a"))
            await follow.until_named("Service", "a")
            await follow.until(lambda: follow.problems() == [])


async def test_a_kubeconfig_that_is_half_written_is_no_end(tmp_path: Path) -> None:
    async with KubeApi() as api:
        api.access.require_token = True
        api.access.tokens["first"] = Identity("waypost")
        path = api.write_kubeconfig(tmp_path / "kubeconfig", "first")
        async with following(api, "services", kubeconfig=path) as follow:
            api.access.tokens = {"second": Identity("waypost")}
            path.write_text("clusters: [")
            api.reset_connections()
            await follow.until_problem("kubeconfig can't be used")
            api.write_kubeconfig(path, "second")
            api.put(service("a"))
            await follow.until_named("Service", "a")


async def test_when_the_server_is_back_all_kinds_notice_soon() -> None:
    async with KubeApi(CRDS) as api, following(api) as follow:
        await api.stop()
        await asyncio.sleep(3)  # long enough for pauses of several seconds
        await api.start()
        back = time.monotonic()
        await follow.until(lambda: set(follow.source.health().values()) == {Health.CURRENT})
        assert time.monotonic() - back < 4


@pytest.mark.usefixtures("quick")
async def test_the_objects_of_a_kind_that_was_taken_away_go_with_it_but_not_at_once() -> None:
    async with KubeApi(CRDS) as api:
        api.put(httproute("r"))
        async with following(api, "httproutes", "services") as follow:
            missing = Fault(Answer(404, "NotFound"), "*", "httproutes", times=6)
            api.faults.add(missing)
            api.reset_connections()
            await follow.until(lambda: missing.times == 0)
            await follow.until(lambda: follow.problems() == [])
            assert len(follow.changes) == 1  # a server that forgot the kind for a moment
            api.faults.add(Fault(Answer(404, "NotFound"), "*", "httproutes", times=None))
            api.reset_connections()
            await follow.until_named("HTTPRoute")
            await follow.until_problem("is not installed")
