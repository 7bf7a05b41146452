"""Building betterproto2 messages without paying for validation.

Calling a message class runs a pydantic validator and fills in the default of every field: one to
twenty milliseconds for a cluster or a listener. Inside ``with unvalidated():``, or in a function
decorated with ``@unvalidated()``, the same call only keeps the fields that it was given, in
microseconds:

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
  shipped. Inside it, calls with positional arguments do too, and so do classes that are imported
  only after it was entered.
- Tests wrap a whole translation in ``with validated():``, in which ``unvalidated()`` does
  nothing, and so see both the validator's opinion and the same bytes.
- Module-level constants are built outside any block, hence slowly, at import. Build them in a
  function that is called from a translation.
- Where a message is only built to be encoded, ``encoding()`` (``part``) makes even less of it.
"""

from abc import ABCMeta
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import Field
from functools import partial
from typing import Any

from betterproto2 import Message
from envoy_data_plane.message_pool import default_message_pool
from pydantic.dataclasses import rebuild_dataclass

from translators.wire.schema import dataclass_fields, type_hints

_Make = Callable[[type[Message], dict[str, Any]], Any]

_make: ContextVar[_Make | None] = ContextVar("what calling a message class does", default=None)
what_is_made = _make.get
"""What calling a message class does now; None if it does what it does as shipped."""

_insisting: ContextVar[bool] = ContextVar("validation whatever is asked for", default=False)
_adopted: set[type[Message]] = set()


@contextmanager
def unvalidated() -> Iterator[None]:
    """Within the block, calling a message class with keyword arguments makes a sparse instance."""
    with making(_sparse_instance):
        yield


@contextmanager
def making(make: _Make) -> Iterator[None]:
    """Within the block, calling a message class with keyword arguments gives what ``make`` does.

    It is given the class and the arguments. Where a test insists on validation nothing changes.
    """
    if not _insisting.get():
        _adopt_new_classes()
    token = _make.set(None if _insisting.get() else make)
    try:
        yield
    finally:
        _make.reset(token)


@contextmanager
def validated() -> Iterator[None]:
    """Within the block, every message is validated, whatever the code that builds it asks for."""
    make, insisting = _make.set(None), _insisting.set(True)
    try:
        yield
    finally:
        _make.reset(make)
        _insisting.reset(insisting)


def unknown_fields(message_class: type[Message], given: Iterable[str]) -> TypeError:
    """The error for arguments that are no fields of a class."""
    known = {field.name for field in dataclass_fields(message_class)}
    names = ", ".join(name for name in given if name not in known)
    return TypeError(f"{message_class.__name__} has no field {names}")


def _sparse_instance(message_class: type[Message], given: dict[str, Any]) -> Message:
    if not given.keys() <= message_class.__dataclass_fields__.keys():  # type: ignore[attr-defined]
        raise unknown_fields(message_class, given)
    message = object.__new__(message_class)
    message.__dict__ = given
    return message


class _Constructor(ABCMeta):
    """The metaclass of message classes, which decides what calling one does.

    It is the only place that lasts: pydantic sets ``__init__`` anew when it completes a class.
    """

    def __call__(cls, *arguments: Any, **given: Any) -> Any:
        make = _make.get()
        if arguments or make is None:
            return super().__call__(*arguments, **given)
        return make(cls, given)  # type: ignore[arg-type]


def _adopt_new_classes() -> None:
    """Prepare the message classes that were imported since the last time."""
    if len(_adopted) == len(default_message_pool.type_to_url):
        return
    for message_class in list(default_message_pool.type_to_url):
        if message_class not in _adopted:
            _adopt(message_class)


def _adopt(message_class: type[Message]) -> None:
    for field in dataclass_fields(message_class):
        setattr(message_class, field.name, _default(field))
    message_class._unknown_fields = b""
    setattr(message_class, "_validate", _validate)  # noqa: B010 - mypy refuses the assignment
    setattr(message_class, "_type_hints", partial(type_hints, message_class))  # noqa: B010
    setattr(message_class, "__class__", _Constructor)  # noqa: B010
    _adopted.add(message_class)


def _validate(message: Message) -> None:
    """Give the library what it looks for in a message: a completed class, unknown fields.

    While nothing is to be validated it wants no more than that a message is.
    """
    if _make.get() is not None:
        return
    message.__dict__.setdefault("_unknown_fields", b"")
    rebuild_dataclass(type(message))  # type: ignore[arg-type]
    Message._validate(message)


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
