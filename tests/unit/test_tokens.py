"""What is remembered of tokens, for how long, and how often the API server is asked."""

import asyncio
import json
from base64 import urlsafe_b64encode
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xds_server.identity.peer import Caller, Denied, Peer, Reason, ServiceAccount
from xds_server.identity.token_review import Reviewed, Unreviewed
from xds_server.identity.tokens import TokenCredentials, TokenLimits

START = datetime(2026, 11, 28, 12, tzinfo=UTC)
GOOD = Reviewed("system:serviceaccount:shop:waypoint", "pod-1")


def peer(token: str, scheme: str = "Bearer") -> Peer:
    return Peer("ipv4:10.0.0.1:1", metadata={"authorization": f"{scheme} {token}"})


def jwt(expires: object) -> str:
    payload = urlsafe_b64encode(json.dumps({"exp": expires}).encode()).decode().rstrip("=")
    return f"head.{payload}.signature"


@dataclass
class Rig:
    """Credentials with a scripted API server, at a time that the test sets."""

    limits: TokenLimits = field(default_factory=TokenLimits)
    answers: dict[str, Reviewed] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    away: bool = False
    seconds: float = 0.0
    gate: asyncio.Event | None = None
    most: int = 0
    is_closed: bool = False
    _under_way: int = 0

    def __post_init__(self) -> None:
        self.credentials = TokenCredentials(
            self, lambda: START + timedelta(seconds=self.seconds), lambda: self.seconds, self.limits
        )

    async def review(self, token: str) -> Reviewed | None:
        self.asked.append(token)
        self._under_way += 1
        self.most = max(self.most, self._under_way)
        try:
            if self.gate is not None:
                await self.gate.wait()
        finally:
            self._under_way -= 1
        if self.away:
            raise Unreviewed("away")
        return self.answers.get(token)

    async def close(self) -> None:
        self.is_closed = True

    async def identify(self, token: str) -> Caller:
        return await self.credentials.identify(peer(token))

    async def reason(self, token: str) -> Reason:
        with pytest.raises(Denied) as denied:
            await self.identify(token)
        assert len(token) == 1 or token not in str(denied.value)
        return denied.value.reason


async def test_an_answer_holds_for_a_while() -> None:
    rig = Rig(answers={"t": GOOD})
    caller = await rig.identify("t")
    assert caller.account == ServiceAccount("shop", "waypoint")
    assert caller.instance == "pod-1"
    rig.answers.clear()
    rig.seconds = 59
    assert await rig.identify("t") == caller
    assert rig.asked == ["t"]
    rig.seconds = 61
    assert await rig.reason("t") is Reason.BAD_CREDENTIAL


async def test_a_no_holds_for_less_long() -> None:
    rig = Rig()
    assert await rig.reason("t") is Reason.BAD_CREDENTIAL
    rig.answers["t"] = GOOD
    rig.seconds = 9
    assert await rig.reason("t") is Reason.BAD_CREDENTIAL
    assert rig.asked == ["t"]
    rig.seconds = 11
    assert await rig.identify("t")


async def test_no_answer_outlives_the_token() -> None:
    token = jwt((START + timedelta(seconds=5)).timestamp())
    rig = Rig(answers={token: GOOD})
    caller = await rig.identify(token)
    assert caller.expires == START + timedelta(seconds=5)
    rig.seconds = 6
    await rig.identify(token)
    await rig.identify(token)
    assert rig.asked == [token] * 3


@pytest.mark.parametrize("token", [jwt("soon"), jwt(None), jwt(1e300), "a.b.c", "a.!.c", "opaque"])
async def test_what_has_no_expiry_can_be_read_is_good_all_the_same(token: str) -> None:
    rig = Rig(answers={token: GOOD})
    assert (await rig.identify(token)).expires is None


async def test_neither_more_nor_other_than_hashes_is_remembered() -> None:
    rig = Rig(TokenLimits(remembered=3))
    for number in range(10):
        await rig.reason(f"secret-{number}")
    assert len(rig.credentials._known) == 3
    assert "secret" not in repr(rig.credentials._known)
    assert await rig.reason("secret-9") is Reason.BAD_CREDENTIAL
    assert len(rig.asked) == 10
    assert await rig.reason("secret-0") is Reason.BAD_CREDENTIAL
    assert len(rig.asked) == 11


