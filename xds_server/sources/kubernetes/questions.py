"""Requests as the API server wants them (Kubernetes API concepts, "Efficient detection")."""

from collections.abc import Mapping
from typing import assert_never

from xds_server.sources.kubernetes.kinds import Resource
from xds_server.sources.kubernetes.reflector import PagedList, Request, StreamedList, Watch


def query_of(resource: Resource, request: Request, seconds: int) -> Mapping[str, str]:
    """The query of a request. A watch is to last so many seconds, and asks for bookmarks."""
    selectors = {
        "fieldSelector": resource.field_selector,
        "labelSelector": resource.label_selector,
    }
    query = {name: value for name, value in selectors.items() if value}
    watch = {"watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": str(seconds)}
    match request:
        case PagedList(token=token, limit=limit):
            page = {"limit": str(limit)} if limit else {}
            return query | page | ({"continue": token} if token else {})
        case StreamedList():
            start = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
            return query | watch | start
        case Watch(revision=revision):
            return query | watch | {"resourceVersion": revision}
        case _:
            assert_never(request)
