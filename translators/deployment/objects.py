"""The objects of a waypoint, complete, as they are applied (Istio's names, labels and ports)."""

from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from typing import Any, NamedTuple

from translators.deployment.overlay import merge
from translators.deployment.parameters import InvalidParameters, Overlays
from translators.deployment.pod import (
    CONFIG_MAP,
    HBONE_PORT,
    READY_PORT,
    ROOTS_FILE,
    Manifest,
    pod_annotations,
    pod_spec,
    roots_files,
)
from translators.deployment.privileges import gained
from translators.deployment.settings import DeploymentSettings
from translators.gateway_api.binding import CONTROLLER, WAYPOINT_CLASS
from translators.gateway_api.labels import GATEWAY_NAME, MANAGED
from translators.ir.waypoint import Mesh
from translators.resources.gateway import GATEWAY_GROUP, Gateway

OWNER = "istio.io-mesh-controller"
"""The value of the label that tells which objects are a waypoint's."""

DEFAULTS_FOR_CLASS = "gateway.istio.io/defaults-for-class"
_CLASS_NAME = f"{GATEWAY_GROUP}/gateway-class-name"
_SERVICE_TYPE = "networking.istio.io/service-type"
_SERVICE_TYPES = frozenset({"ClusterIP", "LoadBalancer", "NodePort"})
_NOT_COPIED = frozenset(
    {
        "gateway.istio.io/controller-version",
        "gateway.istio.io/name-override",
        "gateway.istio.io/service-account",
        "kubectl.kubernetes.io/last-applied-configuration",
    }
)


class KindOf(NamedTuple):
    """A kind of objects that waypoints consist of; ``overlay`` is its key in parameters."""

    group: str
    version: str
    kind: str
    plural: str
    overlay: str
    is_optional: bool = False

    @property
    def api_version(self) -> str:
        """As manifests have it."""
        return f"{self.group}/{self.version}" if self.group else self.version


KINDS = (
    KindOf("", "v1", "ServiceAccount", "serviceaccounts", "serviceAccount"),
    KindOf("", "v1", "Service", "services", "service"),
    KindOf("apps", "v1", "Deployment", "deployments", "deployment"),
    KindOf(
        *("autoscaling", "v2", "HorizontalPodAutoscaler"),
        *("horizontalpodautoscalers", "horizontalPodAutoscaler", True),
    ),
    KindOf(
        *("policy", "v1", "PodDisruptionBudget"),
        *("poddisruptionbudgets", "podDisruptionBudget", True),
    ),
)
"""In the order in which they are applied."""

CONFIG_MAPS = KindOf("", "v1", "ConfigMap", "configmaps", "")


def deployed(
    mesh: Mesh, settings: DeploymentSettings, gateway: Gateway, overlays: Overlays
) -> list[Manifest]:
    """The objects of a waypoint, in the order in which to apply them.

    Optional ones are there if an overlay asks for them. Raises ``InvalidParameters``.
    """
    specs = {
        "ServiceAccount": {},
        "Service": {"spec": _service_spec(gateway)},
        "Deployment": {"spec": _deployment_spec(mesh, settings, gateway)},
        "HorizontalPodAutoscaler": {"spec": _autoscaler_spec(gateway)},
        "PodDisruptionBudget": {"spec": {"selector": _selector(gateway)}},
    }
    made = []
    for kind in KINDS:
        patches = overlays.of(kind.overlay)
        if kind.kind == "ServiceAccount" and gateway.service_account not in ("", gateway.meta.name):
            continue  # it is somebody else's
        if patches or not kind.is_optional:
            plain = _object(kind, gateway, specs[kind.kind])
            made.append(_overlaid(kind, plain, patches))
    return made


def roots(
    settings: DeploymentSettings, namespace: str, gateways: Iterable[Gateway], pem: str
) -> Manifest:
    """The ConfigMap with the control plane's roots; it goes with the last of the Gateways."""
    owners = [_owner(each) for each in sorted(gateways, key=lambda one: one.key)]
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": CONFIG_MAP,
            "namespace": namespace,
            "labels": {MANAGED: OWNER},
            "ownerReferences": owners,
        },
        "data": {ROOTS_FILE: pem, **roots_files(settings)},
    }


def gateway_class() -> Manifest:
    """The class of waypoints."""
    return {
        "apiVersion": f"{GATEWAY_GROUP}/v1",
        "kind": "GatewayClass",
        "metadata": {"name": WAYPOINT_CLASS},
        "spec": {
            "controllerName": CONTROLLER,
            "description": "The class of waypoint proxies of a mesh in ambient mode",
        },
    }


def owner_uid(manifest: Mapping[str, Any]) -> str:
    """The uid of the Gateway that controls an object; empty if none does."""
    owners = manifest["metadata"].get("ownerReferences") or ()
    named = (each["uid"] for each in owners if each.get("controller") and "uid" in each)
    return str(next(named, ""))


