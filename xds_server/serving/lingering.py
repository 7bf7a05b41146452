"""Lets waypoints part gently with services that have gone to others.

Clients' proxies learn of a move by and by. Were the old waypoint to forget the service at once,
those that come late would be refused. And connections that are open when it is dismissed are told
to close by and by: their requests must get through until then.
"""

import asyncio
from collections.abc import Callable, Iterable

from translators.compiler import Compiler
from translators.edition import Farewell
from translators.ir.waypoint import WaypointName
from translators.resources.metadata import ObjectKey

DRAINED_S = 600.0
"""When Envoy has closed the connections of a chain that is gone, unless it is told another time."""

_Parting = tuple[ObjectKey, Farewell]


class Lingering:
    """Parts with each service in two steps, and publishes them by ``refresh``.

    It is dismissed ``linger_s`` after it has left, and forgotten ``drained_s`` after that.
    """

    def __init__(
        self,
        compiler: Compiler,
        linger_s: float,
        refresh: Callable[[Iterable[WaypointName]], None],
        drained_s: float = DRAINED_S,
    ) -> None:
        self._compiler = compiler
        self.linger_s = linger_s
        self.drained_s = drained_s
        self._refresh = refresh
        self._timers: dict[WaypointName, dict[_Parting, asyncio.TimerHandle]] = {}

    def look(self, waypoint: WaypointName) -> None:
        """A waypoint has been compiled: see who is leaving it, and who has come back."""
        leaving = self._compiler.leaving(waypoint).items()
        timers = self._timers.get(waypoint, {})
        for parting in timers.keys() - leaving:
            timers.pop(parting).cancel()
        for parting in leaving - timers.keys():
            timers[parting] = self._timer(waypoint, *parting)
        if timers:
            self._timers[waypoint] = timers
        else:
            self._timers.pop(waypoint, None)

    def _timer(
        self, waypoint: WaypointName, service: ObjectKey, now: Farewell
    ) -> asyncio.TimerHandle:
        is_heard = now is Farewell.HEARD
        seconds = self.linger_s if is_heard else self.drained_s
        then = Farewell.DISMISSED if is_heard else Farewell.FORGOTTEN
        loop = asyncio.get_running_loop()
        return loop.call_later(seconds, self._bid, waypoint, service, then)

    def _bid(self, waypoint: WaypointName, service: ObjectKey, farewell: Farewell) -> None:
        self._compiler.bid(waypoint, service, farewell)
        self._refresh((waypoint,))
