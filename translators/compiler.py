"""Keeps the resources of every waypoint up to date, doing again only what a change touched.

Three kinds of work are remembered by what they read of the world: which services a waypoint has,
what each of them adds, and the endpoints of each cluster. A change of an endpoint therefore ends
in one EndpointSet, a change of a route in one RouteTable. What comes out equal is the very same
``Resource`` as before: nothing is encoded twice, and nothing is sent.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

from translators import authorization, gateway_api
from translators.gateway_api import Assembly, Destination, ServiceConfig
from translators.ir import Condition, Node
from translators.ir.endpoint import EndpointSet
from translators.ir.waypoint import Mesh, WaypointName
from translators.memo import Memo
from translators.resources.authorizationpolicy import AuthorizationPolicy
from translators.resources.core import Service
from translators.resources.gateway import Gateway
from translators.resources.grpcroute import GRPCRoute
from translators.resources.httproute import HTTPRoute
from translators.resources.metadata import ObjectKey
from translators.resources.tcproute import TCPRoute, TLSRoute
from translators.status import ChangedAt, ObjectStatus, object_status
from translators.wire import Resource, ResourceKey
from translators.world import Change, Reader, World
from translators.xds import key_of, resource

_Rendered = tuple[Node, Resource]
_Member = tuple[WaypointName, ObjectKey]
_Target = tuple[WaypointName, Destination]


@dataclass(frozen=True, slots=True)
class _Compiled:
    """The resources of a waypoint, each with the node that it was rendered from."""

    assembly: Assembly
    rendered: Mapping[ResourceKey, _Rendered]
    resources: Mapping[ResourceKey, Resource]

    @classmethod
    def of(cls, assembly: Assembly, rendered: Mapping[ResourceKey, _Rendered]) -> "_Compiled":
        resources = {key: made for key, (_, made) in rendered.items()}
        return cls(assembly, rendered, resources)


class Compiler:
    """The world of one mesh, and what it means for each waypoint. Synchronous and pure."""

    def __init__(self, mesh: Mesh) -> None:
        self.mesh = mesh
        self._world = World((*gateway_api.INDEXES, *authorization.INDEXES))
        self._members = Memo(self._world, _read_members)
        self._configs = Memo(self._world, self._translate)
        self._endpoints = Memo(self._world, self._find_endpoints)
        self._names = Memo(self._world, _read_names)
        self._judgements = Memo(self._world, self._judge)
        self._compiled: dict[WaypointName, _Compiled] = {}
        self._stale: set[WaypointName] = set()
        self._stale_endpoints: dict[WaypointName, set[Destination]] = {}
        self._prepared: dict[WaypointName, dict[ResourceKey, _Rendered]] = {}

    def apply(self, changes: Iterable[Change]) -> set[WaypointName]:
        """Change the world; the result is the waypoints whose resources may differ now.

        Waypoints that were never asked for are not among them.
        """
        touched = self._world.apply(changes)
        self._names.invalidate(touched)
        self._judgements.invalidate(touched)
        self._stale |= self._members.invalidate(touched)
        self._stale |= {waypoint for waypoint, _ in self._configs.invalidate(touched)}
        for waypoint, destination in self._endpoints.invalidate(touched):
            self._stale_endpoints.setdefault(waypoint, set()).add(destination)
        return self._stale | self._stale_endpoints.keys()

    def waypoints(self) -> tuple[WaypointName, ...]:
        """All waypoints that there are, sorted."""
        return self._names(())

    def serves(self, waypoint: WaypointName) -> bool:
        """Whether there is a Gateway of that name whose class is served here."""
        return waypoint in self.waypoints()

    def service_account(self, waypoint: WaypointName) -> str:
        """The service account that the waypoint's Envoys run as."""
        gateway = Reader(self._world).get(Gateway, waypoint.namespace, waypoint.name)
        return (gateway.service_account if gateway else "") or waypoint.name

    def steps(self, waypoint: WaypointName) -> Iterator[None]:
        """Do the work for ``resources`` beforehand, a little before each yield.

        The world may change in between; what was done for nothing is then done again.
        """
        if waypoint in self._compiled and waypoint not in self._stale:
            return
        for member in self._members(waypoint):
            self._configs((waypoint, member))
            yield
        assembly = self._assemble(waypoint)
        before = self._rendered(waypoint)
        prepared = self._prepared.setdefault(waypoint, {})
        for node in self._nodes(waypoint, assembly):
            key = key_of(node)
            prepared[key] = _render(node, prepared.get(key) or before.get(key))
            yield

    def resources(self, waypoint: WaypointName) -> Mapping[ResourceKey, Resource]:
        """All resources of a waypoint but its tunnel listener and its secrets.

        A resource whose content is as before is the same object as before.
        """
        known = self._compiled.get(waypoint)
        if known is None or waypoint in self._stale:
            known = self._compile(waypoint)
        elif waypoint in self._stale_endpoints:
            known = self._compile_endpoints(waypoint, known)
        self._compiled[waypoint] = known
        self._stale.discard(waypoint)
        self._stale_endpoints.pop(waypoint, None)
        return known.resources

    def conditions(self) -> tuple[Condition, ...]:
        """What is to be said about all objects, sorted."""
        assembled = (self._assemble(name).conditions for name in self.waypoints())
        judged = (self._judgements(found.key) for found in self._world.objects())
        return tuple(sorted(set(chain(chain.from_iterable(assembled), *judged))))

    def statuses(self, changed_at: ChangedAt) -> Iterator[ObjectStatus]:
        """The status of every object that is ours to speak about, in the order of their keys."""
        told: dict[ObjectKey, list[Condition]] = {}
        for condition in self.conditions():
            origin = condition.origin
            key = ObjectKey(origin.kind, origin.namespace, origin.name)
            told.setdefault(key, []).append(condition)
        reader = Reader(self._world)
        for subject in sorted(self._world.objects(), key=lambda found: found.key):
            given = told.get(subject.key, ())
            found = object_status(reader, self.mesh, subject, given, changed_at)
            if found is not None:
                yield found

    def _compile(self, waypoint: WaypointName) -> _Compiled:
        """The config lane: put the waypoint together again, and render what came out different."""
        assembly = self._assemble(waypoint)
        before = {**self._rendered(waypoint), **self._prepared.pop(waypoint, {})}
        self._forget_unused(waypoint, assembly)
        nodes = ((key_of(node), node) for node in self._nodes(waypoint, assembly))
        return _Compiled.of(assembly, {key: _render(node, before.get(key)) for key, node in nodes})

    def _compile_endpoints(self, waypoint: WaypointName, known: _Compiled) -> _Compiled:
        """The endpoint lane: nothing but these endpoints can differ."""
        found = (self._endpoints((waypoint, one)) for one in self._stale_endpoints[waypoint])
        nodes = ((key_of(node), node) for node in found)
        fresh = {key: _render(node, known.rendered.get(key)) for key, node in nodes}
        return _Compiled.of(known.assembly, {**known.rendered, **fresh})

    def _forget_unused(self, waypoint: WaypointName, assembly: Assembly) -> None:
        """Remember nothing of services and clusters that the waypoint has no more."""
        known = self._compiled.get(waypoint)
        if known is None:
            return
        for gone in set(known.assembly.destinations).difference(assembly.destinations):
            self._endpoints.forget((waypoint, gone))
        for member in set(known.assembly.services).difference(assembly.services):
            self._configs.forget((waypoint, member))

    def _rendered(self, waypoint: WaypointName) -> Mapping[ResourceKey, _Rendered]:
        known = self._compiled.get(waypoint)
        return known.rendered if known else {}

    def _nodes(self, waypoint: WaypointName, assembly: Assembly) -> Iterator[Node]:
        yield from assembly.nodes
        for destination in assembly.destinations:
            yield self._endpoints((waypoint, destination))

    def _assemble(self, waypoint: WaypointName) -> Assembly:
        known = self._compiled.get(waypoint)
        if known is not None and waypoint not in self._stale:
            return known.assembly
        members = self._members(waypoint)
        return gateway_api.assemble(
            self.mesh, (self._configs((waypoint, member)) for member in members)
        )

    def _translate(self, reader: Reader, member: _Member) -> ServiceConfig:
        waypoint, key = member
        service = reader.get(Service, key.namespace, key.name)
        if service is None:
            return ServiceConfig(key, "")
        policies = authorization.attached_policies(reader, self.mesh, waypoint, service)
        return gateway_api.translate_service(
            reader,
            self.mesh,
            waypoint,
            service,
            lambda port: authorization.guard(policies, self.mesh, port),
        )

    def _judge(self, reader: Reader, key: ObjectKey) -> tuple[Condition, ...]:
        """What is to be said about one object, apart from what only its waypoint can know."""
        match reader.find(key):
            case Service() as service:
                return gateway_api.service_conditions(reader, service)
            case HTTPRoute() | GRPCRoute() | TCPRoute() | TLSRoute() as route:
                return gateway_api.route_conditions(reader, self.mesh, route)
            case Gateway() as gateway if gateway_api.is_waypoint(reader, gateway):
                return gateway_api.gateway_conditions(reader, self.mesh, gateway)
            case AuthorizationPolicy() as policy:
                return authorization.policy_conditions(reader, self.mesh, policy)
            case _:
                return ()

    def _find_endpoints(self, reader: Reader, target: _Target) -> EndpointSet:
        return gateway_api.endpoint_set(reader, self.mesh, target[1])


def _read_members(reader: Reader, waypoint: WaypointName) -> tuple[ObjectKey, ...]:
    return tuple(service.key for service in gateway_api.bound_services(reader, waypoint))


def _read_names(reader: Reader, _: tuple[()]) -> tuple[WaypointName, ...]:
    return tuple(gateway_api.waypoints(reader))


def _render(node: Node, known: _Rendered | None) -> _Rendered:
    """The node and its resource: what is known, if it still is the same, else a new one."""
    if known is None:
        return node, resource(node)
    if known[0] == node:
        return known
    made = resource(node)
    return node, known[1] if known[1] == made else made
