"""The three patch formats besides server-side apply."""

from copy import deepcopy
from typing import Any

from tests.support.kubeapi.errors import ApiError, bad_request
from tests.support.kubeapi.fieldsets import child_schema
from xds_server.validation.schemas import SchemaNode

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"


def apply_patch(content_type: str, value: Any, patch: Any, schema: SchemaNode) -> Any:
    """The patched value. Raises ``ApiError``."""
    match content_type:
        case "application/json-patch+json":
            return json_patch(value, patch)
        case "application/merge-patch+json":
            return merge_patch(value, patch)
        case "application/strategic-merge-patch+json":
            return strategic_patch(value, patch, schema)
        case _:
            raise ApiError(415, "UnsupportedMediaType", f"unknown patch type {content_type!r}")


def merge_patch(value: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(value) if isinstance(value, dict) else {}
    for name, child in patch.items():
        if child is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), child)
    return merged


def json_patch(value: Any, operations: list[dict[str, Any]]) -> Any:
    """RFC 6902."""
    if not isinstance(operations, list):
        raise bad_request("a JSON patch is a list of operations")
    value = deepcopy(value)
    for each in operations:
        try:
            value = _run(value, each)
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise ApiError(422, "Invalid", f"JSON patch can't be applied: {error!r}") from None
    return value


def _run(value: Any, operation: dict[str, Any]) -> Any:
    path = _pointer(operation["path"])
    match operation["op"]:
        case "add":
            return _write(value, path, operation["value"])
        case "replace":
            _read(value, path)
            return _write(_delete(value, path), path, operation["value"])
        case "remove":
            return _delete(value, path)
        case "move":
            source = _pointer(operation["from"])
            moved = _read(value, source)
            return _write(_delete(value, source), path, moved)
        case "copy":
            return _write(value, path, deepcopy(_read(value, _pointer(operation["from"]))))
        case "test" if _read(value, path) != operation["value"]:
            raise ValueError(f"testing {operation['path']} failed")
        case "test":
            return value
        case other:
            raise ValueError(f"unknown operation {other!r}")


def _pointer(text: str) -> list[str]:
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _read(value: Any, path: list[str]) -> Any:
    for part in path:
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value


def _write(value: Any, path: list[str], new: Any) -> Any:
    if not path:
        return new
    parent, last = _read(value, path[:-1]), path[-1]
    if isinstance(parent, list):
        index = len(parent) if last == "-" else int(last)
        if index > len(parent):
            raise IndexError(last)
        parent.insert(index, new)
    else:
        parent[last] = new
    return value


def _delete(value: Any, path: list[str]) -> Any:
    if not path:
        return None
    parent = _read(value, path[:-1])
    del parent[int(path[-1]) if isinstance(parent, list) else path[-1]]
    return value


_DIRECTIVES = ("$patch", "$retainKeys", "$setElementOrder/", "$deleteFromPrimitiveList/")


def strategic_patch(value: Any, patch: Any, schema: SchemaNode) -> Any:
    """Kubernetes' strategic merge patch: lists merge by their key."""
    if not isinstance(patch, dict):
        return patch
    if patch.get("$patch") == "replace":
        return {name: child for name, child in patch.items() if name != "$patch"}
    merged = dict(value) if isinstance(value, dict) else {}
    if retained := patch.get("$retainKeys"):
        merged = {name: child for name, child in merged.items() if name in retained}
    for name, child in patch.items():
        if name.startswith("$deleteFromPrimitiveList/"):
            field = name.partition("/")[2]
            merged[field] = [item for item in merged.get(field) or () if item not in child]
        elif name.startswith(_DIRECTIVES):
            continue
        elif child is None:
            merged.pop(name, None)
        else:
            merged[name] = _patch_child(merged.get(name), child, child_schema(schema, name))
    return _reorder(merged, patch, schema)


def _patch_child(value: Any, patch: Any, schema: SchemaNode) -> Any:
    if not isinstance(patch, list):
        return strategic_patch(value, patch, schema)
    match schema.get("x-kubernetes-list-type"):
        case "map":
            return _patch_items(value or [], patch, schema)
        case "set":
            return [*(value or ()), *(item for item in patch if item not in (value or ()))]
        case _:
            return patch


def _patch_items(items: list[Any], patch: list[Any], schema: SchemaNode) -> list[Any]:
    key = _merge_key(schema)
    if {"$patch": "replace"} in patch:
        return [item for item in patch if item != {"$patch": "replace"}]
    merged = {item.get(key): item for item in items}
    for item in patch:
        if item.get("$patch") == "delete":
            merged.pop(item.get(key), None)
        else:
            before = merged.get(item.get(key))
            merged[item.get(key)] = strategic_patch(before, item, schema.get("items", {}))
    return list(merged.values())


def _reorder(value: dict[str, Any], patch: dict[str, Any], schema: SchemaNode) -> dict[str, Any]:
    for name, wanted in patch.items():
        field = name.removeprefix("$setElementOrder/")
        if field == name or not isinstance(value.get(field), list):
            continue
        node = child_schema(schema, field)
        if node.get("x-kubernetes-list-type") == "map":
            key = _merge_key(node)
            order = {entry.get(key): position for position, entry in enumerate(wanted)}
            value[field] = sorted(
                value[field], key=lambda item: order.get(item.get(key), len(order))
            )
    return value


def _merge_key(schema: SchemaNode) -> str:
    """Lists with several map keys merge by the first of them alone."""
    return str(schema["x-kubernetes-list-map-keys"][0])
