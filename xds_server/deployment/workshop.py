"""Puts single objects of waypoints right."""

from collections.abc import Iterable, Sequence

from translators.deployment import KINDS
from translators.resources.metadata import ObjectKey
from xds_server.deployment.live import Manifest, key_of, obstacle, says, settled, was_applied
from xds_server.deployment.shelf import Shelf, path_of
from xds_server.status.objects import Objects, Refused

MANAGER = "waypost.dev/deployer"
"""The field manager of what is applied."""

_KINDS = frozenset(each.kind for each in KINDS)


class HandsOff(Exception):
    """An object that is in the way is not ours; the text says which one."""


class Workshop:
    """``writes`` counts what was applied, created and deleted."""

    def __init__(self, objects: Objects, shelf: Shelf) -> None:
        self._objects = objects
        self._shelf = shelf
        self._settled: dict[ObjectKey, object] = {}
        self.writes = 0

    def is_right(self, wanted: Sequence[Manifest], owner: str = "") -> bool:
        """Whether all that is wanted is there, and the owner (a uid) has nothing else of ours."""
        for each in wanted:
            live = self._shelf.get(key_of(each))
            if live is None or not self._says(live, each):
                return False
        return not any(True for _ in self._unwanted(wanted, owner))

    async def put_right(self, wanted: Sequence[Manifest], owner: str = "") -> None:
        """Apply what differs, and remove what is not wanted any more.

        Raises ``HandsOff`` after all that can be done has been done, ``Refused`` and
        ``TransportError``.
        """
        obstacles = [reason for each in wanted if (reason := await self._put(each))]
        for key, uid in list(self._unwanted(wanted, owner)):
            await self._remove(key, uid)
        if obstacles:
            raise HandsOff("; ".join(obstacles))

    async def create(self, path: str, manifest: Manifest) -> None:
        """Make an object, unless there is one. Raises ``Refused`` and ``TransportError``."""
        try:
            await self._objects.create(path, manifest)
        except Refused as refused:
            if refused.code != 409:
                raise
        else:
            self.writes += 1

    async def _put(self, wanted: Manifest) -> str:
        """Apply it if it differs; the result is why that may not be, empty if all is well."""
        key = key_of(wanted)
        live = self._shelf.get(key) or await self._find(path_of(key))
        if live is not None:
            if reason := obstacle(live, wanted):
                return reason
            if self._says(live, wanted):
                return ""
        stored = await self._objects.apply(path_of(key), wanted, MANAGER)
        self._shelf.note(key, stored)
        self._note(key, stored, wanted)
        self.writes += 1
        return ""

    def _note(self, key: ObjectKey, stored: Manifest, wanted: Manifest) -> None:
        """Remember how the API server writes what was applied, if it is in its own way."""
        if says(stored, wanted):
            self._settled.pop(key, None)
        else:
            self._settled[key] = settled(stored, wanted)

    def _says(self, live: Manifest, wanted: Manifest) -> bool:
        """Whether it is as wanted, or as the API server writes that ("500m" for "0.5")."""
        if says(live, wanted):
            return True
        known = self._settled.get(key_of(wanted))
        return known is not None and known == settled(live, wanted)

    async def _find(self, path: str) -> Manifest | None:
        try:
            return await self._objects.get(path)
        except Refused as refused:
            if refused.code != 404:
                raise
            return None

    def _unwanted(self, wanted: Sequence[Manifest], owner: str) -> Iterable[tuple[ObjectKey, str]]:
        named = {key_of(each) for each in wanted}
        for key in sorted(self._shelf.owned(owner) - named):
            live = self._shelf.get(key)
            if key.kind in _KINDS and live is not None and was_applied(live):
                yield key, str(live["metadata"].get("uid", ""))

    async def _remove(self, key: ObjectKey, uid: str) -> None:
        try:
            await self._objects.delete(path_of(key), uid)
        except Refused as refused:
            if refused.code not in (404, 409):  # gone already, or another one by now
                raise
        else:
            self.writes += 1
