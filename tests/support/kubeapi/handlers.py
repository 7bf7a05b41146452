"""One handler for each verb: from a request to the cluster, and back to a response."""

import asyncio
import json
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import yaml
from aiohttp import web

from tests.support.kubeapi.cluster import Cluster, Write
from tests.support.kubeapi.errors import ApiError, bad_request
from tests.support.kubeapi.faults import Action, CutMidLine, Garbage, HalfOpen
from tests.support.kubeapi.lists import select, serve_list
from tests.support.kubeapi.patches import APPLY_PATCH
from tests.support.kubeapi.reviews import Access, Identity
from tests.support.kubeapi.routing import Target
from tests.support.kubeapi.selectors import parse_selectors
from tests.support.kubeapi.store import Object
from tests.support.kubeapi.watch import Watch, read_start, serve_watch

_FOREVER_S = 3600.0
_PARTIAL = "PartialObjectMetadata"


class Handlers:
    """Answers requests that are routed, allowed and not hit by an early fault."""

    def __init__(
        self, cluster: Cluster, access: Access, bookmarks_s: float, *, watch_list: bool
    ) -> None:
        self._cluster = cluster
        self._access = access
        self._bookmarks_s = bookmarks_s
        self._watch_list = watch_list

    async def handle(
        self, request: web.BaseRequest, target: Target, identity: Identity, fault: Action | None
    ) -> web.StreamResponse:
        """Raises ``ApiError``."""
        if target.verb == "watch":
            return await self._watch(request, target, fault)
        body = await _read_body(request)
        code, answer = self._respond(request, target, identity, body)
        return await _send(request, code, answer, fault)

    def _respond(
        self, request: web.BaseRequest, target: Target, identity: Identity, body: Any
    ) -> tuple[int, Object]:
        show = _presenter(request, target)
        match target.verb:
            case "get":
                found = self._cluster.get(target.kind, target.namespace, target.name)
                return 200, show(found)
            case "list":
                return 200, self._list(request, target)
            case "create":
                return 201, self._create(request, target, identity, body, show)
            case "update":
                write = _write(request, target)
                return 200, show(self._cluster.update(write, target.name, body))
            case "patch":
                return self._patch(request, target, body, show)
            case "delete":
                options = _delete_options(target, body)
                return 200, self._delete(target, target.namespace, target.name, options)
            case _:
                return 200, self._delete_collection(target, body)

    def _list(self, request: web.BaseRequest, target: Target) -> Object:
        show = _presenter(request, target)
        is_partial = _PARTIAL in request.headers.get("Accept", "")
        bare = not target.kind.is_custom and not is_partial

        def show_item(value: Object) -> Object:
            shown = show(value)
            # Items of built-in types come without their type, as from a typed server.
            return {n: c for n, c in shown.items() if not bare or n not in ("kind", "apiVersion")}

        answer = serve_list(self._cluster.store, target, show_item)
        if is_partial:
            answer |= {"kind": f"{_PARTIAL}List", "apiVersion": "meta.k8s.io/v1"}
        return answer

    def _create(
        self,
        request: web.BaseRequest,
        target: Target,
        identity: Identity,
        body: Any,
        show: Callable[[Object], Object],
    ) -> Object:
        match target.kind.plural, target.subresource:
            case "tokenreviews", _:
                return self._access.review_token(body)
            case "selfsubjectaccessreviews" | "subjectaccessreviews", _:
                return self._access.review_access(body, identity.username)
            case "serviceaccounts", "token":
                return self._issue_token(target, body)
            case _:
                return show(self._cluster.create(_write(request, target), body))

    def _issue_token(self, target: Target, body: Any) -> Object:
        account = self._cluster.get(target.kind, target.namespace, target.name)
        spec = body.get("spec") or {}
        token = self._access.issue_token(account, spec.get("audiences") or [])
        end = datetime.now(UTC) + timedelta(seconds=spec.get("expirationSeconds") or 3600)
        status = {"token": token, "expirationTimestamp": end.strftime("%Y-%m-%dT%H:%M:%SZ")}
        return {**body, "status": status}

    def _patch(
        self,
        request: web.BaseRequest,
        target: Target,
        body: Any,
        show: Callable[[Object], Object],
    ) -> tuple[int, Object]:
        write = _write(request, target)
        if request.content_type != APPLY_PATCH:
            patched = self._cluster.patch(write, target.name, request.content_type, body)
            return 200, show(patched)
        if "fieldManager" not in target.query:
            raise bad_request("PatchOptions.meta.k8s.io is invalid: fieldManager: Required value")
        force = target.is_set("force")
        applied, created = self._cluster.apply(write, target.name, body, force=force)
        return (201 if created else 200), show(applied)

    def _delete(self, target: Target, namespace: str, name: str, options: dict[str, Any]) -> Object:
        answer = self._cluster.delete(target.kind, namespace, name, options)
        if answer.get("kind") == "Status":
            return answer
        return {**answer, "apiVersion": target.kind.api_version(target.version)}

    def _delete_collection(self, target: Target, body: Any) -> Object:
        options = _delete_options(target, body)
        found = select(self._cluster.store, target)
        for each in found:
            metadata = each["metadata"]
            self._delete(target, metadata.get("namespace", ""), metadata["name"], options)
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}

    async def _watch(
        self, request: web.BaseRequest, target: Target, fault: Action | None
    ) -> web.StreamResponse:
        query = dict(target.query)
        if target.name:
            query["fieldSelector"] = f"metadata.name={target.name}"
        start, initial = read_start(query, watch_list=self._watch_list)
        watch = Watch(
            target.kind,
            target.namespace,
            parse_selectors(target.kind, query),
            _presenter(request, target),
            start,
            initial,
            self._bookmarks_s if target.is_set("allowWatchBookmarks") else 0.0,
            float(query.get("timeoutSeconds") or random.uniform(1800, 3600)),
        )
        return await serve_watch(request, self._cluster.store, watch, fault)


