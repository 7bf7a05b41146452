"""Reading AuthorizationPolicy: what can't be read is named, so that it can be made to protect.

Unlike elsewhere, a field that is not known here is a problem: ``notPrincipal`` for
``notPrincipals`` would otherwise silently allow more than was meant.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from translators.resources.authorizationpolicy import (
    AuthorizationPolicy,
    PolicyCondition,
    PolicyRule,
)
from translators.resources.metadata import Metadata
from translators.resources.parsing import bounds
from translators.resources.parsing.fields import Fields
from translators.resources.parsing.metadata import read_label_selector
from translators.resources.parsing.target import read_targets

_SPEC = frozenset({"action", "provider", "rules", "selector", "targetRef", "targetRefs"})
_RULE = frozenset({"from", "to", "when"})
_CONDITION = frozenset({"key", "values", "notValues"})


def _with_negations(names: Iterable[str]) -> frozenset[str]:
    return frozenset(names) | {f"not{name[0].upper()}{name[1:]}" for name in names}


_SOURCE = _with_negations(
    (
        "principals",
        "requestPrincipals",
        "namespaces",
        "serviceAccounts",
        "trustDomains",
        "ipBlocks",
        "remoteIpBlocks",
    )
)
_OPERATION = _with_negations(("hosts", "ports", "methods", "paths"))


def read_authorizationpolicy(root: Fields, meta: Metadata) -> AuthorizationPolicy:
    """An AuthorizationPolicy, whatever is in it; see there how it tells what was unreadable."""
    spec = root.within("spec")
    spec.refuse_others(_SPEC)
    rules = list(spec.items("rules", bounds.POLICY_RULES))
    policy = AuthorizationPolicy(
        meta,
        action=_read_action(spec),
        targets=read_targets(spec, meta.namespace),
        selector=spec.part("selector", read_label_selector),
        rules=tuple(_read_rule(rule) for rule in rules),
        provider=spec.within("provider").text("name"),
    )
    if root.problems:
        policy = replace(policy, unreadable=root.unreadable())
    root.excuse(rules)
    return policy


def _read_action(spec: Fields) -> str:
    return "ALLOW" if spec.raw("action") is None else spec.required("action")


def _read_rule(fields: Fields) -> PolicyRule:
    fields.refuse_others(_RULE)
    rule = PolicyRule(
        sources=_read_entries(fields, "from", "source", _SOURCE),
        operations=_read_entries(fields, "to", "operation", _OPERATION),
        when=_read_conditions(fields),
    )
    return replace(rule, unreadable=fields.unreadable()) if fields.problems else rule


def _read_entries(
    rule: Fields, name: str, part: str, known: frozenset[str]
) -> tuple[Mapping[str, tuple[str, ...]], ...]:
    """``from`` or ``to``: a list of objects that hold one object each."""
    _refuse_empty(rule, name)

    def read(entry: Fields) -> Mapping[str, tuple[str, ...]]:
        entry.refuse_others(frozenset({part}))
        return _read_values(entry.within(part), known)

    return rule.each(name, bounds.POLICY_ENTRIES, read)


def _read_values(fields: Fields, known: frozenset[str]) -> Mapping[str, tuple[str, ...]]:
    """All fields that are written; an object without any would match everything."""
    fields.refuse_others(known)
    if not fields.names():
        fields.complain("", "has no fields", "Name what must match, or remove the entry.")
    return {
        name: fields.texts(name, bounds.POLICY_VALUES)
        for name in sorted(known.intersection(fields.names()))
        if fields.raw(name) is not None
    }


def _read_conditions(rule: Fields) -> tuple[PolicyCondition, ...]:
    _refuse_empty(rule, "when")
    return rule.each("when", bounds.POLICY_ENTRIES, _read_condition)


def _read_condition(fields: Fields) -> PolicyCondition:
    fields.refuse_others(_CONDITION)
    if not fields.raw("values") and not fields.raw("notValues"):
        fields.complain("values", "is missing", "Add values or notValues.")
    return PolicyCondition(
        key=fields.required("key"),
        values=fields.texts("values", bounds.POLICY_VALUES),
        not_values=fields.texts("notValues", bounds.POLICY_VALUES),
    )


def _refuse_empty(fields: Fields, name: str) -> None:
    """An empty list is no condition at all, which can't be what was meant."""
    if fields.raw(name) == []:
        fields.complain(name, "is empty", f"Fill {name} or remove it.")
