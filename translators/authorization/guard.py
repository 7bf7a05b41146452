"""All policies of a destination put together."""

from collections.abc import Callable, Collection, Iterable, Mapping, Set
from dataclasses import dataclass, field, replace
from functools import cached_property
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
from translators.ir.predicate import EVERYTHING
from translators.ir.waypoint import Mesh
from translators.resources.authorizationpolicy import AuthorizationPolicy

LAYERED_ACTIONS = ("ALLOW", "DENY")
"""What is enforced of policies without targets, as by ztunnel."""

_DRY_RUN = "istio.io/dry-run"
_NO_PROVIDERS: Mapping[str, Provider] = MappingProxyType({})


@dataclass(frozen=True)
class Guard:
    """What protects one service port, put together when it is asked for: few ports need all.

    ``http`` is decided on each request, ``tcp`` on connections that carry no HTTP, ``connect``
    on the CONNECT of a port whose protocol is not declared: only what needs no reading. Where some
    rule asks for the server name, ``tls`` is decided on TLS handshakes and ``tls_connect``, what
    needs no reading, on their CONNECT; else these are decided as ``tcp``. ``layered`` is decided on
    every CONNECT before all that: what layered authorization adds. ``authentication`` is what
    requests must show. ``upstreams`` are the clusters that all this leads to.
    """

    policies: "tuple[PortPolicy, ...]" = ()
    providers: Mapping[str, Provider] = field(default_factory=dict)
    layered: Authorization = OPEN
    authentication: Authentication = ANYONE
    upstreams: tuple[Upstream, ...] = ()

    @cached_property
    def http(self) -> Authorization:
        """Decided on each request."""
        return _all(self.policies, Carrier.REQUESTS, self.providers)

    @cached_property
    def tcp(self) -> Authorization:
        """Decided on connections that carry no HTTP."""
        return _all(self.policies, Carrier.BYTES, self.providers)

    @cached_property
    def connect(self) -> Authorization:
        """Decided on the CONNECT to a port whose protocol is not declared."""
        return _undoubted(self.policies, {Carrier.REQUESTS, Carrier.HANDSHAKES})

    @cached_property
    def tls(self) -> Authorization | None:
        """Decided on TLS handshakes, if some rule asks for their server name."""
        if not any(Carrier.HANDSHAKES in one.needs for one in self.policies):
            return None
        return _all(self.policies, Carrier.HANDSHAKES, self.providers)

    @cached_property
    def tls_connect(self) -> Authorization:
        """Decided on the CONNECT where ``tls`` is decided later."""
        return OPEN if self.tls is None else _undoubted(self.policies, {Carrier.HANDSHAKES})


class _Reading(NamedTuple):
    """The rules of a policy that can match, and what must be read to decide all of them."""

    rules: tuple[AuthzRule, ...]
    needs: tuple[Carrier, ...]


@dataclass(slots=True, eq=False)
class PortPolicy:
    """A policy as it is read for one port, once for each carrier that makes a difference."""

    policy: AuthorizationPolicy
    mesh: Mesh
    port: int | None
    _known: dict[Carrier, _Reading] = field(default_factory=dict)

    @property
    def needs(self) -> tuple[Carrier, ...]:
        """What must be read to decide all of its rules."""
        return self._reading(Carrier.REQUESTS).needs

    def rules(self, carrier: Carrier) -> tuple[AuthzRule, ...]:
        """The rules that can match, by what they are asked about.

        Those that are about nothing but the peer are the same whatever carries them.
        """
        on_requests = self._reading(Carrier.REQUESTS)
        return (self._reading(carrier) if on_requests.needs else on_requests).rules

    def _reading(self, carrier: Carrier) -> _Reading:
        found = self._known.get(carrier)
        if found is None:
            found = self._known[carrier] = _read(self.policy, self.mesh, self.port, carrier)
        return found


def _read(policy: AuthorizationPolicy, mesh: Mesh, port: int | None, carrier: Carrier) -> _Reading:
    rules, needs = list[AuthzRule](), set[Carrier]()
    for index in range(len(policy.rules)):
        meaning = meaning_of(policy, index, mesh, port, carrier)
        needs |= meaning.needs
        if not meaning.never_matches:
            rules.append(_rule(policy, index, meaning))
    return _Reading(tuple(rules), tuple(needs))


ReadPolicy = Callable[[AuthorizationPolicy, Mesh, int | None], PortPolicy]
"""Gives a ``PortPolicy``, and may remember it."""


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


def guard(
    policies: Iterable[AuthorizationPolicy],
    mesh: Mesh,
    port: int | None,
    providers: Mapping[str, Provider] = _NO_PROVIDERS,
    read: ReadPolicy = PortPolicy,
) -> Guard:
    """What these policies together mean for a port; ``providers`` are those to be asked.

    ``port`` is None for all ports of a pod.
    """
    return Guard(tuple(read(policy, mesh, port) for policy in policies), providers)


def _all(
    read: Collection[PortPolicy], carrier: Carrier, providers: Mapping[str, Provider]
) -> Authorization:
    if not read:
        return OPEN
    rules = _Rules()
    for one in read:
        _add(rules, one.policy, one.rules(carrier))
    return rules.freeze(providers)


def _undoubted(read: Collection[PortPolicy], later: Set[Carrier]) -> Authorization:
    """What can be decided on a CONNECT although something of ``later`` will still be read.

    Whoever may be asked for consent is asked then.
    """
    if not read:
        return OPEN
    rules, allowed_later = _Rules(), False
    for one in read:
        waits = not later.isdisjoint(one.needs)
        allowed_later |= waits and one.policy.action == "ALLOW"
        if one.policy.action != "CUSTOM" and not waits:
            _add(rules, one.policy, one.rules(Carrier.BYTES))
    if allowed_later:
        rules.allow = None  # what such a rule allows must still get in
    return rules.freeze(_NO_PROVIDERS)


def layered(
    policies: Collection[AuthorizationPolicy], mesh: Mesh, port: int | None
) -> Authorization:
    """What policies that target nothing mean for the tunnels to a port: their L4 rules.

    Those that can't be read deny.
    """
    if not policies:
        return OPEN
    rules = _Rules()
    for policy in policies:
        if policy.unreadable or policy.action in LAYERED_ACTIONS:
            _add(rules, policy, PortPolicy(policy, mesh, port).rules(Carrier.BYTES))
    return rules.freeze(_NO_PROVIDERS)


def _check(provider: Provider, rules: list[AuthzRule]) -> CustomCheck:
    named = (
        replace(rule, key=f"istio-ext-authz-{provider.config.name}-{rule.key}") for rule in rules
    )
    return CustomCheck(provider.config, provider.cluster.name, tuple(named))


def _add(rules: _Rules, policy: AuthorizationPolicy, made: Iterable[AuthzRule]) -> None:
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


def _rule(policy: AuthorizationPolicy, index: int, meaning: Meaning) -> AuthzRule:
    """A rule as a predicate pair."""
    return AuthzRule(
        key=f"ns[{policy.meta.namespace}]-policy[{policy.meta.name}]-rule[{index}]",
        sources=meaning.sources,
        operations=meaning.operations,
        origin=_origin(policy, f"spec.rules[{index}]"),
    )


def meaning_of(
    policy: AuthorizationPolicy, index: int, mesh: Mesh, port: int | None, carrier: Carrier
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
    return AuthzRule(key, EVERYTHING, EVERYTHING, _origin(policy, "spec"))


def _origin(policy: AuthorizationPolicy, path: str) -> Origin:
    return Origin("AuthorizationPolicy", policy.meta.namespace, policy.meta.name, path)
