"""What a replica asks of the API server, and so all that it must be permitted to do there."""

from collections.abc import Iterator
from dataclasses import dataclass

from translators.deployment import KINDS
from translators.resources.gateway import GATEWAY_GROUP
from xds_server.deployment.shelf import RESOURCES as DEPLOYED
from xds_server.sources.kubernetes.kinds import RESOURCES
from xds_server.status import WRITTEN

LEASE = "waypost-status"
"""The Lease by which replicas agree on who writes."""


@dataclass(frozen=True, slots=True, order=True)
class Permission:
    """A verb on a resource, such as ``get`` on ``pods`` or ``patch`` on ``pods/status``.

    ``everywhere``: in all namespaces, or on a resource that has none; else in our namespace only.
    ``name``: on the object of that name alone.
    """

    group: str
    resource: str
    verb: str
    everywhere: bool = True
    name: str = ""

    def __str__(self) -> str:
        full = f"{self.resource}.{self.group}" if self.group else self.resource
        return f"{self.verb} {full}"


def permissions() -> tuple[Permission, ...]:
    """All of them, sorted."""
    asked = (_follow(), _write_status(), _elect(), _deploy(), _know_callers())
    return tuple(sorted({one for part in asked for one in part}))


def _follow() -> Iterator[Permission]:
    for resource in RESOURCES:
        for verb in ("list", "watch"):
            yield Permission(resource.group, resource.plural, verb)


def _write_status() -> Iterator[Permission]:
    for resource in WRITTEN:
        yield Permission(resource.group, resource.plural, "get")
        yield Permission(resource.group, resource.plural, "list")
        yield Permission(resource.group, f"{resource.plural}/status", "patch")


def _elect() -> Iterator[Permission]:
    yield Permission("coordination.k8s.io", "leases", "create", everywhere=False)
    for verb in ("get", "update"):  # a role can't name what is yet to be made
        yield Permission("coordination.k8s.io", "leases", verb, everywhere=False, name=LEASE)


def _deploy() -> Iterator[Permission]:
    for resource in DEPLOYED.values():
        # Who makes an object by applying it must be permitted both.
        for verb in ("get", "list", "watch", "create", "patch"):
            yield Permission(resource.group, resource.plural, verb)
    for kind in KINDS:
        yield Permission(kind.group, kind.plural, "delete")
    yield Permission(GATEWAY_GROUP, "gatewayclasses", "create")


def _know_callers() -> Iterator[Permission]:
    yield Permission("authentication.k8s.io", "tokenreviews", "create")
