"""Keeps the SVIDs of the mesh's own proxies fresh."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b

import structlog

from xds_server.identity.authority import DEFAULT_TTL, Authority, AuthorityError
from xds_server.identity.spiffe import SpiffeId
from xds_server.identity.svid import Svid

_log = structlog.get_logger(__name__)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RETRY = timedelta(seconds=30)
# Sleeping stops while a machine is suspended, its wall clock does not: look at it now and then.
_LONGEST_SLEEP = timedelta(minutes=1)
_SHORTEST_SLEEP = timedelta(seconds=1)


def term_start(identity: SpiffeId, now: datetime, ttl: timedelta) -> datetime:
    """When the term of ``now`` began: an SVID counts from then on, and is renewed with the next.

    Terms are half as long as SVIDs live. When they begin depends on the identity alone, so that
    SVIDs are not all renewed together, and every replica and restart has the same.
    """
    term = ttl / 2
    spread = int.from_bytes(blake2b(identity.uri.encode(), digest_size=4).digest()) / 2**32
    return now - (now - _EPOCH + spread * term) % term


@dataclass(frozen=True, slots=True)
class _Held:
    svid: Svid
    renew_at: datetime

    def due(self, now: datetime) -> bool:
        # The second case is a clock that was set back: to others this SVID is not valid yet.
        return now >= self.renew_at or now < self.svid.not_before


class RotatingSvids:
    """The current SVID of each identity that was asked for, renewed well before it expires.

    ``clock`` gives the time as an aware datetime. ``on_change`` is told which identities have a new
    SVID, once per round of renewals; it must not block or raise. Belongs to one event loop.
    """

    def __init__(
        self,
        authority: Authority,
        clock: Callable[[], datetime],
        on_change: Callable[[frozenset[SpiffeId]], None],
        ttl: timedelta = DEFAULT_TTL,
    ) -> None:
        self._authority = authority
        self._clock = clock
        self._on_change = on_change
        self._ttl = ttl
        self._held: dict[SpiffeId, _Held] = {}
        self.issued = 0
        self._changed = asyncio.Event()

    def get(self, identity: SpiffeId) -> Svid:
        """The current SVID, issued now if this identity has none yet.

        Raises AuthorityError if it has none and the authority can't issue one.
        """
        held = self._held.get(identity) or self._issue(identity, self._clock())
        return held.svid

    def forget(self, identity: SpiffeId) -> None:
        """Renew this identity no more; the SVIDs that it has simply run out."""
        self._held.pop(identity, None)

    def retain(self, identities: Iterable[SpiffeId]) -> None:
        """Forget all identities but these."""
        for identity in self._held.keys() - set(identities):
            self.forget(identity)

    def next_renewal(self) -> datetime | None:
        """When the next renewal is due; None if no SVID is held."""
        return min((held.renew_at for held in self._held.values()), default=None)

    def renew_due(self) -> frozenset[SpiffeId]:
        """Renew what is due by now; tells ``on_change`` and returns what was renewed.

        What can't be renewed keeps its SVID and is tried again later.
        """
        now = self._clock()
        due = sorted(identity for identity, held in self._held.items() if held.due(now))
        renewed = frozenset(identity for identity in due if self._renew(identity, now))
        if renewed:
            self._on_change(renewed)
        return renewed

    async def run(self) -> None:
        """Renew for ever; ends by cancellation."""
        while True:
            self.renew_due()
            self._changed.clear()
            await self._wait()

    async def _wait(self) -> None:
        """Until the next renewal may be due, or until there is a new SVID to look after."""
        upcoming = self.next_renewal()
        remaining = _LONGEST_SLEEP if upcoming is None else upcoming - self._clock()
        pause = min(max(remaining, _SHORTEST_SLEEP), _LONGEST_SLEEP)
        try:
            async with asyncio.timeout(pause.total_seconds()):
                await self._changed.wait()
        except TimeoutError:
            return

    def _issue(self, identity: SpiffeId, now: datetime) -> _Held:
        start = term_start(identity, now, self._ttl)
        svid = self._authority.derive(identity, start, now, self._ttl)
        held = _Held(svid, min(start + self._ttl / 2, svid.not_after))
        self._held[identity] = held
        self.issued += 1
        self._changed.set()
        _log.info(
            "svid issued",
            identity=identity.uri,
            serial=f"{svid.serial:x}",
            not_after=svid.not_after.isoformat(),
        )
        return held

    def _renew(self, identity: SpiffeId, now: datetime) -> bool:
        try:
            self._issue(identity, now)
        except AuthorityError as error:
            held = self._held[identity]
            self._held[identity] = _Held(held.svid, now + _RETRY)
            _log.error(
                "svid not renewed",
                identity=identity.uri,
                expires=held.svid.not_after.isoformat(),
                error=str(error),
            )
            return False
        return True
