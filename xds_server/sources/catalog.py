"""What the files of a source say together, and what changed since it was last asked."""

from bisect import insort
from collections.abc import Iterable

from translators.resources.metadata import KubernetesObject, ObjectKey
from translators.world import Change
from xds_server.sources.manifest_file import Entry, ManifestFile, duplicate
from xds_server.sources.source import SourceProblem


class Catalog:
    """The objects of many files. Of an object in several files the first, by file name, counts.

    A file that went bad keeps what it last said: all of it if it can't be read, else the objects
    that can't be, or that no API server would take.
    """

    def __init__(self) -> None:
        self._files: dict[str, ManifestFile] = {}
        self._holders: dict[ObjectKey, list[str]] = {}  # sorted; only of files that have the key
        self._touched: set[ObjectKey] = set()
        self._given: dict[ObjectKey, KubernetesObject] = {}

    def has_objects(self, name: str) -> bool:
        """Whether a file of that name gives any object at present."""
        return name in self._files and bool(self._files[name].objects)

    def put(self, name: str, file: ManifestFile) -> None:
        """Take what a file says now."""
        before = self._files.get(name)
        if before is not None:
            _keep_last_good(before, file)
        self._refile(name, before.objects if before else (), file.objects)
        self._files[name] = file

    def remove(self, name: str) -> None:
        """The file is gone, and all that it said."""
        self._refile(name, self._files.pop(name, ManifestFile()).objects, ())

    def _refile(self, name: str, old: Iterable[ObjectKey], new: Iterable[ObjectKey]) -> None:
        before, after = set(old), set(new)
        for key in before - after:
            self._holders[key].remove(name)
            if not self._holders[key]:
                del self._holders[key]
        for key in after - before:
            insort(self._holders.setdefault(key, []), name)
        self._touched |= before | after

    def changes(self) -> list[Change]:
        """What differs from what all calls before have told, ordered by name."""
        changes = [
            Change(key, value)
            for key in sorted(self._touched)
            if (value := self._counting(key)) != self._given.get(key)
        ]
        self._touched.clear()
        for change in changes:
            if change.value is None:
                del self._given[change.key]
            else:
                self._given[change.key] = change.value
        return changes

    def _counting(self, key: ObjectKey) -> KubernetesObject | None:
        holders = self._holders.get(key)
        return self._files[holders[0]].objects[key].value if holders else None

    def problems(self) -> list[SourceProblem]:
        """All that is wrong with the files, in the order of files and lines."""
        found = [problem for file in self._files.values() for problem in file.problems]
        for key, holders in self._holders.items():
            if len(holders) > 1:
                found += self._duplicates(key, holders)
        return sorted(found, key=lambda problem: (problem.file, problem.line, problem.path))

    def _duplicates(self, key: ObjectKey, holders: list[str]) -> list[SourceProblem]:
        entries = [(name, self._files[name].objects[key].line) for name in holders]
        first, others = entries[0], entries[1:]
        about_first = duplicate(*first, key, *others[0], counts=True)
        return [about_first, *(duplicate(*other, key, *first, counts=False) for other in others)]


def _keep_last_good(before: ManifestFile, after: ManifestFile) -> None:
    kept: dict[ObjectKey, Entry] = {
        key: entry for key, entry in before.objects.items() if _is_better(key, entry, after)
    }
    after.objects |= kept


def _is_better(key: ObjectKey, entry: Entry, after: ManifestFile) -> bool:
    """Whether what a file said of an object is of more use than what it says now."""
    now = after.objects.get(key)
    if now is None:
        return after.lost or key in after.broken
    return now.refused and not entry.refused
