"""GRPCRoute (gateway.networking.k8s.io/v1), as written: meaning is given to it elsewhere."""

from dataclasses import dataclass
from typing import ClassVar

from translators.resources.gateway import GATEWAY_GROUP
from translators.resources.httproute import (
    HttpBackend,
    HttpFilter,
    HttpSessionPersistence,
    HttpValueMatch,
    ParentRef,
)
from translators.resources.metadata import KubernetesObject


@dataclass(frozen=True, slots=True)
class GrpcMethodMatch:
    """``type`` is Exact or RegularExpression; an empty service or method is any."""

    type: str = "Exact"
    service: str = ""
    method: str = ""


@dataclass(frozen=True, slots=True)
class GrpcMatch:
    """All of its parts must match."""

    method: GrpcMethodMatch = GrpcMethodMatch()
    headers: tuple[HttpValueMatch, ...] = ()


@dataclass(frozen=True, slots=True)
class GrpcRule:
    """One rule; ``unreadable`` is as in ``HttpRule``."""

    matches: tuple[GrpcMatch, ...] = (GrpcMatch(),)
    name: str = ""
    filters: tuple[HttpFilter, ...] = ()
    backends: tuple[HttpBackend, ...] = ()
    session_persistence: HttpSessionPersistence | None = None
    unreadable: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class GRPCRoute(KubernetesObject):
    """A GRPCRoute."""

    kind: ClassVar[str] = "GRPCRoute"
    group: ClassVar[str] = GATEWAY_GROUP

    parents: tuple[ParentRef, ...] = ()
    hostnames: tuple[str, ...] = ()
    rules: tuple[GrpcRule, ...] = ()
