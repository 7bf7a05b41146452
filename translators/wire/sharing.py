"""Parts of messages that are the same again and again: encoded once.

@shared
def plain_socket() -> TransportSocket: ...
"""

from collections.abc import Callable, Hashable
from functools import wraps
from typing import ParamSpec, TypeVar, TypeVarTuple, Unpack
from weakref import ref

from betterproto2 import Message

from translators.wire.construction import what_is_made
from translators.wire.encoder import encoded

_Arguments = ParamSpec("_Arguments")
_Part = TypeVar("_Part", bound=Message)
_Node = TypeVar("_Node")
_Rest = TypeVarTuple("_Rest")
_Made = TypeVar("_Made")

_LIMIT = 4096


class _Kept(ref[_Node]):
    """A node, for as long as it is, and what is known of it."""

    __slots__ = ("key",)
    key: tuple[Hashable, ...]


def shared(build: Callable[_Arguments, _Part]) -> Callable[_Arguments, _Part]:
    """A builder that encodes once for equal arguments, which must be hashable.

    Each builder remembers 4,096 parts at most, and begins anew beyond that. Outside ``encoding()``,
    where messages can be changed, nothing is shared.
    """
    known: dict[Hashable, _Part] = {}

    @wraps(build)
    def part(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Part:
        if what_is_made() is not encoded:
            return build(*args, **kwargs)
        key = (args, tuple(kwargs.items()))
        found = known.get(key)
        if found is None:
            if len(known) >= _LIMIT:
                known.clear()
            found = known[key] = build(*args, **kwargs)
        return found

    return part


def kept(
    build: Callable[[_Node, Unpack[_Rest]], _Made],
) -> Callable[[_Node, Unpack[_Rest]], _Made]:
    """A builder that encodes once for the very same node, which nobody may change.

    For nodes that are not made again while many others around them are: to know one again costs
    nothing, however much is in it. What else decides must be hashable. What was made of a node is
    kept for as long as the node is: there must be weak references to its class.
    """
    known: dict[tuple[Hashable, ...], tuple[_Kept[_Node], _Made]] = {}

    def forget(kept_node: _Kept[_Node]) -> None:
        known.pop(kept_node.key, None)

    @wraps(build)
    def part(node: _Node, /, *rest: *_Rest) -> _Made:
        if what_is_made() is not encoded:
            return build(node, *rest)
        # Before another node can come to have the same identity, this one is forgotten.
        key = (id(node), *rest)
        found = known.get(key)
        if found is None:
            kept_node = _Kept(node, forget)
            kept_node.key = key
            found = known[key] = kept_node, build(node, *rest)
        return found[1]

    return part
