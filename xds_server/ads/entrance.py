"""Who gets in, and whether who is in may stay."""

import asyncio
import random
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog
from grpc import StatusCode

from translators.ir.waypoint import WaypointName
from translators.wire.discovery import MalformedRequest, Node, parse_node
from xds_server.ads.closing import Closing
from xds_server.ads.counters import AdsCounters
from xds_server.ads.limits import AdsLimits
from xds_server.ads.suspects import Suspects
from xds_server.identity.peer import Authenticator, Caller, Denied, Peer, Proxy, Reason

_log = structlog.get_logger(__name__)

# Envoy reconnects after each of them, with what its files hold by then. UNAUTHENTICATED says that
# nobody is known by what was shown, PERMISSION_DENIED that somebody is, and may not have this.
_CODES = {
    Reason.NO_CREDENTIAL: StatusCode.UNAUTHENTICATED,
    Reason.BAD_CREDENTIAL: StatusCode.UNAUTHENTICATED,
    Reason.EXPIRED: StatusCode.UNAUTHENTICATED,
    Reason.UNVERIFIED: StatusCode.UNAVAILABLE,
}
_AFTER_EXPIRY = 15.0  # seconds


@dataclass(eq=False, slots=True)
class Guest:
    """A caller, what it shows and claims, and how to see it out once it is in."""

    peer: Peer
    caller: Caller
    node: Node
    proxy: Proxy
    stop: Callable[[Closing], None] = field(default=lambda _: None)


class Entrance:
    """Asks the authenticator: for new streams, again from time to time, and when told to."""

    def __init__(
        self, authenticator: Authenticator, limits: AdsLimits, counters: AdsCounters
    ) -> None:
        self._authenticator = authenticator
        self._limits = limits
        self._counters = counters
        self._guests: set[Guest] = set()
        self._suspects = Suspects(limits)

    def check(self, peer: Peer) -> None:
        """Raise Closing if the peer's host has been denied too often."""
        if peer.is_secure:
            self._suspects.check(peer.host, asyncio.get_running_loop().time())

    async def identify(self, peer: Peer) -> Caller:
        """Who calls. Raises Closing."""
        try:
            return await self._authenticator.identify(peer)
        except Denied as denied:
            raise self._refusal(denied, peer) from None

    def admit(self, peer: Peer, caller: Caller, node: bytes | None) -> Guest:
        """What the caller may be of what its encoded Node claims. Raises Closing."""
        try:
            claim = parse_node(node) if node is not None else Node()
            return Guest(peer, caller, claim, self._authenticator.admit(caller, claim))
        except MalformedRequest as error:
            raise Closing(StatusCode.INVALID_ARGUMENT, str(error)) from None
        except Denied as denied:
            raise self._refusal(denied, peer) from None

    @contextmanager
    def watching(self, guest: Guest) -> Iterator[None]:
        """Look at the guest again: now, and as long as the context lasts. Raises Closing."""
        try:
            self._admit_again(guest, guest.caller)
        except Denied as denied:
            raise self._refusal(denied, guest.peer) from None
        self._counters.admitted[guest.caller.proof] += 1
        self._guests.add(guest)
        watch = asyncio.create_task(self._watch(guest)) if guest.caller.account else None
        try:
            yield
        finally:
            self._guests.discard(guest)
            if watch is not None:
                watch.cancel()

    def waypoints(self) -> set[WaypointName]:
        """The waypoints of all guests."""
        return {guest.proxy.waypoint for guest in self._guests}

    def look_again(self, waypoints: Container[WaypointName]) -> None:
        """See out those who may no longer be one of these waypoints, as objects have changed."""
        for guest in [one for one in self._guests if one.proxy.waypoint in waypoints]:
            try:
                self._admit_again(guest, guest.caller)
            except Denied as denied:
                self._see_out(guest, denied)

    async def _watch(self, guest: Guest) -> None:
        """Verify the credential again: when it should have run out, and now and then."""
        while True:
            await asyncio.sleep(self._pause(guest.caller))
            try:
                caller = await self._authenticator.identify(guest.peer)
                self._admit_again(guest, caller)
                guest.caller = caller
            except Denied as denied:
                if denied.reason is Reason.UNVERIFIED and not _has_expired(guest.caller):
                    continue
                self._see_out(guest, denied)
                return
            except Exception:
                _log.exception("xds_watch_failed", caller=str(guest.caller))
                guest.stop(Closing(StatusCode.INTERNAL, "internal error"))
                return

    def _admit_again(self, guest: Guest, caller: Caller) -> None:
        """Raises Denied if the caller may not be the same any more."""
        if self._authenticator.admit(caller, guest.node).waypoint != guest.proxy.waypoint:
            raise Denied("the waypoint is another by now", Reason.CLAIM)

    def _pause(self, caller: Caller) -> float:
        pause = self._limits.recheck * random.uniform(0.8, 1.2)  # noqa: S311  # to spread them
        if caller.expires is None:
            return pause
        remaining = (caller.expires - datetime.now(UTC)).total_seconds()
        # API servers accept a token for a little longer, and clocks differ.
        return min(pause, remaining if remaining > 0 else _AFTER_EXPIRY)

    def _refusal(self, denied: Denied, peer: Peer) -> Closing:
        self._counters.denied[denied.reason] += 1
        if denied.reason is not Reason.UNVERIFIED:
            self._suspects.note(peer.host, asyncio.get_running_loop().time())
        code = _CODES.get(denied.reason, StatusCode.PERMISSION_DENIED)
        return Closing(code, str(denied))

    def _see_out(self, guest: Guest, denied: Denied) -> None:
        _log.warning(
            "xds_stream_revoked",
            peer=guest.peer.address,
            caller=str(guest.caller),
            waypoint=str(guest.proxy.waypoint),
            reason=str(denied),
        )
        guest.stop(self._refusal(denied, guest.peer))


def _has_expired(caller: Caller) -> bool:
    return caller.expires is not None and caller.expires <= datetime.now(UTC)
