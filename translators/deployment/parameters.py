"""What users want to have otherwise: patches in ConfigMaps, for a class or for one Gateway."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import yaml

_MAX_OVERLAY = 256 * 1024  # characters
_SURROGATES = re.compile("[\ud800-\udfff]")
KEYS = frozenset(
    {
        "deployment",
        "horizontalPodAutoscaler",
        "podDisruptionBudget",
        "service",
        "serviceAccount",
    }
)
"""What a ConfigMap may hold."""


class InvalidParameters(Exception):
    """The parameters of a Gateway can't be used; the text tells users why."""


@dataclass(frozen=True, slots=True)
class Overlays:
    """Patches by their key, in the order in which they are applied."""

    patches: Mapping[str, tuple[dict[str, Any], ...]]

    def of(self, key: str) -> tuple[dict[str, Any], ...]:
        """The patches for one kind of objects."""
        return self.patches.get(key, ())


NO_OVERLAYS = Overlays({})


def overlays(config_maps: Iterable[Mapping[str, Any]]) -> Overlays:
    """Read ConfigMaps, those for the class before that of the Gateway.

    Raises ``InvalidParameters``: half of what users want is not what they want.
    """
    found: dict[str, tuple[dict[str, Any], ...]] = {}
    for config_map in config_maps:
        name = config_map["metadata"]["name"]
        for key, text in sorted((config_map.get("data") or {}).items()):
            if key not in KEYS:
                known = ", ".join(sorted(KEYS))
                raise InvalidParameters(
                    f"ConfigMap {name!r} has the key {key!r}, which is none of {known}"
                )
            patch = _read(f"{key} of ConfigMap {name!r}", text)
            found[key] = (*found.get(key, ()), patch)
    return Overlays(found)


@lru_cache(maxsize=64)  # every Gateway is looked at at every change of the world
def _read(what: str, text: str) -> dict[str, Any]:
    if len(text) > _MAX_OVERLAY:
        raise InvalidParameters(f"{what} is longer than {_MAX_OVERLAY} characters")
    try:
        patch = yaml.load(text, _Loader)  # noqa: S506  # it is a safe loader
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise InvalidParameters(f"{what} is no YAML: {' '.join(str(error).split())}") from None
    if not isinstance(patch, dict) or not _is_json(patch):
        raise InvalidParameters(f"{what} is no object of JSON")
    return patch


def _is_json(value: object) -> bool:
    """Whether all keys in a value are texts, and all texts such that can be sent."""
    match value:
        case dict():
            return all(_is_text(key) and _is_json(each) for key, each in value.items())
        case list():
            return all(map(_is_json, value))
        case str():
            return _is_text(value)
        case _:
            return isinstance(value, int | float | bool | None)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and not _SURROGATES.search(value)


class _Loader(yaml.SafeLoader):
    """No aliases, which can make a few lines very large; what looks like a date is a text."""

    yaml_implicit_resolvers = {  # noqa: RUF012  # as PyYAML has it
        first: [(tag, form) for tag, form in resolvers if not tag.endswith(":timestamp")]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def compose_node(self, parent: Any, index: Any) -> Any:
        """As PyYAML does it, but for aliases."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not supported")
        return super().compose_node(parent, index)
