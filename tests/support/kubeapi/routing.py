"""What a request is about: its verb, kind, object and query."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from tests.support.kubeapi.errors import ApiError, no_such_path
from tests.support.kubeapi.kinds import Kind

_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch"}


@dataclass(frozen=True)
class Target:
    """A resource or a collection; ``name`` is empty for the latter. ``verb`` is Kubernetes' own."""

    verb: str
    kind: Kind
    version: str
    namespace: str
    name: str
    subresource: str
    query: Mapping[str, str]

    @property
    def resource(self) -> str:
        """For example ``pods`` or ``pods/status``."""
        return f"{self.kind.plural}/{self.subresource}" if self.subresource else self.kind.plural

    def is_set(self, parameter: str) -> bool:
        return self.query.get(parameter, "") in ("true", "1", "All")


class ProxyPath(NamedTuple):
    """A request to a pod, by way of the API server. ``pod`` is ``name`` or ``name:port``."""

    namespace: str
    pod: str
    rest: str


def read_proxy_path(path: str) -> ProxyPath | None:
    """What a path asks of a pod; None if it is none of those."""
    match path.split("/", 8):
        case ["", "api", "v1", "namespaces", namespace, "pods", pod, "proxy", rest]:
            return ProxyPath(namespace, pod, f"/{rest}")
        case _:
            return None


def route(
    method: str, path: str, query: Mapping[str, str], kinds: Mapping[tuple[str, str], Kind]
) -> Target:
    """Raises ``ApiError`` 404 for what is not served."""
    group, version, rest = _split_group([part for part in path.split("/") if part])
    namespace = ""
    if rest[:1] == ["namespaces"] and len(rest) >= 3 and rest[2] not in ("status", "finalize"):
        namespace, rest = rest[1], rest[2:]
    if not 1 <= len(rest) <= 3:
        raise no_such_path()
    plural, name, subresource = (*rest, "", "")[:3]
    kind = kinds.get((group, plural))
    if kind is None or version not in kind.versions or not _has(kind, subresource):
        raise no_such_path()
    if name and kind.namespaced != bool(namespace):
        raise no_such_path()
    verb = _verb(method, name, query)
    return Target(verb, kind, version, namespace, name, subresource, query)


def _split_group(parts: list[str]) -> tuple[str, str, list[str]]:
    match parts:
        case ["api", "v1", *rest]:
            return "", "v1", rest
        case ["apis", group, version, *rest]:
            return group, version, rest
        case _:
            raise no_such_path()


def _has(kind: Kind, subresource: str) -> bool:
    if subresource == "token":
        return kind.plural == "serviceaccounts"
    return not subresource or (subresource == "status" and kind.has_status)


def _verb(method: str, name: str, query: Mapping[str, str]) -> str:
    match method:
        case "GET" if query.get("watch", "") in ("true", "1"):
            return "watch"
        case "GET":
            return "get" if name else "list"
        case "DELETE":
            return "delete" if name else "deletecollection"
        case "POST" | "PUT" | "PATCH":
            return _VERBS[method]
        case _:
            raise ApiError(405, "MethodNotAllowed", f"{method} is not allowed")
