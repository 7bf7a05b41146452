"""What is known of the objects of one kind, and what an answer of the server changes in it."""

from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from typing import Any

import msgspec

from translators.resources import Parsed, Problem, parse
from translators.resources.metadata import KubernetesObject, ObjectKey
from translators.world import Change
from xds_server.sources.kubernetes.decoding import (
    Meta,
    Unreadable,
    extraction,
    read_manifest,
    read_meta,
)
from xds_server.sources.kubernetes.kinds import METADATA, Resource
from xds_server.sources.source import SourceProblem

OBJECT_BYTES = 4 * 1024 * 1024  # as JSON; a cluster stores no more than 1.5 MiB, more compactly

Read = Callable[[dict[str, Any]], Parsed]
"""What a manifest means."""

_Name = tuple[str, str]  # namespace and name


class _Known(msgspec.Struct, gc=False):
    """An object as it was last seen; ``is_given``: the sink has a version of it.

    ``state`` is the same as long as all that has a meaning is: a digest of that, or the revision.
    """

    uid: str
    state: bytes
    is_given: bool


class Replica:
    """The objects of one kind: which ones, and in which state; not their content.

    An object is read only if something that has a meaning is new. Most events bring nothing but
    another status, ``managedFields`` or ``resourceVersion``.

    The results are the changes to pass on. An object that can't be read is kept apart: its last
    good version stays, unless that was another object of the same name (another ``uid``).
    """

    def __init__(self, resource: Resource, meaning: Read = parse) -> None:
        self._resource = resource
        self._meaning = meaning
        content = resource.content
        self._extract = (
            None if content is None else extraction(METADATA, content, resource.unordered)
        )
        self._known: dict[_Name, _Known] = {}
        self._missing: set[_Name] = set()
        self._has_lost = False
        self._problems: dict[_Name, list[SourceProblem]] = {}

    def __len__(self) -> int:
        return len(self._known)

    def problems(self) -> list[SourceProblem]:
        """What is wrong with the objects, ordered by namespace and name."""
        return [problem for name in sorted(self._problems) for problem in self._problems[name]]

    def begin_list(self) -> None:
        """All objects there are will be put now; until the end, none is thought gone."""
        self._missing = set(self._known)
        self._has_lost = False
        self._problems.pop(("", ""), None)

    def end_list(self) -> list[Change]:
        """The list is complete: what it did not have is gone, if it could be read throughout."""
        missing, self._missing = self._missing, set()
        return [] if self._has_lost else self._forget(sorted(missing))

    def clear(self) -> list[Change]:
        """The kind itself is gone."""
        self._missing = set()
        return self._forget(sorted(self._known))

    def _forget(self, names: Iterable[_Name]) -> list[Change]:
        return [change for name in names for change in self._remove(name)]

    def put(self, data: msgspec.Raw, version: str) -> tuple[str, list[Change]]:
        """Take an object as it is now; the first result is its revision, empty if unreadable."""
        try:
            meta = read_meta(data)
        except Unreadable as error:
            self._lose(error)
            return "", []
        name = (meta.namespace, meta.name)
        self._missing.discard(name)
        known = self._known.get(name)
        content, state = self._what_counts(data, meta)
        if known and known.uid == meta.uid and known.state == state:
            return meta.resource_version, []
        return meta.resource_version, self._replace(name, meta.uid, state, content, version)

    def _what_counts(self, data: msgspec.Raw, meta: Meta) -> tuple[bytes | msgspec.Raw, bytes]:
        """The part of an object that has a meaning, and the state that this shows."""
        if self._extract is None or len(memoryview(data)) > OBJECT_BYTES:
            return data, meta.resource_version.encode()
        try:
            content, meaning = self._extract(data)
        except Unreadable:  # as will be said when it is read
            return data, meta.resource_version.encode()
        return content, blake2b(meaning, digest_size=16).digest()

    def _lose(self, error: Unreadable) -> None:
        """An object without even a name: it may be any of those we have."""
        self._has_lost = True
        self._problems[("", "")] = [self._problem(None, _whole(str(error)))]

    def _replace(
        self, name: _Name, uid: str, state: bytes, content: bytes | msgspec.Raw, version: str
    ) -> list[Change]:
        known = self._known.get(name)
        changes = []
        if known and known.uid != uid:
            changes = self._remove(name)
            known = None
        key = self._key(name)
        value, problems = self._read(content, version)
        if problems:
            self._problems[name] = [self._problem(key, problem) for problem in problems]
        else:
            self._problems.pop(name, None)
        is_given = value is not None or (known is not None and known.is_given)
        self._known[name] = _Known(uid, state, is_given)
        return [*changes, Change(key, value)] if value is not None else changes

    def remove(self, data: msgspec.Raw) -> tuple[str, list[Change]]:
        """An object is gone, as it was when it went; the first result is the revision of that."""
        try:
            meta = read_meta(data)
        except Unreadable as error:
            self._lose(error)
            return "", []
        return meta.resource_version, self._remove((meta.namespace, meta.name))

    def _remove(self, name: _Name) -> list[Change]:
        self._problems.pop(name, None)
        self._missing.discard(name)
        known = self._known.pop(name, None)
        return [Change(self._key(name), None)] if known and known.is_given else []

    def _read(
        self, data: bytes | msgspec.Raw, version: str
    ) -> tuple[KubernetesObject | None, Sequence[Problem]]:
        size = len(memoryview(data))
        if size > OBJECT_BYTES:
            reason = f"has {size} bytes of JSON, more than {OBJECT_BYTES}"
            return None, [Problem("", reason, "Make the object smaller.")]
        try:
            manifest = read_manifest(data)
        except Unreadable as error:
            return None, [_whole(str(error))]
        manifest["apiVersion"] = self._resource.api_version(version)  # lists leave both out
        manifest["kind"] = self._resource.kind
        parsed = self._meaning(manifest)
        return parsed.value, parsed.problems

    def _key(self, name: _Name) -> ObjectKey:
        return ObjectKey(self._resource.kind, *name)

    def _problem(self, key: ObjectKey | None, problem: Problem) -> SourceProblem:
        return SourceProblem(self._resource.name, 0, key, problem.path, problem.reason, problem.fix)


def _whole(reason: str) -> Problem:
    return Problem("", f"can't be read: {reason}", "Write the object anew.")