def _object(kind: KindOf, gateway: Gateway, content: Manifest) -> Manifest:
    metadata: Manifest = {
        "name": gateway.meta.name,
        "namespace": gateway.meta.namespace,
        "labels": _labels(gateway),
        "ownerReferences": [_owner(gateway) | {"controller": True}],
    }
    annotations = _annotations(gateway)
    if kind.kind == "Service":
        annotations = {"networking.istio.io/traffic-distribution": "PreferClose"} | annotations
    if annotations:
        metadata["annotations"] = annotations
    head = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata}
    return head | deepcopy(content)


def _owner(gateway: Gateway) -> Manifest:
    return {
        "apiVersion": f"{GATEWAY_GROUP}/v1",
        "kind": "Gateway",
        "name": gateway.meta.name,
        "uid": gateway.meta.uid,
    }


def _labels(gateway: Gateway) -> dict[str, str]:
    asked = gateway.infrastructure.labels or gateway.meta.labels
    copied = {key: value for key, value in asked.items() if not _is_reserved(key)}
    return copied | {
        MANAGED: OWNER,
        GATEWAY_NAME: gateway.meta.name,
        _CLASS_NAME: gateway.class_name,
    }


def _annotations(gateway: Gateway) -> dict[str, str]:
    asked = gateway.infrastructure.annotations or gateway.meta.annotations
    return {
        key: value
        for key, value in asked.items()
        if key not in _NOT_COPIED and not _is_reserved(key)
    }


def _is_reserved(key: str) -> bool:
    return key.startswith(f"{GATEWAY_GROUP}/")


def _selector(gateway: Gateway) -> Manifest:
    return {"matchLabels": {GATEWAY_NAME: gateway.meta.name}}


def _service_spec(gateway: Gateway) -> Manifest:
    asked = gateway.meta.annotations.get(_SERVICE_TYPE, "ClusterIP")
    if asked not in _SERVICE_TYPES:
        known = ", ".join(sorted(_SERVICE_TYPES))
        raise InvalidParameters(
            f"annotation {_SERVICE_TYPE} is {asked!r}, which is none of {known}"
        )
    return {
        "type": asked,
        "ipFamilyPolicy": "PreferDualStack",
        "selector": {GATEWAY_NAME: gateway.meta.name},
        "ports": [
            _port("status-port", READY_PORT, "tcp"),
            _port("mesh", HBONE_PORT, "hbone"),
        ],
    }


def _port(name: str, number: int, protocol: str) -> Manifest:
    return {"name": name, "port": number, "protocol": "TCP", "appProtocol": protocol}


def _deployment_spec(mesh: Mesh, settings: DeploymentSettings, gateway: Gateway) -> Manifest:
    labels = _labels(gateway) | {
        "istio.io/dataplane-mode": "none",
        "service.istio.io/canonical-name": gateway.meta.name,
        "service.istio.io/canonical-revision": "latest",
        "sidecar.istio.io/inject": "false",
    }
    annotations = _annotations(gateway) | pod_annotations(mesh)
    return {
        "selector": _selector(gateway),
        "template": {
            "metadata": {"labels": labels, "annotations": annotations},
            "spec": pod_spec(mesh, settings, gateway),
        },
    }


def _autoscaler_spec(gateway: Gateway) -> Manifest:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": gateway.meta.name}
    return {"scaleTargetRef": target, "maxReplicas": 1}


def _overlaid(kind: KindOf, plain: Manifest, patches: Iterable[Manifest]) -> Manifest:
    made = plain
    for patch in patches:
        made = merge(made, patch)
    for path in _changed(plain, made):
        raise InvalidParameters(f"{kind.overlay} must not change {path}")
    for name in ("labels", "annotations"):
        if not _is_table(made["metadata"].get(name, {})):
            raise InvalidParameters(f"{kind.overlay}: metadata.{name} must be a table of texts")
    return made


def _is_table(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(each, str) for each in value.values())


_POD = ("spec", "template", "spec")
_FIXED = (
    ("apiVersion",),
    ("kind",),
    ("metadata", "name"),
    ("metadata", "namespace"),
    ("metadata", "ownerReferences"),
    ("spec", "selector"),
    ("spec", "scaleTargetRef"),
)


def _changed(plain: Manifest, made: Manifest) -> Iterator[str]:
    """What no overlay may change: the fields that tell whose an object is, and a pod's rights."""
    for path in _FIXED:
        if _at(plain, path) != _at(made, path):
            yield ".".join(path)
    for place in (("metadata", "labels"), ("spec", "template", "metadata", "labels")):
        before, after = _at(plain, place), _at(made, place)
        for key in (MANAGED, GATEWAY_NAME, _CLASS_NAME):
            if before is not None and _at(after, (key,)) != before[key]:
                yield f"{'.'.join(place)}[{key}]"
    pods = [_at(each, _POD) for each in (plain, made)]
    if all(isinstance(pod, dict) for pod in pods):
        yield from (f"{'.'.join(_POD)}.{path}" for path in gained(*pods))


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value
