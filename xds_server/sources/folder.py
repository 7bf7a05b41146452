"""A folder of manifests as it was when last looked at. Nothing here waits or watches.

Files that end in .yaml, .yml or .json count, in the folder and below it; names that start with a
dot are hidden; a link may lead anywhere within the folder (a mounted ConfigMap is made of such)
but not out of it.
"""

import os
import stat
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from translators.resources.metadata import KubernetesObject
from translators.world import Change
from xds_server.sources.catalog import Catalog
from xds_server.sources.documents import MAX_FILE_BYTES
from xds_server.sources.manifest_file import ManifestFile, read_manifest_file, unreadable_file
from xds_server.sources.source import Check, SourceProblem, unchecked

_SUFFIXES = (".yaml", ".yml", ".json")


class Stamp(NamedTuple):
    """Differs for two versions of a file, unless both are written within one clock tick."""

    device: int
    inode: int
    size: int
    modified_ns: int
    changed_ns: int


def find_files(root: Path) -> dict[str, Stamp | None]:
    """All manifest files below ``root``, by their names relative to it.

    A link that leads out of the folder has no stamp. What vanishes meanwhile is left out.
    Raises OSError if the folder itself can't be listed.
    """
    base = root.resolve(strict=True)
    found: dict[str, Stamp | None] = {}
    pending, seen = [""], {_stamp(base.stat())[:2]}
    while pending:
        prefix = pending.pop()
        for entry in _list(root, prefix):
            name, status = prefix + entry.name, _status(entry)
            if status is None:
                continue
            is_folder = stat.S_ISDIR(status.st_mode)
            if entry.is_symlink() and not Path(entry.path).resolve().is_relative_to(base):
                found[name] = None
            elif is_folder and _stamp(status)[:2] not in seen:
                seen.add(_stamp(status)[:2])
                pending.append(f"{name}/")
            elif stat.S_ISREG(status.st_mode) and name.endswith(_SUFFIXES):
                found[name] = _stamp(status)
    return found


def _list(root: Path, prefix: str) -> list[os.DirEntry[str]]:
    """The entries of a folder that are not hidden, by name; none if a subfolder can't be read."""
    try:
        with os.scandir(root / prefix) as entries:
            visible = (entry for entry in entries if not entry.name.startswith("."))
            return sorted(visible, key=lambda entry: entry.name)
    except OSError:
        if not prefix:
            raise
        return []


def _status(entry: os.DirEntry[str]) -> os.stat_result | None:
    try:
        return entry.stat()
    except OSError:
        return None


def _stamp(status: os.stat_result) -> Stamp:
    return Stamp(
        status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
    )


class Folder:
    """The objects of a folder, kept up to date by ``refresh``.

    ``grace`` is how long, in seconds, an empty file counts as half-written: until then it keeps
    what it said before. ``check`` judges every object.
    """

    def __init__(self, root: Path, grace: float = 1.0, check: Check = unchecked) -> None:
        self._root = root
        self._check = check
        self._grace = grace
        self._stamps: dict[str, Stamp | None] = {}
        self._catalog = Catalog()
        self._emptied: dict[str, float] = {}
        self._absence: list[SourceProblem] = []

    @property
    def is_settled(self) -> bool:
        """Whether a refresh without any change in the folder would do nothing."""
        return not self._emptied

    def refresh(self, now: float, touched: Collection[str] = ()) -> list[Change]:
        """Look at the folder, read what is new, and tell what that changes.

        ``now`` is a steady time in seconds. ``touched`` are names of files that are to be read
        even if they look the same. A folder that can't be listed changes nothing.
        """
        try:
            found = find_files(self._root)
        except OSError as error:
            self._absence = [_cannot("listed", _shown(str(self._root)), error)]
            return []
        self._absence = []
        for name in self._stamps.keys() - found.keys():
            self._forget(name)
        for name, stamp in found.items():
            is_known = name in self._stamps and self._stamps[name] == stamp
            if name in touched or name in self._emptied or not is_known:
                self._stamps[name] = stamp
                self._read(name, stamp, now)
        return self._catalog.changes()

    def _forget(self, name: str) -> None:
        del self._stamps[name]
        self._emptied.pop(name, None)
        self._catalog.remove(_shown(name))

    def _read(self, name: str, stamp: Stamp | None, now: float) -> None:
        shown = _shown(name)
        if stamp is None:
            fix = "Copy the file into the folder."
            file = unreadable_file(shown, "is a link that leads out of the folder", fix)
        elif stamp.size == 0 and self._catalog.has_objects(shown):
            since = self._emptied.setdefault(name, now)
            if now - since < self._grace:
                return
            file = ManifestFile()
        else:
            file = read_path(self._root / name, shown, self._check)
        self._emptied.pop(name, None)
        self._catalog.put(shown, file)

    def problems(self) -> list[SourceProblem]:
        """What is wrong at present, in the order of files and lines."""
        return self._absence + self._catalog.problems()


def _shown(name: str) -> str:
    """A file's name as people may see it: not every name is valid UTF-8, or printable."""
    return name if name.isprintable() else name.encode("unicode_escape").decode("ascii")


def read_path(path: Path, name: str, check: Check = unchecked) -> ManifestFile:
    """Read one file, which may be bad in any way. ``name`` appears in problems."""
    try:
        with path.open("rb") as file:
            return read_manifest_file(name, file.read(MAX_FILE_BYTES + 1), check)
    except OSError as error:
        return ManifestFile(lost=True, problems=[_cannot("read", name, error)])


def _cannot(verb: str, name: str, error: OSError) -> SourceProblem:
    reason = f"can't be {verb}: {error.strerror or error}"
    return SourceProblem(name, 0, None, "", reason, "Check that it exists, and its permissions.")


class Loaded(NamedTuple):
    """All objects of a place, ordered by name, and all that is wrong there."""

    objects: list[KubernetesObject]
    problems: list[SourceProblem]


def load_folder(path: Path, check: Check = unchecked) -> Loaded:
    """Read a folder of manifests, or a single file, once. Never raises for what is in it."""
    if path.is_file():
        return _load(_shown(path.name), read_path(path, _shown(path.name), check))
    folder = Folder(path, check=check)
    changes = folder.refresh(now=0.0)
    objects = [change.value for change in changes if change.value is not None]
    return Loaded(objects, folder.problems())


def load_stream(data: bytes, name: str = "<stdin>", check: Check = unchecked) -> Loaded:
    """Read manifests from the bytes of a file that has no path."""
    return _load(name, read_manifest_file(name, data, check))


def _load(name: str, file: ManifestFile) -> Loaded:
    catalog = Catalog()
    catalog.put(name, file)
    objects = [change.value for change in catalog.changes() if change.value is not None]
    return Loaded(objects, catalog.problems())
