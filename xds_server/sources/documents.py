"""From the bytes of a YAML or JSON file to the documents in it, within bounds.

YAML is composed straight from the C parser's events. That gives the line of each document,
bounds nesting and refuses aliases before they can grow, and yields what JSON can hold and nothing
else: a timestamp stays a text, as it does for the API server.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import yaml

MAX_FILE_BYTES = 16 * 1024 * 1024
MAX_DOCUMENTS = 10_000
MAX_DEPTH = 64


class Document(NamedTuple):
    """One document, and the line (from 1) that it starts on."""

    line: int
    value: object


class DocumentError(Exception):
    """The file can't be read as a whole."""

    def __init__(self, line: int, reason: str, fix: str) -> None:
        super().__init__(reason)
        self.line = line
        self.reason = reason
        self.fix = fix


def read_documents(data: bytes, *, is_json: bool = False) -> list[Document]:
    """All documents of a file but empty ones. Raises ``DocumentError``."""
    if len(data) > MAX_FILE_BYTES:
        limit = MAX_FILE_BYTES // 1024**2
        raise DocumentError(0, f"is larger than {limit} MiB", "Split the file.")
    text = _decode(data)
    return _read_json(text) if is_json else _read_yaml(text)


def _decode(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DocumentError(line, "is not valid UTF-8", "Save the file as UTF-8.") from None


def _read_json(text: str) -> list[Document]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise DocumentError(error.lineno, f"is no valid JSON: {error.msg}", "") from None
    except ValueError:
        raise DocumentError(1, "has a number that is too long", "Shorten the number.") from None
    except RecursionError:
        raise _too_deep(1) from None
    _check_depth(value)
    return [Document(1, value)] if value is not None else []


def _check_depth(value: object) -> None:
    level = _collections([value])
    for _ in range(MAX_DEPTH):
        level = _collections(child for parent in level for child in _children(parent))
    if level:
        raise _too_deep(1)


def _collections(values: Iterable[object]) -> list[dict[str, object] | list[object]]:
    return [value for value in values if isinstance(value, dict | list)]


def _children(value: dict[str, object] | list[object]) -> Iterable[object]:
    return value.values() if isinstance(value, dict) else value


def _too_deep(line: int) -> DocumentError:
    return DocumentError(line, f"is nested deeper than {MAX_DEPTH} levels", "Flatten it.")


def _read_yaml(text: str) -> list[Document]:
    documents = []
    composer = _Composer(text)
    try:
        for document in composer.documents():
            documents.append(document)
            if len(documents) > MAX_DOCUMENTS:
                reason = f"has more than {MAX_DOCUMENTS} documents"
                raise DocumentError(document.line, reason, "Split the file.")
    except yaml.YAMLError as error:
        raise _syntax_error(error) from None
    return documents


def _syntax_error(error: yaml.YAMLError) -> DocumentError:
    mark = getattr(error, "problem_mark", None)
    reason = getattr(error, "problem", None) or getattr(error, "reason", None) or "syntax error"
    return DocumentError(mark.line + 1 if mark else 0, f"is no valid YAML: {reason}", "")


_TEXT_TAGS = (None, "!", "tag:yaml.org,2002:str")
_COLLECTION_TAGS = (None, "!", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")


class _Composer:
    """Builds values from parser events, without recursion."""

    def __init__(self, text: str) -> None:
        self._loader = yaml.CSafeLoader(text)
        self._next: Callable[[], Any] = self._loader.get_event

    def documents(self) -> Iterator[Document]:
        """The documents in turn. Raises YAMLError and DocumentError."""
        try:
            while (event := self._next()) is not None:
                if type(event) is yaml.DocumentStartEvent:
                    document = self._compose()
                    if document.value is not None:
                        yield document
        finally:
            self._loader.dispose()

    def _compose(self) -> Document:
        """The document whose start was just read."""
        event = self._next()
        line = event.start_mark.line + 1
        root = _Sequence()
        stack: list[_Sequence | _Mapping] = [root]
        while True:
            kind = type(event)
            if kind is yaml.ScalarEvent:
                stack[-1].add(event)
            elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
                _refuse_extras(event, _COLLECTION_TAGS)
                if len(stack) > MAX_DEPTH:
                    raise _too_deep(event.start_mark.line + 1)
                stack.append(_Mapping() if kind is yaml.MappingStartEvent else _Sequence())
            elif kind is yaml.AliasEvent:
                raise _refused(event, "uses an alias", "Write the value out.")
            elif kind is yaml.DocumentEndEvent:
                return Document(line, root.value[0])
            else:
                stack[-2].put(stack.pop().value, event)
            event = self._next()


class _Sequence:
    """A list under construction."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: list[object] = []

    def add(self, event: yaml.ScalarEvent) -> None:
        self.value.append(_scalar(event))

    def put(self, value: object, _event: yaml.Event) -> None:
        self.value.append(value)


class _Mapping:
    """An object under construction: a key, then its value, and so on."""

    __slots__ = ("_key", "value")

    def __init__(self) -> None:
        self.value: dict[str, object] = {}
        self._key: str | None = None

    def add(self, event: yaml.ScalarEvent) -> None:
        if self._key is not None:
            self.value[self._key] = _scalar(event)
            self._key = None
            return
        _refuse_extras(event, _TEXT_TAGS)
        if event.value in self.value:
            raise _refused(event, f"has {event.value[:64]!r} twice", "Remove one of them.")
        self._key = event.value

    def put(self, value: object, event: yaml.Event) -> None:
        if self._key is None:
            raise _refused(event, "has a collection as a name", "Use a text as the name.")
        self.value[self._key] = value
        self._key = None


def _refused(event: Any, reason: str, fix: str) -> DocumentError:
    return DocumentError(event.start_mark.line + 1, reason, fix)


def _refuse_extras(event: Any, tags: tuple[str | None, ...]) -> None:
    """Anchors exist for aliases alone, and tags would make other types than JSON has."""
    if event.anchor is not None:
        raise _refused(event, f"uses an anchor, &{event.anchor[:64]}", "Write the value out.")
    if event.tag not in tags:
        raise _refused(event, f"uses a tag, {event.tag[:64]}", "Remove the tag.")


_WORDS: dict[str, bool | None] = {
    spelling: value
    for words, value in (
        (("null", "~", ""), None),
        (("true", "yes", "on"), True),
        (("false", "no", "off"), False),
    )
    for word in words
    for spelling in (word, word.capitalize(), word.upper())
}
_NUMBER_START = frozenset("+-.0123456789")
_DECIMAL = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,30})")
_OTHER_BASE = re.compile(r"0x[0-9a-fA-F]{1,24}|0o?[0-7]{1,30}|0b[01]{1,90}")
_FRACTION = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")


def _scalar(event: yaml.ScalarEvent) -> object:
    """A scalar as the API server reads it: YAML 1.1 booleans, no timestamps, no base 60."""
    if event.anchor is not None or event.tag is not None:
        _refuse_extras(event, _TEXT_TAGS)
        return event.value
    text: str = event.value
    if not event.implicit[0]:
        return text
    if text[:1] in _NUMBER_START:
        return _number(text)
    return _WORDS.get(text, text)


def _number(text: str) -> int | float | str:
    if _DECIMAL.fullmatch(text):
        return int(text)
    if _OTHER_BASE.fullmatch(text):
        octal = text[1].isdigit()
        return int(text, 8 if octal else 0)
    if len(text) <= 64 and _FRACTION.fullmatch(text):
        return float(text)
    return text
