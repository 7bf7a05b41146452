"""What the demo tries, step by step, each told as rows of the report.

Everything goes through real sockets and two real Envoys: a plain TCP connection to the ztunnel
stand-in, HBONE to the waypoint, HBONE to the pod's stand-in, and plain TCP to the pod.
"""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from xds_server.demo.bookinfo import replace_file, with_weights, without_reader
from xds_server.demo.connection import Answer, Connection
from xds_server.demo.load import Load
from xds_server.demo.report import Row
from xds_server.demo.stage import Stage

_REQUESTS = 1_000
_CONNECTIONS = 4
_TESTER: Mapping[str, str] = {"end-user": "jason"}
_STRANGER = "bookinfo-details"
_FLIPS = ("v2", "v1") * 3
_PROMPT_MS = 1_000.0
_TIMEOUT_S = 5.0

Step = Callable[[Stage], Awaitable[list[Row]]]


async def tell(stage: Stage) -> AsyncIterator[Row]:
    """Try everything; a step that breaks is a row that failed, and the next step goes on."""
    for title, step in _STEPS.items():
        try:
            rows = await step(stage)
        except (OSError, EOFError, ValueError) as error:  # TimeoutError is an OSError
            rows = [Row(title, "an answer", f"{type(error).__name__}: {error}", ok=False)]
        for row in rows:
            yield row


async def _split(stage: Stage) -> list[Row]:
    counts = await _count_versions(stage, _REQUESTS, {})
    shares = {version: 100 * counts[version] / _REQUESTS for version in sorted(counts)}
    seen = ", ".join(f"{version} {share:.1f} %" for version, share in shares.items())
    # Five standard deviations of such a draw are 4.7 %.
    fair = shares.keys() == {"v1", "v2"} and abs(shares["v1"] - 90) < 5
    title = f"{_REQUESTS:,} requests of productpage to reviews"
    return [Row(title, "v1 90 %, v2 10 %", seen, fair)]


async def _testers(stage: Stage) -> list[Row]:
    counts = await _count_versions(stage, 100, _TESTER)
    seen = ", ".join(f"{version} {count}" for version, count in sorted(counts.items()))
    title = "100 requests with end-user: jason"
    return [Row(title, "v3 100", seen, counts == {"v3": 100})]


async def _stranger(stage: Stage) -> list[Row]:
    async with await Connection.open(stage.stranger) as connection:
        answer = await connection.request()
    entry = await _log_entry(stage, {"code": answer.status, "method": "GET"})
    caller = str(entry.get("peer")).rpartition("/")[2]
    reason = str(entry.get("details")).removeprefix("rbac_access_denied_")
    return [
        Row("details asks for reviews", "403", _shown(answer), answer.status == 403),
        Row("  the waypoint's log names the caller", _STRANGER, caller, caller == _STRANGER),
        Row("  and the policy", "none allows it", reason, reason.endswith("[none]")),
    ]


async def _wrong_method(stage: Stage) -> list[Row]:
    async with await Connection.open(stage.reader) as connection:
        answer = await connection.request(method="DELETE")
    title = "productpage may GET; it tries DELETE"
    return [Row(title, "403", _shown(answer), answer.status == 403)]


async def _no_service(stage: Stage) -> list[Row]:
    try:
        async with await Connection.open(stage.nowhere) as connection:
            seen = f"{(await connection.request()).status}, answered"
    except (ConnectionError, EOFError):
        entry = await _log_entry(stage, {"listener": "connect_terminate"})
        seen = f"no tunnel: {entry.get('code')}"
    return [Row("an address that is no service's", "no tunnel: 404", seen, seen.endswith(": 404"))]


