"""What the Envoys of one waypoint said about each resource: last known good, and refused content.

A refusal is remembered by content, not by time: the same bytes are not offered again while an older
content is known to work, and a changed content heals by itself.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import NamedTuple

from translators.ir.origin import Origin
from translators.wire.resource import Resource, ResourceKey, TypeUrl
from xds_server.snapshots.proxy_key import ProxyKey

_REMEMBERED_VERSIONS = 4
"""Refused contents of one resource that are kept, so that one that flaps is not tried each time."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """An Envoy refused this content: its words, and the objects that the content was made from."""

    key: ResourceKey
    version: str
    message: str
    origins: tuple[Origin, ...]


class Slot(NamedTuple):
    """A resource as the Envoys of a waypoint see it.

    A listener carries the address that it binds, so what works on one ``bind`` is no good for
    another; for all other types ``bind`` is empty and every Envoy of the waypoint has a say.
    """

    bind: str
    key: ResourceKey

    @classmethod
    def of(cls, proxy: ProxyKey, key: ResourceKey) -> "Slot":
        """The slot of this resource for these Envoys."""
        return cls(proxy.bind if key.type_url is TypeUrl.LISTENER else "", key)


class Quarantine:
    """The verdicts of one waypoint's Envoys. Pure bookkeeping; bounded by the slots in use."""

    def __init__(self) -> None:
        self._accepted: dict[Slot, Resource] = {}
        self._rejected: dict[Slot, OrderedDict[str, Rejection]] = {}

    def accept(self, slot: Slot, resource: Resource, wanted: Resource) -> None:
        """An Envoy accepted ``resource``; ``wanted`` is what this slot should hold by now.

        A late answer about older content does not displace the wanted one as the last known good.
        """
        known = self._accepted.get(slot)
        if known is None or known.version != wanted.version:
            self._accepted[slot] = resource
        versions = self._rejected.get(slot)
        if versions is not None:
            versions.pop(resource.version, None)
            if not versions:
                del self._rejected[slot]

    def reject(self, slot: Slot, resource: Resource, message: str) -> bool:
        """An Envoy refused ``resource``. False if the content is not to blame, so nothing changes.

        Content that another Envoy of this waypoint has accepted is sound: the one that refused it
        is at fault (its port is taken, its release is older) and keeps what it has.
        """
        known = self._accepted.get(slot)
        if known is not None and known.version == resource.version:
            return False
        versions = self._rejected.setdefault(slot, OrderedDict())
        versions.pop(resource.version, None)
        versions[resource.version] = Rejection(
            resource.key, resource.version, message, resource.origins
        )
        while len(versions) > _REMEMBERED_VERSIONS:
            versions.popitem(last=False)
        return True

    def rejection(self, slot: Slot, wanted: Resource) -> Rejection | None:
        """Why the wanted content is in quarantine; None if it is not."""
        versions = self._rejected.get(slot)
        return versions.get(wanted.version) if versions else None

    def substitute(self, slot: Slot, wanted: Resource) -> Resource:
        """What to serve instead of refused content: the last known good.

        Without one the content itself stays: whoever refused it is not sent it again and keeps what
        it has, whereas leaving it out would tell Envoys to delete what they hold.
        """
        if self.rejection(slot, wanted) is None:
            return wanted
        return self._accepted.get(slot, wanted)

    def refused(self) -> tuple[Slot, ...]:
        """The slots of which any content is in quarantine."""
        return tuple(self._rejected)

    def slots(self) -> set[Slot]:
        """Every slot about which anything is remembered."""
        return self._accepted.keys() | self._rejected.keys()

    def forget(self, slot: Slot) -> None:
        """The resource is gone: when one of that name comes again it is a new one."""
        self._accepted.pop(slot, None)
        self._rejected.pop(slot, None)
