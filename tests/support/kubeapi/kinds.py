"""The resource types that the server knows: built-in ones, and those of CRDs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.support.kubeapi.rbac import GROUP
from xds_server.validation.schemas import SchemaNode


@dataclass(frozen=True)
class Kind:
    """A resource type. ``schemas`` has a schema for each served version; the first is preferred.

    The schemas of built-in types say only what merging and defaulting need.
    """

    group: str
    plural: str
    kind: str
    namespaced: bool
    schemas: Mapping[str, SchemaNode]
    short_names: tuple[str, ...] = ()
    has_status: bool = False
    counts_generation: bool = True
    needs_version: bool = False
    is_custom: bool = False
    virtual: bool = False
    selectable: tuple[str, ...] = ()
    categories: tuple[str, ...] = field(default=())

    @property
    def key(self) -> tuple[str, str]:
        return (self.group, self.plural)

    @property
    def full_name(self) -> str:
        """For messages: ``pods``, ``httproutes.gateway.networking.k8s.io``."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def versions(self) -> tuple[str, ...]:
        return tuple(self.schemas)

    def api_version(self, version: str) -> str:
        return f"{self.group}/{version}" if self.group else version


def keyed(*keys: str, **fields: Any) -> dict[str, Any]:
    """The schema of a list that is a map by ``keys``; ``fields`` are schemas of item fields."""
    properties = {key: {} for key in keys} | fields
    return {
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": list(keys),
        "items": fields_of(**properties),
    }


def fields_of(**fields: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": True,
        "properties": fields,
    }


SET = {"type": "array", "x-kubernetes-list-type": "set"}
ATOMIC = {"type": "object", "x-kubernetes-map-type": "atomic"}
METADATA = fields_of(finalizers=SET, ownerReferences=keyed("uid"))
_TCP = {"default": "TCP"}
_CONTAINERS = keyed(
    "name",
    ports=keyed("containerPort", "protocol", protocol=_TCP),
    env=keyed("name"),
    volumeMounts=keyed("mountPath"),
)
_POD_SPEC = fields_of(
    containers=_CONTAINERS,
    initContainers=_CONTAINERS,
    volumes=keyed("name"),
    imagePullSecrets=keyed("name"),
    nodeSelector=ATOMIC,
    hostAliases=keyed("ip"),
)
_CONDITIONS = keyed("type")


def _root(**fields: Any) -> dict[str, Any]:
    return fields_of(metadata=METADATA, **fields)


_POD = _root(spec=_POD_SPEC, status=fields_of(conditions=_CONDITIONS, podIPs=keyed("ip")))
_SERVICE = _root(
    spec=fields_of(ports=keyed("port", "protocol", protocol=_TCP), selector=ATOMIC),
    status=fields_of(conditions=_CONDITIONS),
)
_DEPLOYMENT = _root(
    spec=fields_of(
        replicas={"default": 1},
        selector=ATOMIC,
        template=fields_of(metadata=METADATA, spec=_POD_SPEC),
    ),
    status=fields_of(conditions=_CONDITIONS),
)
_SLICE = _root(ports={"type": "array"}, endpoints={"type": "array"})
_WITH_CONDITIONS = _root(status=fields_of(conditions=_CONDITIONS))
_PLAIN = _root()


def _kind(group: str, plural: str, kind: str, *short: str, **options: Any) -> Kind:
    schema = options.pop("schema", _PLAIN)
    version = options.pop("version", "v1")
    options = {"namespaced": True} | options
    return Kind(group, plural, kind, schemas={version: schema}, short_names=short, **options)


_NO_GENERATION = {"counts_generation": False}
_POD_FIELDS = ("spec.nodeName", "spec.serviceAccountName", "status.phase", "status.podIP")
CRD_KIND = _kind(
    "apiextensions.k8s.io",
    "customresourcedefinitions",
    "CustomResourceDefinition",
    "crd",
    namespaced=False,
    has_status=True,
    needs_version=True,
    schema=_WITH_CONDITIONS,
)
NAMESPACES = _kind(
    "", "namespaces", "Namespace", "ns", namespaced=False, has_status=True, **_NO_GENERATION
)
BUILT_IN = (
    NAMESPACES,
    _kind("", "pods", "Pod", "po", has_status=True, schema=_POD, selectable=_POD_FIELDS),
    _kind("", "services", "Service", "svc", has_status=True, schema=_SERVICE, **_NO_GENERATION),
    _kind("", "serviceaccounts", "ServiceAccount", "sa", **_NO_GENERATION),
    _kind("", "configmaps", "ConfigMap", "cm", **_NO_GENERATION),
    _kind("", "secrets", "Secret", selectable=("type",), **_NO_GENERATION),
    _kind("", "nodes", "Node", "no", namespaced=False, has_status=True, **_NO_GENERATION),
    _kind("", "events", "Event", "ev", **_NO_GENERATION),
    _kind("apps", "deployments", "Deployment", "deploy", has_status=True, schema=_DEPLOYMENT),
    _kind("discovery.k8s.io", "endpointslices", "EndpointSlice", schema=_SLICE),
    _kind("coordination.k8s.io", "leases", "Lease", needs_version=True, **_NO_GENERATION),
    _kind("policy", "poddisruptionbudgets", "PodDisruptionBudget", "pdb", has_status=True),
    _kind(
        "autoscaling",
        "horizontalpodautoscalers",
        "HorizontalPodAutoscaler",
        "hpa",
        version="v2",
        has_status=True,
    ),
    _kind(GROUP, "roles", "Role", **_NO_GENERATION),
    _kind(GROUP, "rolebindings", "RoleBinding", **_NO_GENERATION),
    _kind(GROUP, "clusterroles", "ClusterRole", namespaced=False, **_NO_GENERATION),
    _kind(GROUP, "clusterrolebindings", "ClusterRoleBinding", namespaced=False, **_NO_GENERATION),
    _kind("networking.k8s.io", "networkpolicies", "NetworkPolicy", "netpol"),
    CRD_KIND,
    _kind("authentication.k8s.io", "tokenreviews", "TokenReview", namespaced=False, virtual=True),
    _kind(
        "authorization.k8s.io",
        "selfsubjectaccessreviews",
        "SelfSubjectAccessReview",
        namespaced=False,
        virtual=True,
    ),
    _kind(
        "authorization.k8s.io",
        "subjectaccessreviews",
        "SubjectAccessReview",
        namespaced=False,
        virtual=True,
    ),
)


def kind_of_crd(crd: Mapping[str, Any]) -> Kind:
    """The resource type that a CustomResourceDefinition defines."""
    spec = crd["spec"]
    names = spec["names"]
    served = [version for version in spec["versions"] if version["served"]]
    schemas = {v["name"]: _with_metadata(v["schema"]["openAPIV3Schema"]) for v in served}
    return Kind(
        spec["group"],
        names["plural"],
        names["kind"],
        namespaced=spec["scope"] == "Namespaced",
        schemas=schemas,
        short_names=tuple(names.get("shortNames", ())),
        categories=tuple(names.get("categories", ())),
        has_status=any("status" in (version.get("subresources") or {}) for version in served),
        needs_version=True,
        is_custom=True,
    )


def _with_metadata(schema: SchemaNode) -> SchemaNode:
    own = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": METADATA}
    return {**schema, "properties": {**schema.get("properties", {}), **own}}
