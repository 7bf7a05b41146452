"""Which policies guard a service of a waypoint (Istio ``policyattachment``)."""

from collections.abc import Iterator

from translators.ir.waypoint import Mesh, WaypointName
from translators.resources.authorizationpolicy import AuthorizationPolicy, TargetRef
from translators.resources.core import Service
from translators.resources.gateway import Gateway
from translators.world import Index, Reader

_GROUPS = {
    "Service": ("", "core"),
    "ServiceEntry": ("networking.istio.io",),
    "Gateway": ("gateway.networking.k8s.io",),
    "GatewayClass": ("gateway.networking.k8s.io",),
}
_WHOLE_NAMESPACE = "*"


def is_known_target(target: TargetRef) -> bool:
    """Whether policies can be attached to that kind of object."""
    return target.group in _GROUPS.get(target.kind, ())


def _target_keys(policy: AuthorizationPolicy) -> Iterator[tuple[str, ...]]:
    namespace = policy.meta.namespace
    for target in policy.targets:
        if is_known_target(target):
            yield target.kind, namespace, target.name
    if not policy.targets and policy.selector is None and _lost_its_targets(policy):
        yield _WHOLE_NAMESPACE, namespace, ""


def _lost_its_targets(policy: AuthorizationPolicy) -> bool:
    """Whether it had targets that could not be read: it then guards its whole namespace."""
    return any(path.startswith("spec") for path, _ in policy.unreadable)


BY_TARGET: Index[AuthorizationPolicy] = Index(
    "authorizationpolicy/target", AuthorizationPolicy, _target_keys
)
"""Policies by (kind, the policy's namespace, name) of what they target."""

INDEXES = (BY_TARGET,)


def attached_policies(
    reader: Reader, mesh: Mesh, waypoint: WaypointName, service: Service
) -> list[AuthorizationPolicy]:
    """All policies that guard a service at its waypoint, each once, in a stable order.

    Policies of the root namespace that target the GatewayClass, of the waypoint's namespace that
    target the Gateway, and of the service's namespace that target the Service.
    """
    gateway = reader.get(Gateway, waypoint.namespace, waypoint.name)
    class_name = gateway.class_name if gateway else ""
    home = service.meta.namespace
    found = [
        *reader.select(BY_TARGET, "GatewayClass", mesh.root_namespace, class_name),
        *reader.select(BY_TARGET, "Gateway", waypoint.namespace, waypoint.name),
        *reader.select(BY_TARGET, "Service", home, service.meta.name),
        *reader.select(BY_TARGET, _WHOLE_NAMESPACE, waypoint.namespace, ""),
        *reader.select(BY_TARGET, _WHOLE_NAMESPACE, home, ""),
    ]
    return list({policy.key: policy for policy in found}.values())
