"""What one object names in another: whether it may, and whether it is there."""

from dataclasses import dataclass, replace
from typing import NamedTuple

from translators.gateway_api.indexes import GRANTS_BY_NAMESPACE, MeshRoute
from translators.gateway_api.issues import Issue, Subject
from translators.gateway_api.lookup import find_host
from translators.gateway_api.names import host_of
from translators.gateway_api.served import Served, find_port, goes_as_called
from translators.ir.waypoint import Mesh
from translators.resources.core import Service, ServicePort
from translators.resources.gateway import GATEWAY_GROUP
from translators.resources.httproute import BackendRef
from translators.resources.metadata import ObjectKey
from translators.resources.referencegrant import GrantFrom, GrantTo
from translators.resources.serviceentry import ServiceEntry
from translators.resources.workloadentry import ISTIO_NETWORKING_GROUP
from translators.world import Reader

_CORE = ("", "core")


class ServedPort(NamedTuple):
    """A port of a Service or ServiceEntry."""

    served: ObjectKey
    port: int


@dataclass(frozen=True, slots=True)
class Referrer:
    """Who refers: an object by its kind and namespace, and what it is attached to.

    ``consumes`` is where a route applies that is of another namespace than what it applies to.
    """

    kind: str
    namespace: str
    group: str = GATEWAY_GROUP
    parents: frozenset[ObjectKey] = frozenset()
    consumes: ServedPort | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """A service port, at one of its hosts, that requests and connections can be sent to."""

    service: Served
    port: ServicePort
    host: str


def referrer_of(route: MeshRoute, at: ServedPort | None) -> Referrer:
    """A route as the one who refers to its backends, where it applies (None: at home)."""
    parents = (ObjectKey(each.kind, each.namespace, each.name) for each in route.parents)
    home = route.meta.namespace
    consumes = None if at is None or at.served.namespace == home else at
    return Referrer(route.kind, home, parents=frozenset(parents), consumes=consumes)


def resolve_ref(reader: Reader, mesh: Mesh, referrer: Referrer, ref: BackendRef) -> Target | Issue:
    """The service port that a reference names, or why it can't be had.

    Every reference goes through here, be it to another namespace or not. Whether something is
    permitted is decided before anyone is told whether it exists.
    """
    if (ref.group, ref.kind) == (ISTIO_NETWORKING_GROUP, "Hostname"):
        return _resolve_host(reader, mesh, referrer, ref)
    if ref.group not in _CORE or ref.kind != "Service":
        return _invalid("kind", "InvalidKind", _unsupported(ref))
    if not is_permitted(reader, mesh, referrer, ref):
        return _refused(referrer, ref)
    if ref.port is None:
        return _invalid("port", "InvalidDestination", "port is required in backendRef")
    return _find(reader, mesh, ref, ref.port)


def is_permitted(reader: Reader, mesh: Mesh, referrer: Referrer, ref: BackendRef) -> bool:
    """Whether an object may refer to a service (Gateway API ReferenceGrant).

    Within a namespace always, and a consumer route to what it applies to. Across namespaces a
    grant is asked of other routes only if the mesh says so: GEP-1426 wants one, but Istio's mesh
    routes never needed any. A consumer route needs it always: its clients would be let in where
    they were called to another place, by whose policies they were judged.
    """
    if ref.namespace == referrer.namespace or _is_consumed(referrer, ref):
        return True
    if referrer.consumes is None and not mesh.requires_grants:
        return True
    return any(
        any(_is_from(source, referrer) for source in grant.sources)
        and any(_is_to(target, ref) for target in grant.targets)
        for grant in reader.select(GRANTS_BY_NAMESPACE, ref.namespace)
    )


def _is_consumed(referrer: Referrer, ref: BackendRef) -> bool:
    if referrer.consumes is None:
        return False
    served, port = referrer.consumes
    return (ref.namespace, ref.name, ref.port) == (served.namespace, served.name, port) and (
        ref.kind == served.kind
    )


def _is_from(source: GrantFrom, referrer: Referrer) -> bool:
    wanted = (referrer.group, referrer.kind, referrer.namespace)
    return (source.group, source.kind, source.namespace) == wanted


def _is_to(target: GrantTo, ref: BackendRef) -> bool:
    named = target.name in ("", ref.name)
    same_group = target.group == ref.group or {target.group, ref.group} <= set(_CORE)
    return named and same_group and target.kind == ref.kind


def _resolve_host(
    reader: Reader, mesh: Mesh, referrer: Referrer, ref: BackendRef
) -> Target | Issue:
    """What a Hostname means: the host of a ServiceEntry, or the full name of a Service."""
    if ref.port is None:
        return _invalid("port", "InvalidDestination", "port is required in backendRef")
    found = find_host(reader, mesh, ref.name, ref.port, referrer.namespace)
    if found is None:
        message = (
            f"backend({ref.name}) not found; create a ServiceEntry that has it among its hosts "
            "and is exported to the route's namespace"
        )
        return _invalid("name", "BackendNotFound", message)
    meta = found.meta
    meant = replace(
        ref, group=found.group, kind=found.kind, namespace=meta.namespace, name=meta.name
    )
    if not is_permitted(reader, mesh, referrer, meant):
        return _refused(referrer, meant)
    if isinstance(found, Service):
        return _find(reader, mesh, meant, ref.port)
    return _find_in_entry(referrer, found, ref, ref.port)


def _find_in_entry(
    referrer: Referrer, entry: ServiceEntry, ref: BackendRef, number: int
) -> Target | Issue:
    if goes_as_called(entry) and referrer.parents != {entry.key}:
        message = (
            f"backend({ref.name}) has the resolution {entry.resolution}: requests go where their "
            "client meant them to, so only routes of the ServiceEntry itself can send them there"
        )
        return _invalid("name", "InvalidDestination", message)
    port = find_port(entry, number)
    if port is None:
        message = f"backend({ref.name}) has no TCP port {number}; it has: {_tcp_ports(entry)}"
        return _invalid("port", "BackendNotFound", message)
    return Target(entry, port, ref.name.lower().rstrip("."))


def _refused(referrer: Referrer, ref: BackendRef) -> Issue:
    message = (
        f"backendRef {ref.name}/{ref.namespace} not accessible to a {referrer.kind} in "
        f'namespace "{referrer.namespace}" (missing a ReferenceGrant?)'
    )
    return _invalid("namespace", "RefNotPermitted", message)


def _find(reader: Reader, mesh: Mesh, ref: BackendRef, number: int) -> Target | Issue:
    host = host_of(mesh, ref.namespace, ref.name)
    service = reader.get(Service, ref.namespace, ref.name)
    if service is None:
        message = f"backend({host}) not found; create the Service or correct the name"
        return _invalid("name", "BackendNotFound", message)
    if service.external_name:
        message = f"backend({host}) is an ExternalName service; name one that has endpoints"
        return _invalid("name", "InvalidKind", message)
    port = find_port(service, number)
    if port is None:
        message = f"backend({host}) has no TCP port {number}; it has: {_tcp_ports(service)}"
        return _invalid("port", "BackendNotFound", message)
    return Target(service, port, host)


def _unsupported(ref: BackendRef) -> str:
    return f"referencing unsupported backendRef: {ref.kind}; use a Service"


def _tcp_ports(service: Served) -> str:
    return ", ".join(str(port.port) for port in service.ports if port.protocol == "TCP") or "none"


def _invalid(path: str, reason: str, message: str) -> Issue:
    return Issue(path, Subject.REFERENCE, reason, message)
