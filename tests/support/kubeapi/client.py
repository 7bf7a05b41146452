"""A small HTTP client for any Kubernetes API server: what the contract tests speak through."""

import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from tests.support.kubeapi.patches import APPLY_PATCH, MERGE_PATCH

_TIMEOUT = aiohttp.ClientTimeout(total=30)


@dataclass(frozen=True)
class Reply:
    """An answer: HTTP status and JSON body."""

    code: int
    body: dict[str, Any]

    @property
    def version(self) -> str:
        """The resourceVersion of the object or list."""
        return str(self.body["metadata"]["resourceVersion"])

    def names(self) -> list[str]:
        """The names of the objects in a list."""
        return [item["metadata"]["name"] for item in self.body["items"]]


class Watch:
    """An open watch."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def next(self) -> tuple[str, dict[str, Any]]:
        """The next event's type and object. Raises StopAsyncIteration at the end."""
        line = await self._response.content.readline()
        if not line:
            raise StopAsyncIteration
        event = json.loads(line)
        return event["type"], event["object"]

    async def next_change(self) -> tuple[str, str]:
        """The type and object name of the next event that is no bookmark."""
        kind, value = await self.next()
        while kind == "BOOKMARK":
            kind, value = await self.next()
        return kind, value["metadata"]["name"]

    async def rest(self) -> list[tuple[str, dict[str, Any]]]:
        """All events until the server ends the watch."""
        events = []
        while line := await self._response.content.readline():
            event = json.loads(line)
            events.append((event["type"], event["object"]))
        return events


class Client:
    """``token`` may be empty; ``tls`` is None for plain HTTP."""

    def __init__(self, url: str, token: str = "", tls: ssl.SSLContext | None = None) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        connector = aiohttp.TCPConnector(ssl=tls or True)
        self._session = aiohttp.ClientSession(
            url, headers=headers, connector=connector, timeout=_TIMEOUT
        )

    async def close(self) -> None:
        await self._session.close()

    async def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        kind: str = "application/json",
        accept: str = "application/json",
        **query: Any,
    ) -> Reply:
        """``query`` are the parameters of the request."""
        response = await self._session.request(
            method,
            path,
            params={name: str(value) for name, value in query.items()},
            data=None if body is None else json.dumps(body),
            headers={"Content-Type": kind, "Accept": accept},
        )
        async with response:
            return Reply(response.status, await response.json(content_type=None))

    async def get(self, path: str, **query: Any) -> Reply:
        return await self.request("GET", path, **query)

    async def create(self, path: str, body: object, **query: Any) -> Reply:
        return await self.request("POST", path, body, **query)

    async def replace(self, path: str, body: object, **query: Any) -> Reply:
        return await self.request("PUT", path, body, **query)

    async def merge(self, path: str, body: object, **query: Any) -> Reply:
        """A JSON merge patch."""
        return await self.request("PATCH", path, body, kind=MERGE_PATCH, **query)

    async def apply(self, path: str, body: object, manager: str, **query: Any) -> Reply:
        """A server-side apply."""
        return await self.request(
            "PATCH", path, body, kind=APPLY_PATCH, fieldManager=manager, **query
        )

    async def delete(self, path: str, body: object = None) -> Reply:
        return await self.request("DELETE", path, body)

    @asynccontextmanager
    async def watch(self, path: str, **query: Any) -> AsyncIterator[Watch]:
        """Raises AssertionError if the answer is an error."""
        parameters = {"watch": "true"} | {name: str(value) for name, value in query.items()}
        async with self._session.get(path, params=parameters) as response:
            assert response.status == 200, await response.text()
            yield Watch(response)
