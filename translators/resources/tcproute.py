"""TCPRoute and TLSRoute (gateway.networking.k8s.io), which forward connections as a whole."""

from dataclasses import dataclass
from typing import ClassVar

from translators.resources.gateway import GATEWAY_GROUP
from translators.resources.httproute import BackendRef, ParentRef
from translators.resources.metadata import KubernetesObject


@dataclass(frozen=True, slots=True)
class TcpBackend:
    """A backendRef of a rule, with its weight."""

    ref: BackendRef
    weight: int = 1


@dataclass(frozen=True, slots=True)
class TcpRule:
    """One rule. If anything of it is ``unreadable`` (path below the rule, reason), it closes."""

    backends: tuple[TcpBackend, ...] = ()
    name: str = ""
    unreadable: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class TCPRoute(KubernetesObject):
    """A TCPRoute."""

    kind: ClassVar[str] = "TCPRoute"
    group: ClassVar[str] = GATEWAY_GROUP

    parents: tuple[ParentRef, ...] = ()
    rules: tuple[TcpRule, ...] = ()


@dataclass(frozen=True, slots=True)
class TLSRoute(KubernetesObject):
    """A TLSRoute: ``hostnames`` are compared with the SNI."""

    kind: ClassVar[str] = "TLSRoute"
    group: ClassVar[str] = GATEWAY_GROUP

    parents: tuple[ParentRef, ...] = ()
    hostnames: tuple[str, ...] = ()
    rules: tuple[TcpRule, ...] = ()