async def _read_body(request: web.BaseRequest) -> Any:
    data = await request.read()
    if not data:
        return {}
    if request.content_type not in (
        "application/json",
        "application/octet-stream",
        APPLY_PATCH,
    ) and not request.content_type.endswith("+json"):
        message = f"the body of the request was in an unknown format: {request.content_type}"
        raise ApiError(415, "UnsupportedMediaType", message)
    try:
        return yaml.safe_load(data) if request.content_type == APPLY_PATCH else json.loads(data)
    except (ValueError, yaml.YAMLError) as error:
        raise bad_request(f"the body can't be read: {error}") from None


def _write(request: web.BaseRequest, target: Target) -> Write:
    agent = request.headers.get("User-Agent", "unknown").partition("/")[0]
    return Write(
        target.kind,
        target.version,
        target.namespace,
        manager=target.query.get("fieldManager") or agent,
        subresource=target.subresource,
        strict=target.query.get("fieldValidation") == "Strict",
        dry_run=target.is_set("dryRun"),
    )


def _delete_options(target: Target, body: Any) -> dict[str, Any]:
    options = dict(body) if isinstance(body, dict) else {}
    for name in ("propagationPolicy", "dryRun"):
        if name in target.query:
            options[name] = target.query[name]
    return options


def _presenter(request: web.BaseRequest, target: Target) -> Callable[[Object], Object]:
    """The form in which the client wants an object: its version, or metadata only."""
    if _PARTIAL in request.headers.get("Accept", ""):
        head = {"kind": _PARTIAL, "apiVersion": "meta.k8s.io/v1"}
        return lambda value: {**head, "metadata": value["metadata"]}
    head = {"kind": target.kind.kind, "apiVersion": target.kind.api_version(target.version)}
    return lambda value: {**head, **value, **head}


async def _send(
    request: web.BaseRequest, code: int, answer: Object, fault: Action | None
) -> web.StreamResponse:
    body = json.dumps(answer, separators=(",", ":")).encode()
    match fault:
        case Garbage():
            body = b'{"kind":"List","items":[{]}'
        case HalfOpen():
            await asyncio.sleep(_FOREVER_S)
        case CutMidLine():
            return await _send_half(request, body)
        case _:
            pass
    return web.Response(body=body, status=code, content_type="application/json")


async def _send_half(request: web.BaseRequest, body: bytes) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    response.content_length = len(body)
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return response
