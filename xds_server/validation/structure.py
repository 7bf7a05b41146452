"""Structural schemas as JSON Schema: the types, bounds and names of fields.

A structural schema is OpenAPI 3.0 with extensions, and JSON Schema knows neither ``nullable`` nor
``x-kubernetes-int-or-string``; both are rewritten. Unknown fields are refused, as a server does
under strict field validation.
"""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import jsonschema_rs
from jsonschema_rs import ValidationErrorKind as Kind

from xds_server.validation.schemas import SchemaNode
from xds_server.validation.violation import Violation, element, member

_SAME_IN_BOTH = """
    enum pattern required minimum maximum exclusiveMinimum exclusiveMaximum multipleOf
    minLength maxLength minItems maxItems minProperties maxProperties uniqueItems
"""
_COPIED = frozenset(_SAME_IN_BOTH.split())
_RANGES = {
    "int32": {"minimum": -(2**31), "maximum": 2**31 - 1},
    "int64": {"minimum": -(2**63), "maximum": 2**63 - 1},
}
_FORMATS = frozenset({"date-time", "ipv4", "ipv6"})
_PRESERVE = "x-kubernetes-preserve-unknown-fields"
_INT_OR_STRING = "x-kubernetes-int-or-string"
_ROOT_FIELDS = {
    "apiVersion": {"type": "string"},
    "kind": {"type": "string"},
    "metadata": {"type": "object"},
}
_MAX_ERRORS = 50
_MAX_SHOWN = 120

StructureCheck = Callable[[object], list[Violation]]


def compile_structure(schema: SchemaNode) -> StructureCheck:
    """A check of whole objects against the schema of their kind; metadata is left alone."""
    root = {**schema, "properties": {**schema.get("properties", {}), **_ROOT_FIELDS}}
    translated = {**_translate(root), "required": ["metadata", *schema.get("required", ())]}
    validator = jsonschema_rs.Draft202012Validator(
        translated, pattern_options=jsonschema_rs.RegexOptions(), validate_formats=True
    )

    def check(manifest: object) -> list[Violation]:
        try:
            errors = islice(validator.iter_errors(manifest), _MAX_ERRORS)
            return [each for error in errors for each in _describe(error, translated)]
        except ValueError:
            return [Violation("", "holds a value that JSON does not have")]

    return check


def _translate(schema: SchemaNode) -> dict[str, Any]:
    """The JSON Schema with the same meaning."""
    translated: dict[str, Any] = {key: schema[key] for key in _COPIED & schema.keys()}
    translated |= _types(schema)
    translated |= _children(schema)
    for key in ("allOf", "anyOf", "oneOf"):
        if key in schema and not schema.get(_INT_OR_STRING):
            translated[key] = [_translate(part) for part in schema[key]]
    if "not" in schema:
        translated["not"] = _translate(schema["not"])
    return translated


def _types(schema: SchemaNode) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if schema.get(_INT_OR_STRING):
        found["type"] = ["integer", "string"]
    elif "type" in schema:
        found["type"] = [schema["type"]]
    if schema.get("nullable"):
        found |= {"type": [*found["type"], "null"]} if "type" in found else {}
        found |= {"enum": [*schema["enum"], None]} if "enum" in schema else {}
    format_name = schema.get("format")
    if format_name in _FORMATS:
        found["format"] = format_name
    if bounds := _RANGES.get(format_name or ""):
        found["minimum"] = max(bounds["minimum"], schema.get("minimum", bounds["minimum"]))
        found["maximum"] = min(bounds["maximum"], schema.get("maximum", bounds["maximum"]))
    return found


def _children(schema: SchemaNode) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "items" in schema:
        found["items"] = _translate(schema["items"])
    if "properties" in schema:
        properties = schema["properties"].items()
        found["properties"] = {name: _translate(child) for name, child in properties}
        if "type" in schema and not schema.get(_PRESERVE):
            found["additionalProperties"] = False
    if isinstance(schema.get("additionalProperties"), dict):
        found["additionalProperties"] = _translate(schema["additionalProperties"])
    return found


def _describe(error: jsonschema_rs.ValidationError, schema: SchemaNode) -> Iterator[Violation]:
    path = _path(error.instance_path)
    match error.kind:
        case Kind.AdditionalProperties(unexpected):
            for name in unexpected:
                yield Violation(member(path, name), "is no field that the schema knows")
        case Kind.Required(name):
            yield Violation(member(path, name), "is required")
        case Kind.OneOfMultipleValid():
            yield Violation(path, f"must have only one of {_alternatives(error, schema)}")
        case Kind.OneOfNotValid() | Kind.AnyOf():
            yield Violation(path, f"must have one of {_alternatives(error, schema)}")
        case kind:
            yield Violation(path, _reason(kind, error))


def _alternatives(error: jsonschema_rs.ValidationError, schema: SchemaNode) -> str:
    """The fields that the alternatives of ``oneOf`` or ``anyOf`` ask for, if that is all."""
    node: Any = schema
    for part in error.schema_path:
        node = node[part]
    names = [name for alternative in node for name in alternative.get("required", ())]
    return ", ".join(names) or "the forms that the schema allows"


def _reason(kind: object, error: jsonschema_rs.ValidationError) -> str:
    match kind:
        case Kind.Type(types):
            return f"must be of type {' or '.join(types)}, not {_type_name(error.instance)}"
        case Kind.Enum(options):
            return f"must be one of {', '.join(map(str, options))}, not {_shown(error.instance)}"
        case Kind.Pattern(pattern):
            return f"must match {pattern}, which {_shown(error.instance)} does not"
        case Kind.Format(name):
            return f"must be a valid {name}, not {_shown(error.instance)}"
        case Kind.Not():
            return "is of a form that is not allowed"
        case _:
            return _bound(kind, error)


def _bound(kind: object, error: jsonschema_rs.ValidationError) -> str:
    match kind:
        case Kind.MinLength(limit):
            return f"must be at least {limit} characters long"
        case Kind.MaxLength(limit):
            return f"may be at most {limit} characters long"
        case Kind.MinItems(limit) | Kind.MinProperties(limit):
            return f"must have at least {limit} entries"
        case Kind.MaxItems(limit) | Kind.MaxProperties(limit):
            return f"may have at most {limit} entries"
        case Kind.Minimum(limit):
            return f"must be at least {limit}"
        case Kind.Maximum(limit):
            return f"may be at most {limit}"
        case _:
            return str(error.message)


def _path(parts: list[str | int]) -> str:
    path = ""
    for part in parts:
        path = element(path, part) if isinstance(part, int) else member(path, part)
    return path


def _type_name(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."
