"""What an API server does to an object before it checks it: drop what is unknown, fill defaults."""

from copy import deepcopy
from typing import Any

from xds_server.validation.schemas import SchemaNode

_PRESERVE = "x-kubernetes-preserve-unknown-fields"


def fill_defaults(value: object, schema: SchemaNode) -> Any:
    """A copy of ``value`` with every absent field that has a default.

    A null takes the default too, unless the field is nullable.
    """
    match value:
        case dict():
            return _fill_object(value, schema)
        case list():
            items = schema.get("items", {})
            return [fill_defaults(item, items) for item in value]
        case _:
            return value


def _fill_object(value: dict[str, Any], schema: SchemaNode) -> dict[str, Any]:
    properties: dict[str, SchemaNode] = schema.get("properties", {})
    filled = {}
    for name, child in value.items():
        node = properties.get(name) or _values_schema(schema)
        filled[name] = child if not node or _is_unset(child, node) else fill_defaults(child, node)
    for name, node in properties.items():
        if "default" in node and _is_unset(filled.get(name), node, absent=name not in filled):
            filled[name] = fill_defaults(deepcopy(node["default"]), node)
    return filled


def _is_unset(value: object, schema: SchemaNode, *, absent: bool = False) -> bool:
    return absent or (value is None and "default" in schema and not schema.get("nullable"))


def drop_unknown(value: object, schema: SchemaNode) -> Any:
    """A copy of ``value`` without the fields that the schema does not know."""
    match value:
        case dict():
            return _drop_from_object(value, schema)
        case list():
            items = schema.get("items", {})
            return [drop_unknown(item, items) for item in value]
        case _:
            return value


def _drop_from_object(value: dict[str, Any], schema: SchemaNode) -> dict[str, Any]:
    properties: dict[str, SchemaNode] = schema.get("properties", {})
    others = schema.get("additionalProperties")
    if others is True or (schema.get(_PRESERVE) and not properties):
        return value
    kept = {}
    for name, child in value.items():
        if name in properties:
            kept[name] = drop_unknown(child, properties[name])
        elif isinstance(others, dict):
            kept[name] = drop_unknown(child, others)
        elif schema.get(_PRESERVE):
            kept[name] = child
    return kept


def _values_schema(schema: SchemaNode) -> SchemaNode:
    others = schema.get("additionalProperties")
    return others if isinstance(others, dict) else {}
