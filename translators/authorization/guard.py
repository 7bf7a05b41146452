"""All policies of a destination put together."""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import NamedTuple

from translators.authorization.custom import Provider, first_providers
from translators.authorization.fields import Carrier, Scope
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
    on the CONNECT of a port whose protocol is not declared: only what needs no reading. Where some
    rule asks for the server name, ``tls`` is decided on TLS handshakes and ``tls_connect``, what
    needs no reading, on their CONNECT; else these are decided as ``tcp``. ``layered`` is decided on
    every CONNECT before all that: what layered authorization adds. ``authentication`` is what
    requests must show. ``upstreams`` are the clusters that all this leads to.
    """

    http: Authorization = OPEN
    tcp: Authorization = OPEN
    connect: Authorization = OPEN
    tls: Authorization | None = None
    tls_connect: Authorization = OPEN
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
    """The rules of a policy by what they are asked about, and what they need to be decided."""

    policy: AuthorizationPolicy
    rules: Mapping[Carrier, list[AuthzRule]]
    needs: Set[Carrier]


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
    made = Guard(
        http=_all(read, Carrier.REQUESTS, providers),
        tcp=_all(read, Carrier.BYTES, providers),
        connect=_undoubted(read, {Carrier.REQUESTS, Carrier.HANDSHAKES}),
    )
    if not any(Carrier.HANDSHAKES in one.needs for one in read):
        return made
    tls = _all(read, Carrier.HANDSHAKES, providers)
    return replace(made, tls=tls, tls_connect=_undoubted(read, {Carrier.HANDSHAKES}))


def _all(
    read: Iterable[_Read], carrier: Carrier, providers: Mapping[str, Provider]
) -> Authorization:
    rules = _Rules()
    for one in read:
        _add(rules, one.policy, one.rules[carrier])
    return rules.freeze(providers)


def _undoubted(read: Iterable[_Read], later: Set[Carrier]) -> Authorization:
    """What can be decided on a CONNECT although something of ``later`` will still be read.

    Whoever may be asked for consent is asked then.
    """
    rules, allowed_later = _Rules(), False
    for one in read:
        waits = not later.isdisjoint(one.needs)
        allowed_later |= waits and one.policy.action == "ALLOW"
        if one.policy.action != "CUSTOM" and not waits:
            _add(rules, one.policy, one.rules[Carrier.BYTES])
    if allowed_later:
        rules.allow = None  # what such a rule allows must still get in
    return rules.freeze(_NO_PROVIDERS)


def layered(policies: Iterable[AuthorizationPolicy], mesh: Mesh, port: int) -> Authorization:
    """What policies that target nothing mean for the tunnels to a port: their L4 rules.

    Those that can't be read deny.
    """
    rules = _Rules()
    for policy in policies:
        if policy.unreadable or policy.action in LAYERED_ACTIONS:
            _add(rules, policy, _read(policy, mesh, port).rules[Carrier.BYTES])
    return rules.freeze(_NO_PROVIDERS)


def _check(provider: Provider, rules: list[AuthzRule]) -> CustomCheck:
    named = (
        replace(rule, key=f"istio-ext-authz-{provider.config.name}-{rule.key}") for rule in rules
    )
    return CustomCheck(provider.config, provider.cluster.name, tuple(named))


def _read(policy: AuthorizationPolicy, mesh: Mesh, port: int) -> _Read:
    """All meanings of a policy, which most rules about nothing but the peer have in common."""
    rules: dict[Carrier, list[AuthzRule]] = {carrier: [] for carrier in Carrier}
    needs: set[Carrier] = set()
    for index in range(len(policy.rules)):
        meaning = meaning_of(policy, index, mesh, port, Carrier.REQUESTS)
        shared = _rule(policy, index, meaning)
        needs |= meaning.needs
        for carrier, made in rules.items():
            rule = shared
            if meaning.needs and carrier is not Carrier.REQUESTS:
                rule = _rule(policy, index, meaning_of(policy, index, mesh, port, carrier))
            made.extend([rule] if rule is not None else [])
    return _Read(policy, rules, needs)


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
    policy: AuthorizationPolicy, index: int, mesh: Mesh, port: int, carrier: Carrier
) -> Meaning:
    """What a rule of a policy demands on a port."""
    scope = Scope(mesh, policy.meta.namespace, port, carrier)
    return read_rule(scope, policy.rules[index], allows=policy.action == "ALLOW")


def is_dry_run(policy: AuthorizationPolicy) -> bool:
    """Whether a policy is only watched, not enforced (annotation ``istio.io/dry-run``)."""
    return policy.meta.annotations.get(_DRY_RUN) == "true"


def _deny_all(policy: AuthorizationPolicy) -> AuthzRule:
    """What a policy that can't be read does: it protects."""
    key = f"ns[{policy.meta.namespace}]-policy[{policy.meta.name}]-unreadable"
    return AuthzRule(key, EVERYTHING, EVERYTHING, _origin(policy).at("spec"))


def _origin(policy: AuthorizationPolicy) -> Origin:
    return Origin("AuthorizationPolicy", policy.meta.namespace, policy.meta.name)
