"""Who owns which field: ``managedFields``, and server-side apply with conflicts and pruning."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from tests.support.kubeapi.errors import ApiError
from tests.support.kubeapi.fieldsets import (
    Path,
    flatten,
    from_fields_v1,
    merge,
    remove,
    to_fields_v1,
)
from tests.support.kubeapi.store import Object
from xds_server.validation.schemas import SchemaNode

_NEVER_OWNED = {"f:apiVersion", "f:kind"}
_SERVERS_FIELDS = """
    name namespace uid resourceVersion generation creationTimestamp selfLink managedFields
    deletionTimestamp deletionGracePeriodSeconds
"""
_SERVERS_METADATA = {f"f:{name}" for name in _SERVERS_FIELDS.split()}


@dataclass(frozen=True)
class Manager:
    """Who writes, how and where. ``subresource`` is empty or ``status``."""

    name: str
    operation: str
    subresource: str
    api_version: str


@dataclass(frozen=True)
class Share:
    """What a manager owns."""

    manager: Manager
    time: str
    paths: frozenset[Path]

    def without(self, paths: Iterable[Path]) -> "Share":
        return replace(self, paths=self.paths.difference(paths))


def read_shares(value: Object | None) -> list[Share]:
    entries = (value or {}).get("metadata", {}).get("managedFields") or ()
    return [
        Share(
            Manager(e["manager"], e["operation"], e.get("subresource", ""), e["apiVersion"]),
            e.get("time", ""),
            frozenset(from_fields_v1(e["fieldsV1"])),
        )
        for e in entries
        if e
    ]


def with_shares(value: Object, shares: Iterable[Share]) -> Object:
    written = [_write_share(share) for share in shares if share.paths]
    metadata = {k: v for k, v in value["metadata"].items() if k != "managedFields"}
    if written:
        metadata["managedFields"] = written
    return {**value, "metadata": metadata}


def _write_share(share: Share) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "manager": share.manager.name,
        "operation": share.manager.operation,
        "apiVersion": share.manager.api_version,
        "time": share.time,
        "fieldsType": "FieldsV1",
        "fieldsV1": to_fields_v1(share.paths),
    }
    if share.manager.subresource:
        entry["subresource"] = share.manager.subresource
    return entry


def _ownable(value: Object | None, schema: SchemaNode) -> dict[Path, object]:
    if value is None:
        return {}
    leaves = flatten(value, schema)
    return {
        path: leaf
        for path, leaf in leaves.items()
        if path[0] not in _NEVER_OWNED
        and not (path[0] == "f:metadata" and (len(path) == 1 or path[1] in _SERVERS_METADATA))
    }


def track_update(old: Object | None, new: Object, manager: Manager, schema: SchemaNode) -> Object:
    """``new`` with the ownership that a create, update or patch leads to."""
    before, after = _ownable(old, schema), _ownable(new, schema)
    changed = {p for p, leaf in after.items() if p not in before or before[p] != leaf}
    gone = before.keys() - after.keys()
    shares = [share.without(changed | gone) for share in read_shares(old)]
    if changed:
        shares = _grant(shares, manager, changed)
    return with_shares(new, shares)


def _grant(shares: list[Share], manager: Manager, paths: Iterable[Path]) -> list[Share]:
    mine = next((s.paths for s in shares if s.manager == manager), frozenset())
    others = [s for s in shares if s.manager != manager]
    return [*others, Share(manager, _now(), mine | frozenset(paths))]


def apply(
    live: Object | None, config: Object, manager: Manager, schema: SchemaNode, *, force: bool
) -> Object:
    """Server-side apply: the merged object. Raises ``ApiError`` for conflicts without force."""
    shares = read_shares(live)
    others = [share for share in shares if share.manager != manager]
    wanted = _ownable(config, schema)
    taken = _find_conflicts(live, wanted, others, schema)
    if taken and not force:
        raise _conflict(taken)
    lost = {path for _, path in taken}
    others = [share.without(lost) for share in others]
    before = next((s for s in shares if s.manager == manager), Share(manager, "", frozenset()))
    merged = merge(live, config, schema) if live else config
    for path in _no_longer_applied(before.paths, wanted.keys(), others):
        merged = remove(merged, path, schema)
    paths = frozenset(wanted)
    time = before.time if paths == before.paths else _now()
    return with_shares(merged, [*others, Share(manager, time, paths)])


def _find_conflicts(
    live: Object | None, wanted: dict[Path, object], others: list[Share], schema: SchemaNode
) -> list[tuple[Manager, Path]]:
    """The wanted fields that differ from the live ones and are another manager's."""
    present = _ownable(live, schema)
    changed = {path for path, leaf in wanted.items() if present.get(path) != leaf}
    return [(share.manager, path) for share in others for path in sorted(share.paths & changed)]


def _no_longer_applied(
    before: frozenset[Path], wanted: Iterable[Path], others: list[Share]
) -> Iterator[Path]:
    """What the manager owned, does not want any more, and nobody else owns; outermost first."""
    kept = set(wanted).union(*(share.paths for share in others))
    prefixes = {path[:length] for path in kept for length in range(1, len(path) + 1)}
    for path in sorted(before, key=len):
        if path not in prefixes:
            yield path


def _conflict(taken: list[tuple[Manager, Path]]) -> ApiError:
    causes = [
        {
            "reason": "FieldManagerConflict",
            "message": f'conflict with "{manager.name}" using {manager.api_version}',
            "field": show(path),
        }
        for manager, path in taken
    ]
    listed = "\n- ".join(cause["field"] for cause in causes)
    message = f"Apply failed with {len(causes)} conflict{'s' * (len(causes) > 1)}: {listed}"
    return ApiError(409, "Conflict", message, causes=causes)


def show(path: Path) -> str:
    """A path as conflict messages write it: ``.spec.ports[port=80].name``."""
    text = ""
    for part in path:
        kind, _, name = part.partition(":")
        text += f".{name}" if kind == "f" else f"[{name.strip('{}')}]"
    return text


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
