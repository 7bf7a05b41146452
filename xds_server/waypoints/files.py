"""Finding, writing and removing single objects in the files of a folder."""

import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import yaml

from translators.resources import parse
from translators.resources.metadata import ObjectKey
from xds_server.sources.documents import Document, DocumentError, read_documents
from xds_server.sources.folder import find_files
from xds_server.sources.manifest_file import expand_lists
from xds_server.waypoints import yaml_edit
from xds_server.waypoints.manifest import WaypointError
from xds_server.waypoints.yaml_edit import CannotEdit, Edit, Piece

_NEW_FILE_MODE = 0o666  # as far as the umask lets


@dataclass(frozen=True, slots=True)
class ManifestFiles:
    """The manifest files of a folder, or a single one. All methods raise ``WaypointError``.

    A file that can't be read might hold the very object in question: nothing is changed then.
    """

    root: Path

    def edit(self, key: ObjectKey, edit: Edit) -> bool:
        """Change an object in place; False if there is no such."""
        path = self._holder(key)
        if path is None:
            return False
        text = _read(path)
        try:
            edited = _edited(path, text, key, edit)
        except CannotEdit as reason:
            raise _refused(path, key, reason) from None
        if edited != text:
            replace_file(path, edited)
        return True

    def add(self, manifest: dict[str, object], names: tuple[str, ...]) -> None:
        """Add an object: to the one file, else in a new one of the first name that is free."""
        text = yaml.safe_dump(manifest, sort_keys=False, allow_unicode=True)
        if not self.root.is_dir():
            replace_file(self.root, _appended(self.root, _read(self.root), text))
            return
        paths = (self.root / f"{name}.yaml" for name in names)
        path = next((path for path in paths if not os.path.lexists(path)), None)
        if path is None:
            raise WaypointError(f"{self.root}: there are files of all names: {', '.join(names)}")
        replace_file(path, text)

    def remove(self, key: ObjectKey) -> bool:
        """Remove an object, and its file if nothing else is in it; False if there is no such."""
        path = self._holder(key)
        if path is None:
            return False
        try:
            rest = "" if path.suffix == ".json" else _without(_read(path), key)
        except CannotEdit as reason:
            raise _refused(path, key, reason) from None
        if rest:
            replace_file(path, rest)
        else:
            path.unlink()
        return True

    def _holder(self, key: ObjectKey) -> Path | None:
        """The file that holds an object, by itself."""
        holders = [path for path in self._paths() if key in _keys(path)]
        if len(holders) > 1:
            names = " and ".join(map(str, holders))
            raise WaypointError(f"{_shown(key)} is in {names}: remove one of them")
        return holders[0] if holders else None

    def _paths(self) -> list[Path]:
        if not self.root.is_dir():
            return [self.root]
        try:
            found = find_files(self.root)
        except OSError as error:
            raise WaypointError(f"{self.root}: {error.strerror or error}") from None
        return [self.root / name for name, stamp in sorted(found.items()) if stamp is not None]


def replace_file(path: Path, text: str) -> None:
    """Write a file so that others see the old or the new one and nothing between.

    A link stays a link. Raises ``WaypointError``.
    """
    target = path.resolve()
    try:
        mode = target.stat().st_mode & 0o7777 if target.exists() else _NEW_FILE_MODE & ~_umask()
        handle, draft = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
                file.write(text)
                file.flush()
                os.fchmod(file.fileno(), mode)
                os.fsync(file.fileno())
            Path(draft).replace(target)
        except BaseException:
            with suppress(OSError):
                Path(draft).unlink()
            raise
    except OSError as error:
        raise WaypointError(f"{path} can't be written: {error.strerror or error}") from None


def _umask() -> int:
    """The umask, which can only be read by setting it; commands have one thread."""
    current = os.umask(0o077)
    os.umask(current)
    return current


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise WaypointError(f"{path} can't be read: {error}") from None


def _keys(path: Path) -> list[ObjectKey]:
    return [key for document in _documents(path) if (key := parse(document.value).key)]


def _documents(path: Path) -> list[Document]:
    try:
        documents = read_documents(_read(path).encode(), is_json=path.suffix == ".json")
        return list(expand_lists(documents))
    except DocumentError as error:
        where = f"{path}:{error.line}" if error.line else str(path)
        raise WaypointError(f"{where}: {error.reason}; nothing is changed") from None


def _edited(path: Path, text: str, key: ObjectKey, edit: Edit) -> str:
    if path.suffix == ".json":
        if len(_keys(path)) != 1:
            raise CannotEdit("it is in a List")
        _check_usable(_documents(path)[0].value)
        return yaml_edit.edit_json(text, edit)
    pieces = yaml_edit.split(text)
    index = _index(pieces, key)
    _check_usable(yaml_edit.value_of(pieces[index]))
    pieces[index] = yaml_edit.edit_yaml(pieces[index], edit)
    return "".join(piece.text for piece in pieces)


def _check_usable(document: object) -> None:
    """Only what is read without a complaint has the shape that an edit relies on."""
    parsed = parse(document)
    if parsed.problems:
        problem = parsed.problems[0]
        raise CannotEdit(f"{problem.path} {problem.reason}")


def _without(text: str, key: ObjectKey) -> str:
    """A file without an object; empty if no other object is left."""
    pieces = yaml_edit.split(text)
    del pieces[_index(pieces, key)]
    if all(yaml_edit.value_of(piece) is None for piece in pieces):
        return ""
    return "".join(piece.text for piece in pieces)


def _index(pieces: list[Piece], key: ObjectKey) -> int:
    found = [
        index
        for index, piece in enumerate(pieces)
        if (value := yaml_edit.value_of(piece)) is not None and parse(value).key == key
    ]
    if len(found) != 1:
        raise CannotEdit("it is there more than once" if found else "it is in a List")
    return found[0]


def _appended(path: Path, text: str, document: str) -> str:
    if path.suffix == ".json":
        raise WaypointError(f"{path} is JSON, which holds one document: give a folder")
    if not _documents(path):
        return text + document
    return f"{text}{'' if text.endswith(chr(10)) else chr(10)}---\n{document}"


def _refused(path: Path, key: ObjectKey, reason: CannotEdit) -> WaypointError:
    return WaypointError(f"{path}: {_shown(key)} can't be changed: {reason}; do it by hand")


def _shown(key: ObjectKey) -> str:
    owner = f"{key.namespace}/{key.name}" if key.namespace else key.name
    return f"{key.kind} {owner}"
