"""The faults of the fake API server do what they say; other tests rely on them."""

import asyncio
import json
import time
from collections.abc import AsyncIterator

import aiohttp
import pytest

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
from tests.support.kubeapi.client import Client

PODS = "/api/v1/namespaces/default/pods"


@pytest.fixture
async def api() -> AsyncIterator[KubeApi]:
    async with KubeApi() as server:
        yield server


@pytest.fixture
async def client(api: KubeApi) -> AsyncIterator[Client]:
    one = Client(api.url)
    yield one
    await one.close()


def put_pod(api: KubeApi, name: str) -> None:
    metadata = {"name": name, "namespace": "default"}
    manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata}
    api.put(manifest | {"status": {"phase": "Running", "podIP": "10.0.0.1"}})


async def test_controllers_can_write_a_status_at_once(api: KubeApi, client: Client) -> None:
    put_pod(api, "a")
    assert (await client.get(f"{PODS}/a")).body["status"]["podIP"] == "10.0.0.1"


async def test_an_error_is_answered_as_often_as_scripted(api: KubeApi, client: Client) -> None:
    api.faults.add(Fault(Answer(429, "TooManyRequests", retry_after=7), "list", "pods", times=2))
    async with aiohttp.ClientSession() as session, session.get(api.url + PODS) as response:
        assert (response.status, response.headers["Retry-After"]) == (429, "7")
    assert (await client.get("/api/v1/services")).code == 200
    assert [(await client.get(PODS)).code for _ in range(2)] == [429, 200]
    assert api.count("list", "pods") == 3


async def test_a_dropped_connection_has_no_answer(api: KubeApi, client: Client) -> None:
    api.faults.add(Fault(Drop(), "create"))
    with pytest.raises(aiohttp.ClientError):
        await client.create(PODS, {})
    assert api.count("create", "pods") == 1


async def test_a_delayed_answer_comes_late(api: KubeApi, client: Client) -> None:
    api.faults.add(Fault(Delay(0.2)))
    start = time.monotonic()
    assert (await client.get(PODS)).code == 200
    assert time.monotonic() - start >= 0.2


async def test_garbage_is_no_json(api: KubeApi, client: Client) -> None:
    api.faults.add(Fault(Garbage(), "list"))
    with pytest.raises(json.JSONDecodeError):
        await client.get(PODS)


async def test_an_answer_is_cut_in_the_middle(api: KubeApi, client: Client) -> None:
    api.faults.add(Fault(CutMidLine(), "list"))
    with pytest.raises(aiohttp.ClientPayloadError):
        await client.get(PODS)


async def test_an_event_is_cut_in_the_middle(api: KubeApi, client: Client) -> None:
    put_pod(api, "a")
    put_pod(api, "b")
    api.faults.add(Fault(CutMidLine(after=1), "watch"))
    async with client.watch(PODS) as watch:
        assert await watch.next_change() == ("ADDED", "a")
        with pytest.raises((json.JSONDecodeError, aiohttp.ClientError)):
            await watch.next()


async def test_a_half_open_watch_is_silent_but_not_closed(api: KubeApi, client: Client) -> None:
    put_pod(api, "a")
    api.faults.add(Fault(HalfOpen(after=1), "watch"))
    async with client.watch(PODS, timeoutSeconds=1, allowWatchBookmarks="true") as watch:
        assert await watch.next_change() == ("ADDED", "a")
        put_pod(api, "b")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.5):
                await watch.next()


async def test_a_watch_is_told_that_it_is_gone(api: KubeApi, client: Client) -> None:
    put_pod(api, "a")
    api.faults.add(Fault(ErrorEvent(), "watch"))
    async with client.watch(PODS) as watch:
        events = await watch.rest()
    assert [(kind, value["code"]) for kind, value in events] == [("ERROR", 410)]


async def test_a_compacted_log_ends_watches_and_pages(client: Client, api: KubeApi) -> None:
    for name in "abc":
        put_pod(api, name)
    page = await client.get(PODS, limit=1)
    api.store.compact()
    reply = await client.get(PODS, limit=1, **{"continue": page.body["metadata"]["continue"]})
    assert reply.code == 410
    async with client.watch(PODS, resourceVersion=int(page.version) - 1) as watch:
        assert (await watch.next())[1]["code"] == 410


async def test_a_short_log_forgets_the_oldest_changes() -> None:
    async with KubeApi(log_size=2) as api:
        start = api.store.version
        for name in "abc":
            put_pod(api, name)
        assert api.store.events_after(start) is None
        assert len(api.store.events_after(api.store.version - 2) or ()) == 2


async def test_an_outage_refuses_and_keeps_port_and_objects(api: KubeApi, client: Client) -> None:
    put_pod(api, "a")
    url = api.url
    async with client.watch(PODS) as watch:
        await watch.next()
        await api.stop()
        with pytest.raises(aiohttp.ClientError):
            await watch.next()
    with pytest.raises(aiohttp.ClientConnectorError):
        await client.get(PODS)
    await api.start()
    assert api.url == url
    assert (await client.get(PODS)).names() == ["a"]


async def test_the_script_is_the_same_for_the_same_seed() -> None:
    def outcomes(seed: int) -> list[bool]:
        api = KubeApi(seed=seed)
        api.faults.add(Fault(Drop(), times=None, probability=0.5))
        return [api.faults.take("list", "pods") is not None for _ in range(64)]

    assert outcomes(1) == outcomes(1)
    assert outcomes(1) != outcomes(2)


async def test_tokens_and_permissions_come_and_go(api: KubeApi) -> None:
    api.access.tokens["good"] = Identity("me")
    api.access.require_token = True
    good, bad = Client(api.url, "good"), Client(api.url, "bad")
    assert (await bad.get(PODS)).code == 401
    assert (await good.get(PODS)).code == 200
    api.access.forbid("list", "pods")
    assert (await good.get(PODS)).code == 403
    api.access.permit("list", "pods")
    assert (await good.get(PODS)).code == 200
    del api.access.tokens["good"]
    assert (await good.get(PODS)).code == 401
    await good.close()
    await bad.close()


async def test_what_an_owner_owns_goes_with_it(api: KubeApi, client: Client) -> None:
    put_pod(api, "owner")
    uid = (await client.get(f"{PODS}/owner")).body["metadata"]["uid"]
    owners = [{"apiVersion": "v1", "kind": "Pod", "name": "owner", "uid": uid}]
    metadata = {"name": "owned", "namespace": "default", "ownerReferences": owners}
    api.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
    await client.delete(f"{PODS}/owner")
    assert (await client.get("/api/v1/namespaces/default/configmaps/owned")).code == 404


async def test_a_namespace_takes_its_objects_along(api: KubeApi, client: Client) -> None:
    api.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "gone"}})
    metadata = {"name": "a", "namespace": "gone", "finalizers": ["example.com/hold"]}
    api.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
    await client.delete("/api/v1/namespaces/gone")
    left = await client.get("/api/v1/namespaces/gone")
    assert left.body["status"]["phase"] == "Terminating"
    held = "/api/v1/namespaces/gone/configmaps/a"
    await client.merge(held, {"metadata": {"finalizers": []}})
    assert (await client.get("/api/v1/namespaces/gone")).code == 404
