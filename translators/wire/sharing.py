"""Parts of messages that are the same again and again: built once, encoded once.

    @shared
    def plain_socket() -> TransportSocket: ...

A shared part is an ordinary message, in its place in a typed tree. The encoder knows it by its
identity and writes the bytes that it wrote the first time.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import wraps
from typing import ParamSpec, TypeVar

from betterproto2 import Message

from translators.wire.construction import is_unvalidated

_Arguments = ParamSpec("_Arguments")
_Part = TypeVar("_Part", bound=Message)

_LIMIT = 4096


@dataclass(slots=True)
class SharedPart:
    """A shared message and its bytes with their length before them; empty until it is encoded.

    It holds the message, so that no other one can come to have the same identity.
    """

    message: Message
    delimited: bytes = b""


shared_parts: dict[int, SharedPart] = {}
"""All shared parts by the identity of the message."""


def shared(build: Callable[_Arguments, _Part]) -> Callable[_Arguments, _Part]:
    """A builder that gives the same message for equal arguments, which must be hashable.

    Nobody may change such a message. Each builder remembers 4,096 of them at most, and begins
    anew beyond that. With validation on, nothing is shared.
    """
    known: dict[Hashable, _Part] = {}

    @wraps(build)
    def part(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Part:
        if not is_unvalidated():
            return build(*args, **kwargs)
        key = (args, tuple(kwargs.items()))
        if key in known:
            return known[key]
        if len(known) >= _LIMIT:
            for message in known.values():
                del shared_parts[id(message)]
            known.clear()
        made = known[key] = build(*args, **kwargs)
        shared_parts[id(made)] = SharedPart(made)
        return made

    return part
