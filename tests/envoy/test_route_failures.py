"""Routes when destinations fail: timeouts and retries, counted where the requests arrive."""

import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from tests.support.fleet import EchoFleet
from tests.support.loopback import LoopbackNet
from tests.support.manifests import HTTP, Manifest, backend, path, pod, route, rule
from tests.support.mesh import Mesh, Offer
from tests.support.scripted import RESET, Answer, ScriptedPod

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture(scope="module")
def flaky(net: LoopbackNet, fleet: EchoFleet) -> Iterator[ScriptedPod]:
    """A pod outside the mesh that fails on demand."""
    made = ScriptedPod(net.ip(161), HTTP)
    fleet.host(made.ip, made)
    yield made
    fleet.remove(made.ip)


async def offer(mesh: Mesh, flaky: ScriptedPod, name: str, *rules: Manifest) -> Offer:
    """A service of that pod, with a route of these rules if there are any."""
    web = mesh.offer(name, {"app": name})
    destination = pod(name, "demo", flaky.ip, {"app": name}, captured=False)
    routes = [route(name, "demo", name, *rules)] if rules else []
    await mesh.put(name, web.manifest, destination, *routes)
    return web


async def outcome(
    mesh: Mesh, web: Offer, flaky: ScriptedPod, *answers: Answer | int, method: str = "GET"
) -> tuple[int, int]:
    """What the client gets if the pod answers like this, and how often the pod was asked."""
    flaky.script(*answers)
    answer = await mesh.get(web.http, method=method)
    return answer.status, len(flaky.asked)


def retrying(name: str, **retry: Any) -> Manifest:
    return rule(to=[backend(name)], retry=retry)


async def test_without_a_word_lost_connections_are_tried_again_for_requests_that_are_safe(
    mesh: Mesh, flaky: ScriptedPod
) -> None:
    web = await offer(mesh, flaky, "retry-default")
    assert await outcome(mesh, web, flaky, RESET, RESET, 200) == (200, 3)
    assert await outcome(mesh, web, flaky, RESET, RESET, RESET, 200) == (503, 3)
    assert await outcome(mesh, web, flaky, RESET, 200, method="POST") == (503, 1)
    assert await outcome(mesh, web, flaky, 503, 200) == (503, 1)


@pytest.mark.parametrize(
    ("attempts", "expected"), [(1, (503, 2)), (3, (200, 4)), (0, (503, 1)), (None, (503, 3))]
)
async def test_retry_attempts(
    mesh: Mesh, flaky: ScriptedPod, attempts: int | None, expected: tuple[int, int]
) -> None:
    given = {"codes": [503]} | ({} if attempts is None else {"attempts": attempts})
    name = f"retry-{attempts}".lower()
    web = await offer(mesh, flaky, name, retrying(name, **given))
    assert await outcome(mesh, web, flaky, 503, 503, 503, 200) == expected


async def test_retry_codes(mesh: Mesh, flaky: ScriptedPod) -> None:
    web = await offer(
        mesh, flaky, "retry-codes", retrying("retry-codes", attempts=2, codes=[500, 504])
    )
    assert await outcome(mesh, web, flaky, 500, 504, 200) == (200, 3)
    assert await outcome(mesh, web, flaky, 503, 200) == (503, 1)
    # What was asked for holds for requests of any method.
    assert await outcome(mesh, web, flaky, 500, 200, method="POST") == (200, 2)


async def test_retry_connection_errors(mesh: Mesh, flaky: ScriptedPod) -> None:
    web = await offer(mesh, flaky, "retry-reset", retrying("retry-reset", attempts=2))
    assert await outcome(mesh, web, flaky, RESET, RESET, 200) == (200, 3)
    assert await outcome(mesh, web, flaky, 500, 200) == (500, 1)


async def test_retry_backoff(mesh: Mesh, flaky: ScriptedPod) -> None:
    one = retrying("retry-backoff", attempts=3, codes=[503], backoff="300ms")
    web = await offer(mesh, flaky, "retry-backoff", one)
    slow = await _durations(mesh, web, flaky, (503, 503, 503, 200))
    # Envoy waits a random part of 300, 900 and 2100 ms: hardly ever next to nothing in all.
    assert sum(slow) / len(slow) > 0.15


async def _durations(
    mesh: Mesh, web: Offer, flaky: ScriptedPod, answers: Sequence[int]
) -> list[float]:
    taken = []
    for _ in range(3):
        began = time.monotonic()
        assert await outcome(mesh, web, flaky, *answers) == (200, 4)
        taken.append(time.monotonic() - began)
    return taken


async def test_a_slow_attempt_is_given_up_and_tried_again(mesh: Mesh, flaky: ScriptedPod) -> None:
    one = {
        **retrying("retry-slow", attempts=1, codes=[504]),
        "timeouts": {"request": "5s", "backendRequest": "200ms"},
    }
    web = await offer(mesh, flaky, "retry-slow", one)
    slow = Answer(delay_s=1)
    began = time.monotonic()
    assert await outcome(mesh, web, flaky, slow, 200) == (200, 2)
    assert 0.15 < time.monotonic() - began < 0.9
    assert await outcome(mesh, web, flaky, slow, slow, 200) == (504, 2)


@pytest.mark.parametrize(
    ("name", "timeouts", "retry", "status"),
    [
        ("backend-only", {"backendRequest": "200ms"}, {"attempts": 0}, 504),
        ("backend-default", {"backendRequest": "100ms"}, None, 504),
        ("both", {"request": "5s", "backendRequest": "200ms"}, {"attempts": 0}, 504),
        ("request-wins", {"request": "200ms", "backendRequest": "200ms"}, None, 504),
        ("off", {"request": "0s", "backendRequest": "0s"}, None, 200),
        ("backend-off", {"request": "200ms", "backendRequest": "0s"}, None, 504),
        ("none", {}, None, 200),
    ],
)
async def test_timeouts(
    mesh: Mesh, flaky: ScriptedPod, name: str, timeouts: Any, retry: Any, status: int
) -> None:
    name = f"timeout-{name}"
    more = {} if retry is None else {"retry": retry}
    web = await offer(mesh, flaky, name, rule(to=[backend(name)], timeouts=timeouts, **more))
    # One attempt: time that is up is no reason to ask again, unless a retry was asked for.
    assert await outcome(mesh, web, flaky, *[Answer(delay_s=0.6)] * 4) == (status, 1)


async def test_a_retry_that_is_nonsense_fails_its_rule_alone(
    mesh: Mesh, flaky: ScriptedPod
) -> None:
    bad = rule(path("/bad"), to=[backend("retry-bad")], retry={"codes": [200]})
    web = await offer(mesh, flaky, "retry-bad", bad, rule(path("/"), to=[backend("retry-bad")]))
    flaky.script()
    assert (await mesh.get(web.http, "/bad")).status == 500
    assert (await mesh.get(web.http, "/")).status == 200
