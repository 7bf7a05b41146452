"""All resources of one waypoint at one moment, by type and name."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from translators.wire.resource import Resource, ResourceKey, TypeUrl

_NOTHING: Mapping[str, Resource] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a waypoint's Envoys are meant to hold. Immutable; resources are shared, never copied."""

    resources: Mapping[TypeUrl, Mapping[str, Resource]]

    @classmethod
    def of(cls, resources: Iterable[Resource]) -> "Snapshot":
        """A snapshot of these resources; of two with the same key the later one counts."""
        by_type: dict[TypeUrl, dict[str, Resource]] = {}
        for resource in resources:
            by_type.setdefault(resource.key.type_url, {})[resource.key.name] = resource
        return cls(by_type)

    def updated(self, fresh: Iterable[Resource], gone: Iterable[ResourceKey] = ()) -> "Snapshot":
        """The snapshot with these resources in place of those with the same keys, without others.

        Only the types that differ are copied.
        """
        copies: dict[TypeUrl, dict[str, Resource]] = {}
        for key in gone:
            self._copy(copies, key.type_url).pop(key.name, None)
        for resource in fresh:
            self._copy(copies, resource.key.type_url)[resource.key.name] = resource
        return Snapshot({**self.resources, **copies}) if copies else self

    def _copy(
        self, copies: dict[TypeUrl, dict[str, Resource]], type_url: TypeUrl
    ) -> dict[str, Resource]:
        if type_url not in copies:
            copies[type_url] = dict(self.of_type(type_url))
        return copies[type_url]

    def all(self) -> Iterator[Resource]:
        """Every resource, by type."""
        for names in self.resources.values():
            yield from names.values()

    def of_type(self, type_url: TypeUrl) -> Mapping[str, Resource]:
        """The resources of one type, by name; empty if there are none."""
        return self.resources.get(type_url, _NOTHING)

    def get(self, key: ResourceKey) -> Resource | None:
        """The resource of that type and name, or None."""
        return self.of_type(key.type_url).get(key.name)


EMPTY = Snapshot(MappingProxyType({}))
