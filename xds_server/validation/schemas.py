"""The CustomResourceDefinitions that are shipped with waypost, and what they define."""

import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

Channel = Literal["experimental", "standard"]
"""The two sets of Gateway API definitions; experimental holds all that standard does."""

SchemaNode = Mapping[str, Any]
"""A structural schema, or a part of one, as a CustomResourceDefinition holds it."""


@dataclass(frozen=True, slots=True)
class Definition:
    """One version of a kind that a CustomResourceDefinition defines."""

    group: str
    version: str
    kind: str
    namespaced: bool
    served: bool
    schema: SchemaNode

    @property
    def api_version(self) -> str:
        """The kind's ``apiVersion``."""
        return f"{self.group}/{self.version}"


@cache
def load_crds(name: str) -> tuple[Mapping[str, Any], ...]:
    """The CustomResourceDefinition manifests of a set: ``istio`` or ``gateway-api-CHANNEL``.

    They are shared by all callers: do not change them. Raises FileNotFoundError.
    """
    packed = files(__package__).joinpath("schemas", f"{name}.json.gz").read_bytes()
    return tuple(json.loads(gzip.decompress(packed)))


def read_definitions(crd: Mapping[str, Any]) -> Iterator[Definition]:
    """What a valid CustomResourceDefinition manifest defines, version by version."""
    spec = crd["spec"]
    for version in spec["versions"]:
        yield Definition(
            group=spec["group"],
            version=version["name"],
            kind=spec["names"]["kind"],
            namespaced=spec["scope"] == "Namespaced",
            served=version["served"],
            schema=version.get("schema", {}).get("openAPIV3Schema", {}),
        )
