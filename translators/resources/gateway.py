"""GatewayClass and Gateway (gateway.networking.k8s.io/v1)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from translators.resources.metadata import KubernetesObject

GATEWAY_GROUP = "gateway.networking.k8s.io"


@dataclass(frozen=True, slots=True)
class GatewayClass(KubernetesObject):
    """A class of Gateways."""

    kind: ClassVar[str] = "GatewayClass"
    group: ClassVar[str] = GATEWAY_GROUP

    controller: str = ""


@dataclass(frozen=True, slots=True)
class SelectorTerm:
    """One ``matchExpressions`` entry of a label selector."""

    key: str
    operator: str  # In, NotIn, Exists, DoesNotExist
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """A Kubernetes label selector; an empty one selects everything."""

    match_labels: Mapping[str, str] = field(default_factory=dict)
    terms: tuple[SelectorTerm, ...] = ()


@dataclass(frozen=True, slots=True)
class GatewayListener:
    """A listener. ``allowed_from`` is Same, All, Selector or None."""

    name: str
    port: int
    protocol: str
    allowed_from: str = "Same"
    allowed_selector: LabelSelector | None = None


@dataclass(frozen=True, slots=True)
class ParametersRef:
    """The object with the parameters of what is deployed for a Gateway, in its own namespace."""

    group: str
    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Infrastructure:
    """``spec.infrastructure``: what is asked of the objects that are deployed for a Gateway."""

    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    parameters: ParametersRef | None = None


@dataclass(frozen=True, slots=True)
class Gateway(KubernetesObject):
    """A Gateway. ``addresses`` are those of its status: (type, value).

    ``wants_addresses``: its spec names addresses, so that somebody else deploys it.
    ``terminating``: it is about to go.
    """

    kind: ClassVar[str] = "Gateway"
    group: ClassVar[str] = GATEWAY_GROUP

    class_name: str = ""
    listeners: tuple[GatewayListener, ...] = ()
    addresses: tuple[tuple[str, str], ...] = ()
    service_account: str = ""  # annotation gateway.istio.io/service-account, else the own name
    infrastructure: Infrastructure = Infrastructure()
    wants_addresses: bool = False
    terminating: bool = False
