"""One resource type on one stream: what the client wants, holds, is being sent, and refused."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from translators.wire.resource import Resource, ResourceKey, TypeUrl
from xds_server.protocol.events import ResourceState
from xds_server.protocol.subscription import Subscription


@dataclass(slots=True)
class Holding:
    """What the client has under one name.

    ``version`` is None while it is not certain, ``known`` says that it holds at least some version,
    ``doubtful`` that it may have applied a resource of a refused response, ``accepted`` is the last
    resource that it accepted on this stream.
    """

    version: str | None = None
    known: bool = False
    doubtful: bool = False
    accepted: Resource | None = None
    sent: str | None = None


@dataclass(slots=True)
class Refusal:
    """The versions of one resource that the client refused, and what it last said about them."""

    versions: set[str] = field(default_factory=set)
    message: str = ""


@dataclass(frozen=True, slots=True)
class Flight:
    """A response that has no answer yet.

    ``fresh`` is the part of ``resources`` that the client is not known to have accepted before;
    ``alone`` says that it is one that is under suspicion.
    """

    resources: tuple[Resource, ...]
    fresh: tuple[Resource, ...]
    removed: tuple[str, ...]
    names: tuple[str, ...]
    """All names whose fate the answer decides."""
    alone: bool = False


@dataclass(slots=True)
class Channel:
    """The state of one type.

    ``dirty`` names are to be looked at, those of an outstanding response once it is answered; all
    others need nothing. ``asked`` are the names that must be answered even if nothing changed; the
    value is a version that the client reported, which needs no answer while it is current. ``gone``
    are names whose removal is to be sent, ``blocked`` those that wait for others, ``alone`` those
    that were in a refused response and are to be sent by themselves, until a version of them is
    accepted.
    """

    type_url: TypeUrl
    subscription: Subscription = field(default_factory=Subscription)
    holdings: dict[str, Holding] = field(default_factory=dict)
    refusals: dict[str, Refusal] = field(default_factory=dict)
    asked: dict[str, str | None] = field(default_factory=dict)
    dirty: dict[str, None] = field(default_factory=dict)
    gone: dict[str, None] = field(default_factory=dict)
    blocked: dict[str, set[ResourceKey | TypeUrl]] = field(default_factory=dict)
    alone: set[str] = field(default_factory=set)
    flights: dict[str, Flight] = field(default_factory=dict)
    flying: set[str] = field(default_factory=set)
    last_nonce: str | None = None
    owes_answer: bool = False
    """A new wildcard subscription is answered even if there is nothing to send."""

    def touch(self, name: str) -> None:
        """Look at this name again, if the client wants it."""
        if self.subscription.covers(name):
            self.dirty[name] = None

    def ask(self, name: str, reported: str | None = None) -> None:
        """Answer for this name, even if nothing changed since the client got it.

        ``reported`` is the version that the client says it has; while that is current, silence is
        an answer, unless there was another reason to answer.
        """
        if reported is None:
            self.asked[name] = None
        else:
            self.asked.setdefault(name, reported)
        self.touch(name)

    def forget(self, name: str) -> None:
        """The client does not want this name any more and drops what it holds."""
        for table in (self.holdings, self.asked, self.dirty, self.gone, self.blocked):
            table.pop(name, None)
        self.alone.discard(name)

    def unwanted(self) -> list[str]:
        """The names that have some state here but are not wanted any more."""
        noted = self.holdings | self.blocked | self.gone | self.dirty | self.asked
        return [name for name in noted if not self.subscription.covers(name)]

    def refuses(self, resource: Resource) -> bool:
        """Whether the client has refused exactly this version."""
        refusal = self.refusals.get(resource.key.name)
        return refusal is not None and resource.version in refusal.versions

    def needs(self, resource: Resource) -> bool:
        """Whether this resource is to be sent, as soon as it may be."""
        name = resource.key.name
        if self.refuses(resource):
            return False
        holding = self.holdings.get(name)
        if holding is None or holding.version != resource.version:
            return True
        if self.asked.get(name) == resource.version:
            del self.asked[name]
        return name in self.asked

    def holds_any(self, name: str) -> bool:
        """Whether the client is known to hold some version of this."""
        holding = self.holdings.get(name)
        return holding is not None and holding.known

    def settled(self) -> bool:
        """Whether the client has all that it may have of this type, removals aside."""
        arriving = any(flight.fresh for flight in self.flights.values())
        return not (self.dirty or self.blocked or arriving)

    def ready(self) -> list[str]:
        """The names to look at now."""
        flying = self.flying
        return [name for name in self.dirty if name not in flying] if flying else list(self.dirty)

    def occupied(self) -> bool:
        """Whether a response has no answer yet, suspects aside."""
        return not all(flight.alone for flight in self.flights.values())

    def launch(self, nonce: str, flight: Flight) -> None:
        """Note that this response was sent."""
        for resource in flight.fresh:
            self.holdings.setdefault(resource.key.name, Holding()).sent = resource.version
        for name in flight.removed:
            self.holdings.pop(name, None)
            self.gone.pop(name, None)
        if self.asked:
            for name in flight.names:
                self.asked.pop(name, None)
        self.flying.update(flight.names)
        self.flights[nonce] = flight
        self.last_nonce = nonce
        self.owes_answer = False

    def land(self, nonce: str) -> Flight | None:
        """The response that this nonce answers, which is then no longer outstanding.

        What changed meanwhile is dirty still.
        """
        flight = self.flights.pop(nonce, None)
        if flight is not None:
            self.flying.difference_update(flight.names)
        return flight

    def accept(self, resource: Resource) -> None:
        """Note that the client accepted this resource; it may have dropped it since."""
        name = resource.key.name
        self.alone.discard(name)
        if name in self.refusals:
            self.refusals[name].message = ""
        holding = self.holdings.get(name)
        if holding is not None:
            holding.version, holding.accepted, holding.known = resource.version, resource, True

    def doubt(self, resource: Resource) -> None:
        """Note that the client may or may not have applied this resource."""
        holding = self.holdings.get(resource.key.name)
        if holding is not None:
            holding.version, holding.doubtful = None, True
        self.touch(resource.key.name)

    def refuse(self, resource: Resource, message: str, *, by_itself: bool) -> None:
        """Note that the client refused this resource, ``by_itself`` or among others.

        Envoy's record of versions stays right only if a bad resource came by itself.
        """
        name = resource.key.name
        self.alone.add(name)
        refusal = self.refusals.setdefault(name, Refusal())
        refusal.versions.add(resource.version)
        refusal.message = message
        self.touch(name)
        holding = self.holdings.get(name)
        if holding is None:
            return
        if holding.accepted is not None and holding.accepted.version == resource.version:
            holding.accepted = holding.version = None
        if not by_itself:
            holding.version = None
        elif not (holding.known or holding.doubtful):
            del self.holdings[name]

    def states(self) -> Iterator[tuple[ResourceKey, ResourceState]]:
        """How far each resource has come."""
        for name in self.holdings | self.refusals:
            holding = self.holdings.get(name, Holding())
            error = self.refusals[name].message if name in self.refusals else ""
            yield (
                ResourceKey(self.type_url, name),
                ResourceState(sent=holding.sent, acked=holding.version, error=error),
            )
