"""Building betterproto2 messages without paying for validation.

Calling a message class runs a pydantic validator and fills in the default of every field: one to
twenty milliseconds for a cluster or a listener. Inside ``with unvalidated():`` the same call
only keeps the fields that it was given, which is some fifty times cheaper:

    with unvalidated():
        cluster = Cluster(name="cart", type=ClusterDiscoveryType.EDS)

- mypy checks the call as ever. What mypy can't see is checked later and cheaply: an unknown
  field name raises ``TypeError`` here, and the encoder refuses a value that its field can't hold,
  a message of another class, and two members of one oneof.
- An instance built so is *sparse*. A field that was not given reads as its default. Comparing,
  printing, copying, ``to_dict`` and ``bytes`` work as on any other instance, and sparse and
  validated messages may hold each other. A list or dict is kept, not copied: once it is part of
  a message, leave it alone.
- Outside the block, and at the same time in other threads and tasks, the classes behave as
  shipped. Inside it, calls with positional arguments do too.
- Tests wrap a whole translation in ``with validated():``, in which ``unvalidated()`` does
  nothing, and so see both the validator's opinion and the same bytes.
- Module-level constants are built outside any block, hence slowly, at import. Build them in a
  function that is called from a translation.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import Field
from enum import Enum, auto
from typing import Any

from betterproto2 import Message
from envoy_data_plane.message_pool import default_message_pool

from translators.wire.schema import dataclass_fields


class _Mode(Enum):
    AS_SHIPPED = auto()
    UNVALIDATED = auto()
    ALWAYS_VALIDATED = auto()


_mode: ContextVar[_Mode] = ContextVar("construction mode", default=_Mode.AS_SHIPPED)
_adopted: set[type[Message]] = set()


@contextmanager
def unvalidated() -> Iterator[None]:
    """Within the block, calling a message class with keyword arguments makes a sparse instance."""
    if _mode.get() is not _Mode.AS_SHIPPED:
        yield
        return
    _adopt_new_classes()
    yield from _switched_to(_Mode.UNVALIDATED)


@contextmanager
def validated() -> Iterator[None]:
    """Within the block, every message is validated, whatever the code that builds it asks for."""
    yield from _switched_to(_Mode.ALWAYS_VALIDATED)


def _switched_to(mode: _Mode) -> Iterator[None]:
    token = _mode.set(mode)
    try:
        yield
    finally:
        _mode.reset(token)


def _adopt_new_classes() -> None:
    """Prepare the message classes that were imported since the last time."""
    if len(_adopted) == len(default_message_pool.type_to_url):
        return
    for message_class in list(default_message_pool.type_to_url):
        if message_class not in _adopted:
            _adopted.add(message_class)
            _adopt(message_class)


def _adopt(message_class: type[Message]) -> None:
    fields = dataclass_fields(message_class)
    known = frozenset(field.name for field in fields)
    for field in fields:
        setattr(message_class, field.name, _default(field))
    stock: Callable[..., None] = message_class.__init__

    def initialise(self: Message, /, *arguments: Any, **given: Any) -> None:
        if arguments or _mode.get() is not _Mode.UNVALIDATED:
            stock(self, *arguments, **given)
        elif known.issuperset(given):
            given["_unknown_fields"] = b""
            self.__dict__ = given
        else:
            unknown = ", ".join(sorted(given.keys() - known))
            raise TypeError(f"{message_class.__name__} has no field {unknown}")

    message_class.__init__ = initialise  # type: ignore[method-assign, assignment]


def _default(field: Field[Any]) -> Any:
    """What the class offers where an instance has nothing: a default, or a maker of them."""
    factory: Callable[[], Any] = field.default_factory  # type: ignore[assignment]
    value = factory()
    return _EmptyContainer(field.name, factory) if isinstance(value, list | dict) else value


class _EmptyContainer:
    """Reads as a new list or dict that the instance keeps, so that what is added is not lost."""

    __slots__ = ("_factory", "_name")

    def __init__(self, name: str, factory: Callable[[], Any]) -> None:
        self._name = name
        self._factory = factory

    def __get__(self, instance: Message | None, owner: type[Message]) -> Any:
        if instance is None:
            return self
        return instance.__dict__.setdefault(self._name, self._factory())
