"""The service ``web``, whose requests go to ``web-v1`` and ``web-v2`` by weight."""

from tests.support.manifests import (
    DECLARED,
    Manifest,
    backend,
    gateway,
    namespace,
    route,
    rule,
    service,
)
from xds_server.demo.ztunnel import Address

HOME = "shop"
WEB = Address("10.98.0.1", 80)


def shop() -> list[Manifest]:
    """The waypoint, the service, and its two versions."""
    found: list[Manifest] = [namespace(HOME), gateway(HOME)]
    for number, name in enumerate(("web", "web-v1", "web-v2"), start=1):
        selector = {"pod": name.removeprefix("web-") if number > 1 else "v1"}
        found.append(service(name, HOME, f"10.98.0.{number}", selector, DECLARED))
    return found


def split(new: int) -> Manifest:
    """The route that sends ``new`` per cent to v2, the rest to v1."""
    weights = [backend("web-v1", 100 - new), backend("web-v2", new)]
    return route("web", HOME, "web", rule(to=weights))
