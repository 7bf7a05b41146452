"""The manifest of a waypoint: what a user would commit."""

import re
from dataclasses import dataclass
from typing import Any

from translators.gateway_api.binding import HBONE, HBONE_PORT, WAYPOINT_CLASS
from translators.gateway_api.labels import WAYPOINT_FOR
from translators.ir.waypoint import TrafficType, WaypointName
from translators.resources.gateway import GATEWAY_GROUP

API_VERSION = f"{GATEWAY_GROUP}/v1"
REVISION = "istio.io/rev"
LISTENER = {"name": "mesh", "port": HBONE_PORT, "protocol": HBONE}

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")  # it is a Service's name too (RFC 1123)


class WaypointError(Exception):
    """Something that was asked for can't be done; the text tells users why."""


@dataclass(frozen=True, slots=True)
class WaypointSpec:
    """A waypoint that is asked for; an empty ``traffic`` or ``revision`` sets no label."""

    name: WaypointName
    traffic: str = ""
    revision: str = ""

    @property
    def labels(self) -> dict[str, str]:
        """The labels that are asked for."""
        labels = {WAYPOINT_FOR: self.traffic, REVISION: self.revision}
        return {key: value for key, value in labels.items() if value}


def waypoint_spec(namespace: str, name: str, traffic: str, revision: str) -> WaypointSpec:
    """What is asked for, checked. Raises ``WaypointError``, in istioctl's words where it has any.

    An empty name is the usual one, ``waypoint``; an empty namespace leaves it open.
    """
    name = name or "waypoint"
    if name == "none":
        raise WaypointError("invalid name provided for waypoint, 'none' is a reserved value")
    for what, text in (("waypoint", name), ("namespace", namespace)):
        if text and not _NAME.fullmatch(text):
            raise WaypointError(f"invalid name provided for {what}: {text!r}")
    kinds = sorted(TrafficType)
    if traffic and traffic not in kinds:
        valid = " ".join(kinds)
        raise WaypointError(f"invalid traffic type: {traffic}. Valid options are: [{valid}]")
    return WaypointSpec(WaypointName(namespace, name), traffic, revision)


def manifest(spec: WaypointSpec) -> dict[str, Any]:
    """The Gateway, its keys in the order in which istioctl writes them."""
    metadata: dict[str, Any] = {"labels": spec.labels} if spec.labels else {}
    metadata["name"] = spec.name.name
    if spec.name.namespace:
        metadata["namespace"] = spec.name.namespace
    return {
        "apiVersion": API_VERSION,
        "kind": "Gateway",
        "metadata": metadata,
        "spec": {"gatewayClassName": WAYPOINT_CLASS, "listeners": [dict(LISTENER)]},
    }
