"""The incremental variant of the protocol: DeltaDiscoveryRequest and DeltaDiscoveryResponse."""

from collections.abc import Sequence

from translators.wire.discovery import DeltaRequest, delta_response
from translators.wire.resource import Resource, TypeUrl
from translators.wire.snapshot import Snapshot
from xds_server.protocol.channel import Channel, Holding
from xds_server.protocol.events import Acknowledged, Rejected
from xds_server.protocol.session import ROOT_TYPES, Session
from xds_server.protocol.subscription import WILDCARD

_BATCH_BYTES = 256 * 1024
_BATCH_RESOURCES = 500


class DeltaSession(Session):
    """One delta ADS stream.

    All that is due of a type travels in one response. Envoy refuses a whole RDS, EDS or ECDS
    response for one bad resource, so the members of a refused response are sent again at once, each
    in a response of its own: all but the guilty one arrive. What was refused last stays apart, so
    that it takes nothing else down with it.
    """

    def receive(self, request: DeltaRequest) -> Acknowledged | Rejected | None:
        """Take in a request; says what it acknowledges or refuses.

        A stale nonce pairs with nothing, but the subscription changes all the same. Raises
        ProtocolViolation for a request out of bounds.
        """
        self._check_request(
            request.type_url, request.subscribe, request.unsubscribe, request.initial_versions
        )
        channel = self._channels.get(request.type_url)
        if channel is None:
            self._note_unknown_type(request.type_url, request.subscribe)
            return None
        verdict = self._answer(channel, request.nonce, request.error)
        if request.subscribe or request.unsubscribe or not channel.subscription.requested:
            self._resubscribe(channel, request)
            self._check_stream()
        return verdict

    def _resubscribe(self, channel: Channel, request: DeltaRequest) -> None:
        subscription = channel.subscription
        was_wildcard, is_first = subscription.wildcard, not subscription.requested
        dropped = subscription.unsubscribe(request.unsubscribe)
        subscription.subscribe(request.subscribe)
        self._forget(channel, dropped)
        reported = request.initial_versions if is_first else {}
        for name, version in reported.items():
            if subscription.covers(name):
                channel.holdings[name] = Holding(version=version, known=True)
        for name in request.subscribe:
            if name != WILDCARD:
                channel.ask(name, reported.get(name))
        self._subscribed_anew(channel, was_wildcard=was_wildcard)

    def _encode(
        self, type_url: str, nonce: str, resources: Sequence[Resource], removed: Sequence[str]
    ) -> bytes:
        return delta_response(type_url, nonce, resources, removed)

    def _choose(self, channel: Channel, snapshot: Snapshot) -> list[Resource]:
        """A batch of what is above suspicion, else one suspect.

        Suspects come last: when Envoy refuses one, it stops to wait for all that has not come yet.
        """
        return self._batch(channel, snapshot) or self._suspect(channel, snapshot)

    def _batch(self, channel: Channel, snapshot: Snapshot) -> list[Resource]:
        """All that is due, up to a size; one response with it is outstanding at a time.

        What changes meanwhile is taken together. Clusters and listeners are not cut into several
        responses: Envoy takes the first one for all that it has to start with.
        """
        batch: list[Resource] = []
        if channel.occupied():
            return batch
        room = None if channel.type_url in ROOT_TYPES else _BATCH_BYTES
        for name in channel.ready():
            if name in channel.alone:
                continue
            resource = self._due(channel, name, snapshot)
            if resource is not None and room is not None:
                room -= len(resource.body)
                if batch and (room < 0 or len(batch) == _BATCH_RESOURCES):
                    break
            del channel.dirty[name]
            if resource is not None:
                batch.append(resource)
        return batch

    def _suspect(self, channel: Channel, snapshot: Snapshot) -> list[Resource]:
        if not channel.alone:
            return []
        for name in channel.ready():
            if name in channel.alone:
                del channel.dirty[name]
                resource = self._due(channel, name, snapshot)
                if resource is not None:
                    return [resource]
        return []

    def _tells_absence(self, channel: Channel, name: str) -> bool:
        """A question is answered, and what the client would keep for ever is removed.

        A name of another type stays with the client until it unsubscribes, as it does by itself.
        A secret that is absent may still come: Envoy takes its removal for "use none", and would
        then reset every handshake.
        """
        if channel.type_url is TypeUrl.SECRET:
            return False
        keeps = channel.type_url in ROOT_TYPES or name not in channel.subscription.names
        return name in channel.asked or (keeps and name in channel.holdings)
