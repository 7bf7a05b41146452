"""Which of several replicas leads, decided on a Lease; no I/O and no clock.

Times are seconds of this process's own monotonic clock. Clocks of different machines are never
compared: a lease is over when *we* have seen it unchanged for as long as it lasts.
"""

from dataclasses import dataclass
from typing import Any

SPEC_VERSION = "coordination.k8s.io/v1"


@dataclass(frozen=True, slots=True)
class Terms:
    """How long things last, in seconds.

    A lease is over after ``duration``; its holder stops if it could not renew it for ``deadline``,
    which is shorter, so that the one has stopped before another starts. Each replica looks at the
    lease about every ``retry``.
    """

    duration: float = 15.0
    deadline: float = 10.0
    retry: float = 2.0


@dataclass(frozen=True, slots=True)
class Record:
    """A Lease as the API server has it. ``version`` is its resourceVersion."""

    holder: str
    duration: float
    transitions: int
    renewed: str
    version: str

    @classmethod
    def read(cls, lease: dict[str, Any]) -> "Record":
        """Read a Lease; what it doesn't say is as if nobody held it."""
        spec = lease.get("spec") or {}
        return cls(
            str(spec.get("holderIdentity") or ""),
            float(spec.get("leaseDurationSeconds") or 0),
            int(spec.get("leaseTransitions") or 0),
            str(spec.get("renewTime") or ""),
            str(lease.get("metadata", {}).get("resourceVersion", "")),
        )


class Election:
    """What one replica knows about the lease. ``identity`` is of this process alone."""

    def __init__(self, identity: str, terms: Terms) -> None:
        self.identity = identity
        self.terms = terms
        self.record: Record | None = None
        self._seen_at = 0.0
        self._held_until = float("-inf")

    def observe(self, record: Record | None, now: float) -> None:
        """The API server has this; None if there is no lease."""
        if record is None or record.holder != self.identity:
            self.lose()
        if record != self.record or record is None:
            self._seen_at = now
        self.record = record

    def may_take(self, now: float) -> bool:
        """Whether the lease may be taken or renewed: nobody else holds it."""
        if self.record is None or self.record.holder in ("", self.identity):
            return True
        return now - self._seen_at > self.record.duration

    def win(self, record: Record, asked_at: float) -> None:
        """The API server took our claim, which was sent at ``asked_at``."""
        self.record = record
        self._seen_at = asked_at
        self._held_until = asked_at + self.terms.deadline

    def lose(self) -> None:
        """Another replica leads, or nobody."""
        self._held_until = float("-inf")

    def leads(self, now: float) -> bool:
        """Whether this replica may write."""
        return now < self._held_until

    def claim(self, at: str) -> dict[str, Any]:
        """The ``spec`` of a Lease that is ours from ``at`` (RFC 3339 with microseconds)."""
        known = self.record
        is_ours = known is not None and known.holder == self.identity
        spec: dict[str, Any] = {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": max(1, round(self.terms.duration)),
            "renewTime": at,
            "leaseTransitions": (known.transitions + (not is_ours)) if known else 0,
        }
        return spec if is_ours else spec | {"acquireTime": at}

    def release(self, at: str) -> dict[str, Any]:
        """The ``spec`` that gives the lease back, so that another replica need not wait."""
        transitions = self.record.transitions if self.record else 0
        return {
            "holderIdentity": "",
            "leaseDurationSeconds": 1,
            "renewTime": at,
            "leaseTransitions": transitions,
        }
