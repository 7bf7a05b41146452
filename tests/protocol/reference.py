"""A naive client: it does what the protocol text says, and what Envoy is known to do beyond it.

It keeps what it really runs apart from what it reports, because Envoy does (rule P25): resources
of a refused response may be applied, but their versions are not recorded. Of a refused RDS, EDS or
ECDS response it applies nothing, or, if it is ``hasty``, what comes before the bad resource.
"""

from collections import deque
from dataclasses import dataclass, field

from tests.protocol.worlds import CLUSTER, ENDPOINT, EXTENSION, LISTENER, ROUTE
from translators.wire.discovery import DeltaRequest, RequestError, SotwRequest
from translators.wire.resource import Resource, TypeUrl
from xds_server.protocol import Response

_WORDS = {CLUSTER: "cluster(s)", LISTENER: "listener(s)"}
ALL_OR_NOTHING = (ENDPOINT, EXTENSION, ROUTE)


def is_bad(resource: Resource) -> bool:
    """Whether every client refuses this resource."""
    return resource.version.endswith("-bad")


def complaint(type_url: TypeUrl, bad: list[Resource], talkative: bool) -> str:
    """Envoy's words: CDS and LDS name the guilty, RDS and EDS give the reason alone."""
    if type_url not in _WORDS or not talkative:
        return "INVALID_ARGUMENT: something is wrong"
    parts = ", ".join(f"{resource.key.name}: it is bad" for resource in bad)
    return f"Error adding/updating {_WORDS[type_url]} {parts}"


@dataclass
class Interest:
    """One type at the client."""

    names: set[str] = field(default_factory=set)
    wildcard: bool = False
    legacy: bool = False
    running: dict[str, str] = field(default_factory=dict)
    reported: dict[str, str] = field(default_factory=dict)
    started: bool = False
    nonce: str = ""
    version: str = ""

    def wants(self, name: str) -> bool:
        return self.wildcard or name in self.names

    def drop_unwanted(self) -> None:
        for table in (self.running, self.reported):
            for name in [n for n in table if not self.wants(n)]:
                del table[name]


class Client:
    """What both variants share. Requests wait in ``outbox`` until the network delivers them."""

    def __init__(self) -> None:
        self.types = {type_url: Interest() for type_url in TypeUrl}
        self.outbox: deque[DeltaRequest | SotwRequest] = deque()
        self.held_back: list[DeltaRequest | SotwRequest] = []
        self.warming: set[str] = set()
        self.talkative = True
        self.hasty = False

    def process(self, response: Response) -> None:
        """Apply a response as far as it is good, and answer it."""
        type_url = TypeUrl(response.type_url)
        interest = self.types[type_url]
        interest.nonce = response.nonce
        bad = [resource for resource in response.resources if is_bad(resource)]
        if type_url is ENDPOINT:
            touched = {resource.key.name for resource in response.resources}
            self.warming -= touched | set(response.removed)
        if not (bad and type_url in ALL_OR_NOTHING):
            self._apply(
                interest, type_url, response, [r for r in response.resources if r not in bad]
            )
        elif self.hasty:
            before = response.resources.index(bad[0])
            self._apply(interest, type_url, response, list(response.resources[:before]))
        error = RequestError(13, complaint(type_url, bad, self.talkative)) if bad else None
        if error is None:
            self._record(interest, response)
        self._answer(type_url, response, error)
        self._release()

    def _answer(self, type_url: TypeUrl, response: Response, error: RequestError | None) -> None:
        self._post(self.answer(type_url, response.nonce, error))

    def _post(self, request: DeltaRequest | SotwRequest) -> None:
        """Envoy holds back all requests for clusters while one warms; the order stays."""
        if request.type_url == CLUSTER and (self.warming or self.held_back):
            self.held_back.append(request)
        else:
            self.outbox.append(request)

    def _release(self) -> None:
        if not self.warming:
            self.outbox.extend(self.held_back)
            self.held_back.clear()

    def give_up_warming(self) -> None:
        """Envoy's initial fetch timeout."""
        self.warming.clear()
        self._release()

    def _apply(
        self, interest: Interest, type_url: TypeUrl, response: Response, good: list[Resource]
    ) -> None:
        for resource in good:
            name = resource.key.name
            if not interest.wants(name):
                continue
            changed = interest.running.get(name) != resource.version
            if type_url is CLUSTER and changed and self.types[ENDPOINT].wants(name):
                self.warming.add(name)
            interest.running[name] = resource.version
        self.remove(interest, type_url, response)

    def dropped(self, interest: Interest) -> None:
        """A cluster that is dropped, or whose endpoints are not wanted any more, warms no more."""
        interest.drop_unwanted()
        wants = self.types[ENDPOINT].wants
        self.warming = {n for n in self.warming if wants(n) and n in self.types[CLUSTER].running}
        self._release()

    def remove(self, interest: Interest, type_url: TypeUrl, response: Response) -> None:
        raise NotImplementedError

    def _record(self, interest: Interest, response: Response) -> None:
        raise NotImplementedError

    def answer(
        self, type_url: TypeUrl, nonce: str, error: RequestError | None
    ) -> DeltaRequest | SotwRequest:
        raise NotImplementedError

    def disconnect(self) -> None:
        self.outbox.clear()
        self.held_back.clear()
        self.warming.clear()
        for interest in self.types.values():
            interest.nonce = ""


