"""The CEL rules of a schema: found once, compiled once, run against the fields they are about."""

from collections.abc import Callable, Iterator
from typing import Any

from xds_server.validation.cel import RuleCheck, RuleEngine, RuleError
from xds_server.validation.schemas import SchemaNode
from xds_server.validation.view import escape, root_schema, view
from xds_server.validation.violation import Violation, element, member

RulesCheck = Callable[[object, object], list[Violation]]
"""The violations of an object (first), seen as an update of another one (second, or None)."""

_Walk = Callable[[Any, Any, str], Iterator[Violation]]
"""Value, previous value or None, path."""


def compile_rules(schema: SchemaNode, engine: RuleEngine) -> RulesCheck:
    """A check of structurally valid objects with all rules of their kind's schema.

    Raises ``RuleError`` if a rule is no valid CEL.
    """
    root = root_schema(schema)
    walk = _compile(root, engine)

    def check(manifest: object, previous: object) -> list[Violation]:
        if walk is None:
            return []
        seen = None if previous is None else view(previous, root)
        return list(walk(view(manifest, root), seen, ""))

    return check


def _compile(schema: SchemaNode, engine: RuleEngine) -> _Walk | None:
    """The walk through a value of this schema; None if no rule is at or below it."""
    walks = [_rule(each, engine) for each in schema.get("x-kubernetes-validations", ())]
    for name, child in schema.get("properties", {}).items():
        if below := _compile(child, engine):
            walks.append(_in_member(name, below))
    others = schema.get("additionalProperties")
    if isinstance(others, dict) and (below := _compile(others, engine)):
        walks.append(_in_values(below))
    if "items" in schema and (below := _compile(schema["items"], engine)):
        walks.append(_in_items(below, schema))
    return _in_turn(walks) if walks else None


def _in_turn(walks: list[_Walk]) -> _Walk:
    def walk(value: Any, previous: Any, path: str) -> Iterator[Violation]:
        if value is not None:
            for each in walks:
                yield from each(value, previous, path)

    return walk


def _rule(rule: SchemaNode, engine: RuleEngine) -> _Walk:
    text: str = rule["rule"]
    check = engine.compile(text)
    is_transition = "oldSelf" in text
    reason = f"is refused: {rule.get('message') or f'failed rule: {text}'}"

    def walk(value: Any, previous: Any, path: str) -> Iterator[Violation]:
        if is_transition and previous is None:
            return
        variables = {"self": value, "oldSelf": previous} if is_transition else {"self": value}
        if failure := _run(check, variables, reason):
            yield Violation(path, failure)

    return walk


def _run(check: RuleCheck, variables: dict[str, object], reason: str) -> str | None:
    try:
        return None if check(variables) else reason
    except RuleError as error:
        return f"{reason} (the rule has no result: {error})"


def _in_member(name: str, below: _Walk) -> _Walk:
    key = escape(name)

    def walk(value: Any, previous: Any, path: str) -> Iterator[Violation]:
        if key in value:
            before = None if previous is None else previous.get(key)
            yield from below(value[key], before, member(path, name))

    return walk


def _in_values(below: _Walk) -> _Walk:
    def walk(value: Any, previous: Any, path: str) -> Iterator[Violation]:
        for name, child in value.items():
            before = None if previous is None else previous.get(name)
            yield from below(child, before, member(path, name))

    return walk


def _in_items(below: _Walk, schema: SchemaNode) -> _Walk:
    """Only items of a list that is a map can be told apart, and so have a previous value."""
    keys = [escape(key) for key in schema.get("x-kubernetes-list-map-keys", ())]

    def walk(value: Any, previous: Any, path: str) -> Iterator[Violation]:
        before = {}
        if keys and previous:
            before = {tuple(item.get(key) for key in keys): item for item in previous}
        for index, item in enumerate(value):
            old = before.get(tuple(item.get(key) for key in keys)) if before else None
            yield from below(item, old, element(path, index))

    return walk
