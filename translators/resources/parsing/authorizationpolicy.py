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
    TargetRef,
)
from translators.resources.metadata import Metadata
from translators.resources.parsing import bounds
from translators.resources.parsing.fields import Fields
from translators.resources.parsing.metadata import read_label_selector

_SPEC = frozenset({"action", "provider", "rules", "selector", "targetRef", "targetRefs"})
_TARGET = frozenset({"group", "kind", "name", "namespace"})
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
    _refuse_others(spec, _SPEC)
    rules = list(spec.items("rules", bounds.POLICY_RULES))
    policy = AuthorizationPolicy(
        meta,
        action=_read_action(spec),
        targets=_read_targets(spec, meta.namespace),
        selector=spec.part("selector", read_label_selector),
        rules=tuple(_read_rule(rule) for rule in rules),
        provider=spec.within("provider").text("name"),
    )
    policy = replace(policy, unreadable=root.unreadable())
    for rule in rules:
        root.problems += rule.problems
    return policy


def _refuse_others(fields: Fields, known: frozenset[str]) -> None:
    """Every field must be known, and not null: that hides what it was meant to say."""
    for name in fields.names():
        shown = str(name)[:64]
        if name not in known:
            fields.complain(shown, "is no known field", f"Use one of {', '.join(sorted(known))}.")
        elif fields.raw(shown) is None:
            fields.complain(shown, "is null", f"Fill {shown} or remove it.")


def _read_action(spec: Fields) -> str:
    return "ALLOW" if spec.raw("action") is None else spec.required("action")


def _read_targets(spec: Fields, namespace: str) -> tuple[TargetRef, ...]:
    listed = spec.each("targetRefs", bounds.TARGETS, lambda entry: _read_target(entry, namespace))
    single = spec.part("targetRef", lambda entry: _read_target(entry, namespace))
    return listed if single is None else (*listed, single)


def _read_target(fields: Fields, namespace: str) -> TargetRef:
    _refuse_others(fields, _TARGET)
    if fields.text("namespace", namespace) not in ("", namespace):
        fields.complain("namespace", "is not the policy's own", "Remove namespace.")
    return TargetRef(fields.text("group"), fields.required("kind"), fields.required("name"))


def _read_rule(fields: Fields) -> PolicyRule:
    _refuse_others(fields, _RULE)
    rule = PolicyRule(
        sources=_read_entries(fields, "from", "source", _SOURCE),
        operations=_read_entries(fields, "to", "operation", _OPERATION),
        when=_read_conditions(fields),
    )
    return replace(rule, unreadable=fields.unreadable())


def _read_entries(
    rule: Fields, name: str, part: str, known: frozenset[str]
) -> tuple[Mapping[str, tuple[str, ...]], ...]:
    """``from`` or ``to``: a list of objects that hold one object each."""
    _refuse_empty(rule, name)

    def read(entry: Fields) -> Mapping[str, tuple[str, ...]]:
        _refuse_others(entry, frozenset({part}))
        return _read_values(entry.within(part), known)

    return rule.each(name, bounds.POLICY_ENTRIES, read)


def _read_values(fields: Fields, known: frozenset[str]) -> Mapping[str, tuple[str, ...]]:
    """All fields that are written; an object without any would match everything."""
    _refuse_others(fields, known)
    if not fields.names():
        fields.complain("", "has no fields", "Name what must match, or remove the entry.")
    return {
        name: fields.texts(name, bounds.POLICY_VALUES)
        for name in sorted(known)
        if fields.raw(name) is not None
    }


def _read_conditions(rule: Fields) -> tuple[PolicyCondition, ...]:
    _refuse_empty(rule, "when")
    return rule.each("when", bounds.POLICY_ENTRIES, _read_condition)


def _read_condition(fields: Fields) -> PolicyCondition:
    _refuse_others(fields, _CONDITION)
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
