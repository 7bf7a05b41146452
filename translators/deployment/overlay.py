"""Strategic merge patches (Kubernetes), for the kinds that waypoints consist of."""

from typing import Any

from translators.deployment.parameters import InvalidParameters

_DIRECTIVE = "$patch"
_KEYS = {
    "containers": ("name",),
    "env": ("name",),
    "ephemeralContainers": ("name",),
    "hostAliases": ("ip",),
    "imagePullSecrets": ("name",),
    "initContainers": ("name",),
    "ownerReferences": ("uid",),
    "ports": ("containerPort", "port"),  # of containers, of Services
    "secrets": ("name",),
    "topologySpreadConstraints": ("topologyKey",),
    "volumeDevices": ("devicePath",),
    "volumeMounts": ("mountPath",),
    "volumes": ("name",),
}
"""Lists whose entries are merged by a key; all others are replaced as a whole."""


def merge(base: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """The object with the patch in it; neither of the two is changed.

    Null removes a field, ``$patch: replace`` keeps nothing of an object or list, and
    ``$patch: delete`` removes an entry of a list. Raises ``InvalidParameters`` for other
    directives, and for entries of lists without the key that tells them apart.
    """
    match patch.get(_DIRECTIVE):
        case None | "merge":
            merged = dict(base)
        case "replace":
            merged = {}
        case other:
            raise InvalidParameters(f"$patch: {other!r} can't be used there")
    for name, value in patch.items():
        if name == _DIRECTIVE:
            continue
        if name.startswith("$"):
            raise InvalidParameters(f"the directive {name} is not supported")
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = _value(name, merged.get(name), value)
    return merged


def _value(name: str, base: object, patch: object) -> object:
    match patch:
        case dict():
            return merge(base if isinstance(base, dict) else {}, patch)
        case list() if name in _KEYS and all(isinstance(entry, dict) for entry in patch):
            return _entries(name, base if isinstance(base, list) else [], patch)
        case _:
            return patch


def _entries(
    name: str, base: list[dict[str, Any]], patch: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The entries of a list merged by their key: those that are there first, then new ones."""
    if any(entry.keys() == {_DIRECTIVE} and entry[_DIRECTIVE] == "replace" for entry in patch):
        base, patch = [], [entry for entry in patch if entry.keys() != {_DIRECTIVE}]
    merged = {_key(name, entry): entry for entry in base}
    for entry in patch:
        key = _key(name, entry)
        if entry.get(_DIRECTIVE) == "delete":
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key, {}), entry)
    return list(merged.values())


def _key(name: str, entry: dict[str, Any]) -> object:
    key = entry_key(name, entry)
    if key is None:
        raise InvalidParameters(f"an entry of {name} has no {' or '.join(_KEYS[name])}")
    return key


def entry_key(name: str, entry: object) -> object:
    """What tells an entry of the list ``name`` from the others; None if nothing does."""
    for key in _KEYS.get(name, ()):
        value = entry.get(key) if isinstance(entry, dict) else None
        if isinstance(entry, dict) and isinstance(value, str | int):
            # Ports of one number may differ in their protocol. What is none is for the API server.
            return value, str(entry.get("protocol", "TCP")) if name == "ports" else None
    return None
