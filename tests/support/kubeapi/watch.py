"""Watches: replay from a version, selector transitions, bookmarks, initial events, and faults."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from tests.support.kubeapi.errors import ApiError, bad_request, expired
from tests.support.kubeapi.faults import (
    Action,
    CutMidLine,
    ErrorEvent,
    Garbage,
    HalfOpen,
)
from tests.support.kubeapi.kinds import Kind
from tests.support.kubeapi.selectors import Selector
from tests.support.kubeapi.store import Event, Object, Store, versioned

_LONGEST_S = 3600.0


class WatchEnd(Exception):
    """A fault ended the watch."""


@dataclass(frozen=True)
class Watch:
    """What a watch asks for. ``show`` gives an object its form; ``bookmarks_s`` is 0 for none."""

    kind: Kind
    namespace: str
    selector: Selector
    show: Callable[[Object], Object]
    start: int | None
    initial_events: bool
    bookmarks_s: float
    timeout_s: float

    def sees(self, value: Object | None) -> bool:
        if value is None or (self.namespace and value["metadata"]["namespace"] != self.namespace):
            return False
        return self.selector(value)


def read_start(query: dict[str, str], *, watch_list: bool) -> tuple[int | None, bool]:
    """The version to start after (None for all objects there are first), and if that is asked."""
    initial = query.get("sendInitialEvents")
    match_rule = query.get("resourceVersionMatch")
    if initial is not None:
        if not watch_list:
            raise ApiError(
                422,
                "Invalid",
                "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch unless"
                " the WatchList feature gate is enabled",
            )
        if match_rule != "NotOlderThan":
            raise ApiError(422, "Invalid", "resourceVersionMatch: must be NotOlderThan")
    elif match_rule is not None:
        raise ApiError(422, "Invalid", "resourceVersionMatch is forbidden for watch")
    version = query.get("resourceVersion", "")
    if initial == "true" or version in ("", "0"):
        return None, initial == "true"
    if not version.isdigit():
        raise bad_request(f"invalid resource version {version!r}")
    return int(version), False


async def serve_watch(
    request: web.BaseRequest, store: Store, watch: Watch, fault: Action | None
) -> web.StreamResponse:
    """Send the changes until the timeout, the client or a fault ends it."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    present = [each for each in store.all(watch.kind.key) if watch.sees(each)]
    version = store.version if watch.start is None else watch.start
    await response.prepare(request)
    line = _Line(request, response, fault)
    try:
        if watch.start is None:
            for each in present:
                await line.send("ADDED", watch.show(each))
            if watch.initial_events and watch.bookmarks_s:
                await line.send("BOOKMARK", _bookmark(watch, version, last_initial=True))
        await _follow(store, watch, version, line)
    except WatchEnd:
        pass
    return response


async def _follow(store: Store, watch: Watch, version: int, line: "_Line") -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + watch.timeout_s
    next_bookmark = loop.time() + watch.bookmarks_s
    while (now := loop.time()) < end:
        events = store.events_after(version)
        if events is None:
            await line.send("ERROR", expired(f"too old resource version: {version}").status())
            return
        for event in events:
            version = event.version
            await _send_change(watch, event, line)
        if watch.bookmarks_s and now >= next_bookmark:
            if version <= store.version:  # a watch from the future hears nothing until then
                await line.send("BOOKMARK", _bookmark(watch, version))
            next_bookmark = now + watch.bookmarks_s
        await line.fail_if_due()
        wake = min(end, next_bookmark) if watch.bookmarks_s else end
        if not store.events_after(version):
            await store.change(max(0.0, wake - loop.time()))


async def _send_change(watch: Watch, event: Event, line: "_Line") -> None:
    """A change as the selector sees it: what begins to match is added, what ends to is deleted."""
    if event.key != watch.kind.key:
        return
    before, after = watch.sees(event.previous), watch.sees(event.object)
    if event.type == "DELETED":
        if before:
            await line.send("DELETED", watch.show(event.object))
    elif after:
        await line.send("MODIFIED" if before else "ADDED", watch.show(event.object))
    elif before and event.previous is not None:
        await line.send("DELETED", watch.show(versioned(event.previous, event.version)))


def _bookmark(watch: Watch, version: int, *, last_initial: bool = False) -> Object:
    metadata: dict[str, Any] = {"resourceVersion": str(version), "creationTimestamp": None}
    if last_initial:
        metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
    head = watch.show({"metadata": {"name": "", "resourceVersion": ""}})
    return {"kind": head["kind"], "apiVersion": head["apiVersion"], "metadata": metadata}


class _Line:
    """The stream of events, and the fault that waits in it."""

    def __init__(
        self, request: web.BaseRequest, response: web.StreamResponse, fault: Action | None
    ) -> None:
        self._request = request
        self._response = response
        self._fault = fault
        self._sent = 0

    async def send(self, kind: str, value: Object) -> None:
        line = json.dumps({"type": kind, "object": value}, separators=(",", ":")).encode() + b"\n"
        match self._fault:
            case CutMidLine(after) if self._sent >= after:
                await self._response.write(line[: len(line) // 2])
                self._abort()
        await self.fail_if_due()
        await self._response.write(line)
        self._sent += 1

    async def fail_if_due(self) -> None:
        match self._fault:
            case HalfOpen(after) if self._sent >= after:
                await asyncio.sleep(_LONGEST_S)
            case Garbage():
                self._fault = None
                await self._response.write(b'{"type":"ADDED","object":{]}\n')
            case ErrorEvent(code, reason, after) if self._sent >= after:
                self._fault = None
                status = ApiError(code, reason, "scripted").status()
                await self.send("ERROR", status)
                raise WatchEnd
            case _:
                pass

    def _abort(self) -> None:
        transport = self._request.transport
        if transport is not None:
            # What is written so far must still reach the client.
            transport.close()
        raise WatchEnd
