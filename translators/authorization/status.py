"""What is to be said about a policy: where it is enforced, and what of it has no meaning."""

from collections.abc import Iterator

from translators.authorization.attachment import BY_TARGET, attached, is_known_target
from translators.authorization.custom import find_provider, first_providers, known_providers
from translators.authorization.fields import Carrier
from translators.authorization.guard import is_dry_run, meaning_of
from translators.authorization.target import find_targets
from translators.authorization.tokens import token_problems
from translators.gateway_api.binding import Bound, waypoint_of
from translators.gateway_api.served import find_served
from translators.ir.authorization import MAX_CUSTOM_CHECKS
from translators.ir.condition import Condition
from translators.ir.origin import Origin
from translators.ir.waypoint import Mesh
from translators.resources.authorizationpolicy import AuthorizationPolicy
from translators.resources.requestauthentication import RequestAuthentication
from translators.world import Reader

_ACTIONS = ("ALLOW", "DENY", "AUDIT", "CUSTOM")
_ANY_PORT = 0


def policy_conditions(
    reader: Reader, mesh: Mesh, policy: AuthorizationPolicy
) -> tuple[Condition, ...]:
    """The condition ``WaypointAccepted``, with Istio's reasons and messages.

    What has no meaning is named by its field, with what is done about it.
    """
    status, reason, message = find_targets(reader, mesh, policy)
    complaints = _complaints(reader, mesh, policy)
    if complaints:
        reason = "UnsupportedValue" if status else reason
    message = "; ".join(part for part in (message, *complaints, *_remarks(policy)) if part)
    origin = Origin(policy.kind, policy.meta.namespace, policy.meta.name, "spec")
    return (Condition(origin, "WaypointAccepted", status, reason, message),)


def tokens_conditions(
    reader: Reader, mesh: Mesh, policy: RequestAuthentication
) -> tuple[Condition, ...]:
    """The same for a RequestAuthentication."""
    status, reason, message = find_targets(reader, mesh, policy)
    problems = [f"{path}: {why}" for path, why in policy.unreadable]
    problems += [
        f"{path}: {why}; no token is valid by this rule" for path, why in token_problems(policy)
    ]
    if problems:
        reason = "UnsupportedValue" if status else reason
        message = "; ".join(part for part in (message, *problems) if part)
    origin = Origin(policy.kind, policy.meta.namespace, policy.meta.name, "spec")
    return (Condition(origin, "WaypointAccepted", status, reason, message),)


def _complaints(reader: Reader, mesh: Mesh, policy: AuthorizationPolicy) -> list[str]:
    """What could not be read or has no meaning, and what is done about it."""
    if policy.unreadable:
        return [f"{path}: {why}; everything is denied" for path, why in policy.unreadable]
    if policy.action not in _ACTIONS:
        return [f"spec.action: {policy.action!r} is unknown; what the rules match is denied"]
    effect = "it matches nothing" if policy.action == "ALLOW" else "it matches everything"
    found = [
        f"spec.rules[{index}].{path}: {why}; {effect}"
        for index in range(len(policy.rules))
        for path, why in meaning_of(policy, index, mesh, _ANY_PORT, Carrier.REQUESTS).problems
    ]
    if policy.action == "CUSTOM":
        return [*_provider_complaints(reader, mesh, policy), *found]
    return found


def _remarks(policy: AuthorizationPolicy) -> Iterator[str]:
    if is_dry_run(policy) and policy.action in ("ALLOW", "DENY") and not policy.unreadable:
        yield "dry run: watched, not enforced"


def _provider_complaints(reader: Reader, mesh: Mesh, policy: AuthorizationPolicy) -> list[str]:
    found = find_provider(reader, mesh, policy.provider)
    if isinstance(found, str):
        return [f"spec.provider.name: {found}; what the rules match is denied"]
    return [
        f"spec.provider.name: {service} has policies of more than {MAX_CUSTOM_CHECKS} providers; "
        "what the rules match is denied there"
        for service in _crowded(reader, mesh, policy)
    ]


def _crowded(reader: Reader, mesh: Mesh, policy: AuthorizationPolicy) -> Iterator[str]:
    """The services among the policy's targets where its provider is one too many."""
    named = (target for target in policy.targets if is_known_target(target))
    for target in named:
        service = find_served(reader, target.kind, policy.meta.namespace, target.name)
        bound = None if service is None else waypoint_of(reader, service)
        if service is None or not isinstance(bound, Bound):
            continue
        others = attached(reader, mesh, bound.waypoint, service, BY_TARGET)
        asked = {provider for provider, _ in known_providers(reader, mesh, others)}
        if policy.provider not in first_providers(asked):
            yield f"{service.kind} {service.meta.namespace}/{service.meta.name}"
