"""Authorization rules as RBAC rules, for requests and for connections alike."""

from collections.abc import Iterable

from envoy_data_plane.envoy.config.rbac.v3 import Permission, Policy, Principal, Rbac, RbacAction

from translators.ir.authorization import AuthzRule
from translators.wire import kept, template
from translators.xds.permission import permission
from translators.xds.principal import principal

_MANY = 50  # rules: enough for an edit of one to be worth keeping the others for

DRY_RUN_PREFIX = {
    RbacAction.DENY: "istio_dry_run_deny_",
    RbacAction.ALLOW: "istio_dry_run_allow_",
}
"""What leads the statistics and the metadata of rules that are watched but not enforced."""


def rules(action: RbacAction, given: Iterable[AuthzRule]) -> Rbac:
    """One set of rules. ALLOW without any rule refuses all, DENY without any refuses nothing.

    Raises ValueError if two rules share a key: the later one would be lost.
    """
    policies: dict[str, Policy] = {}
    given = tuple(given)
    make = _kept_policy if len(given) > _MANY else _policy
    for rule in given:
        if rule.key in policies:
            raise ValueError(f"two authorization rules are called {rule.key}")
        policies[rule.key] = make(rule)
    return Rbac(action=action, policies=policies)


def _policy(rule: AuthzRule) -> Policy:
    return _both(permission(rule.operations), principal(rule.sources))


_kept_policy = kept(_policy)


@template
def _both(operation: Permission, source: Principal) -> Policy:
    return Policy(permissions=[operation], principals=[source])