class DeltaClient(Client):
    """Speaks the incremental variant."""

    def start(self, type_url: TypeUrl) -> None:
        """The first request of a stream, if it is of interest: legacy wildcard or names."""
        interest = self.types[type_url]
        interest.started = True
        names = set(interest.names)
        if interest.wildcard and (names or not interest.legacy):
            names.add("*")
        self.outbox.append(
            DeltaRequest(
                type_url,
                subscribe=tuple(sorted(names)),
                initial_versions=dict(interest.reported),
            )
        )

    def change(self, type_url: TypeUrl, more: set[str], less: set[str]) -> None:
        interest = self.types[type_url]
        interest.names = (interest.names | more) - less - {"*"}
        interest.wildcard = (interest.wildcard or "*" in more) and "*" not in less
        self.dropped(interest)
        self._post(
            DeltaRequest(
                type_url,
                subscribe=tuple(sorted(more)),
                unsubscribe=tuple(sorted(less)),
            )
        )

    def remove(self, interest: Interest, type_url: TypeUrl, response: Response) -> None:
        for name in response.removed:
            interest.running.pop(name, None)

    def _record(self, interest: Interest, response: Response) -> None:
        for resource in response.resources:
            if interest.wants(resource.key.name):
                interest.reported[resource.key.name] = resource.version
        for name in response.removed:
            interest.reported.pop(name, None)

    def answer(self, type_url: TypeUrl, nonce: str, error: RequestError | None) -> DeltaRequest:
        return DeltaRequest(type_url, nonce, error=error)

    def honest(self) -> bool:
        """Whether what it would report on a new stream is what it runs."""
        return all(i.running == i.reported for i in self.types.values())


class SotwClient(Client):
    """Speaks the state-of-the-world variant."""

    def start(self, type_url: TypeUrl) -> None:
        self.types[type_url].started = True
        self.outbox.append(self.answer(type_url, "", None))

    def change(self, type_url: TypeUrl, more: set[str], less: set[str]) -> None:
        interest = self.types[type_url]
        interest.names = (interest.names | more) - less - {"*"}
        was_wildcard, interest.legacy = interest.wildcard, False
        interest.wildcard = (interest.wildcard or "*" in more) and "*" not in less
        if was_wildcard and not interest.wildcard:
            interest.version = "of more than it runs now"
        self.dropped(interest)
        self._post(self.answer(type_url, interest.nonce, None))

    def remove(self, interest: Interest, type_url: TypeUrl, response: Response) -> None:
        if type_url in (CLUSTER, LISTENER):
            present = {resource.key.name for resource in response.resources}
            for name in [n for n in interest.running if n not in present]:
                del interest.running[name]

    def _record(self, interest: Interest, response: Response) -> None:
        interest.reported = dict(interest.running)
        interest.version = response.nonce and version_of(response)

    def answer(self, type_url: TypeUrl, nonce: str, error: RequestError | None) -> SotwRequest:
        interest = self.types[type_url]
        names = set(interest.names)
        if interest.wildcard and (names or not interest.legacy):
            names.add("*")
        return SotwRequest(type_url, interest.version, nonce, tuple(sorted(names)), error)

    def honest(self) -> bool:
        return all(
            i.running == i.reported for t, i in self.types.items() if t in (CLUSTER, LISTENER)
        )


def version_of(response: Response) -> str:
    """The version_info of an encoded DiscoveryResponse: its first field."""
    assert response.body[0] == 0x0A
    return response.body[2 : 2 + response.body[1]].decode()