async def test_only_so_many_questions_are_under_way() -> None:
    rig = Rig(TokenLimits(concurrent=4), gate=asyncio.Event())
    callers = [asyncio.create_task(rig.reason(f"t{number}")) for number in range(20)]
    await asyncio.sleep(0.01)
    assert len(rig.asked) == 4
    assert rig.gate is not None
    rig.gate.set()
    await asyncio.gather(*callers)
    assert rig.most == 4


async def test_who_waits_too_long_is_told_to_come_again() -> None:
    rig = Rig(TokenLimits(patience=0.01), gate=asyncio.Event())
    assert await rig.reason("t") is Reason.UNVERIFIED
    assert rig.credentials.reviews == {"none": 1}


async def test_a_server_that_is_away_is_asked_less_and_less() -> None:
    rig = Rig(away=True)
    for _ in range(6000):  # a minute, with a hundred callers a second
        assert await rig.reason("t") is Reason.UNVERIFIED
        rig.seconds += 0.01
    assert 5 <= len(rig.asked) <= 15
    assert rig.credentials.problems() == ("tokens of Envoys: away",)
    rig.away = False
    rig.answers["t"] = GOOD
    rig.seconds += 16
    assert await rig.identify("t")
    assert await rig.reason("u") is Reason.BAD_CREDENTIAL
    assert rig.credentials.problems() == ()


async def test_a_moment_without_a_server_is_soon_forgiven() -> None:
    """Many questions that fail together are one failure: the next may be asked in half a second."""
    rig = Rig(away=True, gate=asyncio.Event())
    callers = [asyncio.create_task(rig.reason(f"t{number}")) for number in range(16)]
    await asyncio.sleep(0.01)
    assert rig.gate is not None
    rig.gate.set()
    assert set(await asyncio.gather(*callers)) == {Reason.UNVERIFIED}
    rig.away, rig.answers = False, {"t": GOOD}
    rig.seconds = 0.6
    assert await rig.identify("t")


async def test_a_no_answer_is_not_remembered() -> None:
    rig = Rig(away=True)
    assert await rig.reason("t") is Reason.UNVERIFIED
    rig.away, rig.answers = False, {"t": GOOD}
    rig.seconds = 1
    assert await rig.identify("t")


@pytest.mark.parametrize(
    ("shown", "reason"),
    [
        (Peer("ipv4:10.0.0.1:1"), Reason.NO_CREDENTIAL),
        (peer(""), Reason.NO_CREDENTIAL),
        (peer("   "), Reason.NO_CREDENTIAL),
        (peer("dXNlcjpwYXNz", "Basic"), Reason.NO_CREDENTIAL),
        (peer("x" * 20_000), Reason.BAD_CREDENTIAL),
        (peer("a\x00b"), Reason.BAD_CREDENTIAL),
        (peer("é"), Reason.BAD_CREDENTIAL),
    ],
)
async def test_what_can_be_no_token_is_not_asked_about(shown: Peer, reason: Reason) -> None:
    rig = Rig()
    with pytest.raises(Denied) as denied:
        await rig.credentials.identify(shown)
    assert denied.value.reason is reason
    assert rig.asked == []


@pytest.mark.parametrize(
    "user",
    [
        *(
            "",
            "waypoint",
            "shop:waypoint",
            "system:serviceaccount:shop",
            "system:node:shop:waypoint",
        ),
        *(
            "system:serviceaccount::waypoint",
            "system:serviceaccount:shop:",
            "system:serviceaccount:a:b:c",
        ),
    ],
)
async def test_users_that_are_no_service_accounts_are_nobody(user: str) -> None:
    rig = Rig(answers={"t": Reviewed(user)})
    assert await rig.reason("t") is Reason.BAD_CREDENTIAL


@given(st.text() | st.binary().map(lambda data: f"a.{urlsafe_b64encode(data).decode()}.c"))
async def test_whatever_is_shown_is_asked_about_or_refused(token: str) -> None:
    rig, known = Rig(answers={token.strip(): GOOD}), None
    with suppress(Denied):
        known = await rig.identify(token)
    assert (known is not None) == bool(rig.asked)


def test_tokens_are_not_shown() -> None:
    assert "secret" not in repr(peer("secret"))
