"""Sessions of small worlds, and clients of them that ask, accept and refuse."""

from tests.protocol.worlds import (
    drain,
    snapshot,
)
from translators.wire.discovery import DeltaRequest, RequestError, SotwRequest
from translators.wire.resource import Resource, TypeUrl
from xds_server.protocol import (
    Acknowledged,
    DeltaSession,
    Rejected,
    Response,
    SessionLimits,
    SotwSession,
)


def delta(*resources: Resource) -> DeltaSession:
    session = DeltaSession(SessionLimits())
    session.update(snapshot(*resources), None)
    return session


def sotw(*resources: Resource) -> SotwSession:
    session = SotwSession(SessionLimits())
    session.update(snapshot(*resources), None)
    return session


def ask(session: DeltaSession, type_url: TypeUrl, *names: str) -> list[Response]:
    session.receive(DeltaRequest(type_url, subscribe=names))
    return drain(session)


def ask_all(session: SotwSession, type_url: TypeUrl, *names: str) -> list[Response]:
    session.receive(SotwRequest(type_url, names=names))
    return drain(session)


def ack(session: DeltaSession | SotwSession, response: Response, *names: str) -> list[Response]:
    type_url, nonce = response.type_url, response.nonce
    if isinstance(session, DeltaSession):
        verdict = session.receive(DeltaRequest(type_url, nonce))
    else:
        verdict = session.receive(SotwRequest(type_url, "", nonce, names))
    assert isinstance(verdict, Acknowledged)
    assert verdict.resources == response.resources
    return drain(session)


def nack(
    session: DeltaSession | SotwSession, response: Response, message: str = "", *names: str
) -> Rejected:
    error = RequestError(13, message)
    if isinstance(session, DeltaSession):
        verdict = session.receive(DeltaRequest(response.type_url, response.nonce, error=error))
    else:
        verdict = session.receive(
            SotwRequest(response.type_url, "", response.nonce, names, error=error)
        )
    assert isinstance(verdict, Rejected)
    return verdict


def settle(session: DeltaSession, responses: list[Response]) -> list[Response]:
    """Acknowledge these, and what follows from that, until nothing follows."""
    seen = list(responses)
    for response in seen:
        seen += ack(session, response)
    return seen
