"""Which policies guard a service of a waypoint (Istio ``policyattachment``).

The same for AuthorizationPolicy and for RequestAuthentication.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, TypeVar

from translators.gateway_api.selectors import selects
from translators.gateway_api.served import Served
from translators.ir.waypoint import Mesh, WaypointName
from translators.resources.authorizationpolicy import AuthorizationPolicy, TargetRef
from translators.resources.gateway import Gateway
from translators.resources.requestauthentication import RequestAuthentication
from translators.world import Index, Reader

_GROUPS = {
    "Service": ("", "core"),
    "ServiceEntry": ("networking.istio.io",),
    "Gateway": ("gateway.networking.k8s.io",),
    "GatewayClass": ("gateway.networking.k8s.io",),
}
_WHOLE_NAMESPACE = "*"
_POD_LABEL = "gateway.networking.k8s.io/gateway-name"

Policy = AuthorizationPolicy | RequestAuthentication
P = TypeVar("P", bound=Policy)


def is_known_target(target: TargetRef) -> bool:
    """Whether policies can be attached to that kind of object."""
    return target.group in _GROUPS.get(target.kind, ())


def _target_keys(policy: Policy) -> Iterator[tuple[str, ...]]:
    namespace = policy.meta.namespace
    for target in policy.targets:
        if is_known_target(target):
            yield target.kind, namespace, target.name
    if not policy.targets and policy.selector is None and _lost_its_targets(policy):
        yield _WHOLE_NAMESPACE, namespace, ""


def _lost_its_targets(policy: Policy) -> bool:
    """Whether it had targets that could not be read: it then guards its whole namespace."""
    return any(path.startswith("spec") for path, _ in policy.unreadable)


BY_TARGET: Index[AuthorizationPolicy] = Index(
    "authorizationpolicy/target", AuthorizationPolicy, _target_keys
)
"""Policies by (kind, the policy's namespace, name) of what they target."""


def _without_targets(policy: AuthorizationPolicy) -> Iterator[tuple[str, ...]]:
    if not policy.targets and not _lost_its_targets(policy):
        yield (policy.meta.namespace,)


WITHOUT_TARGETS: Index[AuthorizationPolicy] = Index(
    "authorizationpolicy/without-targets", AuthorizationPolicy, _without_targets
)
"""Policies by selector and for whole namespaces, by namespace."""

TOKENS_BY_TARGET: Index[RequestAuthentication] = Index(
    "requestauthentication/target", RequestAuthentication, _target_keys
)
"""RequestAuthentications in the same way."""

INDEXES = (BY_TARGET, WITHOUT_TARGETS, TOKENS_BY_TARGET)


def attached(
    reader: Reader, mesh: Mesh, waypoint: WaypointName, service: Served, by_target: Index[P]
) -> list[P]:
    """All policies that guard a service at its waypoint, each once, in a stable order.

    Those of the waypoint as a whole, and those of the service's namespace that target the Service
    or ServiceEntry.
    """
    common = attached_to_waypoint(reader, mesh, waypoint, by_target)
    return with_own(common, reader, service, by_target)


def with_own(common: Iterable[P], reader: Reader, service: Served, by_target: Index[P]) -> list[P]:
    """The policies of a waypoint as a whole and those of one of its services, each once."""
    home = service.meta.namespace
    found: list[P] = [
        *common,
        *reader.select(by_target, service.kind, home, service.meta.name),
        *reader.select(by_target, _WHOLE_NAMESPACE, home, ""),
    ]
    return _distinct(found)


def attached_to_waypoint(
    reader: Reader, mesh: Mesh, waypoint: WaypointName, by_target: Index[P]
) -> list[P]:
    """The policies that guard all that a waypoint serves, each once, in a stable order.

    Policies of the root namespace that target the GatewayClass, and of the waypoint's namespace
    that target the Gateway.
    """
    gateway = reader.get(Gateway, waypoint.namespace, waypoint.name)
    class_name = gateway.class_name if gateway else ""
    found: list[P] = [
        *reader.select(by_target, "GatewayClass", mesh.root_namespace, class_name),
        *reader.select(by_target, "Gateway", waypoint.namespace, waypoint.name),
        *reader.select(by_target, _WHOLE_NAMESPACE, waypoint.namespace, ""),
    ]
    return _distinct(found)


def _distinct(found: list[P]) -> list[P]:
    return list({policy.key: policy for policy in found}.values()) if len(found) > 1 else found


class WaypointPolicies(NamedTuple):
    """What guards all that a waypoint serves, by ``attached_to_waypoint`` or as a layer."""

    policies: list[AuthorizationPolicy]
    tokens: list[RequestAuthentication]
    layered: list[AuthorizationPolicy]


OfWaypoint = Callable[[Reader, Mesh, WaypointName], WaypointPolicies]
"""Gives what ``waypoint_policies`` does, and may remember it."""


def waypoint_policies(reader: Reader, mesh: Mesh, waypoint: WaypointName) -> WaypointPolicies:
    """All policies that count for whatever a waypoint serves."""
    return WaypointPolicies(
        attached_to_waypoint(reader, mesh, waypoint, BY_TARGET),
        attached_to_waypoint(reader, mesh, waypoint, TOKENS_BY_TARGET),
        layered_policies(reader, mesh, waypoint),
    )


def layered_policies(
    reader: Reader, mesh: Mesh, waypoint: WaypointName
) -> list[AuthorizationPolicy]:
    """The policies without targets that speak of a waypoint's own pods, if they are layered.

    Those of its namespace and of the root namespace, by a selector that holds for the labels that
    the waypoint's pods have from their Gateway, or without one.
    """
    gateway = reader.get(Gateway, waypoint.namespace, waypoint.name)
    if not mesh.layered_authorization or gateway is None:
        return []
    labels = {**gateway.meta.labels, _POD_LABEL: waypoint.name}
    homes = dict.fromkeys((mesh.root_namespace, waypoint.namespace))
    found = (policy for home in homes for policy in reader.select(WITHOUT_TARGETS, home))
    return [one for one in found if one.selector is None or selects(one.selector, labels)]
