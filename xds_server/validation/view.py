"""An object as its CEL rules see it: declared fields only, under escaped names, typed.

The naming rules are those of CustomResourceDefinition validation rules.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from xds_server.validation.schemas import SchemaNode

_KEYWORDS = """
    true false null in as break const continue else for function if import let loop package
    namespace return var void while
"""
_RESERVED = frozenset(_KEYWORDS.split())
_ESCAPES = (("__", "__underscores__"), (".", "__dot__"), ("-", "__dash__"), ("/", "__slash__"))
_ALWAYS = {
    "apiVersion": {"type": "string"},
    "kind": {"type": "string"},
    "metadata": {
        "type": "object",
        "properties": {"name": {"type": "string"}, "generateName": {"type": "string"}},
    },
}


def root_schema(schema: SchemaNode) -> SchemaNode:
    """The schema of a kind, with the fields of every object that rules may read."""
    return {**schema, "properties": {**schema.get("properties", {}), **_ALWAYS}}


def escape(name: str) -> str:
    """The name of a declared field in CEL."""
    if name in _RESERVED:
        return f"__{name}__"
    for text, replacement in _ESCAPES:
        name = name.replace(text, replacement)
    return name


def view(value: object, schema: SchemaNode) -> Any:
    """A structurally valid value as the rules see it."""
    match value:
        case dict():
            return _view_object(value, schema)
        case list():
            return [view(item, schema.get("items", {})) for item in value]
        case str():
            return _view_text(value, schema)
        case int() if schema.get("type") == "number" and not isinstance(value, bool):
            return float(value)
        case _:
            return value


def _view_object(value: Mapping[str, object], schema: SchemaNode) -> dict[str, object]:
    others = schema.get("additionalProperties")
    if isinstance(others, dict):
        return {name: view(child, others) for name, child in value.items()}
    properties: dict[str, SchemaNode] = schema.get("properties", {})
    return {
        escape(name): view(child, properties[name])
        for name, child in value.items()
        if name in properties
    }


def _view_text(value: str, schema: SchemaNode) -> object:
    if schema.get("format") != "date-time":
        return value
    try:
        return datetime.fromisoformat(value)
    except ValueError:  # a leap second
        return value
