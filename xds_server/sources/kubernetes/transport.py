"""Talking to the API server: raw bytes through the client of the ``kubernetes`` package."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp

if TYPE_CHECKING:
    from kubernetes.aio.client import ApiClient

    from xds_server.sources.kubernetes.login import Login

LIST_BYTES = 256 * 1024 * 1024  # a page of 250 objects seldom has more than some MiB
ERROR_BYTES = 1024 * 1024

_CONNECT_S = 10.0


class TransportError(Exception):
    """No answer, or a part of one. ``is_untrusted``: the server's certificate was not good."""

    def __init__(self, reason: str, *, is_untrusted: bool = False) -> None:
        super().__init__(reason)
        self.is_untrusted = is_untrusted


class SilenceError(TransportError):
    """Nothing came for too long."""


@dataclass(frozen=True, slots=True)
class Body:
    """What a request carries: a value that can be written as JSON, under this content type."""

    value: Mapping[str, Any]
    content_type: str = "application/json"


class Response:
    """The beginning of an answer, and the way to the rest."""

    def __init__(self, raw: aiohttp.ClientResponse) -> None:
        self._raw = raw
        self.status = raw.status
        self.retry_after = _retry_after(raw)
        self.date = raw.headers.get("Date", "")

    async def chunk(self, within: float) -> bytes:
        """The next part of the body, empty at its end. Raises ``TransportError``."""
        async with _translated(within):
            return await self._raw.content.readany()

    async def body(self, within: float) -> bytes:
        """All of the body; each part must come ``within`` so long. Raises ``TransportError``."""
        limit = LIST_BYTES if self.status == 200 else ERROR_BYTES
        parts, size = [], 0
        while part := await self.chunk(within):
            size += len(part)
            if size > limit:
                raise TransportError(f"answers {self.status} with more than {limit} bytes")
            parts.append(part)
        return b"".join(parts)


class Transport:
    """Requests to one API server. Logs in at the first, and again when told to."""

    def __init__(self, login: "Login") -> None:
        self._login = login
        self._client: ApiClient | None = None
        self.session = 0  # how often the credentials were forgotten so far
        self._logging_in = asyncio.Lock()
        self.is_down = False  # the last request did not get through, or got an answer of 5xx
        self._recovered = asyncio.Event()

    async def log_in(self) -> "ApiClient":
        """Log in, unless that has been done. Raises ``LoginError``."""
        async with self._logging_in:
            if self._client is None:
                self._client = await self._login()
            return self._client

    async def log_out(self, session: int) -> None:
        """Forget the credentials of that session: the next request reads them anew.

        What is under way with them ends with a ``TransportError``. Of many who ask for it, because
        all were refused at once, only the first is heard.
        """
        async with self._logging_in:
            if session != self.session:
                return
            self.session += 1
            client, self._client = self._client, None
        if client is not None:
            await client.close()  # type: ignore[no-untyped-call]

    async def recovery(self, timeout: float) -> bool:  # noqa: ASYNC109  # it is the result
        """Wait until the server answers after it did not, but not for longer (in seconds)."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                return await self._recovered.wait()
        return False

    @asynccontextmanager
    async def get(
        self, path: str, query: Mapping[str, str], within: float
    ) -> AsyncIterator[Response]:
        """Ask for a path; the answer must begin ``within`` so long. Raises ``TransportError``."""
        async with self.send("GET", path, query, None, within) as response:
            yield response

    @asynccontextmanager
    async def send(
        self, method: str, path: str, query: Mapping[str, str], body: Body | None, within: float
    ) -> AsyncIterator[Response]:
        """The same with any method and, if it takes one, a body."""
        try:
            async with _translated(within):
                raw = await self._request(method, path, query, body)
        except TransportError:
            self.is_down = True
            raise
        self._note_answer(raw.status)
        try:
            yield Response(raw)
        finally:
            raw.close()

    def _note_answer(self, status: int) -> None:
        if self.is_down and status < 500:
            self._recovered.set()  # for those who wait now,
            self._recovered.clear()  # not for those who will
        self.is_down = status >= 500

    async def _request(
        self, method: str, path: str, query: Mapping[str, str], body: Body | None
    ) -> aiohttp.ClientResponse:
        client = await self.log_in()
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        if body is not None:
            headers["Content-Type"] = body.content_type
        method, url, headers, *_ = await client.param_serialize(
            method,
            path,
            query_params=list(query.items()),
            header_params=headers,
            auth_settings=["BearerToken"],
        )
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S)
        content = None if body is None else body.value
        answer = await client.call_api(method, url, headers, content, _request_timeout=timeout)
        raw: aiohttp.ClientResponse = answer.response
        return raw


@asynccontextmanager
async def _translated(within: float) -> AsyncIterator[None]:
    """Whatever goes wrong inside is a ``TransportError``; after so long, a ``SilenceError``."""
    try:
        async with asyncio.timeout(within):
            yield
    except TimeoutError:
        raise SilenceError("does not answer") from None
    except aiohttp.ClientSSLError as error:
        raise TransportError(str(error), is_untrusted=True) from None
    except Exception as error:  # the client and its hooks raise what they like: all means the same
        raise TransportError(str(error) or type(error).__name__) from None


def _retry_after(raw: aiohttp.ClientResponse) -> float:
    with suppress(ValueError):
        return max(0.0, float(raw.headers.get("Retry-After", "0")))
    return 0.0
