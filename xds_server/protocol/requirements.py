"""Make before break: which resources must wait until the client holds others.

Nothing waits for ever: whatever a resource waits for is either on its way to the client, or no
reason to wait.
"""

from collections.abc import Mapping

from translators.wire.resource import Resource, ResourceKey, TypeUrl
from translators.wire.snapshot import Snapshot
from xds_server.protocol.channel import Channel

_POSITION = {type_url: position for position, type_url in enumerate(TypeUrl)}

# A client learns the names of these from the resources of those, so a name that it does not ask
# for yet may still come. Envoy asks before it acknowledges the listener that brought the name.
_NAMED_BY = {
    TypeUrl.ROUTE: TypeUrl.LISTENER,
    TypeUrl.EXTENSION: TypeUrl.LISTENER,
    TypeUrl.ENDPOINT: TypeUrl.CLUSTER,
}

# These are held at the wanted version, everything else at any: what routes say of an extension's
# content makes sense to its newest version alone.
_HELD_AS_WANTED = frozenset({TypeUrl.LISTENER, TypeUrl.EXTENSION})


class Requirements:
    """Holds resources back until what they require is there, and finds them again when it is."""

    def __init__(self, channels: Mapping[str, Channel]) -> None:
        self._channels = channels
        self._waiting: dict[ResourceKey | TypeUrl, dict[ResourceKey, None]] = {}

    @property
    def any_wait(self) -> bool:
        """Whether anything may be held back now."""
        return bool(self._waiting)

    def hold_back(self, resource: Resource, snapshot: Snapshot) -> bool:
        """Whether the resource must wait; it is looked at again when the reason may be over."""
        if not resource.requires:
            return False
        reasons = {
            reason
            for required in resource.requires
            if (reason := self._reason(resource.key, required, snapshot)) is not None
        }
        if not reasons:
            return False
        self._channels[resource.key.type_url].blocked[resource.key.name] = reasons
        for reason in reasons:
            self._waiting.setdefault(reason, {})[resource.key] = None
        return True

    def review(self, reason: ResourceKey | TypeUrl) -> None:
        """Something about this reason to wait has changed."""
        for key in self._waiting.pop(reason, ()):
            channel = self._channels[key.type_url]
            reasons = channel.blocked.get(key.name)
            if reasons is None:
                continue
            reasons.discard(reason)
            if not reasons:
                del channel.blocked[key.name]
                channel.touch(key.name)

    def review_all(self) -> None:
        """Everything may have changed."""
        for reason in tuple(self._waiting):
            self.review(reason)

    def review_settled(self) -> None:
        """Look again at what waited for the types that are settled now."""
        for type_url in _NAMED_BY.values():
            if type_url in self._waiting and self._channels[type_url].settled():
                self.review(type_url)

    def _reason(
        self, key: ResourceKey, required: ResourceKey, snapshot: Snapshot
    ) -> ResourceKey | TypeUrl | None:
        """Why ``key`` has to wait for ``required``: for that key, for a type to settle, or not."""
        channel = self._channels[required.type_url]
        if required.type_url not in _HELD_AS_WANTED and channel.holds_any(required.name):
            return None
        wanted = snapshot.get(required)
        if wanted is None or not channel.subscription.requested or channel.refuses(wanted):
            return None
        if not _may_wait(key, required):
            return None
        if not channel.subscription.covers(required.name):
            return self._source_of_names(required)
        if _holds(channel, wanted) or _leads_to(required, key, snapshot):
            return None
        return required

    def _source_of_names(self, required: ResourceKey) -> TypeUrl | None:
        source = _NAMED_BY.get(required.type_url)
        if source is None:
            return None
        channel = self._channels[source]
        return source if channel.subscription.requested and not channel.settled() else None


def _may_wait(key: ResourceKey, required: ResourceKey) -> bool:
    """Only later types wait for earlier ones, and endpoints for none.

    Envoy acknowledges a cluster after its endpoints came, and asks for a route after the listener
    that names it: waiting the other way round would be for ever.
    """
    return (
        _POSITION[required.type_url] <= _POSITION[key.type_url]
        and key.type_url is not TypeUrl.ENDPOINT
    )


def _holds(channel: Channel, wanted: Resource) -> bool:
    holding = channel.holdings.get(wanted.key.name)
    return holding is not None and holding.version == wanted.version


def _leads_to(start: ResourceKey, goal: ResourceKey, snapshot: Snapshot) -> bool:
    """Whether requirements within the type lead from start to goal; then nobody waits."""
    if start.type_url is not goal.type_url:
        return False
    seen, ahead = {start}, [start]
    while ahead:
        resource = snapshot.get(ahead.pop())
        for required in resource.requires if resource else ():
            if required == goal:
                return True
            if required.type_url is goal.type_url and required not in seen:
                seen.add(required)
                ahead.append(required)
    return False
