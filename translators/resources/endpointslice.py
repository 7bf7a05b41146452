"""EndpointSlice (discovery.k8s.io/v1)."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from translators.resources.metadata import KubernetesObject


class SliceEndpoint(NamedTuple):
    """One endpoint; ``pod`` is the name of the Pod that ``targetRef`` points at, or empty.

    A missing ``ready`` or ``serving`` means true, a missing ``terminating`` false (API docs).
    """

    addresses: tuple[str, ...]
    ready: bool = True
    serving: bool = True
    terminating: bool = False
    pod: str = ""
    node: str = ""
    zone: str = ""
    hint_zones: tuple[str, ...] = ()


class SlicePort(NamedTuple):
    """A port of all endpoints of a slice; ``name`` equals that of the Service port."""

    port: int
    name: str = ""
    protocol: str = "TCP"


@dataclass(frozen=True, slots=True)
class EndpointSlice(KubernetesObject):
    """Some endpoints of the Service that the label ``kubernetes.io/service-name`` names."""

    kind: ClassVar[str] = "EndpointSlice"
    group: ClassVar[str] = "discovery.k8s.io"

    address_type: str = "IPv4"
    endpoints: tuple[SliceEndpoint, ...] = ()
    ports: tuple[SlicePort, ...] = ()

    @property
    def service(self) -> str:
        """The name of the Service, empty if the slice belongs to none."""
        return self.meta.labels.get("kubernetes.io/service-name", "")
