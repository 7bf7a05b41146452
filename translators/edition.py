"""What a waypoint's Envoys get, edition by edition, and what a next edition has to look at."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from translators.gateway_api import Assembly, Destination, ServiceConfig
from translators.ir import Node
from translators.resources.metadata import ObjectKey
from translators.wire import ResourceKey, Snapshot
from translators.wire.snapshot import EMPTY


@dataclass(frozen=True, slots=True)
class Edition:
    """All resources of a waypoint but its tunnel listener and its secrets.

    ``number`` counts the editions of a waypoint. ``changed`` are the keys whose resource came,
    went, or is another than in the edition before; all others are the very same objects.
    """

    number: int
    snapshot: Snapshot
    changed: frozenset[ResourceKey]


@dataclass(slots=True)
class Compiled:
    """A waypoint as it was last compiled: its services, and the node of each of its resources."""

    assembly: Assembly
    configs: dict[ObjectKey, ServiceConfig]
    nodes: dict[ResourceKey, Node] = field(default_factory=dict)
    edition: Edition = Edition(0, EMPTY, frozenset())


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
