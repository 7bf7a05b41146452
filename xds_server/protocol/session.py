"""What both variants of the protocol share: subscriptions, order, and what happens on an answer."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence

from translators.wire.discovery import RequestError
from translators.wire.resource import Resource, ResourceKey, TypeUrl
from translators.wire.snapshot import Snapshot
from xds_server.protocol.channel import Channel, Flight
from xds_server.protocol.events import (
    Acknowledged,
    ProtocolViolation,
    Rejected,
    ResourceState,
    Response,
    SessionLimits,
)
from xds_server.protocol.rejection import blamed
from xds_server.protocol.requirements import Requirements

# Types of which Envoy does not drop a resource by itself when nothing refers to it any more.
ROOT_TYPES = frozenset({TypeUrl.CLUSTER, TypeUrl.LISTENER})


class Session(ABC):
    """One ADS stream, without I/O: requests in, responses out, always from the latest snapshot."""

    def __init__(self, limits: SessionLimits) -> None:
        self._limits = limits
        self._snapshot: Snapshot | None = None
        self._channels: dict[str, Channel] = {t: Channel(t) for t in TypeUrl}
        self._requirements = Requirements(self._channels)
        self._responses = 0
        self._unknown_types: dict[str, tuple[str, ...] | None] = {}
        """Types that this server does not have: the names to answer for, None once answered."""

    def update(self, snapshot: Snapshot, changed: Collection[ResourceKey] | None) -> None:
        """Serve this snapshot from now on.

        ``changed`` are the keys that were added, changed or removed since the snapshot given
        before; None compares everything.
        """
        self._snapshot = snapshot
        if changed is None:
            for channel in self._channels.values():
                self._touch_all(channel)
            self._requirements.review_all()
            return
        for key in changed:
            self._channels[key.type_url].touch(key.name)
            self._requirements.review(key)

    def suspect(self, keys: Iterable[ResourceKey]) -> None:
        """Send these by themselves, until a version of them is accepted: others refused them."""
        for key in keys:
            self._channels[key.type_url].alone.add(key.name)

    def may_respond(self) -> bool:
        """Whether there may be a next response. No is certain, yes is not."""
        if self._requirements.any_wait or any(n is not None for n in self._unknown_types.values()):
            return True
        return any(c.dirty or c.gone or c.owes_answer for c in self._channels.values())

    def next_response(self) -> Response | None:
        """The next response to write, or None if nothing may or need be sent now.

        Additions go in the order of TypeUrl, removals after them in reverse (xDS protocol,
        "Eventual consistency considerations").
        """
        if self._snapshot is None:
            return None
        for channel in self._channels.values():
            self._requirements.review_settled()
            if not (channel.dirty or channel.owes_answer):
                continue
            if response := self._addition(channel, self._snapshot):
                return response
        for channel in reversed(self._channels.values()):
            if channel.gone and (response := self._removal(channel)):
                return response
        return self._answer_unknown_type()

    def state(self) -> Mapping[ResourceKey, ResourceState]:
        """How far each resource has come, for the config dump."""
        return {key: state for c in self._channels.values() for key, state in c.states()}

    # What differs between the variants.

    @abstractmethod
    def _encode(
        self, type_url: str, nonce: str, resources: Sequence[Resource], removed: Sequence[str]
    ) -> bytes:
        """The bytes of a response."""

    @abstractmethod
    def _choose(self, channel: Channel, snapshot: Snapshot) -> list[Resource]:
        """What to send of this type now, out of its dirty names."""

    @abstractmethod
    def _tells_absence(self, channel: Channel, name: str) -> bool:
        """Whether the client is to be told that this name does not exist."""

    def _carried(
        self,
        channel: Channel,
        fresh: Sequence[Resource],
        removed: Sequence[str],
    ) -> Sequence[Resource]:
        """All that a response carries which brings ``fresh`` and removes ``removed``."""
        return fresh

    # Requests.

    def _check_request(self, type_url: str, *lists: Collection[str]) -> None:
        if not type_url:
            raise ProtocolViolation("INVALID_ARGUMENT", "a request on this stream needs a type_url")
        for names in lists:
            if len(names) > self._limits.names_per_request:
                raise ProtocolViolation("INVALID_ARGUMENT", "too many names in a request")
            if any(_size(name) > self._limits.name_length for name in names):
                raise ProtocolViolation("INVALID_ARGUMENT", "a resource name is too long")

    def _check_stream(self) -> None:
        names = sum(len(channel.subscription.names) for channel in self._channels.values())
        if names + len(self._unknown_types) > self._limits.names_per_stream:
            raise ProtocolViolation("INVALID_ARGUMENT", "too many names on this stream")

    def _note_unknown_type(self, type_url: str, names: tuple[str, ...]) -> None:
        """Such a type is answered once, as empty, and the stream goes on."""
        self._unknown_types.setdefault(type_url, names)
        self._check_stream()

    def _subscribed_anew(self, channel: Channel, *, was_wildcard: bool) -> None:
        """Follow a change of the wildcard."""
        if channel.subscription.wildcard and not was_wildcard:
            channel.owes_answer = not channel.holdings
            self._touch_all(channel)
        elif was_wildcard and not channel.subscription.wildcard:
            self._forget(channel, channel.unwanted())
            channel.owes_answer = False

    def _forget(self, channel: Channel, names: Iterable[str]) -> None:
        """The client dropped these names, or some of them: what ``*`` covers it may want to keep.

        It cannot know whether they are part of ``*``, so they are answered for (xDS protocol,
        "Unsubscribing From Resources").
        """
        for name in names:
            if channel.subscription.covers(name):
                channel.ask(name)
            else:
                channel.forget(name)
            self._requirements.review(ResourceKey(channel.type_url, name))

    def _touch_all(self, channel: Channel) -> None:
        available = self._snapshot.of_type(channel.type_url) if self._snapshot else {}
        for names in (available, channel.subscription.names, channel.holdings, channel.asked):
            for name in names:
                channel.touch(name)

    # Answers.

    def _answer(
        self, channel: Channel, nonce: str, error: RequestError | None
    ) -> Acknowledged | Rejected | None:
        """What a request says about the response of that nonce, if there is one outstanding.

        An ``error_detail`` makes it a NACK, whatever the versions say.
        """
        flight = channel.land(nonce)
        if flight is None:
            return None
        if error is None:
            verdict: Acknowledged | Rejected = self._accept(channel, flight)
        else:
            verdict = self._reject(channel, flight, error.message)
        if self._requirements.any_wait:
            for resource in flight.resources:
                self._requirements.review(resource.key)
        return verdict

    def _accept(self, channel: Channel, flight: Flight) -> Acknowledged:
        for resource in flight.fresh:
            channel.accept(resource)
        return Acknowledged(channel.type_url, flight.resources)

    def _reject(self, channel: Channel, flight: Flight, message: str) -> Rejected:
        """Forget what the response carried; its good part is sent again, guilty resources are not.

        Envoy applies the good part of a refused CDS or LDS response without recording versions,
        and nothing of a refused RDS or EDS response: only a new ACK makes things certain.
        """
        culprits = blamed(message, flight.resources)
        if not culprits and len(flight.fresh) == 1:
            culprits = flight.fresh
        for resource in flight.fresh:
            if resource not in culprits:
                channel.doubt(resource)
                if not culprits and channel.subscription.covers(resource.key.name):
                    channel.alone.add(resource.key.name)
        for resource in culprits:
            channel.refuse(resource, message, by_itself=flight.fresh == (resource,))
        return Rejected(channel.type_url, flight.resources, message, culprits)

    # Responses.

    def _addition(self, channel: Channel, snapshot: Snapshot) -> Response | None:
        fresh = self._choose(channel, snapshot) if channel.dirty else []
        if fresh:
            return self._send(channel, fresh, ())
        if channel.owes_answer and channel.settled() and not (channel.flights or channel.gone):
            return self._send(channel, (), ())
        return None

    def _removal(self, channel: Channel) -> Response | None:
        if channel.type_url in ROOT_TYPES and not self._may_remove(channel):
            return None
        return self._send(channel, (), tuple(channel.gone))

    def _may_remove(self, channel: Channel) -> bool:
        """A cluster or listener goes when nothing that may refer to it can still come."""
        users = (TypeUrl.LISTENER, TypeUrl.EXTENSION, TypeUrl.ROUTE)
        return not channel.flights and all(self._channels[user].settled() for user in users)

    def _due(self, channel: Channel, name: str, snapshot: Snapshot) -> Resource | None:
        """The resource to send under this name now; takes note of what is gone or has to wait."""
        channel.gone.pop(name, None)
        channel.blocked.pop(name, None)
        if not channel.subscription.covers(name):
            return None
        resource = snapshot.of_type(channel.type_url).get(name)
        if resource is None:
            if self._tells_absence(channel, name):
                channel.gone[name] = None
            return None
        if not channel.needs(resource) or self._requirements.hold_back(resource, snapshot):
            return None
        return resource

    def _send(
        self, channel: Channel, fresh: Sequence[Resource], removed: tuple[str, ...]
    ) -> Response:
        carried = tuple(self._carried(channel, fresh, removed))
        nonce = self._next_nonce()
        body = self._encode(channel.type_url, nonce, carried, removed)
        names = (*(resource.key.name for resource in fresh), *removed)
        alone = len(fresh) == 1 and names[0] in channel.alone
        channel.launch(nonce, Flight(carried, tuple(fresh), removed, names, alone))
        if channel.type_url is TypeUrl.CLUSTER:
            self._follow_up(fresh, removed)
        return Response(channel.type_url, nonce, body, carried, removed)

    def _follow_up(self, clusters: Iterable[Resource], removed: Iterable[str]) -> None:
        """Envoy warms a changed cluster until its endpoints come again, and does not ask for them.

        It even holds back the acknowledgement of the cluster until then. A question noted for
        endpoints that it does not want yet is answered when it does.
        """
        endpoints = self._channels[TypeUrl.ENDPOINT]
        for cluster in clusters:
            endpoints.ask(cluster.key.name)
        for name in removed:
            endpoints.asked.pop(name, None)

    def _answer_unknown_type(self) -> Response | None:
        for type_url, names in self._unknown_types.items():
            if names is not None:
                self._unknown_types[type_url] = None
                nonce = self._next_nonce()
                return Response(
                    type_url, nonce, self._encode(type_url, nonce, (), names), (), names
                )
        return None

    def _next_nonce(self) -> str:
        self._responses += 1
        return str(self._responses)


def _size(name: str) -> int:
    return len(name) if name.isascii() else len(name.encode())
