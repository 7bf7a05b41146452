"""All policies of a destination put together."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import NamedTuple

from translators.authorization.custom import Provider, first_providers
from translators.authorization.fields import Scope
from translators.authorization.rules import Meaning, read_rule
from translators.gateway_api.upstreams import Upstream
from translators.ir.authentication import ANYONE, Authentication
from translators.ir.authorization import (
    OPEN,
    Authorization,
    AuthzRule,
    CustomCheck,
    denied,
)
from translators.ir.origin import Origin
from translators.ir.predicate import EVERYTHING, NOTHING
from translators.ir.waypoint import Mesh
from translators.resources.authorizationpolicy import AuthorizationPolicy

LAYERED_ACTIONS = ("ALLOW", "DENY")
"""What is enforced of policies without targets, as by ztunnel."""

_DRY_RUN = "istio.io/dry-run"
_NO_PROVIDERS: Mapping[str, Provider] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Guard:
    """What protects one service port.

    ``http`` is decided on each request, ``tcp`` on connections that carry no HTTP, ``connect``
    on the CONNECT of a port whose protocol is not declared: only what needs no HTTP. ``layered`` is
    decided on every CONNECT before all that: what layered authorization adds. ``authentication``
    is what requests must show. ``upstreams`` are the clusters that all this leads to.
    """

    http: Authorization = OPEN
    tcp: Authorization = OPEN
    connect: Authorization = OPEN
    layered: Authorization = OPEN
    authentication: Authentication = ANYONE
    upstreams: tuple[Upstream, ...] = ()


@dataclass(slots=True)
class _Rules:
    """Rules of all policies by what they do; None until a policy of that action exists."""

    deny: list[AuthzRule] = field(default_factory=list)
    allow: list[AuthzRule] | None = None
    audit: list[AuthzRule] = field(default_factory=list)
    dry_run_deny: list[AuthzRule] = field(default_factory=list)
    dry_run_allow: list[AuthzRule] | None = None
    custom: dict[str, list[AuthzRule]] = field(default_factory=dict)

    def freeze(self, providers: Mapping[str, Provider]) -> Authorization:
        """Give the rules as a value; those of a provider that can't be asked deny."""
        asked = first_providers(self.custom.keys() & providers)
        lost = [name for name in sorted(self.custom) if name not in asked]
        self.deny += [denied(rule) for name in lost for rule in self.custom[name]]
        return Authorization(
            custom=tuple(_check(providers[name], self.custom[name]) for name in asked),
            deny=tuple(self.deny),
            allow=None if self.allow is None else tuple(self.allow),
            audit=tuple(self.audit),
            dry_run_deny=tuple(self.dry_run_deny),
            dry_run_allow=None if self.dry_run_allow is None else tuple(self.dry_run_allow),
        )


class _Read(NamedTuple):
    """The rules of a policy where requests are seen, and where they are not."""

    policy: AuthorizationPolicy
    http: list[AuthzRule]
    tcp: list[AuthzRule]
    needs_http: bool


def guard(
    policies: Iterable[AuthorizationPolicy],
    mesh: Mesh,
    port: int,
    providers: Mapping[str, Provider] = _NO_PROVIDERS,
) -> Guard:
    """What these policies together mean for a service port; ``providers`` are those to be asked."""
    read = [_read(policy, mesh, port) for policy in policies]
    if not read:
        return Guard()
    http, tcp, connect = _Rules(), _Rules(), _Rules()
    for one in read:
        _add(http, one.policy, one.http)
        _add(tcp, one.policy, one.tcp)
        if one.policy.action != "CUSTOM" and not one.needs_http:
            _add(connect, one.policy, one.tcp)
    if any(one.policy.action == "ALLOW" and one.needs_http for one in read):
        connect.allow = None  # a request that some HTTP rule allows must still get in
    return Guard(http.freeze(providers), tcp.freeze(providers), connect.freeze(providers))


def layered(policies: Iterable[AuthorizationPolicy], mesh: Mesh, port: int) -> Authorization:
    """What policies that target nothing mean for the tunnels to a port: their L4 rules.

    Those that can't be read deny.
    """
    rules = _Rules()
    for policy in policies:
        if policy.unreadable or policy.action in LAYERED_ACTIONS:
            _add(rules, policy, _read(policy, mesh, port).tcp)
    return rules.freeze(_NO_PROVIDERS)


def _check(provider: Provider, rules: list[AuthzRule]) -> CustomCheck:
    named = (
        replace(rule, key=f"istio-ext-authz-{provider.config.name}-{rule.key}") for rule in rules
    )
    return CustomCheck(provider.config, provider.cluster.name, tuple(named))


def _read(policy: AuthorizationPolicy, mesh: Mesh, port: int) -> _Read:
    """Both meanings of a policy, which most rules about nothing but the peer have in common."""
    http, tcp = [], []
    needs_http = False
    for index in range(len(policy.rules)):
        meaning = meaning_of(policy, index, mesh, port, http=True)
        rule = blind = _rule(policy, index, meaning)
        if meaning.needs_http:
            needs_http = True
            blind = _rule(policy, index, meaning_of(policy, index, mesh, port, http=False))
        http += [rule] if rule is not None else []
        tcp += [blind] if blind is not None else []
    return _Read(policy, http, tcp, needs_http)


def _add(rules: _Rules, policy: AuthorizationPolicy, made: list[AuthzRule]) -> None:
    if policy.unreadable:
        rules.deny.append(_deny_all(policy))
    elif policy.action == "ALLOW" and is_dry_run(policy):
        rules.dry_run_allow = [*(rules.dry_run_allow or ()), *made]
    elif policy.action == "ALLOW":
        rules.allow = [*(rules.allow or ()), *made]
    elif policy.action == "CUSTOM":
        rules.custom.setdefault(policy.provider, []).extend(made)
    elif policy.action == "AUDIT":
        rules.audit.extend(made)
    elif policy.action == "DENY" and is_dry_run(policy):
        rules.dry_run_deny.extend(made)
    else:
        rules.deny.extend(made)


def _rule(policy: AuthorizationPolicy, index: int, meaning: Meaning) -> AuthzRule | None:
    """A rule as a predicate pair; None if it can never match."""
    if NOTHING in (meaning.sources, meaning.operations):
        return None
    return AuthzRule(
        key=f"ns[{policy.meta.namespace}]-policy[{policy.meta.name}]-rule[{index}]",
        sources=meaning.sources,
        operations=meaning.operations,
        origin=_origin(policy).at(f"spec.rules[{index}]"),
    )


def meaning_of(
    policy: AuthorizationPolicy, index: int, mesh: Mesh, port: int, *, http: bool
) -> Meaning:
    """What a rule of a policy demands on a port."""
    scope = Scope(mesh, policy.meta.namespace, port)
    allows = policy.action == "ALLOW"
    return read_rule(scope, policy.rules[index], allows=allows, http=http)


def is_dry_run(policy: AuthorizationPolicy) -> bool:
    """Whether a policy is only watched, not enforced (annotation ``istio.io/dry-run``)."""
    return policy.meta.annotations.get(_DRY_RUN) == "true"


def _deny_all(policy: AuthorizationPolicy) -> AuthzRule:
    """What a policy that can't be read does: it protects."""
    key = f"ns[{policy.meta.namespace}]-policy[{policy.meta.name}]-unreadable"
    return AuthzRule(key, EVERYTHING, EVERYTHING, _origin(policy).at("spec"))


def _origin(policy: AuthorizationPolicy) -> Origin:
    return Origin("AuthorizationPolicy", policy.meta.namespace, policy.meta.name)
