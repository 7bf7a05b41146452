"""What a session is given and what it gives, besides requests: limits, responses, verdicts."""

from dataclasses import dataclass

from translators.wire.resource import Resource


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """How much a client may ask for: counts of names, and bytes of one name."""

    names_per_request: int = 10_000
    names_per_stream: int = 50_000
    name_length: int = 1024


class ProtocolViolation(Exception):
    """A request that ends the stream. ``code`` is the name of a gRPC status code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Response:
    """One response to write: ``body`` is the encoded message, the rest says what it carries."""

    type_url: str
    nonce: str
    body: bytes
    resources: tuple[Resource, ...]
    removed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The client accepted a response; ``resources`` is what it carried."""

    type_url: str
    resources: tuple[Resource, ...]


@dataclass(frozen=True, slots=True)
class Rejected:
    """The client refused a response.

    ``resources`` is all that the response carried, ``culprits`` those that the client's message
    blames, or the only one there was; empty as long as the guilty one is not known.
    """

    type_url: str
    resources: tuple[Resource, ...]
    message: str
    culprits: tuple[Resource, ...]


@dataclass(frozen=True, slots=True)
class ResourceState:
    """How far one resource has come on a stream, for the config dump.

    ``sent`` and ``acked`` are versions, None if there is none; ``error`` is the client's last
    complaint about this resource, empty if its newest version was not refused.
    """

    sent: str | None
    acked: str | None
    error: str
