"""Callers that are known by a service-account token.

A token is proof only of what the API server says of it. What it said is remembered for a while by
a keyed hash of the token; only the stream that a token came with still has it.
"""

import asyncio
import random
from base64 import urlsafe_b64decode
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b
from secrets import token_bytes

import msgspec
import structlog

from xds_server.identity.peer import Caller, Denied, Peer, Proof, Reason, ServiceAccount
from xds_server.identity.token_review import Reviewed, Reviewer, Unreviewed
from xds_server.sources.kubernetes.backoff import doubled

_log = structlog.get_logger(__name__)

_HEADER = "authorization"
_SCHEME = "bearer "
_USER = "system:serviceaccount:"


@dataclass(frozen=True, slots=True)
class TokenLimits:
    """Bounds of what tokens may cost. Times are in seconds.

    Answers are remembered for ``good_for`` or ``bad_for``. A server that does not answer is left
    alone for ``pause``, which doubles up to ``longest_pause``.
    """

    good_for: float = 60.0
    bad_for: float = 10.0
    remembered: int = 10_000
    concurrent: int = 16
    patience: float = 8.0
    pause: float = 0.5
    longest_pause: float = 15.0
    token_bytes: int = 16 * 1024


class _Claims(msgspec.Struct):
    exp: float


@dataclass(frozen=True, slots=True)
class _Known:
    caller: Caller | None
    until: float


@dataclass(slots=True)
class _Outage:
    """How long a server that does not answer is left alone; one question goes through a pause."""

    limits: TokenLimits
    failures: int = 0
    free_at: float = 0.0
    why: str = ""

    def begin(self, now: float) -> int:
        """Ask, and keep the result for ``note_failure``. Raises Unreviewed if it is too early."""
        if now < self.free_at:
            raise Unreviewed(self.why)
        if self.failures:
            self._pause(now)
        return self.failures

    def note_failure(self, began: int, now: float, why: str) -> None:
        """It did not answer. Of many questions that were under way together only one counts."""
        self.why = why
        if self.failures == began:
            self.failures += 1
            self._pause(now)
            _log.warning("tokens_unverified", error=why, failures=self.failures)

    def note_answer(self) -> None:
        """It did."""
        self.failures, self.free_at = 0, 0.0

    def _pause(self, now: float) -> None:
        chance = random.random()  # noqa: S311  # replicas need not ask in step
        limits = self.limits
        self.free_at = now + doubled(limits.pause, limits.longest_pause, self.failures, chance)


@dataclass(slots=True)
class TokenCredentials:
    """Tokens that the API server vouches for.

    ``clock`` gives the time as an aware datetime, ``monotonic`` in seconds. ``reviews`` counts
    questions to the API server by answer: ``good``, ``bad`` and ``none``.
    """

    reviewer: Reviewer
    clock: Callable[[], datetime]
    monotonic: Callable[[], float]
    limits: TokenLimits = field(default_factory=TokenLimits)
    needs_certificate: bool = False
    reviews: Counter[str] = field(default_factory=Counter)
    _known: OrderedDict[bytes, _Known] = field(default_factory=OrderedDict)
    _salt: bytes = field(default_factory=lambda: token_bytes(32), repr=False)
    _places: asyncio.Semaphore = field(init=False, repr=False)
    _outage: _Outage = field(init=False)

    def __post_init__(self) -> None:
        self._places = asyncio.Semaphore(self.limits.concurrent)
        self._outage = _Outage(self.limits)

    def problems(self) -> Sequence[str]:
        """Why tokens can't be verified at present, if they can't."""
        return (f"tokens of Envoys: {self._outage.why}",) if self._outage.failures else ()

    async def close(self) -> None:
        """Close connections to the API server."""
        await self.reviewer.close()

    async def identify(self, peer: Peer) -> Caller:
        """The service account whose token the call carries. Raises Denied."""
        token = self._token(peer)
        digest = blake2b(token.encode(), key=self._salt, digest_size=32).digest()
        known = self._recall(digest)
        if known is None:
            known = self._remember(digest, await self._ask(token))
        if known.caller is None:
            raise Denied("the token is not a service account's, or not good", Reason.BAD_CREDENTIAL)
        return known.caller

    def _token(self, peer: Peer) -> str:
        header = peer.metadata.get(_HEADER, "")
        if header[: len(_SCHEME)].lower() != _SCHEME:
            raise Denied("a bearer token is needed", Reason.NO_CREDENTIAL)
        token = header[len(_SCHEME) :].strip()
        if not token:
            raise Denied("a bearer token is needed", Reason.NO_CREDENTIAL)
        if len(token) > self.limits.token_bytes or not token.isascii() or not token.isprintable():
            raise Denied("this can't be a token", Reason.BAD_CREDENTIAL)
        return token

    def _recall(self, digest: bytes) -> _Known | None:
        known = self._known.get(digest)
        if known is None or known.until <= self.monotonic():
            return None
        self._known.move_to_end(digest)
        return known

    def _remember(self, digest: bytes, caller: Caller | None) -> _Known:
        lifetime = self.limits.bad_for if caller is None else self.limits.good_for
        if caller is not None and caller.expires is not None:
            lifetime = min(lifetime, (caller.expires - self.clock()).total_seconds())
        known = _Known(caller, self.monotonic() + lifetime)
        self._known[digest] = known
        self._known.move_to_end(digest)
        while len(self._known) > self.limits.remembered:
            self._known.popitem(last=False)
        return known

    async def _ask(self, token: str) -> Caller | None:
        try:
            async with asyncio.timeout(self.limits.patience), self._places:
                reviewed = await self._review(token)
        except (TimeoutError, Unreviewed):
            self.reviews["none"] += 1
            # Why is for us alone: it may name hosts.
            raise Denied("the token can't be verified at present", Reason.UNVERIFIED) from None
        caller = None if reviewed is None else _caller(reviewed, token)
        self.reviews["bad" if caller is None else "good"] += 1
        return caller

    async def _review(self, token: str) -> Reviewed | None:
        began = self._outage.begin(self.monotonic())
        try:
            reviewed = await self.reviewer.review(token)
        except Unreviewed as problem:
            self._outage.note_failure(began, self.monotonic(), str(problem))
            raise
        self._outage.note_answer()
        return reviewed


def _caller(reviewed: Reviewed, token: str) -> Caller | None:
    """The caller that was vouched for; None if the user is no service account."""
    match reviewed.user.removeprefix(_USER).split(":"):
        case [namespace, name] if reviewed.user.startswith(_USER) and namespace and name:
            account = ServiceAccount(namespace, name)
            return Caller(Proof.TOKEN, account, reviewed.pod, _expiry(token))
        case _:
            return None


def _expiry(token: str) -> datetime | None:
    """When a token that was found good runs out, so that it is looked at again by then.

    It is the API server that decides; what is no JWT is looked at again all the same.
    """
    _, _, rest = token.partition(".")
    payload, _, _ = rest.partition(".")
    with suppress(ValueError, OverflowError, OSError, RecursionError):
        claims = msgspec.json.decode(urlsafe_b64decode(payload + "=="), type=_Claims)
        return datetime.fromtimestamp(claims.exp, UTC)
    return None
