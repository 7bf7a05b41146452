"""Asks the API server whose a token is (``authentication.k8s.io/v1`` TokenReview)."""

from dataclasses import dataclass
from typing import Protocol

import msgspec

from xds_server.sources.kubernetes.transport import Body, Transport, TransportError

_PATH = "/apis/authentication.k8s.io/v1/tokenreviews"
_WITHIN = 5.0  # seconds for the beginning of an answer, and for each part of it
_POD_NAME = "authentication.kubernetes.io/pod-name"


class Unreviewed(Exception):
    """Nobody can tell at present; ``str()`` says why, and holds no token."""


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A token that is good for the audience: its user's name, and the pod that it is bound to."""

    user: str
    pod: str = ""


class Reviewer(Protocol):
    """Says whose tokens are."""

    async def review(self, token: str) -> Reviewed | None:
        """The user of a token, None if it is not good. Raises Unreviewed."""

    async def close(self) -> None:
        """Close all connections."""


class _User(msgspec.Struct):
    username: str = ""
    extra: dict[str, list[str]] | None = None


class _Status(msgspec.Struct):
    authenticated: bool = False
    user: _User | None = None
    audiences: list[str] | None = None


class _Answer(msgspec.Struct):
    status: _Status


class TokenReviews:
    """Reviews by the API server of one transport, for tokens of one audience."""

    def __init__(self, transport: Transport, audience: str) -> None:
        self._transport = transport
        self._audience = audience

    async def review(self, token: str) -> Reviewed | None:
        """The user of a token that is meant for the audience. Raises Unreviewed.

        An answer that does not name the audience comes from a server that did not look at it: it
        counts as a no.
        """
        status = _read(await self._ask(token)).status
        if not status.authenticated or self._audience not in (status.audiences or ()):
            return None
        user = status.user or _User()
        pods = (user.extra or {}).get(_POD_NAME) or [""]
        return Reviewed(user.username, pods[0])

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.log_out(self._transport.session)

    async def _ask(self, token: str) -> bytes:
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token, "audiences": [self._audience]},
        }
        session = self._transport.session
        try:
            async with self._transport.send("POST", _PATH, {}, Body(body), _WITHIN) as response:
                content = await response.body(_WITHIN)
        except TransportError as error:
            raise Unreviewed(f"the API server can't be asked: {error}") from None
        if response.status == 401:
            await self._transport.log_out(session)  # the credentials may have been renewed
        if response.status not in (200, 201):
            raise Unreviewed(f"the API server answers TokenReviews with {response.status}")
        return content


def _read(content: bytes) -> _Answer:
    try:
        return msgspec.json.decode(content, type=_Answer)
    except ValueError:  # without a cause: the content holds the token
        raise Unreviewed("the API server's TokenReview can't be read") from None
