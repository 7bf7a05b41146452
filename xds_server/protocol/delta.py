"""The incremental variant of the protocol: DeltaDiscoveryRequest and DeltaDiscoveryResponse."""

from collections.abc import Sequence

from translators.wire.discovery import DeltaRequest, delta_response
from translators.wire.resource import Resource, TypeUrl
from translators.wire.snapshot import Snapshot
from xds_server.protocol.channel import Channel, Holding
from xds_server.protocol.events import Acknowledged, Rejected
from xds_server.protocol.session import ROOT_TYPES, Session
from xds_server.protocol.subscription import WILDCARD

# Envoy refuses a whole RDS, EDS or ECDS response for one bad resource, so each gets its own.
_SENT_SINGLY = frozenset({TypeUrl.ENDPOINT, TypeUrl.EXTENSION, TypeUrl.ROUTE})


class DeltaSession(Session):
    """One delta ADS stream."""

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
        if channel.type_url not in _SENT_SINGLY:
            return self._batch(channel, snapshot)
        while channel.dirty:
            name = next(iter(channel.dirty))
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
