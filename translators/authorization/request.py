"""A request as policies see it: the facts that predicates ask for, in the form that Envoy gives.

Envoy normalises the path before anything else looks at a request. The same is done here, so that
a decision can be told for a request as its client writes it.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

Claim = object
"""The value of a claim: a text, a list of texts, or claims by their keys."""

_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_ESCAPED = frozenset('"<>^`{|}')
_PERCENT = re.compile("%([0-9A-Fa-f]{2})?")
_ESCAPED_SLASH = re.compile("%(2[Ff]|5[Cc])")
_LABELS = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?|\[[0-9A-Fa-f:.]+\]", re.ASCII)


class Refusal(StrEnum):
    """Why Envoy answers a request before, or whatever, any policy has to say."""

    MALFORMED = "400: the path can't be normalised"
    ESCAPED_SLASH = "307: the path has escaped slashes; the client is sent to it without them"
    AMBIGUOUS_PATH = "400: servers could read the path in several ways"
    AMBIGUOUS_HOST = "400: the host is not one host's name"


@dataclass(frozen=True, slots=True)
class HttpHead:
    """The head of a request. ``path`` is normalised, without query and segments' parameters.

    Names of headers are in lower case; a header may come several times. ``claims`` are those of
    the verified token, empty if there is none.
    """

    method: str
    host: str
    path: str
    headers: tuple[tuple[str, str], ...] = ()
    claims: Mapping[str, Claim] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Call:
    """One request, or one connection if ``http`` is None.

    ``peer`` is the SPIFFE ID, empty if the peer has none; ``source`` and ``destination`` are IP
    addresses.
    """

    peer: str
    source: str
    destination: str
    port: int
    sni: str = ""
    http: HttpHead | None = None


def read_path(target: str) -> str | Refusal:
    """The path of a request's target as policies see it, or why no policy ever does."""
    if not target.startswith("/") or "#" in target:
        return Refusal.MALFORMED
    raw = target.partition("?")[0]
    path = _normal_form(_ESCAPED_SLASH.sub(_unescape, raw))
    if path is None:
        return Refusal.MALFORMED
    if _ESCAPED_SLASH.search(raw):
        return Refusal.ESCAPED_SLASH
    return "/".join(segment.partition(";")[0] for segment in path.split("/"))


def find_ambiguity(head: HttpHead) -> Refusal | None:
    """Why a request that policies admit is refused all the same, where any policy stands."""
    if any(segment in ("", ".", "..") for segment in _inner_segments(head.path)):
        return Refusal.AMBIGUOUS_PATH
    host, colon, port = head.host.rpartition(":")
    if not colon or port.endswith("]"):
        host, port = head.host, ""
    is_port = not port or (port.isascii() and port.isdigit())
    return None if is_port and _LABELS.fullmatch(host) else Refusal.AMBIGUOUS_HOST


def _inner_segments(path: str) -> Iterator[str]:
    """All segments but an empty one at the end, which means a trailing slash."""
    segments = path.split("/")[1:]
    yield from segments[:-1]
    if segments[-1:] != [""]:
        yield from segments[-1:]


def _normal_form(path: str) -> str | None:
    """The path as Envoy writes it; None if Envoy refuses it."""
    segments: list[str] = []
    path = "/".join(_without_dots_parameters(part) for part in path.split("/"))
    if "%00" in path:
        return None
    parts = "".join(map(_escape, _unescape_unreserved(path))).split("/")
    for part in parts[1:]:
        if part == "..":
            segments = segments[:-1]
        elif part != ".":
            segments.append(part)
    if parts[-1] in (".", ".."):
        segments.append("")
    path = "/" + "/".join(segments)
    if "//" not in path:
        return path
    slash = "/" if path.endswith("/") else ""
    return "/" + "/".join(filter(None, segments)) + slash


def _without_dots_parameters(segment: str) -> str:
    name = segment.partition(";")[0]
    return name if name in (".", "..") else segment


def _unescape(escape: re.Match[str]) -> str:
    return chr(int(escape[1], 16))


def _unescape_unreserved(path: str) -> str:
    """Unescape once: a percent sign that would then begin an escape is escaped itself."""

    def once(escape: re.Match[str]) -> str:
        if escape[1] is None:
            return "\0"
        text = _unescape(escape)
        return text if text in _UNRESERVED else escape[0]

    return re.sub("\0(?=[0-9A-Fa-f]{2})", "%25", _PERCENT.sub(once, path)).replace("\0", "%")


def _escape(character: str) -> str:
    if character == "\\":
        return "/"
    if character in _ESCAPED or not character.isascii():
        return "".join(f"%{byte:02X}" for byte in character.encode())
    return character
