"""Lists: filters, pages of a snapshot, and the versions that a client may ask for."""

import base64
import json
from collections.abc import Callable
from typing import Any

from tests.support.kubeapi.errors import ApiError, bad_request, expired
from tests.support.kubeapi.kinds import Kind
from tests.support.kubeapi.routing import Target
from tests.support.kubeapi.selectors import parse_selectors
from tests.support.kubeapi.store import Object, Store


def select(store: Store, target: Target) -> list[Object]:
    """All objects that a list or deletecollection is about."""
    selects = parse_selectors(target.kind, dict(target.query))
    return [
        each
        for each in store.all(target.kind.key)
        if (not target.namespace or each["metadata"].get("namespace") == target.namespace)
        and (not target.name or each["metadata"]["name"] == target.name)
        and selects(each)
    ]


def serve_list(store: Store, target: Target, show: Callable[[Object], Object]) -> Object:
    """The list object; one page of it if the query has a limit. Raises ``ApiError``."""
    limit = int(target.query.get("limit") or 0)
    if token := target.query.get("continue"):
        items, version = _resume(store, token)
    else:
        _check_version(store, target)
        items, version = select(store, target), store.version
    metadata: dict[str, Any] = {"resourceVersion": str(version)}
    page, rest = (items[:limit], items[limit:]) if limit else (items, [])
    if rest:
        metadata["continue"] = _token(store.keep_snapshot(rest), version)
        if not target.query.get("labelSelector") and not target.query.get("fieldSelector"):
            metadata["remainingItemCount"] = len(rest)
    return {**_head(target.kind, target.version), "metadata": metadata, "items": _shown(page, show)}


def _shown(page: list[Object], show: Callable[[Object], Object]) -> list[Object]:
    return [show(each) for each in page]


def _head(kind: Kind, version: str) -> Object:
    return {"kind": f"{kind.kind}List", "apiVersion": kind.api_version(version)}


def _check_version(store: Store, target: Target) -> None:
    text = target.query.get("resourceVersion") or "0"
    if not text.isdigit():
        raise bad_request(f"invalid resource version {text!r}")
    version, rule = int(text), target.query.get("resourceVersionMatch", "")
    if rule and not target.query.get("resourceVersion"):
        raise ApiError(422, "Invalid", "resourceVersionMatch: needs a resourceVersion")
    if version > store.version:
        raise ApiError(504, "Timeout", f"Too large resource version: {version}")
    if rule == "Exact" and version != store.version:
        # Old states are kept for continued lists only; a real server has them until compaction.
        raise expired("The provided resource version is too old.")


def _token(snapshot: str, version: int) -> str:
    return base64.urlsafe_b64encode(json.dumps([snapshot, version]).encode()).decode()


def _resume(store: Store, token: str) -> tuple[list[Object], int]:
    try:
        snapshot, version = json.loads(base64.urlsafe_b64decode(token))
    except ValueError:
        raise bad_request("continue key is not valid") from None
    items = store.snapshot(snapshot)
    if items is None:
        raise expired("The provided continue parameter is too old to display a consistent list.")
    return items, version
