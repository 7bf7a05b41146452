"""Parts of messages that are the same again and again: encoded once.

@shared
def plain_socket() -> TransportSocket: ...
"""

from collections.abc import Callable, Hashable
from functools import wraps
from typing import ParamSpec, TypeVar

from betterproto2 import Message

from translators.wire.construction import is_making
from translators.wire.encoder import encoded

_Arguments = ParamSpec("_Arguments")
_Part = TypeVar("_Part", bound=Message)

_LIMIT = 4096


def shared(build: Callable[_Arguments, _Part]) -> Callable[_Arguments, _Part]:
    """A builder that encodes once for equal arguments, which must be hashable.

    Each builder remembers 4,096 parts at most, and begins anew beyond that. Outside ``encoding()``,
    where messages can be changed, nothing is shared.
    """
    known: dict[Hashable, _Part] = {}

    @wraps(build)
    def part(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Part:
        if not is_making(encoded):
            return build(*args, **kwargs)
        key = (args, tuple(kwargs.items()))
        if key in known:
            return known[key]
        if len(known) >= _LIMIT:
            known.clear()
        return known.setdefault(key, build(*args, **kwargs))

    return part
