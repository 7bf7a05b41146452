"""Sessions against a naive client under random interleavings (rules P1 to P25 as invariants).

The network is two queues, so requests, answers and responses cross. After every run everything is
delivered until nothing moves; then the client must run what it asked for.
"""

from collections import deque

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.protocol.reference import Client, DeltaClient, Interest, SotwClient, is_bad
from tests.protocol.worlds import CLUSTER, ENDPOINT, LISTENER, SECRET, key
from translators.wire.resource import Resource, ResourceKey, TypeUrl
from translators.wire.snapshot import Snapshot
from xds_server.protocol import (
    Acknowledged,
    DeltaSession,
    Rejected,
    Response,
    SessionLimits,
    SotwSession,
)

NAMES = ("a", "b", "c")
ORDER = list(TypeUrl)
types = st.sampled_from(ORDER)
names = st.sampled_from(NAMES)
keys = st.builds(key, types, names)


class _Model(RuleBasedStateMachine):
    """A control plane that publishes resources, a client, and the wire between them."""

    session_class: type[DeltaSession] | type[SotwSession]
    client_class: type[DeltaClient] | type[SotwClient]

    def __init__(self) -> None:
        super().__init__()
        self.wanted: dict[ResourceKey, Resource] = {}
        self.accepted: dict[ResourceKey, Resource] = {}
        self.published: dict[ResourceKey, Resource] = {}
        self.client: Client = self.client_class()
        self.versions = 0
        self.quarantine: set[tuple[ResourceKey, str]] = set()

    @initialize(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        for type_url in ORDER:
            for name in data.draw(st.sets(names)):
                self._put(key(type_url, name), data.draw(st.sets(keys, max_size=3)), bad=False)
        self._connect()

    def _connect(self) -> None:
        self.session = self.session_class(SessionLimits())
        self.to_client: deque[Response] = deque()
        self.refused: set[tuple[ResourceKey, str]] = set()
        self.suspects: set[ResourceKey] = set()
        self.flying: dict[str, tuple[str, set[ResourceKey]]] = {}
        self._publish(None)

    # The control plane.

    def _put(self, at: ResourceKey, requires: set[ResourceKey], *, bad: bool) -> None:
        self.versions += 1
        version = f"{self.versions}-bad" if bad else str(self.versions)
        body = f"{at.name}@{version}".encode()
        self.wanted[at] = Resource(at, body, version, tuple(requires))

    def _publish(self, changed: set[ResourceKey] | None) -> None:
        self.published = dict(self.wanted)
        for at, resource in self.wanted.items():
            if (at, resource.version) in self.quarantine and at in self.accepted:
                self.published[at] = self.accepted[at]
        self.snapshot = Snapshot.of(self.published.values())
        self.session.update(self.snapshot, changed)

    @rule(at=keys, requires=st.sets(keys, max_size=4), bad=st.booleans())
    def change_resource(self, at: ResourceKey, requires: set[ResourceKey], bad: bool) -> None:
        self._put(at, requires, bad=bad)
        self._publish({at})

    @rule(at=keys)
    def revert_resource(self, at: ResourceKey) -> None:
        if at in self.wanted and at in self.accepted:
            self.wanted[at] = self.accepted[at]
            self._publish({at})

    @rule(gone=st.sets(keys, min_size=1, max_size=3))
    def delete_resources(self, gone: set[ResourceKey]) -> None:
        for at in gone:
            self.wanted.pop(at, None)
        self._publish(gone)

    @rule()
    def rebuild_everything(self) -> None:
        self._publish(None)

    # The client.

    @rule(type_url=types, wildcard=st.booleans(), more=st.sets(names))
    def start_type(self, type_url: TypeUrl, wildcard: bool, more: set[str]) -> None:
        interest = self.client.types[type_url]
        if interest.started or not (wildcard or more):
            return
        interest.wildcard, interest.names = wildcard, set(more)
        interest.legacy = wildcard and not more
        self.client.start(type_url)

    @rule(
        type_url=types,
        more=st.sets(names | st.just("*"), max_size=2),
        less=st.sets(names | st.just("*"), max_size=2),
    )
    def change_interest(self, type_url: TypeUrl, more: set[str], less: set[str]) -> None:
        interest = self.client.types[type_url]
        if interest.started and not more & less and (more or less):
            if interest.legacy and isinstance(self.client, SotwClient):
                more = more | {"*"} - less
            if more or interest.names or not interest.legacy:
                interest.legacy = interest.legacy and not more
                self.client.change(type_url, more, less)

    @rule(talkative=st.booleans(), hasty=st.booleans())
    def change_manner(self, talkative: bool, hasty: bool) -> None:
        self.client.talkative, self.client.hasty = talkative, hasty

    # The wire.

    @rule()
    def write_one(self) -> None:
        worth_asking = self.session.may_respond()
        response = self.session.next_response()
        if response is not None:
            assert worth_asking, "a response that nobody would have asked for"
            self._check(response)
            self.to_client.append(response)

    @rule()
    def write_all(self) -> list[Response]:
        sweep: list[Response] = []
        while (response := self.session.next_response()) is not None:
            self._check(response)
            sweep.append(response)
            assert len(sweep) < 200, "the session never falls silent"
        self.to_client.extend(sweep)
        self._check_order(sweep)

    @precondition(lambda self: self.to_client)
    @rule()
    def client_reads(self) -> None:
        self.client.process(self.to_client.popleft())

    @precondition(lambda self: self.client.outbox)
    @rule()
    def server_reads(self) -> None:
        request = self.client.outbox.popleft()
        verdict = self.session.receive(request)  # type: ignore[arg-type]
        match verdict:
            case Acknowledged(resources=resources):
                self.suspects -= {r.key for r in resources}
                assert not any(map(is_bad, resources))
                self.accepted |= {r.key: r for r in resources}
            case Rejected(culprits=culprits, resources=resources):
                assert all(map(is_bad, culprits))
                self.suspects |= {r.key for r in culprits or resources}
                self.refused |= {(r.key, r.version) for r in culprits}
                self.quarantine.update((r.key, r.version) for r in culprits)
                if culprits:
                    self._publish({r.key for r in culprits})
        self.flying.pop(request.nonce, None)

    @precondition(lambda self: self.client.honest())
    @rule(order=st.permutations(ORDER))
    def reconnect(self, order: list[TypeUrl]) -> None:
        self.client.disconnect()
        self._connect()
        for type_url in order:
            interest = self.client.types[type_url]
            if interest.wildcard or interest.names:
                self.client.start(type_url)
            else:
                interest.started = False
                interest.running.clear()
                interest.reported.clear()

    # What must hold whenever a response is written.

    def _check(self, response: Response) -> None:
        mentioned = [r.key.name for r in response.resources] + list(response.removed)
        assert len(mentioned) == len(set(mentioned)), "P14: a name twice in one response"
        for resource in response.resources:
            assert (resource.key, resource.version) not in self.refused, "P6: refused, sent again"
        if self.session_class is DeltaSession:
            self._check_batch(response)
            assert not (response.type_url == SECRET and response.removed)
            for resource in response.resources:
                self._check_requirements(resource)

    def _check_batch(self, response: Response) -> None:
        """What was in a refused response goes by itself; nothing else overtakes an answer."""
        fresh = {resource.key for resource in response.resources}
        if fresh & self.suspects:
            assert len(fresh) == 1, "a suspect endangers others"
        elif fresh:
            flying = [r for t, r in self.flying.values() if t == response.type_url]
            assert not any(f and not f & self.suspects for f in flying), "two batches outstanding"
        self.flying[response.nonce] = (response.type_url, fresh)

    def _check_requirements(self, resource: Resource) -> None:
        for required in resource.requires:
            wanted = self.snapshot.get(required)
            interest = self.client.types[required.type_url]
            if (
                resource.key.type_url is ENDPOINT
                or ORDER.index(required.type_url) > ORDER.index(resource.key.type_url)
                or wanted is None
                or not interest.started
                or not interest.wants(required.name)
                or self._pending(required.type_url)
                or (required, wanted.version) in self.refused
                or self._leads(required, resource.key, set())
            ):
                continue
            held = interest.running.get(required.name)
            assert held is not None, f"{resource.key} came before {required}"
            if required.type_url is LISTENER:
                assert held == wanted.version, f"{resource.key} came before the new {required}"

    def _pending(self, type_url: TypeUrl) -> bool:
        """The server can't know of a request that is still on its way."""
        return any(r.type_url == type_url for r in self.client.outbox)

    def _leads(self, start: ResourceKey, goal: ResourceKey, seen: set[ResourceKey]) -> bool:
        if start == goal:
            return True
        if start in seen or start.type_url is not goal.type_url or start not in self.published:
            return False
        seen.add(start)
        return any(self._leads(r, goal, seen) for r in self.published[start].requires)

    def _check_order(self, sweep: list[Response]) -> None:
        """P17: what is written at one go is in order, removals last and in reverse."""
        phases = []
        for response in sweep:
            position = ORDER.index(TypeUrl(response.type_url))
            is_removal = bool(response.removed)
            phases.append((is_removal, -position if is_removal else position))
        if self.session_class is DeltaSession:
            assert phases == sorted(phases)

    # What must hold when nothing moves any more.

    def teardown(self) -> None:
        if not hasattr(self, "session"):
            return
        for _ in range(500):
            self.write_all()
            if self.to_client:
                self.client_reads()
            elif self.client.outbox:
                self.server_reads()
            elif self.client.warming:
                self._check_warming()
                self.client.give_up_warming()
            else:
                break
        else:
            raise AssertionError("server and client never come to rest")
        self._check_rest()

    def _check_warming(self) -> None:
        """P18, P19: a cluster warms only as long as there are no good endpoints for it."""
        for name in self.client.warming:
            endpoints = self.snapshot.get(key(ENDPOINT, name))
            assert endpoints is None or is_bad(endpoints), f"cluster {name} warms in vain"
            if self.session_class is DeltaSession:
                assert endpoints is not None, f"{name}: no answer for missing endpoints"

    def _check_rest(self) -> None:
        for type_url, interest in self.client.types.items():
            if not interest.started:
                continue
            for name in NAMES:
                if interest.wants(name):
                    self._check_held(key(type_url, name), interest)
        for changed in (None, set(self.published), set()):
            self.session.update(self.snapshot, changed)
            assert self.session.next_response() is None, "P7: sent though nothing changed"

    def _check_held(self, at: ResourceKey, interest: Interest) -> None:
        resource, held = self.snapshot.get(at), interest.running.get(at.name)
        if resource is not None and not is_bad(resource):
            assert held == resource.version, f"{at}: {held} instead of {resource.version}"
            assert interest.reported.get(at.name) == held, "P25: it runs what it does not report"
        elif resource is None:
            by_itself = at.type_url not in (CLUSTER, LISTENER)
            assert held is None or by_itself, f"{at} was never removed"
        assert held is None or not held.endswith("-bad")


class _DeltaModel(_Model):
    session_class, client_class = DeltaSession, DeltaClient


class _SotwModel(_Model):
    session_class, client_class = SotwSession, SotwClient


def _profile(examples: int) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=50,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


MODELS = pytest.mark.parametrize("model", [_DeltaModel, _SotwModel])


@MODELS
def test_10_000_steps(model: type[_Model]) -> None:
    run_state_machine_as_test(model, settings=_profile(200))


@pytest.mark.long
@pytest.mark.timeout(1800)
@MODELS
def test_250_000_steps(model: type[_Model]) -> None:
    run_state_machine_as_test(model, settings=_profile(5_000))
