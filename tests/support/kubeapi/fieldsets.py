"""Objects as flat sets of field paths, in the notation of ``managedFields``.

A path is a tuple of ``f:NAME``, ``k:{KEYS}`` and ``v:VALUE``. An object is flattened to its leaves:
scalars, atomic lists and maps, empty containers, and the items of lists that are sets or maps.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from tests.support.kubeapi.errors import bad_request
from xds_server.validation.schemas import SchemaNode

Path = tuple[str, ...]
_ITEM = object()


def child_schema(schema: SchemaNode, name: str) -> SchemaNode:
    found = schema.get("properties", {}).get(name) or schema.get("additionalProperties")
    return found if isinstance(found, dict) else {}


def is_granular_map(value: object, schema: SchemaNode) -> bool:
    return isinstance(value, dict) and schema.get("x-kubernetes-map-type") != "atomic"


def list_type(value: object, schema: SchemaNode) -> str:
    """``set``, ``map`` or ``atomic``; the last for whatever is no list."""
    if not isinstance(value, list):
        return "atomic"
    return str(schema.get("x-kubernetes-list-type", "atomic"))


def item_element(item: Any, schema: SchemaNode) -> str:
    """The path element of an item in a set or map."""
    if schema["x-kubernetes-list-type"] == "set":
        return f"v:{json.dumps(item)}"
    fields = schema.get("items", {}).get("properties", {})
    keys = {}
    for key in sorted(schema["x-kubernetes-list-map-keys"]):
        value = (
            item.get(key, fields.get(key, {}).get("default")) if isinstance(item, dict) else None
        )
        if value is None:
            raise bad_request(f"associative list has an element that omits key field {key!r}")
        keys[key] = value
    return f"k:{json.dumps(keys, separators=(',', ':'))}"


def flatten(value: Any, schema: SchemaNode) -> dict[Path, object]:
    """The leaves of a value, by path."""
    return dict(_leaves(value, schema, ()))


def _leaves(value: Any, schema: SchemaNode, path: Path) -> Iterator[tuple[Path, object]]:
    kind = list_type(value, schema)
    if value and is_granular_map(value, schema):
        for name, child in value.items():
            yield from _leaves(child, child_schema(schema, name), (*path, f"f:{name}"))
    elif value and kind in ("map", "set"):
        for item in value:
            below = (*path, item_element(item, schema))
            yield below, _ITEM
            if kind == "map":
                yield from _leaves(item, schema.get("items", {}), below)
    else:
        yield path, value


def to_fields_v1(paths: Iterable[Path]) -> dict[str, Any]:
    """A set of paths as ``fieldsV1`` writes it."""
    root: dict[str, Any] = {}
    for path in sorted(paths):
        node = root
        for part in path:
            node = node.setdefault(part, {})
        node["."] = {}
    return {name: _drop_lone_dots(child) for name, child in root.items()}


def _drop_lone_dots(node: dict[str, Any]) -> dict[str, Any]:
    if node.keys() == {"."}:
        return {}
    return {name: {} if name == "." else _drop_lone_dots(child) for name, child in node.items()}


def from_fields_v1(node: dict[str, Any], path: Path = ()) -> Iterator[Path]:
    """The paths in a ``fieldsV1``."""
    if path and (not node or "." in node):
        yield path
    for name, child in node.items():
        if name != ".":
            yield from from_fields_v1(child, (*path, name))


def merge(live: Any, applied: Any, schema: SchemaNode) -> Any:
    """What a server-side apply makes of a value: the applied one wins, the rest stays."""
    if is_granular_map(applied, schema) and isinstance(live, dict):
        merged = dict(live)
        for name, child in applied.items():
            merged[name] = merge(live.get(name), child, child_schema(schema, name))
        return merged
    if list_type(applied, schema) in ("map", "set") and isinstance(live, list):
        items = {item_element(item, schema): item for item in live}
        for item in applied:
            element = item_element(item, schema)
            items[element] = merge(items.get(element), item, schema.get("items", {}))
        return list(items.values())
    return applied


def remove(value: Any, path: Path, schema: SchemaNode) -> Any:
    """A value without the field or item at a path; containers that this empties go with it."""
    head, rest = path[0], path[1:]
    if head.startswith("f:"):
        return _remove_field(value, head[2:], rest, schema)
    keys = {f"f:{key}" for key in schema.get("x-kubernetes-list-map-keys", ())}
    kept = []
    for item in value or ():
        if item_element(item, schema) != head or (rest and rest[0] in keys):
            kept.append(item)  # an item can't lose its key
        elif rest:
            kept.append(remove(item, rest, schema.get("items", {})))
    return kept


def _remove_field(value: Any, name: str, rest: Path, schema: SchemaNode) -> Any:
    if not isinstance(value, dict) or name not in value:
        return value
    left = remove(value[name], rest, child_schema(schema, name)) if rest else None
    kept = {key: child for key, child in value.items() if key != name}
    return {**value, name: left} if left not in (None, {}, []) else kept
