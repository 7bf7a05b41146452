"""ReferenceGrant (gateway.networking.k8s.io/v1): who may refer into its namespace."""

from dataclasses import dataclass
from typing import ClassVar

from translators.resources.gateway import GATEWAY_GROUP
from translators.resources.metadata import KubernetesObject


@dataclass(frozen=True, slots=True)
class GrantFrom:
    """Who may refer: objects of a kind in a namespace."""

    group: str
    kind: str
    namespace: str


@dataclass(frozen=True, slots=True)
class GrantTo:
    """What may be referred to, in the grant's namespace; an empty name is any."""

    group: str
    kind: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class ReferenceGrant(KubernetesObject):
    """A ReferenceGrant: each of ``sources`` may refer to each of ``targets``."""

    kind: ClassVar[str] = "ReferenceGrant"
    group: ClassVar[str] = GATEWAY_GROUP

    sources: tuple[GrantFrom, ...] = ()
    targets: tuple[GrantTo, ...] = ()