async def _new_weights(stage: Stage) -> list[Row]:
    """Send all traffic to one version, then to the other, and so on, under load."""
    with _restored(stage.bookinfo.route):
        async with Load(stage.reader, _CONNECTIONS) as load:
            await _switch(stage, load, "v1")
            times = [await _switch(stage, load, version) for version in _FLIPS]
    middle, worst = median(times), max(times)
    seen = f"{middle:.0f} ms (median; slowest {worst:.0f})"
    fast = f"in {_PROMPT_MS:,.0f} ms"
    failures = f"{load.failures} of {load.requests:,} requests"
    return [
        Row("new weights in the HTTPRoute, under load", fast, seen, worst < _PROMPT_MS),
        Row("  requests that failed meanwhile", "0", failures, load.failures == 0),
    ]


async def _revocation(stage: Stage) -> list[Row]:
    with _restored(stage.bookinfo.policy) as original:
        async with await Connection.open(stage.reader) as connection:
            before = (await connection.request()).status
            taken = await _until_status(stage, connection, without_reader(original), 403)
            given = await _until_status(stage, connection, original, 200)
    expected = f"403 in {_PROMPT_MS:,.0f} ms"
    return [
        Row(
            "access revoked, a connection is open",
            expected,
            f"{before}, then 403 after {taken:.0f} ms",
            before == 200 and taken < _PROMPT_MS,
        ),
        Row(
            "  given back, on the same connection",
            expected.replace("403", "200"),
            f"200 after {given:.0f} ms",
            given < _PROMPT_MS,
        ),
    ]


_STEPS: Mapping[str, Step] = {
    "the split by weight": _split,
    "the match of a header": _testers,
    "the wrong caller": _stranger,
    "the wrong method": _wrong_method,
    "an address that is no service's": _no_service,
    "an edit of the HTTPRoute": _new_weights,
    "an edit of the AuthorizationPolicy": _revocation,
}


async def _count_versions(stage: Stage, requests: int, headers: Mapping[str, str]) -> Counter[str]:
    """How many of the requests which version answered; the status stands for a failed one."""
    counts: Counter[str] = Counter()

    async def ask() -> None:
        async with await Connection.open(stage.reader) as connection:
            for _ in range(requests // _CONNECTIONS):
                answer = await connection.request(headers=headers)
                counts[answer.version if answer.status == 200 else str(answer.status)] += 1

    async with asyncio.timeout(6 * _TIMEOUT_S):
        await asyncio.gather(*(ask() for _ in range(_CONNECTIONS)))
    return counts


@contextmanager
def _restored(path: Path) -> Iterator[str]:
    """The text of a file that may be edited meanwhile."""
    original = path.read_text()
    try:
        yield original
    finally:
        replace_file(path, original)


async def _switch(stage: Stage, load: Load, version: str) -> float:
    """Give one version all the traffic; milliseconds from the edit to its first answer.

    Returns when no other version has answered for a while.
    """
    route = stage.bookinfo.route
    text = with_weights(route.read_text(), *((100, 0) if version == "v1" else (0, 100)))
    edited = time.perf_counter()
    replace_file(route, text)
    async with asyncio.timeout(_TIMEOUT_S):
        first = await load.first_answer(version)
        await load.settled(version)
    return 1000 * (first - edited)


async def _until_status(stage: Stage, connection: Connection, policy: str, status: int) -> float:
    """Replace the policy and ask until the answer changes; milliseconds from the edit to that."""
    edited = time.perf_counter()
    replace_file(stage.bookinfo.policy, policy)
    async with asyncio.timeout(_TIMEOUT_S):
        while True:
            if (await connection.request()).status == status:
                return 1000 * (time.perf_counter() - edited)
            await asyncio.sleep(0.001)


async def _log_entry(stage: Stage, wanted: Mapping[str, object]) -> Mapping[str, object]:
    """The last line of the waypoint's access log that has these values."""
    async with asyncio.timeout(_TIMEOUT_S):
        while True:
            for entry in reversed(_access_log(stage)):
                if wanted.items() <= entry.items():
                    return entry
            await asyncio.sleep(0.02)


def _shown(answer: Answer) -> str:
    """The status and how the body begins."""
    return f"{answer.status} {answer.body[:24].decode(errors='replace').strip()}"


def _access_log(stage: Stage) -> list[Mapping[str, object]]:
    lines = stage.waypoint_log.read_text(errors="replace").splitlines()
    return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]
