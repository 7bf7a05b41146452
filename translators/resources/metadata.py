"""What every Kubernetes object has."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

_NONE: Mapping[str, str] = {}


class ObjectKey(NamedTuple):
    """Names an object; ``namespace`` is empty for cluster-scoped kinds."""

    kind: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Metadata:
    """The part of ``metadata`` that a translation may depend on. Mappings are never changed.

    ``created`` is ``creationTimestamp`` as written (RFC 3339 in UTC sorts as text), empty if
    unknown; ``generation`` is 0 if unknown.
    """

    name: str
    namespace: str = ""
    labels: Mapping[str, str] = field(default_factory=lambda: _NONE)
    annotations: Mapping[str, str] = field(default_factory=lambda: _NONE)
    uid: str = ""
    generation: int = 0
    created: str = ""


@dataclass(frozen=True, slots=True)
class KubernetesObject:
    """The base of all typed manifests."""

    kind: ClassVar[str]
    group: ClassVar[str] = ""

    meta: Metadata
    key: ObjectKey = field(init=False, repr=False, compare=False)
    """The object's name in the world: kept, for it is asked for all the time."""

    def __post_init__(self) -> None:
        """Derive the key."""
        object.__setattr__(self, "key", ObjectKey(self.kind, self.meta.namespace, self.meta.name))
