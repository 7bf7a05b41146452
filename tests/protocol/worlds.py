"""Small worlds for the protocol tests: resources whose body says their name and version."""

from collections.abc import Iterable

from translators.wire.resource import Resource, ResourceKey, TypeUrl
from translators.wire.snapshot import Snapshot
from xds_server.protocol import DeltaSession, Response, SotwSession

SECRET, CLUSTER, ENDPOINT, LISTENER, EXTENSION, ROUTE = TypeUrl


def key(type_url: TypeUrl, name: str) -> ResourceKey:
    return ResourceKey(type_url, name)


def resource(
    type_url: TypeUrl, name: str, version: str = "1", requires: Iterable[ResourceKey] = ()
) -> Resource:
    return Resource(key(type_url, name), f"{name}@{version}".encode(), version, tuple(requires))


def snapshot(*resources: Resource) -> Snapshot:
    return Snapshot.of(resources)


def drain(session: DeltaSession | SotwSession) -> list[Response]:
    """All that the session wants to write now."""
    responses = []
    while (response := session.next_response()) is not None:
        responses.append(response)
        assert len(responses) < 10_000, "the session never falls silent"
    return responses


def sent(responses: Iterable[Response]) -> list[tuple[TypeUrl, str]]:
    """Type and name of all resources in these responses, in order."""
    return [(r.key.type_url, r.key.name) for response in responses for r in response.resources]


def named(responses: Iterable[Response]) -> list[str]:
    """``name@version`` of all resources in these responses, in order."""
    return [r.body.decode() for response in responses for r in response.resources]
