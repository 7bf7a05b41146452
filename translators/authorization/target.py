"""What became of the targets of a policy: the words for its status."""

from dataclasses import dataclass

from translators.authorization.attachment import Policy, is_known_target, layered_policies
from translators.authorization.guard import LAYERED_ACTIONS
from translators.gateway_api.binding import CONTROLLER, Bound, is_waypoint, waypoint_of, waypoints
from translators.gateway_api.served import find_served
from translators.ir.waypoint import Mesh, WaypointName
from translators.resources.authorizationpolicy import AuthorizationPolicy, TargetRef
from translators.resources.gateway import Gateway, GatewayClass
from translators.world import Reader

_MAX_NAMED = 10  # waypoints that a message names; the rest are counted


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What became of one target: the waypoint or class it is bound to, or why it is not."""

    bound_to: str = ""
    reason: str = "Accepted"
    message: str = ""


def find_targets(reader: Reader, mesh: Mesh, policy: Policy) -> tuple[bool, str, str]:
    """Whether some target is bound to a waypoint here; with Istio's reason and message."""
    verdicts = [_judge(reader, mesh, policy, target) for target in policy.targets]
    if not verdicts and mesh.layered_authorization and isinstance(policy, AuthorizationPolicy):
        return _judge_layer(reader, mesh, policy)
    if not verdicts:
        return False, "NoTargetRefs", _not_targeted(policy)
    if len(verdicts) == 1:
        only = verdicts[0]
        return bool(only.bound_to), only.reason, only.message or f"bound to {only.bound_to}"
    lost = [
        f"{target.kind}.{target.group or 'core'}:{policy.meta.namespace}/{target.name}"
        for target, verdict in zip(policy.targets, verdicts, strict=True)
        if not verdict.bound_to
    ]
    if not lost:
        return True, "Accepted", ""
    some = len(lost) < len(verdicts)
    return some, "PartiallyInvalid" if some else "Invalid", f"Invalid targetRefs: {', '.join(lost)}"


def _judge_layer(reader: Reader, mesh: Mesh, policy: AuthorizationPolicy) -> tuple[bool, str, str]:
    """What layered authorization makes of a policy without targets."""
    if policy.action not in LAYERED_ACTIONS:
        message = (
            f"without targetRefs only {' and '.join(LAYERED_ACTIONS)} are enforced, on tunnels"
        )
        return False, "NoTargetRefs", message
    found = [each for each in waypoints(reader) if policy in layered_policies(reader, mesh, each)]
    if not found:
        return False, "NoTargetRefs", "no waypoint is meant by the policy's namespace and selector"
    some = ", ".join(map(str, found[:_MAX_NAMED]))
    more = f" and {len(found) - _MAX_NAMED} more" if len(found) > _MAX_NAMED else ""
    return True, "Accepted", f"its L4 rules are enforced on the tunnels of {some}{more}"


def _not_targeted(policy: Policy) -> str:
    how = "with a selector" if policy.selector is not None else "without targetRefs"
    others = (
        "only by ztunnel and only its L4 rules"
        if isinstance(policy, AuthorizationPolicy)
        else "and ztunnel knows no tokens"
    )
    return (
        f"a policy {how} is not enforced by waypoints, {others}; "
        "add spec.targetRefs to have a waypoint enforce it"
    )


def _judge(reader: Reader, mesh: Mesh, policy: Policy, target: TargetRef) -> _Verdict:
    if not is_known_target(target):
        return _Verdict(reason="Invalid", message=f"{target.kind} can't be a policy's target")
    match target.kind:
        case "Gateway":
            return _judge_gateway(reader, policy, target)
        case "GatewayClass":
            return _judge_class(reader, mesh, policy, target)
        case "Service" | "ServiceEntry":
            return _judge_service(reader, policy, target)
        case _:
            return _not_found(policy, target)


def _judge_gateway(reader: Reader, policy: Policy, target: TargetRef) -> _Verdict:
    gateway = reader.get(Gateway, policy.meta.namespace, target.name)
    if gateway is None or not is_waypoint(reader, gateway):
        return _Verdict(reason="TargetNotFound", message="not bound")
    return _Verdict(bound_to=str(WaypointName(policy.meta.namespace, target.name)))


def _judge_class(reader: Reader, mesh: Mesh, policy: Policy, target: TargetRef) -> _Verdict:
    if policy.meta.namespace != mesh.root_namespace:
        message = (
            f"{policy.kind} must be in the root namespace `{mesh.root_namespace}` "
            "when referencing a GatewayClass"
        )
        return _Verdict(reason="Invalid", message=message)
    found = reader.get(GatewayClass, "", target.name)
    if found is None:
        return _Verdict(reason="TargetNotFound", message="not bound")
    if found.controller != CONTROLLER:
        message = f"GatewayClass must use controller name `{CONTROLLER}` for waypoints"
        return _Verdict(reason="Invalid", message=message)
    return _Verdict(bound_to=target.name)


def _judge_service(reader: Reader, policy: Policy, target: TargetRef) -> _Verdict:
    service = find_served(reader, target.kind, policy.meta.namespace, target.name)
    if service is None:
        return _not_found(policy, target)
    binding = waypoint_of(reader, service)
    if isinstance(binding, Bound):
        return _Verdict(bound_to=str(binding.waypoint))
    name = f"{target.kind} {policy.meta.namespace}/{target.name}"
    return _Verdict(reason="AncestorNotBound", message=f"{name} is not bound to a waypoint")


def _not_found(policy: Policy, target: TargetRef) -> _Verdict:
    name = f"{target.kind} {policy.meta.namespace}/{target.name}"
    return _Verdict(reason="TargetNotFound", message=f"{name} was not found")
