"""The API server: whether it answers, is new enough, and agrees about the time."""

import re
import time
from contextlib import suppress
from datetime import datetime
from email.utils import parsedate_to_datetime

import msgspec

from xds_server.identity.authority import BACKDATE
from xds_server.preflight.report import Check, Section, error, warning
from xds_server.sources.kubernetes.transport import Transport, TransportError

_WITHIN = 10.0  # seconds
_OLDEST = (1, 27)
_NOTICEABLE_S = 10.0

_REACHES = "the API server answers"
_VERSION = "the API server is new enough"
_CLOCK = "clocks agree"


async def check_api_server(transport: Transport) -> Section:
    """Ask for its version; no other section makes sense if that fails."""
    begin = time.time()
    try:
        async with transport.get("/version", {}, _WITHIN) as response:
            status, date = response.status, response.date
            body = await response.body(_WITHIN)
    except TransportError as failure:
        hint = "See whether kubectl get --raw /version works with the same kubeconfig and context."
        return Section("kubernetes-api", (error(_REACHES, str(failure), hint),))
    if status != 200:
        hint = "See whether kubectl auth whoami knows you; log in again if your token ran out."
        return Section("kubernetes-api", (error(_REACHES, f"it says {status}", hint),))
    skew = _skew(date, (begin + time.time()) / 2)
    return Section("kubernetes-api", (Check(_REACHES), _judge_version(body), _judge_clock(skew)))


def _judge_version(body: bytes) -> Check:
    name = ""
    with suppress(msgspec.MsgspecError, AttributeError):
        name = str(msgspec.json.decode(body).get("gitVersion", ""))
    found = re.match(r"v(\d+)\.(\d+)", name)
    if found is None:
        return warning(_VERSION, f"it calls itself {name!r}", "Nothing, if it is as new as that.")
    if (int(found[1]), int(found[2])) < _OLDEST:
        oldest = ".".join(map(str, _OLDEST))
        return error(_VERSION, f"it is {name}", f"Upgrade to Kubernetes {oldest} or newer.")
    return Check(f"{_VERSION} ({name})")


def _skew(date: str, now: float) -> float | None:
    """How far the server's clock is ahead, in seconds; it tells whole seconds only."""
    try:
        told: datetime = parsedate_to_datetime(date)
    except (TypeError, ValueError):
        return None
    return told.timestamp() + 0.5 - now


def _judge_clock(skew: float | None) -> Check:
    if skew is None:
        return warning(_CLOCK, "the API server does not tell the time", "Compare them by hand.")
    reason = f"the API server's clock differs by {abs(skew):.0f} s from that of this machine"
    hint = "Synchronise both with NTP: certificates count from the moment they are made."
    if abs(skew) > BACKDATE.total_seconds():
        return error(_CLOCK, reason, hint)
    if abs(skew) > _NOTICEABLE_S:
        return warning(_CLOCK, reason, hint)
    return Check(_CLOCK)
