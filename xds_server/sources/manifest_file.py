"""From the bytes of one file to the objects in it, with everything that is wrong with it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from translators.resources import Problem, parse
from translators.resources.authorizationpolicy import AuthorizationPolicy
from translators.resources.metadata import KubernetesObject, ObjectKey
from translators.resources.parsing.bounds import OBJECT_BYTES
from translators.resources.requestauthentication import RequestAuthentication
from xds_server.sources.documents import MAX_DOCUMENTS, Document, DocumentError, read_documents
from xds_server.sources.source import Check, SourceProblem, unchecked

# Without them a door would stand open, so they are read to protect rather than left out.
_PROTECTING = (AuthorizationPolicy, RequestAuthentication)


class Entry(NamedTuple):
    """An object and the line (from 1) that it starts on.

    ``refused``: no API server would take it, and it counts only for want of a better version.
    """

    value: KubernetesObject
    line: int
    refused: bool = False


@dataclass(slots=True)
class ManifestFile:
    """What a file says.

    ``broken`` are the names of objects that can't be used as they are. ``lost`` tells that even
    a name could not be read, so nothing that was here before may be thought gone.
    """

    objects: dict[ObjectKey, Entry] = field(default_factory=dict)
    broken: set[ObjectKey] = field(default_factory=set)
    lost: bool = False
    problems: list[SourceProblem] = field(default_factory=list)


def read_manifest_file(name: str, data: bytes, check: Check = unchecked) -> ManifestFile:
    """Read a file's objects. ``name`` appears in problems, and tells JSON by its suffix."""
    file = ManifestFile()
    may_be_large = len(data) > OBJECT_BYTES
    try:
        for document in expand_lists(read_documents(data, is_json=name.endswith(".json"))):
            if may_be_large and _is_too_large(document.value):
                file.lost = True
                file.problems.append(_too_large(name, document.line))
            else:
                _take(file, name, document, check)
    except DocumentError as error:
        return unreadable_file(name, error.reason, error.fix, error.line)
    return file


def unreadable_file(name: str, reason: str, fix: str, line: int = 0) -> ManifestFile:
    """A file of which nothing can be read."""
    return ManifestFile(lost=True, problems=[SourceProblem(name, line, None, "", reason, fix)])


def expand_lists(documents: list[Document]) -> Iterator[Document]:
    """Each object by itself: ``kind: List`` holds several. Raises ``DocumentError``."""
    count = 0
    for line, value in documents:
        match value:
            case {"kind": "List", "items": list(items)}:
                members = items
            case _:
                members = [value]
        count += len(members)
        if count > MAX_DOCUMENTS:
            raise DocumentError(line, f"has more than {MAX_DOCUMENTS} objects", "Split the file.")
        yield from (Document(line, member) for member in members)


def _take(file: ManifestFile, name: str, document: Document, check: Check) -> None:
    parsed = parse(document.value)
    key = parsed.key
    if parsed.ignored:
        return
    refusals = [Problem(path, reason, "") for path, reason in check(document.value)]
    told = {problem.path for problem in parsed.problems}
    problems = [*parsed.problems, *(each for each in refusals if each.path not in told)]
    file.problems += [_locate(name, document.line, key, each) for each in problems]
    if key is None:
        file.lost = True
    elif key in file.objects:
        first = file.objects[key].line
        file.problems.append(duplicate(name, document.line, key, name, first, counts=False))
    elif parsed.value is None or (refusals and not isinstance(parsed.value, _PROTECTING)):
        file.broken.add(key)
    else:
        file.objects[key] = Entry(parsed.value, document.line, refused=bool(refusals))


def _locate(name: str, line: int, key: ObjectKey | None, problem: Problem) -> SourceProblem:
    return SourceProblem(name, line, key, problem.path, problem.reason, problem.fix)


def duplicate(
    name: str, line: int, key: ObjectKey, other: str, other_line: int, *, counts: bool
) -> SourceProblem:
    """The problem of an object that ``other`` has as well; ``counts``: this one is used."""
    which = "this" if counts else "that"
    reason = f"is also in {other}:{other_line}; {which} one counts"
    return SourceProblem(name, line, key, "", reason, "Remove one of them.")


def _too_large(name: str, line: int) -> SourceProblem:
    reason = "is larger than 1.5 MiB, more than a cluster would store"
    return SourceProblem(name, line, None, "", reason, "Make the object smaller.")


def _is_too_large(value: object) -> bool:
    """Whether an object's texts are longer than a cluster would store."""
    size, level = 0, [value]
    while level:
        parent = level.pop()
        size += len(parent) if isinstance(parent, str) else 8
        if size > OBJECT_BYTES:
            return True
        if isinstance(parent, dict):
            level += parent.keys()
            level += parent.values()
        elif isinstance(parent, list):
            level += parent
    return False
