"""Parts of messages that are the same again and again: built once, encoded once.

    @shared
    def plain_socket() -> TransportSocket: ...

A shared part is an ordinary message, in its place in a typed tree. The encoder knows it by its
identity and writes the bytes that it wrote the first time.
"""

from collections.abc import Callable, Hashable
from functools import wraps
from typing import ParamSpec, TypeVar

from betterproto2 import Message

from translators.wire.construction import is_unvalidated

_Arguments = ParamSpec("_Arguments")
_Part = TypeVar("_Part", bound=Message)

_LIMIT = 4096

encoded_parts: dict[int, bytes] = {}
"""The bytes of shared parts by the identity of the message, which its builder keeps alive."""


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
                encoded_parts.pop(id(message), None)
            known.clear()
        made = known[key] = build(*args, **kwargs)
        encoded_parts[id(made)] = b""
        return made

    return part
