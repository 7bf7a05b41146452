"""Namespace, Service and Pod (core/v1) as far as a waypoint depends on them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from translators.resources.metadata import KubernetesObject


@dataclass(frozen=True, slots=True)
class Namespace(KubernetesObject):
    """A namespace: its labels count."""

    kind: ClassVar[str] = "Namespace"


@dataclass(frozen=True, slots=True)
class Node(KubernetesObject):
    """A node: where it is counts."""

    kind: ClassVar[str] = "Node"

    region: str = ""
    zone: str = ""
    subzone: str = ""


@dataclass(frozen=True, slots=True)
class ServicePort:
    """One port of a Service. ``target_port`` is a number or the name of a container port."""

    port: int
    name: str = ""
    protocol: str = "TCP"
    app_protocol: str = ""
    target_port: int | str = 0


@dataclass(frozen=True, slots=True)
class Service(KubernetesObject):
    """A Service. ``cluster_ips`` is empty for headless ones (``clusterIP: None``)."""

    kind: ClassVar[str] = "Service"

    type: str = "ClusterIP"
    cluster_ips: tuple[str, ...] = ()
    headless: bool = False
    external_name: str = ""
    ports: tuple[ServicePort, ...] = ()
    selector: Mapping[str, str] = field(default_factory=dict)
    publish_not_ready: bool = False
    internal_traffic_policy: str = "Cluster"
    traffic_distribution: str = ""


@dataclass(frozen=True, slots=True)
class ContainerPort:
    """A named port of a container."""

    name: str
    port: int
    protocol: str = "TCP"


@dataclass(frozen=True, slots=True)
class Pod(KubernetesObject):
    """A Pod. ``ready`` is the Ready condition; a manifest without conditions counts as ready."""

    kind: ClassVar[str] = "Pod"

    ips: tuple[str, ...] = ()
    node: str = ""
    service_account: str = "default"
    host_network: bool = False
    ports: tuple[ContainerPort, ...] = ()
    phase: str = ""
    ready: bool = True
    terminating: bool = False

    @property
    def is_over(self) -> bool:
        """Whether it has ended for good."""
        return self.phase in ("Succeeded", "Failed")
