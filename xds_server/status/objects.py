"""Single objects of a cluster: read, created, replaced, applied."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from xds_server.sources.kubernetes.decoding import read_status
from xds_server.sources.kubernetes.transport import Body, Transport, TransportError

APPLY = "application/apply-patch+yaml"

_WITHIN = 10.0  # seconds for the beginning of an answer, and for each part of it
_PAGE = "250"

Manifest = dict[str, Any]


class Refused(Exception):
    """The API server says no. ``retry_after`` is in seconds, 0 if it doesn't say."""

    def __init__(self, code: int, message: str, retry_after: float) -> None:
        super().__init__(f"{code} {message}".strip())
        self.code = code
        self.retry_after = retry_after

    @property
    def is_overloaded(self) -> bool:
        """Whether it is the server that can't, whatever it is asked."""
        return self.code == 429 or self.code >= 500


@dataclass(frozen=True, slots=True)
class Objects:
    """All methods raise ``Refused`` if the API server says no, ``TransportError`` if nothing."""

    transport: Transport

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> Manifest:
        """An object, or a list."""
        return await self._call("GET", path, query or {}, None)

    async def create(self, path: str, manifest: Manifest) -> Manifest:
        """A new object in the collection at ``path``, as it is then."""
        return await self._call("POST", path, {}, Body(manifest))

    async def replace(self, path: str, manifest: Manifest) -> Manifest:
        """An object, if it has the resourceVersion that the manifest names."""
        return await self._call("PUT", path, {}, Body(manifest))

    async def apply(self, path: str, manifest: Manifest, manager: str) -> Manifest:
        """Server-side apply that takes the fields it names from whoever had them."""
        query = {"fieldManager": manager, "force": "true"}
        return await self._call("PATCH", path, query, Body(manifest, APPLY))

    async def delete(self, path: str, uid: str = "") -> None:
        """Remove an object, and what it owns; only the one with that ``uid`` if one is given."""
        body = Body({"preconditions": {"uid": uid}}) if uid else None
        await self._call("DELETE", path, {}, body)

    async def all(
        self, path: str, which: Mapping[str, str] | None = None
    ) -> AsyncIterator[Manifest]:
        """The objects of a collection that the selectors mean, page by page."""
        query = {"limit": _PAGE, **(which or {})}
        while True:
            page = await self.get(path, query)
            for item in page.get("items") or ():
                yield item
            token = page.get("metadata", {}).get("continue")
            if not token:
                return
            query["continue"] = token

    async def close(self) -> None:
        """Close all connections."""
        await self.transport.log_out(self.transport.session)

    async def _call(
        self, method: str, path: str, query: Mapping[str, str], body: Body | None
    ) -> Manifest:
        session = self.transport.session
        async with self.transport.send(method, path, query, body, _WITHIN) as response:
            content = await response.body(_WITHIN)
        if 200 <= response.status < 300:
            return _decoded(content)
        if response.status == 401:
            await self.transport.log_out(session)  # the credentials may have been renewed
        status = read_status(content)
        retry_after = max(response.retry_after, status.retry_after)
        raise Refused(response.status, status.message, retry_after)


def _decoded(content: bytes) -> Manifest:
    try:
        return msgspec.json.decode(content, type=Manifest)
    except (ValueError, RecursionError) as error:
        raise TransportError(f"answers with something else than an object: {error}") from None
