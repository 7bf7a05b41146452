"""Random HTTPRoutes and requests from so small an alphabet that they meet all the time."""

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

from tests.support.manifests import Manifest, route
from tests.support.oracle import Request

_SEGMENTS = ("a", "b", "ab", "a.b")
_METHODS = ("GET", "POST", "PUT")
_VALUES = ("1", "2", "12", "")
_HEADERS = ("x-a", "x-b", "X-A", "x-c")
_PARAMETERS = ("q", "Q", "r")
_PATTERNS = ("1|2", "[0-9]+", "1.*", ".*")
_PATH_PATTERNS = ("/a.*", "/(a|b)", "/[^/]+/b", ".*b", "/a/?", "/a.b(/.*)?")
_CREATED = ("2024-01-01T00:00:00Z", "2024-01-01T00:00:01Z", "2023-12-31T23:59:59Z", None)
NAMESPACES = ("demo", "shopper")
PORTS = (80, 8000)


def some_routes(random: Random, service: str) -> Iterator[Manifest]:
    """A few routes of a service, or none."""
    return random_routes(random, service, random.choice((0, 1, 1, 2, 3, 4)))


def random_routes(random: Random, service: str, count: int) -> Iterator[Manifest]:
    """Routes of a service, of both namespaces."""
    for number in range(count):
        namespace = random.choice(("demo", "demo", "demo", "shopper"))
        name = f"{service}-{random.choice('xyz')}{number}"
        rules = [_rule(random, namespace, name, index) for index in range(random.randint(1, 4))]
        made = route(name, namespace, service, *rules)
        parent = {**made["spec"]["parentRefs"][0], "namespace": "demo"}
        if random.random() < 0.3:
            parent["port"] = random.choice(PORTS)
        created = random.choice(_CREATED)
        age = {} if created is None else {"creationTimestamp": created}
        yield {
            **made,
            "metadata": {**made["metadata"], **age},
            "spec": {**made["spec"], "parentRefs": [parent]},
        }


def random_request(random: Random, services: Sequence[str]) -> Request:
    """A request to one of the services."""
    query = [f"{random.choice(_PARAMETERS)}={random.choice(_VALUES)}" for _ in _some(random, 3)]
    # What a header that is repeated means is left to implementations (HTTPHeaderMatch).
    headers = {random.choice(_HEADERS).lower(): random.choice("12") for _ in _some(random, 3)}
    return Request(
        service=random.choice(services),
        port=random.choice(PORTS),
        caller=random.choice(("demo", "demo", "shopper", "elsewhere")),
        method=random.choice(_METHODS),
        path=_path(random, 3),
        query="&".join(query),
        headers=tuple(headers.items()),
    )


def host_of(marker: str) -> str:
    """The host that the rule ``namespace/route/rule`` redirects to."""
    return ".".join(marker.split("/")) + ".example"


def _rule(random: Random, namespace: str, name: str, index: int) -> Manifest:
    redirect = {"hostname": host_of(f"{namespace}/{name}/{index}")}
    matches = [_match(random) for _ in range(random.randint(0, 3))]
    given = {"matches": matches} if matches else {}
    return {**given, "filters": [{"type": "RequestRedirect", "requestRedirect": redirect}]}


def _match(random: Random) -> Manifest:
    made: dict[str, Any] = {}
    if random.random() < 0.85:
        made["path"] = _path_match(random)
    if random.random() < 0.3:
        made["method"] = random.choice(_METHODS)
    if random.random() < 0.4:
        made["headers"] = [_value(random, _HEADERS) for _ in _some(random, 3)]
    if random.random() < 0.4:
        made["queryParams"] = [_value(random, _PARAMETERS) for _ in _some(random, 3)]
    return made


def _path_match(random: Random) -> Manifest:
    kind = random.choice(("Exact", "PathPrefix", "PathPrefix", "RegularExpression"))
    if kind == "RegularExpression":
        return {"type": kind, "value": random.choice(_PATH_PATTERNS)}
    return {"type": kind, "value": _path(random, 2)}


def _value(random: Random, names: Sequence[str]) -> Manifest:
    name = random.choice(names)
    if random.random() < 0.3:
        return {"name": name, "type": "RegularExpression", "value": random.choice(_PATTERNS)}
    return {"name": name, "value": random.choice([value for value in _VALUES if value])}


def _path(random: Random, longest: int) -> str:
    parts = [random.choice(_SEGMENTS) for _ in _some(random, longest)]
    path = "/" + "/".join(parts)
    return f"{path}/" if parts and random.random() < 0.2 else path


def _some(random: Random, most: int) -> range:
    return range(random.randint(0, most))
