"""Uniqueness in lists: items of a set, and the keys of a list that is a map."""

import json
from collections.abc import Iterator

from xds_server.validation.schemas import SchemaNode
from xds_server.validation.violation import Violation, element, member


def find_duplicates(value: object, schema: SchemaNode, path: str = "") -> Iterator[Violation]:
    """The items of a structurally valid object that are in their list already."""
    match value:
        case dict():
            for name, child in value.items():
                if node := _child_schema(schema, name):
                    yield from find_duplicates(child, node, member(path, name))
        case list():
            yield from _find_in_list(value, schema, path)
            for index, item in enumerate(value):
                yield from find_duplicates(item, schema.get("items", {}), element(path, index))
        case _:
            pass


def _child_schema(schema: SchemaNode, name: str) -> SchemaNode | None:
    found: SchemaNode | None = schema.get("properties", {}).get(name)
    others = schema.get("additionalProperties")
    return found or (others if isinstance(others, dict) else None)


def _find_in_list(items: list[object], schema: SchemaNode, path: str) -> Iterator[Violation]:
    kind = schema.get("x-kubernetes-list-type")
    if kind not in ("set", "map"):
        return
    keys: list[str] = schema.get("x-kubernetes-list-map-keys", []) if kind == "map" else []
    seen: dict[str, int] = {}
    for index, item in enumerate(items):
        identity = json.dumps(_identity(item, keys), sort_keys=True)
        first = seen.setdefault(identity, index)
        if first != index:
            what = f"the same {', '.join(keys)} as" if keys else "equal to"
            yield Violation(element(path, index), f"is {what} {element(path, first)}")


def _identity(item: object, keys: list[str]) -> object:
    return [item.get(key) for key in keys] if keys and isinstance(item, dict) else item
