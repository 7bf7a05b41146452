"""Keeps the resources of every waypoint up to date, doing again only what a change touched.

Three kinds of work are remembered by what they read of the world: which services a waypoint has,
what each of them adds, and the endpoints of each cluster. A change of an endpoint therefore ends
in one EndpointSet, a change of a route in one RouteTable. What comes out equal is the very same
``Resource`` as before: nothing is encoded twice, and nothing is sent.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import chain

from translators import authorization, gateway_api
from translators.edition import (
    Compiled,
    Edition,
    Farewell,
    Plan,
    Stale,
    next_edition,
    next_near,
    undisputed,
)
from translators.gateway_api import (
    Assembly,
    Destination,
    Refusal,
    ServiceConfig,
    deployable,
)
from translators.ir import Condition, Node
from translators.ir.endpoint import EndpointSet
from translators.ir.place import Place
from translators.ir.waypoint import Mesh, WaypointName
from translators.judgement import JUDGED, judge
from translators.memo import Memo
from translators.parts import Parts
from translators.resources.core import Pod, Service
from translators.resources.endpointslice import EndpointSlice
from translators.resources.gateway import Gateway
from translators.resources.metadata import ObjectKey
from translators.resources.serviceentry import ServiceEntry
from translators.status import ChangedAt, ObjectStatus, object_status
from translators.wire import Resource, ResourceKey
from translators.world import Change, Reader, World
from translators.xds import key_of, resource

_Rendered = tuple[Node, Resource]
_Member = tuple[WaypointName, ObjectKey]
_Target = tuple[WaypointName, Destination]
_ENDPOINTS = frozenset({Pod.kind, EndpointSlice.kind})  # of which nothing is said themselves


class Compiler:
    """The world of one mesh, and what it means for each waypoint. Synchronous and pure.

    ``revision`` grows whenever ``statuses`` may have another answer. If it ``lingers``, a waypoint
    goes on answering for services that have gone elsewhere until they are dismissed, because their
    clients do not all learn of it at once, and then keeps what open connections need until they
    are forgotten.
    """

    def __init__(self, mesh: Mesh, *, lingers: bool = False) -> None:
        self.mesh = mesh
        self._lingers = lingers
        self.revision = 0
        self._world = World((*gateway_api.INDEXES, *authorization.INDEXES))
        self._members = Memo(self._world, _read_members)
        self._parts = Parts(self._world, mesh)
        self._configs = Memo(self._world, self._translate)
        self._endpoints = Memo(self._world, self._find_endpoints)
        self._names = Memo(self._world, _read_names)
        self._judgements = Memo(self._world, partial(judge, mesh))
        self._compiled: dict[WaypointName, Compiled] = {}
        self._stale: dict[WaypointName, Stale] = {}
        self._prepared: dict[WaypointName, dict[ResourceKey, _Rendered]] = {}
        self._farewells: dict[_Member, Farewell] = {}

    def apply(self, changes: Iterable[Change]) -> set[WaypointName]:
        """Change the world; the result is the waypoints whose resources may differ by that.

        Waypoints that were never asked for are not among them.
        """
        changes = tuple(changes)
        touched = self._world.apply(changes)
        touched |= self._parts.invalidate(touched)
        self._names.invalidate(touched)
        judged_anew = self._judgements.invalidate(touched)
        if judged_anew or any(change.key.kind not in _ENDPOINTS for change in changes):
            self.revision += 1
        stale = self._members.invalidate(touched)
        for waypoint in stale:
            self._note_stale(waypoint).everything = True
        for waypoint, service in self._configs.invalidate(touched):
            self._note_stale(waypoint).services.add(service)
            stale.add(waypoint)
        for waypoint, destination in self._endpoints.invalidate(touched):
            self._note_stale(waypoint).destinations.add(destination)
            stale.add(waypoint)
        return stale

    def waypoints(self) -> tuple[WaypointName, ...]:
        """All waypoints that there are, sorted."""
        return tuple(self._names(()))

    def serves(self, waypoint: WaypointName) -> bool:
        """Whether there is a Gateway of that name whose class is served here."""
        return waypoint in self._names(())

    def service_account(self, waypoint: WaypointName) -> str:
        """The service account that the waypoint's Envoys run as."""
        gateway = Reader(self._world).get(Gateway, waypoint.namespace, waypoint.name)
        return (gateway.service_account if gateway else "") or waypoint.name

    def deployable(self) -> list[Gateway]:
        """The Gateways whose waypoints are to be deployed by us, sorted by name."""
        reader = Reader(self._world)
        named = (reader.get(Gateway, *name) for name in self.waypoints())
        return [found for found in named if found and deployable(reader, self.mesh, found)]

    def has(self, key: ObjectKey) -> bool:
        """Whether there is such an object."""
        return Reader(self._world).find(key) is not None

    def steps(self, waypoint: WaypointName) -> Iterator[None]:
        """Do the work for ``resources`` beforehand, a little before each yield.

        The world may change in between; what was done for nothing is then done again.
        """
        known, stale = self._compiled.get(waypoint), self._stale.get(waypoint)
        if known is not None and stale is None:
            return
        services = self._members(waypoint)
        if known is not None and stale is not None and not stale.everything:
            services = tuple(stale.services)
        for service in services:
            self._configs((waypoint, service))
            yield
        prepared = self._prepared.setdefault(waypoint, {})
        for node in self._plan(waypoint).nodes:
            key = key_of(node)
            if known is None or not _is_same(known.nodes.get(key), node):
                prepared[key] = self._render(waypoint, key, node)
            yield

    def edition(self, waypoint: WaypointName) -> Edition:
        """All resources of a waypoint but its tunnel listener and its secrets.

        It is the same edition as before if no resource is another.
        """
        known, stale = self._compiled.get(waypoint), self._stale.get(waypoint)
        if known is None or stale is not None:
            known = self._compile(waypoint)
            self._compiled[waypoint] = known
            self._stale.pop(waypoint, None)
            self._prepared.pop(waypoint, None)
        return known.edition

    def locate(self, place: Place) -> Place:
        """What is known of where a proxy runs: what it says itself, else what the cluster does."""
        return gateway_api.locate(Reader(self._world), place)

    def leaving(self, waypoint: WaypointName) -> Mapping[ObjectKey, Farewell]:
        """The services that have left a waypoint but not quite, as it was last compiled."""
        known = self._compiled.get(waypoint)
        return known.leaving if known else {}

    def bid(self, waypoint: WaypointName, service: ObjectKey, farewell: Farewell) -> None:
        """Go on to the next step of parting with a service that has left the waypoint."""
        self._farewells[waypoint, service] = farewell
        self._note_stale(waypoint).everything = True

    def resources(self, waypoint: WaypointName) -> Mapping[ResourceKey, Resource]:
        """The resources of the waypoint's edition by key."""
        return {one.key: one for one in self.edition(waypoint).snapshot.all()}

    def counts(self) -> Mapping[str, int]:
        """How many objects of each kind there are."""
        return Counter(found.kind for found in self._world.objects())

    def conditions(self) -> tuple[Condition, ...]:
        """What is to be said about all objects, sorted."""
        return tuple(sorted(set(chain.from_iterable(self._said()))))

    def statuses(
        self, changed_at: ChangedAt, refusals: Iterable[Refusal] = ()
    ) -> Iterator[ObjectStatus]:
        """The status of every object that is ours to speak about, in the order of their keys.

        What proxies refused is said instead of what else would be under the same type.
        """
        return (one for one in self.status_steps(changed_at, refusals) if one is not None)

    def status_steps(
        self,
        changed_at: ChangedAt,
        refusals: Iterable[Refusal] = (),
        verdicts: Iterable[Condition] = (),
    ) -> Iterator[ObjectStatus | None]:
        """``statuses``, with a None after each little work that gave none.

        The ``verdicts`` of others count as what proxies refused does.
        If the world changes in between, some may be of before that and some of after it.
        """
        reader = Reader(self._world)
        refused = [*gateway_api.refusal_conditions(reader, refusals), *verdicts]
        taken = {_place(condition) for condition in refused}
        told: dict[ObjectKey, set[Condition]] = {key: set() for key, _, _ in taken}
        for group in self._said():
            for condition in group:
                if (place := _place(condition)) not in taken:
                    told.setdefault(place[0], set()).add(condition)
            yield None
        for condition in refused:
            told[_place(condition)[0]].add(condition)
        for key in sorted(told):
            subject = self._world.find(key)
            if subject is not None:
                given = sorted(told[key])
                yield object_status(reader, self.mesh, subject, given, changed_at)

    def _said(self) -> Iterator[tuple[Condition, ...]]:
        """All conditions, in no particular order: a little work before each part of them."""
        for waypoint in self.waypoints():
            for service in self._members(waypoint):
                self._configs((waypoint, service))
                yield ()
            yield self._shared_conditions(waypoint)
        for found in tuple(self._world.objects()):
            yield self._judgements(found.key) if isinstance(found, JUDGED) else ()

    def _note_stale(self, waypoint: WaypointName) -> Stale:
        return self._stale.setdefault(waypoint, Stale())

    def _compile(self, waypoint: WaypointName) -> Compiled:
        """Render what came out different, and say what that was."""
        plan = self._plan(waypoint)
        known = self._compiled.get(waypoint) or Compiled(plan.assembly, {})
        seen: set[ResourceKey] = set()
        fresh: list[Resource] = []
        endpoints: list[EndpointSet] = []
        for node in plan.nodes:
            key = key_of(node)
            seen.add(key)
            if not _is_same(known.nodes.get(key), node):
                endpoints += [node] if isinstance(node, EndpointSet) else []
                known.nodes[key], made = self._render(waypoint, key, node)
                if made is not known.edition.snapshot.get(key):
                    fresh.append(made)
        gone = known.nodes.keys() - seen if plan.complete else set[ResourceKey]()
        for key in gone:
            del known.nodes[key]
        self._forget_unused(waypoint, known.assembly, plan.assembly)
        if plan.complete:
            known.configs.clear()
        known.configs.update((config.service, config) for config in plan.configs)
        known.assembly = plan.assembly
        if plan.complete:
            self._note_leaving(waypoint, known)
        near = next_near(known.edition.near, endpoints, gone)
        if fresh or gone or near is not known.edition.near or not known.edition.number:
            known.edition = next_edition(known.edition, fresh, gone, near)
        return known

    def _plan(self, waypoint: WaypointName) -> Plan:
        known, stale = self._compiled.get(waypoint), self._stale.get(waypoint)
        if known is not None and stale is not None and not stale.everything:
            plan = self._plan_in_place(waypoint, known, stale)
            if plan is not None:
                return plan
        configs = [self._configs((waypoint, service)) for service in self._members(waypoint)]
        configs += undisputed(self._lingering(waypoint), configs)
        assembly = gateway_api.assemble(self.mesh, configs)
        return Plan(assembly, configs, self._nodes(waypoint, assembly), complete=True)

    def _lingering(self, waypoint: WaypointName) -> Iterator[ServiceConfig]:
        """What remains of services that the waypoint had, and that have gone where they may be."""
        known = self._compiled.get(waypoint) if self._lingers else None
        departed = known.configs.keys() - set(self._members(waypoint)) if known else ()
        reader = Reader(self._world)
        for key in sorted(departed):
            farewell = self._farewells.get((waypoint, key), Farewell.HEARD)
            if farewell is Farewell.FORGOTTEN or not gateway_api.may_linger(reader, waypoint, key):
                continue
            config = self._configs((waypoint, key))
            yield config if farewell is Farewell.HEARD else gateway_api.unreachable(config)

    def _note_leaving(self, waypoint: WaypointName, known: Compiled) -> None:
        departed = known.configs.keys() - set(self._members(waypoint))
        known.leaving = {
            key: self._farewells.get((waypoint, key), Farewell.HEARD) for key in departed
        }
        over = [one for one in self._farewells if one[0] == waypoint and one[1] not in departed]
        for one in over:
            del self._farewells[one]

    def _plan_in_place(self, waypoint: WaypointName, known: Compiled, stale: Stale) -> Plan | None:
        """What to look at if nothing that services share can differ; None if it can."""
        configs, nodes = [], list[Node]()
        for service in stale.services:
            before, config = known.configs.get(service), self._configs((waypoint, service))
            if before is None or not gateway_api.fits_in_place(known.assembly, before, config):
                return None
            configs.append(config)
            nodes += (*config.tables, *config.clusters)
        endpoints = (self._endpoints((waypoint, one)) for one in tuple(stale.destinations))
        nodes += (found for found in endpoints if key_of(found) in known.nodes)
        return Plan(known.assembly, configs, nodes, complete=False)

    def _render(self, waypoint: WaypointName, key: ResourceKey, node: Node) -> _Rendered:
        """The node with its resource: the one that there is, if the bytes are the same."""
        prepared = self._prepared.get(waypoint, {}).get(key)
        if prepared is not None and _is_same(prepared[0], node):
            return prepared
        made, known = resource(node), self._compiled.get(waypoint)
        current = known.edition.snapshot.get(key) if known else None
        return node, current if current is not None and current == made else made

    def _forget_unused(self, waypoint: WaypointName, before: Assembly, after: Assembly) -> None:
        """Remember nothing of services and clusters that the waypoint has no more."""
        if before is after:
            return
        for gone in set(before.destinations).difference(after.destinations):
            self._endpoints.forget((waypoint, gone))
        for member in set(before.services).difference(after.services):
            self._configs.forget((waypoint, member))

    def _nodes(self, waypoint: WaypointName, assembly: Assembly) -> Iterator[Node]:
        yield from assembly.nodes
        for destination in assembly.destinations:
            yield self._endpoints((waypoint, destination))

    def _shared_conditions(self, waypoint: WaypointName) -> tuple[Condition, ...]:
        """What is to be said about the services of a waypoint together."""
        known = self._compiled.get(waypoint)
        if known is not None and waypoint not in self._stale:
            return known.assembly.conditions
        members = self._members(waypoint)
        return gateway_api.shared_conditions(
            self._configs((waypoint, member)) for member in members
        )

    def _translate(self, reader: Reader, member: _Member) -> ServiceConfig:
        waypoint, key = member
        read = partial(self._parts.policy, reader)
        if key.kind == Gateway.kind:
            guard = authorization.pod_protection(reader, self.mesh, waypoint, read)
            return gateway_api.translate_workloads(reader, self.mesh, waypoint, guard)
        service = reader.find(key)
        if not isinstance(service, Service | ServiceEntry):
            return ServiceConfig(key, "")
        common = self._parts.waypoint_policies
        guard_of = authorization.protection(reader, self.mesh, waypoint, service, read, common)
        return gateway_api.translate_service(
            reader,
            self.mesh,
            waypoint,
            service,
            guard_of,
            self._parts.route,
        )

    def _find_endpoints(self, reader: Reader, target: _Target) -> EndpointSet:
        return gateway_api.endpoint_set(reader, self.mesh, target[1])


def _place(condition: Condition) -> tuple[ObjectKey, str, str]:
    """Of which object something is said, in which part of its status, and under which type."""
    origin = condition.origin
    key = ObjectKey(origin.kind, origin.namespace, origin.name)
    return key, condition.scope, condition.type


def _read_members(reader: Reader, waypoint: WaypointName) -> tuple[ObjectKey, ...]:
    """The services of a waypoint, and its Gateway if it serves pods by their own addresses."""
    services = (service.key for service in gateway_api.bound_services(reader, waypoint))
    gateway = reader.get(Gateway, waypoint.namespace, waypoint.name)
    if gateway is None or not gateway_api.serves_workloads(reader, gateway):
        return tuple(services)
    return (*services, gateway.key)


def _read_names(reader: Reader, _: tuple[()]) -> Mapping[WaypointName, None]:
    return dict.fromkeys(gateway_api.waypoints(reader))


def _is_same(known: Node | None, node: Node) -> bool:
    """Whether nothing is new; most nodes are even the same object, which costs no comparison."""
    return known is node or known == node
