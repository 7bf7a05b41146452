"""Authorization of requests: three instances of RBAC, in Istio's order AUDIT, DENY, ALLOW."""

from collections.abc import Iterator
from dataclasses import replace

from envoy_data_plane.envoy.config.rbac.v3 import RbacAction
from envoy_data_plane.envoy.extensions.filters.http.rbac.v3 import Rbac, RbacPerRoute

from translators.ir.authorization import Authorization, AuthzRule
from translators.xds.filters.menu import Armed, Filter
from translators.xds.policy import DRY_RUN_PREFIX, rules

LAYERED_FILTERS = (Filter.LAYERED_DENY, Filter.LAYERED_ALLOW)
"""The filters of layered authorization, which knows no AUDIT."""


OPAQUE_FILTERS = (Filter.OPAQUE_DENY, Filter.OPAQUE_ALLOW)
"""The filters that find out what becomes of a tunnel if it carries no HTTP."""

TUNNEL_FILTERS = (*LAYERED_FILTERS, *OPAQUE_FILTERS)
"""The filters of RBAC that only tunnels have."""


def inert_rbac(action: RbacAction) -> Rbac:
    """Lets everything pass.

    The prefix of dry runs stands here because Envoy counts under the filter's own, whatever the
    virtual host says.
    """
    return Rbac(shadow_rules_stat_prefix=DRY_RUN_PREFIX.get(action, ""))


def armed_rbac(authorization: Authorization) -> Iterator[Armed]:
    """What guards a virtual host.

    A route must never arm these filters itself: Envoy would drop the virtual host's rules there.
    """
    if authorization.audit:
        yield _armed(Filter.AUDIT, RbacAction.LOG, authorization.audit, None)
    if authorization.deny or authorization.dry_run_deny:
        yield _armed(
            Filter.DENY,
            RbacAction.DENY,
            authorization.deny or None,
            authorization.dry_run_deny or None,
        )
    if authorization.allow is not None or authorization.dry_run_allow is not None:
        yield _armed(
            Filter.ALLOW, RbacAction.ALLOW, authorization.allow, authorization.dry_run_allow
        )


def armed_layers(authorization: Authorization) -> Iterator[Armed]:
    """What layered authorization adds to a destination of tunnels."""
    instances = {Filter.DENY: Filter.LAYERED_DENY, Filter.ALLOW: Filter.LAYERED_ALLOW}
    for armed in armed_rbac(replace(authorization, audit=())):
        yield replace(armed, filter=instances[armed.filter])


def inert_verdict(filter_: Filter) -> Rbac:
    """Lets everything pass, and has nothing to say about it."""
    return Rbac(shadow_rules_stat_prefix=verdict_prefix(filter_))


def armed_verdicts(authorization: Authorization) -> Iterator[Armed]:
    """What becomes of tunnels to a destination if they carry no HTTP: it is noted, not done."""
    if authorization.deny:
        yield _verdict(Filter.OPAQUE_DENY, RbacAction.DENY, authorization.deny)
    if authorization.allow is not None:
        yield _verdict(Filter.OPAQUE_ALLOW, RbacAction.ALLOW, authorization.allow)


def verdict_prefix(filter_: Filter) -> str:
    """What leads the metadata in which a filter notes its verdict."""
    return f"{filter_.rpartition('.')[2]}_"


def _verdict(filter_: Filter, action: RbacAction, given: tuple[AuthzRule, ...]) -> Armed:
    prefix = verdict_prefix(filter_)
    rbac = Rbac(shadow_rules=rules(action, given), shadow_rules_stat_prefix=prefix)
    return Armed(filter_, RbacPerRoute(rbac=rbac))


def _armed(
    filter_: Filter,
    action: RbacAction,
    enforced: tuple[AuthzRule, ...] | None,
    watched: tuple[AuthzRule, ...] | None,
) -> Armed:
    rbac = Rbac(
        rules=None if enforced is None else rules(action, enforced),
        shadow_rules=None if watched is None else rules(action, watched),
        shadow_rules_stat_prefix="" if watched is None else DRY_RUN_PREFIX[action],
    )
    return Armed(filter_, RbacPerRoute(rbac=rbac))
