"""What is to be done for what is wanted. Pure, but for what it remembers."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, groupby

from translators.deployment import (
    DeploymentSettings,
    InvalidParameters,
    Overlays,
    deployed,
    gateway_class,
    roots,
)
from translators.ir.waypoint import Mesh
from translators.resources.gateway import Gateway, GatewayClass
from translators.resources.metadata import ObjectKey
from xds_server.deployment.live import Manifest, key_of, stamped
from xds_server.deployment.parameters import Parameters


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is to be deployed now: for which Gateways, sorted by name.

    ``roots`` (PEM) are what the control plane is known by.
    """

    gateways: Sequence[Gateway]
    has_class: bool
    roots: str


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """Objects that belong together; ``owner`` is the uid of their Gateway, empty if of several."""

    wanted: tuple[Manifest, ...]
    owner: str = ""

    @property
    def names(self) -> Iterator[ObjectKey | str]:
        """What tells that the job may have to be done: its objects, and their owner."""
        return chain((self.owner,), map(key_of, self.wanted))


class Planner:
    """Makes jobs, and gives the same object again for a job that is the same."""

    def __init__(self, mesh: Mesh, settings: DeploymentSettings, parameters: Parameters) -> None:
        self._mesh = mesh
        self._settings = settings
        self._parameters = parameters
        self._made: dict[ObjectKey, tuple[object, Job]] = {}

    def jobs(self, wishes: Wishes) -> Iterator[tuple[ObjectKey, Job | InvalidParameters]]:
        """All jobs, or why they can't be made.

        Their keys are Gateways, the namespaces that need roots, and the class if there is none.
        """
        before, self._made = self._made, {}
        if not wishes.has_class:
            yield _CLASS, self._keep(before, _CLASS, None, _class_job)
        for namespace, group in groupby(wishes.gateways, key=lambda one: one.meta.namespace):
            gateways = tuple(group)
            key, facts = ObjectKey("Namespace", "", namespace), (gateways, wishes.roots)
            make = partial(self._roots, namespace, *facts)
            yield key, self._keep(before, key, facts, make)
            for gateway in gateways:
                yield gateway.key, self._own(before, gateway)

    def _own(
        self, before: dict[ObjectKey, tuple[object, Job]], gateway: Gateway
    ) -> Job | InvalidParameters:
        try:
            overlays = self._parameters.of(gateway)
            make = partial(self._objects, gateway, overlays)
            return self._keep(before, gateway.key, (gateway, overlays), make)
        except InvalidParameters as error:
            return error

    def _keep(
        self,
        before: dict[ObjectKey, tuple[object, Job]],
        key: ObjectKey,
        facts: object,
        make: Callable[[], Job],
    ) -> Job:
        """The job as it was before if it comes from the same facts, else a new one."""
        known = before.get(key)
        if known is None or known[0] != facts:
            known = (facts, make())
        self._made[key] = known
        return known[1]

    def _objects(self, gateway: Gateway, overlays: Overlays) -> Job:
        wanted = deployed(self._mesh, self._settings, gateway, overlays)
        return Job(tuple(map(stamped, wanted)), gateway.meta.uid)

    def _roots(self, namespace: str, gateways: tuple[Gateway, ...], pem: str) -> Job:
        return Job((stamped(roots(self._settings, namespace, gateways, pem)),))


def _class_job() -> Job:
    return Job((gateway_class(),))


_CLASS = ObjectKey(GatewayClass.kind, "", gateway_class()["metadata"]["name"])
