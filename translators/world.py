"""The world: all objects, indexed, and the exact record of what a translation looked at.

Objects are immutable; the world changes only through ``apply``, which says which look-ups now
have another answer. A translation reads through a ``Reader`` that notes its look-ups, so what
must be computed again after a change is found without any hand-written dependency, and a
dependency can't be forgotten.
"""

from collections.abc import Callable, Collection, Hashable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar, cast

from translators.resources.metadata import KubernetesObject, ObjectKey

T = TypeVar("T", bound=KubernetesObject)


Lookup: TypeAlias = tuple[str, ...]
"""A question to the world: what an index files under a key. The name of the index, then the key.

It is never an ObjectKey as well, for the name of an index has a slash in it, and no kind has.
"""


class Derived(NamedTuple):
    """A question to a memo: what it knows of a key."""

    memo: str
    key: Hashable


Question: TypeAlias = Lookup | ObjectKey | Derived
"""What a translation may ask: an index, for the object of a name, or what was derived of them."""


@dataclass(frozen=True)
class Index(Generic[T]):
    """Files the objects of one kind under keys that are derived from each object alone."""

    name: str
    kind: type[T]
    keys: Callable[[T], Iterable[tuple[str, ...]]]


class Change(NamedTuple):
    """An object that is now ``value``, or that is gone if that is None."""

    key: ObjectKey
    value: KubernetesObject | None


class World:
    """All objects and their indexes.

    ``indexes`` must have distinct names. Changing the world while a translation runs is not
    possible, because both are synchronous.
    """

    def __init__(self, indexes: Collection[Index[Any]]) -> None:
        self._objects: dict[ObjectKey, KubernetesObject] = {}
        # Most keys have a single object, and a dict for it would take 200 bytes.
        self._filed: dict[Lookup, KubernetesObject | dict[ObjectKey, KubernetesObject]] = {}
        self._indexes: dict[str, list[Index[Any]]] = {}
        for index in indexes:
            self._indexes.setdefault(index.kind.kind, []).append(index)

    def __len__(self) -> int:
        return len(self._objects)

    def apply(self, changes: Iterable[Change]) -> set[Question]:
        """Make the changes; the result is every question whose answer may now differ.

        An object that equals the one before touches nothing.
        """
        touched: set[Question] = set()
        for key, value in changes:
            before = self._objects.get(key)
            if before != value:
                touched.add(key)
                touched.update(self._refile(key, before, value))
        return touched

    def _refile(
        self, key: ObjectKey, before: KubernetesObject | None, after: KubernetesObject | None
    ) -> Iterable[Lookup]:
        old = self._lookups(before) if before is not None else ()
        new = self._lookups(after) if after is not None else ()
        for lookup in set(old).difference(new):
            self._unfile(lookup, key)
        if after is None:
            del self._objects[key]
        else:
            self._objects[key] = after
            for lookup in new:
                self._file(lookup, key, after)
        return (*old, *new)

    def _file(self, lookup: Lookup, key: ObjectKey, value: KubernetesObject) -> None:
        filed = self._filed.get(lookup)
        if isinstance(filed, dict):
            filed[key] = value
        elif filed is None or filed.key == key:
            self._filed[lookup] = value
        else:
            self._filed[lookup] = {filed.key: filed, key: value}

    def _unfile(self, lookup: Lookup, key: ObjectKey) -> None:
        filed = self._filed[lookup]
        if isinstance(filed, dict):
            del filed[key]
        if not isinstance(filed, dict) or not filed:
            del self._filed[lookup]

    def _lookups(self, value: KubernetesObject) -> list[Lookup]:
        return [
            (index.name, *key)
            for index in self._indexes.get(value.kind, ())
            for key in index.keys(value)
        ]

    def find(self, key: ObjectKey) -> KubernetesObject | None:
        """The object of that name, or None."""
        return self._objects.get(key)

    def objects(self) -> Iterable[KubernetesObject]:
        """All objects, in no particular order."""
        return self._objects.values()

    def answer(self, lookup: Lookup) -> list[KubernetesObject]:
        """The objects filed under a look-up, in the order of their keys."""
        filed = self._filed.get(lookup)
        if isinstance(filed, dict):
            return [filed[key] for key in sorted(filed)]
        return [] if filed is None else [filed]


class Reader:
    """A view of the world that notes every question asked through it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.questions: set[Question] = set()

    def get(self, kind: type[T], namespace: str, name: str) -> T | None:
        """The object of that name, or None."""
        return cast("T | None", self.find(ObjectKey(kind.kind, namespace, name)))

    def find(self, key: ObjectKey) -> KubernetesObject | None:
        """The object of that key, whatever its kind, or None."""
        found = self._world.find(key)
        # Its own key is there anyway; one of ours would stay in memory beside it.
        self.questions.add(key if found is None else found.key)
        return found

    def select(self, index: Index[T], *key: str) -> list[T]:
        """The objects that an index files under a key, ordered by namespace and name."""
        lookup = (index.name, *key)
        self.questions.add(lookup)
        return cast("list[T]", self._world.answer(lookup))
