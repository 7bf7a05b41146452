"""The source that follows a cluster."""

import asyncio
import gc
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from translators.resources import parse
from translators.world import Change
from xds_server.sources.kubernetes.backoff import Pace
from xds_server.sources.kubernetes.follower import Follower, Patience
from xds_server.sources.kubernetes.kinds import RESOURCES, Resource
from xds_server.sources.kubernetes.reflector import Health
from xds_server.sources.kubernetes.replica import Read
from xds_server.sources.kubernetes.transport import Transport
from xds_server.sources.source import Sink, SourceProblem

if TYPE_CHECKING:
    from xds_server.sources.kubernetes.login import Login


_SETTLED = 500  # objects: so many that a look at all of them can't be noticed


class KubernetesSource:
    """Objects of a cluster, in all namespaces: by default every kind that manifests can be read of.

    A kind that the cluster does not have is reported, and followed once it is there. A kind that
    can't be followed any more keeps what was last seen of it, and holds up no other kind. Before
    ``synced``, a kind that may not be read holds up everything: without its objects (policies,
    say) a configuration would be wrong, not just old.
    """

    def __init__(
        self,
        login: "Login",
        resources: Sequence[Resource] = RESOURCES,
        patience: Patience = Patience(),  # noqa: B008  # frozen
        meaning: Read = parse,
    ) -> None:
        self._meaning = meaning
        self._transport = Transport(login)
        self._resources = resources
        self._patience = patience
        self._followers: list[Follower] = []

    async def run(self, sink: Sink, synced: Callable[[], None]) -> None:
        """Feed the sink until cancelled; see ``Source.run``. Raises ``LoginError`` at its start."""
        await self._transport.log_in()
        loading = _Loading(sink, synced, {resource.name for resource in self._resources})
        pace = Pace()
        self._followers = [self._follower(each, pace, loading) for each in self._resources]
        try:
            async with asyncio.TaskGroup() as tasks:
                for follower in self._followers:
                    tasks.create_task(follower.run(), name=f"follow {follower.resource.name}")
        finally:
            await self._transport.log_out(self._transport.session)

    def _follower(self, resource: Resource, pace: Pace, loading: "_Loading") -> Follower:
        return Follower(
            resource,
            self._transport,
            pace,
            self._patience,
            loading.take,
            lambda: loading.end(resource.name),
            self._meaning,
        )

    def problems(self) -> Sequence[SourceProblem]:
        """What is wrong at present: with kinds, and with objects that can't be used."""
        return [problem for follower in self._followers for problem in follower.problems()]

    def health(self) -> Mapping[str, Health]:
        """How well each kind is followed, by the name of its resource."""
        return {follower.resource.name: follower.health for follower in self._followers}

    def ages(self) -> Mapping[str, float | None]:
        """Seconds since the API server last confirmed what is served, by resource.

        A quiet cluster confirms about every minute. None: never listed so far.
        """
        return {follower.resource.name: follower.age() for follower in self._followers}


class _Loading:
    """The time until all kinds are synced, and what goes through to the sink in it and after it.

    What is loaded is here to stay, and has no cycles. So the garbage collector is told not to
    look at it: one look at all objects of a large cluster would hold up the loop for 100 ms.
    """

    def __init__(self, sink: Sink, synced: Callable[[], None], unready: set[str]) -> None:
        self._sink = sink
        self._synced = synced
        self._unready = unready
        self._unsettled = 0

    def take(self, changes: Sequence[Change]) -> None:
        """Pass changes on."""
        self._sink(changes)
        if self._unready:
            self._unsettled += len(changes)
            if self._unsettled >= _SETTLED:
                self._settle()

    def end(self, name: str) -> None:
        """A kind is synced."""
        self._unready.discard(name)
        if not self._unready:
            self._settle()
            self._synced()

    def _settle(self) -> None:
        gc.freeze()
        self._unsettled = 0
