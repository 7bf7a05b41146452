"""Which HTTPRoute rule a request belongs to, by a plain reading of the Gateway API.

It reads the manifests themselves and shares nothing with the translator, so that neither can
repeat the other's mistakes. It is meant to be checked against the specification line by line.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from tests.support.manifests import Manifest

NOT_FOUND = "not found"
DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Request:
    """A request to a port of a service, and the namespace of whoever sends it."""

    service: str
    port: int
    caller: str
    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]

    @property
    def target(self) -> str:
        return f"{self.path}?{self.query}" if self.query else self.path


class Candidate(NamedTuple):
    """A match that a request meets; the smallest wins."""

    path_kind: int
    path_length: int
    method: bool
    headers: int
    query: int
    age: tuple[bool, str]
    owner: str
    rule: int

    @property
    def marker(self) -> str:
        return f"{self.owner}/{self.rule}"


def chosen_rule(routes: Iterable[Manifest], home: str, request: Request) -> str:
    """``namespace/route/rule`` of the rule for a request to a service in the namespace ``home``.

    ``DEFAULT`` if the service has no route, ``NOT_FOUND`` if it has some and none matches.
    """
    attached = [route for route in routes if _is_attached(route, home, request)]
    consumer = [route for route in attached if _namespace(route) not in (home,)]
    own = [route for route in consumer if _namespace(route) == request.caller]
    producer = [route for route in attached if _namespace(route) == home]
    # GEP-1426: a consumer route overrides the producer's for the clients of its namespace.
    applicable = own or producer
    if not applicable:
        return DEFAULT
    candidates = [each for route in applicable for each in _candidates(route, request)]
    return min(candidates).marker if candidates else NOT_FOUND


def _namespace(route: Manifest) -> str:
    namespace: str = route["metadata"]["namespace"]
    return namespace


def _is_attached(route: Manifest, home: str, request: Request) -> bool:
    return any(
        parent["kind"] == "Service"
        and parent["name"] == request.service
        and parent.get("namespace", _namespace(route)) == home
        and parent.get("port", request.port) == request.port
        for parent in route["spec"]["parentRefs"]
    )


def _candidates(route: Manifest, request: Request) -> Iterator[Candidate]:
    meta = route["metadata"]
    created = meta.get("creationTimestamp", "")
    for index, rule in enumerate(route["spec"]["rules"]):
        for match in rule.get("matches") or [{}]:
            if _matches(match, request):
                yield Candidate(
                    *_specificity(match),
                    age=(not created, created),
                    owner=f"{meta['namespace']}/{meta['name']}",
                    rule=index,
                )


def _specificity(match: Manifest) -> tuple[int, int, bool, int, int]:
    """Exact path, longest prefix (regular expressions last, longest first), method, headers,
    query parameters.
    """
    path = match.get("path", {})
    kind = path.get("type", "PathPrefix")
    value = path.get("value", "/")
    if kind == "PathPrefix":
        value = value.rstrip("/") or "/"
    return (
        ("Exact", "PathPrefix", "RegularExpression").index(kind),
        -len(value),
        "method" not in match,
        -len(_first_of_each(match.get("headers", ()), fold=True)),
        -len(_first_of_each(match.get("queryParams", ()), fold=False)),
    )


def _matches(match: Manifest, request: Request) -> bool:
    headers = {name.lower(): value for name, value in request.headers}
    # Of a parameter that is repeated the first value counts.
    query = dict(reversed(parse_qsl(request.query, keep_blank_values=True)))
    return (
        _path_matches(match.get("path", {}), request.path)
        and match.get("method", request.method) == request.method
        and _all_match(_first_of_each(match.get("headers", ()), fold=True), headers)
        and _all_match(_first_of_each(match.get("queryParams", ()), fold=False), query)
    )


def _path_matches(path: Manifest, actual: str) -> bool:
    value = path.get("value", "/")
    match path.get("type", "PathPrefix"):
        case "Exact":
            return bool(actual == value)
        case "PathPrefix":
            # Element by element; a slash at the end of the prefix means nothing.
            wanted = [part for part in value.split("/") if part]
            return actual.split("/")[1:][: len(wanted)] == wanted
        case _:
            return re.fullmatch(value, actual) is not None


def _first_of_each(entries: Sequence[Manifest], *, fold: bool) -> dict[str, Manifest]:
    """Of several entries for one name only the first is considered."""
    first: dict[str, Any] = {}
    for entry in entries:
        first.setdefault(entry["name"].lower() if fold else entry["name"], entry)
    return first


def _all_match(wanted: dict[str, Manifest], actual: dict[str, str]) -> bool:
    return all(
        name in actual and _value_matches(entry, actual[name]) for name, entry in wanted.items()
    )


def _value_matches(entry: Manifest, actual: str) -> bool:
    if entry.get("type", "Exact") == "Exact":
        return bool(actual == entry["value"])
    return re.fullmatch(entry["value"], actual) is not None
