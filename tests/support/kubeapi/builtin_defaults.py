"""What the server itself fills in for built-in types."""

import base64
from itertools import count
from typing import Any

from tests.support.kubeapi.store import Object


class BuiltInDefaults:
    """Holds what it hands out: the cluster IPs of services."""

    def __init__(self) -> None:
        self._addresses = count(10)

    def fill(self, value: Object) -> Object:
        """The object with the server's own fields."""
        match value["kind"]:
            case "Namespace":
                return _namespace(value)
            case "Secret":
                return _secret(value)
            case "Service":
                return {**value, "spec": self._service_spec(value.get("spec") or {})}
            case "Pod":
                return {"status": {"phase": "Pending"}, **value}
            case _:
                return value

    def _service_spec(self, spec: dict[str, Any]) -> dict[str, Any]:
        filled = {"type": "ClusterIP", "sessionAffinity": "None", **spec}
        if ports := spec.get("ports"):
            filled["ports"] = [{"targetPort": p.get("port"), **p} for p in ports]
        if filled["type"] != "ExternalName":
            address = spec.get("clusterIP") or self._next_address()
            filled["clusterIP"] = address
            filled["clusterIPs"] = spec.get("clusterIPs") or [address]
        return filled

    def _next_address(self) -> str:
        number = next(self._addresses)
        return f"10.96.{number // 256}.{number % 256}"


def _namespace(value: Object) -> Object:
    metadata = value["metadata"]
    labels = (metadata.get("labels") or {}) | {"kubernetes.io/metadata.name": metadata["name"]}
    return {"status": {"phase": "Active"}, **value, "metadata": {**metadata, "labels": labels}}


def _secret(value: Object) -> Object:
    filled = {"type": "Opaque", **value}
    texts = filled.pop("stringData", None) or {}
    if texts:
        encoded = {name: base64.b64encode(t.encode()).decode() for name, t in texts.items()}
        filled["data"] = (filled.get("data") or {}) | encoded
    return filled
