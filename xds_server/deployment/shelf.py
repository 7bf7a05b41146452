"""Follows the objects of all waypoints in a cluster."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from translators.deployment import CONFIG_MAPS, KINDS, OWNER
from translators.gateway_api.labels import MANAGED
from translators.resources import Parsed
from translators.resources.metadata import Metadata, ObjectKey
from translators.world import Change
from xds_server.deployment.live import Live, Manifest
from xds_server.sources.kubernetes import KubernetesSource, Patience
from xds_server.sources.kubernetes.kinds import Resource
from xds_server.sources.source import Source

if TYPE_CHECKING:
    from xds_server.sources.kubernetes.login import Login

RESOURCES: Mapping[str, Resource] = {
    each.kind: Resource(each.group, each.kind, each.plural, (each.version,), f"{MANAGED}={OWNER}")
    for each in (*KINDS, CONFIG_MAPS)
}
"""By kind."""

_UNSEEN_S = 5.0
_RECORD = "managedFields"


def managed_source(login: "Login", patience: Patience = Patience()) -> Source:  # noqa: B008
    """The source of all objects that have the label of waypoints."""
    return KubernetesSource(login, tuple(RESOURCES.values()), patience, _read)


class Shelf:
    """What there is, by key; ``changed`` is called when that is something else.

    What was just written counts until it has been seen, or for some seconds: an older version
    may still be on its way.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._objects: dict[ObjectKey, Live] = {}
        self._written: dict[ObjectKey, tuple[Live, float]] = {}
        self._by_owner: dict[str, set[ObjectKey]] = {}
        self._touched: set[ObjectKey | str] = set()

    def touched(self) -> set[ObjectKey | str]:
        """The objects that have changed since this was last asked, and their owners (uids)."""
        found, self._touched = self._touched, set()
        return found

    def take(self, changes: Sequence[Change]) -> None:
        """The sink of the source."""
        for change in changes:
            self._touched.add(change.key)
            self._drop(change.key)
            if isinstance(change.value, Live):
                self._put(change.key, change.value)
        self._changed()

    def get(self, key: ObjectKey) -> Manifest | None:
        """An object, if it is there and has the label of waypoints."""
        written, until = self._written.get(key, (None, 0.0))
        found = written if time.monotonic() < until else self._objects.get(key)
        return None if found is None else found.manifest

    def owned(self, uid: str) -> set[ObjectKey]:
        """The objects that were seen to have this owner."""
        return set(self._by_owner.get(uid, ()))

    def note(self, key: ObjectKey, manifest: Manifest) -> None:
        """An object has been written, and is like this now."""
        live, seen = live_of(manifest), self._objects.get(key)
        if seen is None or _revision(seen) != _revision(live):
            self._written[key] = (live, time.monotonic() + _UNSEEN_S)

    def _put(self, key: ObjectKey, live: Live) -> None:
        self._objects[key] = live
        for uid in _owners(live):
            self._touched.add(uid)
            self._by_owner.setdefault(uid, set()).add(key)
        written, _ = self._written.get(key, (None, 0.0))
        if written is not None and _revision(written) == _revision(live):
            del self._written[key]

    def _drop(self, key: ObjectKey) -> None:
        gone = self._objects.pop(key, None)
        for uid in _owners(gone) if gone else ():
            self._touched.add(uid)
            owned = self._by_owner[uid]
            owned.discard(key)
            if not owned:
                del self._by_owner[uid]


def path_of(key: ObjectKey) -> str:
    """The URL path of an object of a waypoint."""
    resource = RESOURCES[key.kind]
    return resource.object_path(resource.versions[0], key.namespace, key.name)


def _revision(live: Live) -> object:
    metadata = live.manifest["metadata"]
    return metadata.get("uid"), metadata.get("resourceVersion")


def _owners(live: Live) -> set[str]:
    owners = live.manifest["metadata"].get("ownerReferences") or ()
    return {each["uid"] for each in owners if "uid" in each}


def _read(manifest: dict[str, Any]) -> Parsed:
    return Parsed(live_of(manifest))


def live_of(manifest: Manifest) -> Live:
    """An object as the API server gives it, without the record of who wrote what."""
    metadata = {name: each for name, each in manifest["metadata"].items() if name != _RECORD}
    meta = Metadata(metadata["name"], metadata.get("namespace", ""), uid=metadata.get("uid", ""))
    return Live(meta, manifest | {"metadata": metadata})
