"""The state-of-the-world variant of the protocol: DiscoveryRequest and DiscoveryResponse."""

from collections.abc import Iterable, Sequence

from translators.wire.discovery import SotwRequest, sotw_response
from translators.wire.resource import Resource, content_version
from translators.wire.snapshot import Snapshot
from xds_server.protocol.channel import Channel, Holding
from xds_server.protocol.events import Acknowledged, Rejected, Response, SessionLimits
from xds_server.protocol.session import ROOT_TYPES, Session


class SotwSession(Session):
    """One state-of-the-world ADS stream.

    Clusters and listeners always travel as the full set, because what is missing is deleted. Of the
    other types only what is due travels, in one response: there is one nonce a type, so sending
    them singly would cost a round trip each. When such a response is refused, its resources are
    sent again one by one, and all but the guilty one arrive.
    """

    def __init__(self, limits: SessionLimits) -> None:
        super().__init__(limits)
        self._claims: dict[str, str] = {}
        """By type: the version_info that the client brought from another stream."""

    def receive(self, request: SotwRequest) -> Acknowledged | Rejected | None:
        """Take in a request; says what it acknowledges or refuses.

        A request with a stale nonce is ignored, because a newer one is on its way. Raises
        ProtocolViolation for a request out of bounds.
        """
        self._check_request(request.type_url, request.names)
        channel = self._channels.get(request.type_url)
        if channel is None:
            self._note_unknown_type(request.type_url, ())
            return None
        is_first = not channel.subscription.requested
        if not is_first and channel.last_nonce not in (None, request.nonce):
            return None
        verdict = self._answer(channel, request.nonce, request.error)
        if is_first and request.version:
            self._claims[channel.type_url] = request.version
        self._resubscribe(channel, request.names, is_first=is_first)
        self._check_stream()
        return verdict

    def _resubscribe(self, channel: Channel, names: tuple[str, ...], *, is_first: bool) -> None:
        was_wildcard = channel.subscription.wildcard
        added, dropped = channel.subscription.replace(names)
        self._forget(channel, dropped)
        for name in added:
            if is_first:
                channel.touch(name)
            else:
                channel.ask(name)
        self._subscribed_anew(channel, was_wildcard=was_wildcard)

    def _addition(self, channel: Channel, snapshot: Snapshot) -> Response | None:
        claim = self._claims.pop(channel.type_url, None)
        if claim is not None:
            self._resume(channel, snapshot, claim)
            if channel.type_url in ROOT_TYPES and not channel.holdings:
                # Whatever it held may be gone, which only a full set can say, be it an empty one.
                channel.owes_answer = claim != _version(())
        return super()._addition(channel, snapshot)

    def _resume(self, channel: Channel, snapshot: Snapshot, claim: str) -> None:
        """A client whose version names just what it is to hold now needs nothing of it again.

        That can be told for the wildcard alone: a client that asks by name may have dropped a name
        and asked again since it was given that version.
        """
        asked, resources = channel.subscription, snapshot.of_type(channel.type_url).values()
        if asked.names or not asked.wildcard or claim != _version(resources):
            return
        channel.owes_answer = False
        for resource in resources:
            channel.holdings[resource.key.name] = Holding(
                version=resource.version, known=True, accepted=resource
            )

    def _choose(self, channel: Channel, snapshot: Snapshot) -> list[Resource]:
        """All that is due, if no other response of the type is outstanding; suspects one by one."""
        if channel.flights:
            return []
        names = tuple(channel.dirty)
        channel.dirty.clear()
        due = [r for name in names if (r := self._due(channel, name, snapshot)) is not None]
        suspects = [resource for resource in due if resource.key.name in channel.alone]
        if not suspects:
            return due
        for resource in due:
            channel.touch(resource.key.name)
        del channel.dirty[suspects[0].key.name]
        return suspects[:1]

    def _carried(
        self, channel: Channel, fresh: Sequence[Resource], removed: Sequence[str]
    ) -> Sequence[Resource]:
        """Of root types everything: beside the fresh ones what the client accepted before."""
        if channel.type_url not in ROOT_TYPES:
            return fresh
        carried = {name: h.accepted for name, h in channel.holdings.items() if name not in removed}
        carried |= {resource.key.name: resource for resource in fresh}
        return [resource for resource in carried.values() if resource is not None]

    def _tells_absence(self, channel: Channel, name: str) -> bool:
        """By leaving it out of the full set; other types have no way to tell."""
        return channel.type_url in ROOT_TYPES and name in channel.holdings

    def _encode(
        self,
        type_url: str,
        nonce: str,
        resources: Sequence[Resource],
        removed: Sequence[str],
    ) -> bytes:
        return sotw_response(type_url, nonce, _version(resources), resources)


def _version(resources: Iterable[Resource]) -> str:
    """Names a set of resources by content, so that it is equal across restarts and replicas."""
    return content_version(repr(sorted((r.key.name, r.version) for r in resources)).encode())
