"""What a waypoint's Envoys get, edition by edition, and what a next edition has to look at."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from translators.gateway_api import Assembly, Destination, ServiceConfig
from translators.ir import Node
from translators.ir.endpoint import EndpointSet
from translators.ir.place import Nearness
from translators.resources.metadata import ObjectKey
from translators.wire import Resource, ResourceKey, Snapshot
from translators.wire.snapshot import EMPTY
from translators.xds import key_of

Near = Mapping[ResourceKey, EndpointSet]
"""The endpoints that proxies should get according to where they run."""


@dataclass(frozen=True, slots=True)
class Edition:
    """All resources of a waypoint but its tunnel listener and its secrets.

    ``number`` counts the editions of a waypoint. ``changed`` are the keys whose resource came,
    went, or is another than in the edition before; all others are the very same objects.
    What is in ``near`` is to be replaced by what is ``placed`` for each proxy.
    """

    number: int
    snapshot: Snapshot
    changed: frozenset[ResourceKey]
    near: Near = field(default_factory=dict)

    @property
    def nearness(self) -> Nearness:
        """How much of a proxy's place counts."""
        return max((one.nearness for one in self.near.values()), default=Nearness.ANYWHERE)


class Farewell(Enum):
    """How far a waypoint has parted with a service that has gone elsewhere."""

    HEARD = auto()  # it is still answered for
    DISMISSED = auto()  # only connections that are open still get what they need
    FORGOTTEN = auto()


@dataclass(slots=True)
class Compiled:
    """A waypoint as it was last compiled: its services, and the node of each of its resources.

    ``leaving`` are those of the services that have gone elsewhere.
    """

    assembly: Assembly
    configs: dict[ObjectKey, ServiceConfig]
    nodes: dict[ResourceKey, Node] = field(default_factory=dict)
    edition: Edition = Edition(0, EMPTY, frozenset())
    leaving: Mapping[ObjectKey, Farewell] = field(default_factory=dict)


@dataclass(slots=True)
class Stale:
    """What of a waypoint may differ by now: all of it, or some services and endpoints."""

    everything: bool = False
    services: set[ObjectKey] = field(default_factory=set)
    destinations: set[Destination] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Plan:
    """How to get to the next edition: nodes to look at. Others stay, unless all are given."""

    assembly: Assembly
    configs: Iterable[ServiceConfig]
    nodes: Iterable[Node]
    complete: bool


def next_edition(
    before: Edition, fresh: Iterable[Resource], gone: Collection[ResourceKey], near: Near
) -> Edition:
    """The edition in which these resources are new or others, and these keys are gone."""
    fresh = tuple(fresh)
    return Edition(
        before.number + 1,
        before.snapshot.updated(fresh, gone),
        frozenset((*gone, *(one.key for one in fresh))),
        near,
    )


def next_near(
    before: Near, endpoints: Iterable[EndpointSet], gone: Collection[ResourceKey]
) -> Near:
    """The endpoints that depend on a proxy's place, after these have changed; few do."""
    changed = {key_of(one): one for one in endpoints if one.nearness or key_of(one) in before}
    if not changed and before.keys().isdisjoint(gone):
        return before
    after = {**before, **changed}
    return {key: one for key, one in after.items() if one.nearness and key not in gone}


def undisputed(
    lingering: Iterable[ServiceConfig], configs: Iterable[ServiceConfig]
) -> list[ServiceConfig]:
    """Those of services that have left whose host no other object has taken over by now.

    Clients that still come by the address of the one would be sent to the other.
    """
    taken = {cluster.name: cluster for config in configs for cluster in config.clusters}
    return [
        config
        for config in lingering
        if all(taken.get(cluster.name, cluster) == cluster for cluster in config.clusters)
    ]
