"""Fields of which released definitions and the shipped ones disagree.

``sessionPersistence`` of a route's rule has other fields in each release of the experimental
channel. A cluster has one of them; manifests may be for any, so nothing in it is refused.
"""

from dataclasses import replace

from xds_server.validation.schemas import Definition, SchemaNode

_MOVED = ("spec", "rules", "sessionPersistence")
_ANYTHING: SchemaNode = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def with_moved_fields(definition: Definition) -> Definition:
    """The definition, open where releases differ."""
    return replace(definition, schema=_opened(definition.schema, _MOVED))


def _opened(schema: SchemaNode, path: tuple[str, ...]) -> SchemaNode:
    if not path:
        return _ANYTHING
    if "items" in schema:
        return {**schema, "items": _opened(schema["items"], path)}
    properties: SchemaNode = schema.get("properties", {})
    name, *rest = path
    if name not in properties:
        return schema
    opened = _opened(properties[name], tuple(rest))
    return {**schema, "properties": {**properties, name: opened}}
