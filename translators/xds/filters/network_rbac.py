"""Authorization of connections that carry no HTTP, decided on the client's first byte."""

from collections.abc import Iterator

from envoy_data_plane.envoy.config.listener.v3 import Filter
from envoy_data_plane.envoy.config.rbac.v3 import RbacAction
from envoy_data_plane.envoy.extensions.filters.network.rbac.v3 import Rbac

from translators.ir.authorization import Authorization, AuthzRule
from translators.wire import pack
from translators.xds.policy import DRY_RUN_PREFIX, rules


def network_rbac(authorization: Authorization) -> Iterator[Filter]:
    """The filters that guard a connection: none, or up to one each for AUDIT, DENY, ALLOW.

    A server that speaks first is heard before the decision; where the protocol is declared the
    decision is made on the CONNECT instead.
    """
    if authorization.audit:
        yield _filter("audit", RbacAction.LOG, authorization.audit, None)
    if authorization.deny or authorization.dry_run_deny:
        yield _filter(
            "deny",
            RbacAction.DENY,
            authorization.deny or None,
            authorization.dry_run_deny or None,
        )
    if authorization.allow is not None or authorization.dry_run_allow is not None:
        yield _filter("allow", RbacAction.ALLOW, authorization.allow, authorization.dry_run_allow)


def _filter(
    instance: str,
    action: RbacAction,
    enforced: tuple[AuthzRule, ...] | None,
    watched: tuple[AuthzRule, ...] | None,
) -> Filter:
    rbac = Rbac(
        stat_prefix="tcp.",
        rules=None if enforced is None else rules(action, enforced),
        shadow_rules=None if watched is None else rules(action, watched),
        shadow_rules_stat_prefix="" if watched is None else DRY_RUN_PREFIX[action],
    )
    return Filter(name=f"envoy.filters.network.rbac.{instance}", typed_config=pack(rbac))
