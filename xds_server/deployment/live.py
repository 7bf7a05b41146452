"""What is in the cluster, against what is to be there. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, ClassVar

import msgspec

from translators.deployment import OWNER, owner_uid
from translators.deployment.overlay import entry_key
from translators.gateway_api.labels import MANAGED
from translators.resources.metadata import KubernetesObject, ObjectKey

Manifest = dict[str, Any]

_VOLATILE = frozenset({"generation", "managedFields", "resourceVersion"})

APPLIED = "waypost.dev/applied"
"""The annotation with the digest of what was applied, so that a new leader need not do it again."""


@dataclass(frozen=True, slots=True)
class Live(KubernetesObject):
    """An object as it is in the cluster."""

    kind: ClassVar[str] = ""  # any

    manifest: Manifest


def key_of(manifest: Mapping[str, Any]) -> ObjectKey:
    """The key of an object."""
    metadata = manifest["metadata"]
    return ObjectKey(manifest["kind"], metadata.get("namespace", ""), metadata["name"])


def stamped(manifest: Manifest) -> Manifest:
    """The manifest with an annotation that tells its content."""
    digest = blake2b(msgspec.json.encode(manifest, order="sorted"), digest_size=8).hexdigest()
    metadata = manifest["metadata"]
    annotations = metadata.get("annotations", {}) | {APPLIED: digest}
    return manifest | {"metadata": metadata | {"annotations": annotations}}


def says(live: Mapping[str, Any], wanted: Manifest) -> bool:
    """Whether an object has all that is wanted, and nothing left of what was wanted before.

    The latter is told by the annotation. What others added is theirs.
    """
    return _has(live, wanted, "")


def _has(there: Any, wanted: Any, field: str) -> bool:
    match wanted:
        case dict():
            return isinstance(there, Mapping) and all(
                _has(there.get(name), value, name) for name, value in wanted.items()
            )
        case list():
            return isinstance(there, list) and _has_all(there, wanted, field)
        case _:
            return bool(there == wanted)


def _has_all(there: list[Any], wanted: list[Any], field: str) -> bool:
    keys = [entry_key(field, entry) for entry in wanted]
    if None in keys:
        pairs = zip(there, wanted, strict=False)
        return len(there) == len(wanted) and all(_has(one, two, "") for one, two in pairs)
    known = {entry_key(field, entry): entry for entry in there}
    return all(_has(known.get(key), each, "") for key, each in zip(keys, wanted, strict=True))


def settled(live: Mapping[str, Any], wanted: Manifest) -> bytes:
    """A digest that differs when others change the object, or when something else is wanted.

    It is the same whatever the status says.
    """
    metadata = {name: each for name, each in live["metadata"].items() if name not in _VOLATILE}
    content = {name: each for name, each in live.items() if name not in ("metadata", "status")}
    text = msgspec.json.encode((metadata, content, wanted["metadata"]), order="sorted")
    return blake2b(text, digest_size=16).digest()


def obstacle(live: Mapping[str, Any], wanted: Manifest) -> str:
    """Why what is there must be left alone; empty if it need not."""
    metadata = live["metadata"]
    what = f'{wanted["kind"]} "{metadata["name"]}"'
    if (metadata.get("labels") or {}).get(MANAGED) != OWNER:
        return f"{what} exists and has no label {MANAGED}: {OWNER}, so that it is left alone"
    controller = owner_uid(live)
    if controller and controller != owner_uid(wanted):
        return f"{what} belongs to another object, which may be about to be deleted"
    return ""


def was_applied(live: Mapping[str, Any]) -> bool:
    """Whether it was us who made an object, or took it over."""
    return APPLIED in (live["metadata"].get("annotations") or {})
