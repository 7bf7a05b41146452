"""AuthorizationPolicy (security.istio.io/v1), as written: meaning is given to it elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from translators.resources.gateway import LabelSelector
from translators.resources.metadata import KubernetesObject


@dataclass(frozen=True, slots=True)
class TargetRef:
    """What a policy is attached to; always in the policy's own namespace, but GatewayClass."""

    group: str
    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class PolicyCondition:
    """One ``when`` entry."""

    key: str
    values: tuple[str, ...] = ()
    not_values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PolicyRule:
    """One rule. ``sources`` and ``operations`` map API field names to their values.

    Each entry of ``sources`` is one ``from[].source``, each of ``operations`` one
    ``to[].operation``: for example ``{"principals": ("a",), "notNamespaces": ("b",)}``.
    Fields that are present but empty lists are kept with an empty tuple.
    ``unreadable`` is what could not be read: (field path below the rule, reason); such a rule
    must match nothing in an ALLOW policy and everything in any other.
    """

    sources: tuple[Mapping[str, tuple[str, ...]], ...] = ()
    operations: tuple[Mapping[str, tuple[str, ...]], ...] = ()
    when: tuple[PolicyCondition, ...] = ()
    unreadable: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class AuthorizationPolicy(KubernetesObject):
    """An AuthorizationPolicy.

    ``targets`` empty and ``selector`` None: the whole namespace. ``unreadable`` lists what could
    not be read outside of rules; a policy whose action or targets are unreadable must still
    protect: it then denies everything of the targets that are known, or of its namespace.
    """

    kind: ClassVar[str] = "AuthorizationPolicy"
    group: ClassVar[str] = "security.istio.io"

    action: str = "ALLOW"
    targets: tuple[TargetRef, ...] = ()
    selector: LabelSelector | None = None
    rules: tuple[PolicyRule, ...] = ()
    provider: str = ""
    unreadable: tuple[tuple[str, str], ...] = field(default=())
