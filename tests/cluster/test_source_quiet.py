"""The cluster source while others write what has no meaning: no change is told, and none lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.support.following import Following, following, httproute, port_of, service
from tests.support.kubeapi import KubeApi
from tests.support.kubeapi.client import Client
from translators.resources.metadata import ObjectKey

ROUTES = "/apis/gateway.networking.k8s.io/v1/namespaces/default/httproutes"
A = ObjectKey("Service", "default", "a")
ACCEPTED = {
    "type": "Accepted",
    "status": "True",
    "reason": "Accepted",
    "message": "",
    "lastTransitionTime": "2026-01-01T00:00:00Z",
}


@asynccontextmanager
async def _client(api: KubeApi) -> AsyncIterator[Client]:
    client = Client(api.url)
    try:
        yield client
    finally:
        await client.close()


def _service(name: str, port: int = 80, status: int = 0) -> dict[str, Any]:
    """A Service of which a controller says something else for each ``status``."""
    address = f"10.96.1.{ord(name)}"  # the server would give another one in each write
    made = service(name, port)
    made["spec"]["clusterIP"] = address
    return made | {"status": {"loadBalancer": {"ingress": [{"ip": f"192.0.2.{status}"}]}}}


def _told(follow: Following, since: int) -> list[str]:
    return [change.key.name for change in follow.changes[since:]]


async def test_a_status_of_a_route_and_another_manager_are_no_change() -> None:
    async with KubeApi(["gateway-api-standard"]) as api, _client(api) as client:
        api.put(httproute("r"))
        async with following(api, "httproutes") as follow:
            before, version = len(follow.changes), api.store.version
            parent = {"controllerName": "example.com/x", "parentRef": {"name": "g"}}
            status = {"parents": [parent | {"conditions": [ACCEPTED]}]}
            api.put(httproute("r") | {"status": status})
            reply = await client.apply(f"{ROUTES}/r", httproute("r"), "another")
            assert reply.code == 200
            assert api.store.version >= version + 2
            api.put(httproute("s"))
            await follow.until_named("HTTPRoute", "r", "s")
            assert _told(follow, before) == ["s"]


async def test_a_change_right_after_many_statuses_is_told() -> None:
    async with KubeApi() as api:
        api.put(_service("a"))
        async with following(api, "services") as follow:
            before = len(follow.changes)
            for number in range(20):
                api.put(_service("a", status=number))
            api.put(_service("a", 81))
            await follow.until(lambda: port_of(follow.objects[A]) == 81)
            assert _told(follow, before) == ["a"]


async def test_a_watch_goes_on_after_the_last_event_even_if_that_meant_nothing() -> None:
    async with KubeApi(bookmarks_s=60) as api:
        api.put(_service("a"))
        async with following(api, "services") as follow:
            before, watches = len(follow.changes), api.count("watch", "services")
            for number in range(20):
                api.put(_service("a", status=number))
            await asyncio.sleep(0.2)  # nothing can be seen of their coming
            api.store.compact()
            api.reset_connections()
            await follow.until(lambda: api.count("watch", "services") == watches + 1)
            api.put(_service("a", 81))
            await follow.until(lambda: port_of(follow.objects[A]) == 81)
            assert _told(follow, before) == ["a"]
            assert api.count("watch", "services") == watches + 1  # not refused, and no list


async def test_a_list_after_an_outage_tells_what_changed_and_no_status() -> None:
    async with KubeApi() as api:
        for name in "abc":
            api.put(_service(name))
        async with following(api, "services") as follow:
            before = len(follow.changes)
            api.put(_service("a", status=1))
            await api.stop()
            api.put(_service("a", status=2))
            api.put(_service("b", 81))
            api.remove(_service("c"))
            api.put(_service("c"))
            api.store.compact()
            await api.start()
            await follow.until(lambda: len(follow.changes) == before + 3)
            assert _told(follow, before) == ["b", "c", "c"]  # the new c is another
            assert follow.names("Service") == ["a", "b", "c"]


async def test_a_refused_object_stays_reported_until_it_is_mended() -> None:
    async with KubeApi() as api:
        api.put(_service("a", 80))
        async with following(api, "services") as follow:
            api.put(_service("a", 70_000))
            await follow.until_problem("spec.ports[0].port")
            problems = follow.problems()
            for number in range(3):
                api.put(_service("a", 70_000, status=number))
            api.put(_service("b"))
            await follow.until_named("Service", "a", "b")
            assert follow.problems() == problems
            before = len(follow.changes)
            api.put(_service("a", 80))
            await follow.until(lambda: follow.problems() == [])
            await follow.until(lambda: _told(follow, before) == ["a"])
