"""The wire format of lists and watches: only what the source itself has to know of them."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

LINE_BYTES = 16 * 1024 * 1024  # several times what a cluster can store in one object


class Meta(msgspec.Struct, gc=False):
    """What names an object and its revision."""

    name: str
    uid: str = ""
    namespace: str = ""
    resource_version: str = msgspec.field(name="resourceVersion", default="")


class _Header(msgspec.Struct, gc=False):
    metadata: Meta


class _ListMeta(msgspec.Struct, gc=False):
    resource_version: str = msgspec.field(name="resourceVersion", default="")
    token: str = msgspec.field(name="continue", default="")


class Page(msgspec.Struct):
    """A part of a list, or all of it; ``items`` are manifests in JSON."""

    metadata: _ListMeta
    items: list[msgspec.Raw] | None = None


class Event(msgspec.Struct):
    """One line of a watch; ``object`` is JSON, and what it means depends on ``type``."""

    type: str
    object: msgspec.Raw


class _BookmarkMeta(msgspec.Struct, gc=False):
    resource_version: str = msgspec.field(name="resourceVersion", default="")
    annotations: dict[str, str] | None = None


class Bookmark(msgspec.Struct):
    """A revision that the watch has reached."""

    metadata: _BookmarkMeta

    @property
    def ends_list(self) -> bool:
        """Whether all objects that existed at the start of the watch have been sent."""
        return (self.metadata.annotations or {}).get("k8s.io/initial-events-end") == "true"


class _Cause(msgspec.Struct, gc=False):
    reason: str = ""


class _Details(msgspec.Struct):
    retry_after: float = msgspec.field(name="retryAfterSeconds", default=0)
    causes: list[_Cause] | None = None


class Status(msgspec.Struct):
    """How the server says no."""

    code: int = 0
    reason: str = ""
    message: str = ""
    details: _Details | None = None

    @property
    def retry_after(self) -> float:
        """How long, in seconds, the server wants to be left alone."""
        return self.details.retry_after if self.details else 0.0

    @property
    def is_from_the_future(self) -> bool:
        """Whether the revision asked for is newer than any the server has, as after a restore."""
        causes = self.details.causes if self.details else None
        named = any(cause.reason == "ResourceVersionTooLarge" for cause in causes or ())
        return named or "Too large resource version" in self.message


_header = msgspec.json.Decoder(_Header)
_page = msgspec.json.Decoder(Page)
_event = msgspec.json.Decoder(Event)
_bookmark = msgspec.json.Decoder(Bookmark)
_status = msgspec.json.Decoder(Status)
_manifest = msgspec.json.Decoder(dict[str, Any])


class Unreadable(Exception):
    """Bytes that are not what the API promises."""


def _decoded(decode: Any, data: bytes | msgspec.Raw) -> Any:
    try:
        return decode(data)
    except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
        raise Unreadable(str(error)) from None


def read_meta(data: msgspec.Raw) -> Meta:
    """The name and revision of an object. Raises ``Unreadable``."""
    header: _Header = _decoded(_header.decode, data)
    return header.metadata


Extraction = Callable[[msgspec.Raw], tuple[bytes, bytes]]


def extraction(metadata: Sequence[str], content: Sequence[str], unordered: str = "") -> Extraction:
    """What takes these fields of ``metadata``, and these, out of an object: JSON as it was written.

    A server writes the same object in the same way every time. All else is passed over, not read.
    The second result is the same if only the items of the list ``unordered`` stand in another
    order. It raises ``Unreadable``.
    """
    inner = msgspec.defstruct("_Metadata", [_as_written(name) for name in metadata])
    fields = [_as_written(name, listed=name == unordered) for name in content]
    outer = msgspec.defstruct("_Content", [("metadata", inner), *fields])
    decode, encode = msgspec.json.Decoder(outer).decode, msgspec.json.Encoder().encode

    def extract(data: msgspec.Raw) -> tuple[bytes, bytes]:
        found = _decoded(decode, data)
        written = encode(found)
        items = getattr(found, unordered) if unordered else None
        if not items:
            return written, written
        items.sort(key=bytes)
        return written, encode(found)

    return extract


def _as_written(name: str, *, listed: bool = False) -> tuple[str, Any, Any]:
    raw: Any = list[msgspec.Raw] | None if listed else msgspec.Raw
    return name, raw | msgspec.UnsetType, msgspec.UNSET


def read_manifest(data: bytes | msgspec.Raw) -> dict[str, Any]:
    """An object as ``parse`` takes it. Raises ``Unreadable``."""
    manifest: dict[str, Any] = _decoded(_manifest.decode, data)
    return manifest


def read_page(data: bytes) -> Page:
    """A list or a part of one. Raises ``Unreadable``."""
    page: Page = _decoded(_page.decode, data)
    return page


def read_event(line: bytes) -> Event:
    """A line of a watch. Raises ``Unreadable``."""
    event: Event = _decoded(_event.decode, line)
    return event


def read_bookmark(data: msgspec.Raw) -> Bookmark:
    """The object of a BOOKMARK event. Raises ``Unreadable``."""
    bookmark: Bookmark = _decoded(_bookmark.decode, data)
    return bookmark


def read_status(data: bytes | msgspec.Raw) -> Status:
    """A Status; an empty one if it is none, because proxies in between answer in their own way."""
    try:
        status: Status = _decoded(_status.decode, data)
    except Unreadable:
        return Status()
    return status


class Lines:
    """Cuts a stream of bytes into lines."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The lines that this chunk completes, without empty ones. Raises ``Unreadable``."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if len(self._rest) > LINE_BYTES:
            raise Unreadable(f"a line is longer than {LINE_BYTES // 1024**2} MiB")
        return filter(None, lines)
