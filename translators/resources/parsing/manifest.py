"""The door for manifests: which kinds are read, and by whom."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from translators.resources.gateway import GATEWAY_GROUP
from translators.resources.metadata import KubernetesObject, Metadata, ObjectKey
from translators.resources.parsing.authorizationpolicy import read_authorizationpolicy
from translators.resources.parsing.core import (
    read_namespace_object,
    read_node,
    read_pod,
    read_service,
)
from translators.resources.parsing.endpointslice import read_endpointslice
from translators.resources.parsing.fields import Fields, Problem
from translators.resources.parsing.gateway import read_gateway, read_gateway_class
from translators.resources.parsing.grpcroute import read_grpcroute
from translators.resources.parsing.httproute import read_httproute
from translators.resources.parsing.metadata import read_metadata, read_name, read_namespace
from translators.resources.parsing.referencegrant import read_referencegrant
from translators.resources.parsing.requestauthentication import read_requestauthentication
from translators.resources.parsing.serviceentry import read_serviceentry, read_workloadentry
from translators.resources.parsing.tcproute import read_tcproute, read_tlsroute
from translators.resources.workloadentry import ISTIO_NETWORKING_GROUP


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a manifest says.

    ``value`` is None if it can't be used, ``key`` if not even its name could be read.
    ``ignored`` tells that the kind is none of ours, which is no problem. ``problems`` may come
    with a value: an HTTPRoute keeps its bad rules, an AuthorizationPolicy whatever is wrong
    with it, and both say inside what was unreadable.
    """

    value: KubernetesObject | None
    problems: tuple[Problem, ...] = ()
    key: ObjectKey | None = None
    ignored: bool = False


_Reader = Callable[[Fields, Metadata], KubernetesObject | None]


@dataclass(frozen=True, slots=True)
class _Kind:
    """How to read a kind. ``read`` gives None if a problem is too bad to give a value."""

    versions: tuple[str, ...]
    read: _Reader
    namespaced: bool = True


def _whole(read: Callable[[Fields, Metadata], KubernetesObject]) -> _Reader:
    """A reader that gives a value only if there is no problem at all."""

    def read_whole(root: Fields, meta: Metadata) -> KubernetesObject | None:
        value = read(root, meta)
        return None if root.problems else value

    return read_whole


_SECURITY = "security.istio.io"
_SINCE_BETA = ("v1", "v1beta1")
_SINCE_ALPHA = ("v1", "v1beta1", "v1alpha3")

_KINDS: Mapping[tuple[str, str], _Kind] = {
    ("", "Namespace"): _Kind(("v1",), _whole(read_namespace_object), namespaced=False),
    ("", "Node"): _Kind(("v1",), _whole(read_node), namespaced=False),
    ("", "Service"): _Kind(("v1",), _whole(read_service)),
    ("", "Pod"): _Kind(("v1",), _whole(read_pod)),
    ("discovery.k8s.io", "EndpointSlice"): _Kind(("v1",), _whole(read_endpointslice)),
    (GATEWAY_GROUP, "GatewayClass"): _Kind(
        _SINCE_BETA, _whole(read_gateway_class), namespaced=False
    ),
    (GATEWAY_GROUP, "Gateway"): _Kind(_SINCE_BETA, _whole(read_gateway)),
    (GATEWAY_GROUP, "HTTPRoute"): _Kind(_SINCE_BETA, read_httproute),
    (GATEWAY_GROUP, "GRPCRoute"): _Kind(("v1",), read_grpcroute),
    (GATEWAY_GROUP, "TCPRoute"): _Kind(("v1", "v1alpha2"), read_tcproute),
    (GATEWAY_GROUP, "TLSRoute"): _Kind(("v1", "v1alpha3", "v1alpha2"), read_tlsroute),
    (GATEWAY_GROUP, "ReferenceGrant"): _Kind(_SINCE_BETA, _whole(read_referencegrant)),
    (_SECURITY, "AuthorizationPolicy"): _Kind(_SINCE_BETA, read_authorizationpolicy),
    (_SECURITY, "RequestAuthentication"): _Kind(_SINCE_BETA, read_requestauthentication),
    (ISTIO_NETWORKING_GROUP, "ServiceEntry"): _Kind(_SINCE_ALPHA, _whole(read_serviceentry)),
    (ISTIO_NETWORKING_GROUP, "WorkloadEntry"): _Kind(_SINCE_ALPHA, _whole(read_workloadentry)),
}
_BY_LOWER_CASE = {(group, kind.lower()): (group, kind) for group, kind in _KINDS}
_GROUPS = {kind.lower(): group for group, kind in _KINDS}


def known_versions() -> Mapping[tuple[str, str], tuple[str, ...]]:
    """The versions that are read of each kind, best first, by (group, kind)."""
    return {name: kind.versions for name, kind in _KINDS.items()}


def parse(manifest: object) -> Parsed:
    """Read one manifest, as YAML or JSON gives it. Never raises.

    The size of the whole is the source's to bound (``bounds.OBJECT_BYTES``).
    """
    problems: list[Problem] = []
    root = Fields(manifest, problems)
    if problems:
        return Parsed(None, tuple(problems))
    group, _, version = root.required("apiVersion").rpartition("/")
    name = root.required("kind")
    if problems:
        return Parsed(None, tuple(problems))
    kind = _KINDS.get((group, name))
    if kind is None:
        _complain_of_near_miss(root, group, name)
        return Parsed(None, tuple(problems), ignored=not problems)
    if version not in kind.versions:
        best = f"{group}/{kind.versions[0]}".removeprefix("/")
        root.complain("apiVersion", f"{version[:64]!r} is no known version", f"Use {best}.")
    return _read(root, kind, name)


def _complain_of_near_miss(root: Fields, group: str, name: str) -> None:
    """A kind that is ours but for its spelling was surely meant, and must not just be ignored."""
    meant = _BY_LOWER_CASE.get((group, name.lower()))
    if meant is not None:
        root.complain("kind", f"{name!r} is no known kind", f"Use {meant[1]}.")
    elif group == "" and name.lower() in _GROUPS:
        root.complain("apiVersion", f"has no kind {name}", f"Use {_GROUPS[name.lower()]}/VERSION.")


def _read(root: Fields, kind: _Kind, kind_name: str) -> Parsed:
    fields = root.within("metadata")
    name = read_name(fields)
    namespace = read_namespace(fields) if kind.namespaced else ""
    if not name or (kind.namespaced and not namespace):
        return Parsed(None, tuple(root.problems))
    meta = read_metadata(fields, name, namespace)
    value = kind.read(root, meta)
    return Parsed(value, tuple(root.problems), ObjectKey(kind_name, namespace, name))
