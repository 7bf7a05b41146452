"""Following a folder: every kind of change arrives, soon."""

import asyncio
import shutil
import threading
import time
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from translators.resources.metadata import KubernetesObject
from translators.world import Change
from xds_server.sources.files import FileSource
from xds_server.sources.folder import Folder
from xds_server.sources.source import Source

DEADLINE = 10.0


def namespace(name: str, **labels: str) -> str:
    return f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}, labels: {labels}}}\n"


class Followed:
    """What a sink was given so far."""

    def __init__(self) -> None:
        self.held: dict[str, KubernetesObject] = {}
        self.batches: list[int] = []
        self.threads: set[int] = set()
        self.synced = asyncio.Event()
        self._news = asyncio.Event()

    def sink(self, changes: Sequence[Change]) -> None:
        self.batches.append(len(changes))
        self.threads.add(threading.get_ident())
        for change in changes:
            if change.value is None:
                del self.held[change.key.name]
            else:
                self.held[change.key.name] = change.value
        self._news.set()

    async def until_told(self, times: int) -> None:
        """Wait until the sink was called that many times."""
        async with asyncio.timeout(DEADLINE):
            while len(self.batches) < times:
                self._news.clear()
                await self._news.wait()

    async def until(self, *names: str) -> None:
        """Wait until exactly these objects are there."""
        async with asyncio.timeout(DEADLINE):
            while sorted(self.held) != sorted(names):
                self._news.clear()
                await self._news.wait()


@asynccontextmanager
async def following(root: Path, grace: float = 1.0) -> AsyncIterator[tuple[Followed, FileSource]]:
    followed, source = Followed(), FileSource(root, grace)
    runner: Source = source
    task = asyncio.create_task(runner.run(followed.sink, followed.synced.set))
    try:
        async with asyncio.timeout(DEADLINE):
            await followed.synced.wait()
        yield followed, source
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_all_objects_come_before_synced(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(namespace("a"))
    async with following(tmp_path) as (followed, source):
        assert list(followed.held) == ["a"]
        assert source.problems() == []


async def test_changes_of_every_kind_arrive(tmp_path: Path) -> None:
    async with following(tmp_path) as (followed, _):
        (tmp_path / "a.yaml").write_text(namespace("a"))
        await followed.until("a")
        (tmp_path / "sub" / "deep").mkdir(parents=True)
        (tmp_path / "sub" / "deep" / "b.yaml").write_text(namespace("b"))
        await followed.until("a", "b")
        (tmp_path / "draft").write_text(namespace("c"))
        (tmp_path / "draft").replace(tmp_path / "a.yaml")
        await followed.until("b", "c")
        (tmp_path / "sub" / "deep" / "d.yaml").write_text(namespace("d"))
        await followed.until("b", "c", "d")
        shutil.rmtree(tmp_path / "sub")
        await followed.until("c")
        (tmp_path / "a.yaml").unlink()
        await followed.until()


async def test_a_swapped_link_arrives(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"..{name}").mkdir()
        (tmp_path / f"..{name}" / "x.yaml").write_text(namespace(name))
    (tmp_path / "..data").symlink_to("..a")
    (tmp_path / "x.yaml").symlink_to("..data/x.yaml")
    async with following(tmp_path) as (followed, _):
        assert list(followed.held) == ["a"]
        (tmp_path / "..next").symlink_to("..b")
        (tmp_path / "..next").rename(tmp_path / "..data")
        await followed.until("b")


async def test_a_folder_may_come_go_and_be_replaced(tmp_path: Path) -> None:
    root, other = tmp_path / "root", tmp_path / "other"
    async with following(root) as (followed, source):
        assert len(source.problems()) == 1
        root.mkdir()
        (root / "a.yaml").write_text(namespace("a"))
        await followed.until("a")
        other.mkdir()
        (other / "b.yaml").write_text(namespace("b"))
        root.rename(tmp_path / "old")
        other.rename(root)
        await followed.until("b")
        (root / "c.yaml").write_text(namespace("c"))
        await followed.until("b", "c")


async def test_an_emptied_file_counts_after_its_grace(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(namespace("a"))
    async with following(tmp_path, grace=0.05) as (followed, _):
        (tmp_path / "a.yaml").write_text("")
        await followed.until()


async def test_problems_come_and_go_and_the_sink_is_told(tmp_path: Path) -> None:
    async with following(tmp_path) as (followed, source):
        (tmp_path / "a.yaml").write_text(namespace("a"))
        await followed.until("a")
        assert source.problems() == []
        (tmp_path / "a.yaml").write_text("a: [")
        await followed.until_told(2)
        assert [problem.file for problem in source.problems()] == ["a.yaml"]
        (tmp_path / "a.yaml").write_text(namespace("a"))
        await followed.until_told(3)
        assert source.problems() == []
        assert followed.batches == [1, 0, 0]


async def test_a_change_arrives_within_a_second(tmp_path: Path) -> None:
    async with following(tmp_path) as (followed, _):
        (tmp_path / "a.yaml").write_text(namespace("a"))
        await followed.until("a")
        (tmp_path / ".draft").write_text(namespace("b"))
        start = time.monotonic()
        (tmp_path / ".draft").replace(tmp_path / "a.yaml")
        await followed.until("b")
        assert time.monotonic() - start < 1.0


async def test_the_folder_is_read_off_the_loop_and_the_sink_fed_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readers: set[int] = set()
    refresh = Folder.refresh

    def spy(self: Folder, now: float, touched: Collection[str] = ()) -> list[Change]:
        readers.add(threading.get_ident())
        return refresh(self, now, touched)

    monkeypatch.setattr(Folder, "refresh", spy)
    async with following(tmp_path) as (followed, _):
        (tmp_path / "a.yaml").write_text(namespace("a"))
        await followed.until("a")
    assert readers
    assert threading.get_ident() not in readers
    assert followed.threads == {threading.get_ident()}
