"""When what is written: each object once, not too many at a time, later after failures.

Times are in seconds, of any clock that only goes forward.
"""

from translators.resources.metadata import ObjectKey


class Backlog:
    """The objects that wait for a write, in the order in which they came."""

    def __init__(self) -> None:
        self._due: dict[ObjectKey, float] = {}
        self._failures: dict[ObjectKey, int] = {}

    def __len__(self) -> int:
        return len(self._due)

    def add(self, key: ObjectKey) -> None:
        """Write it as soon as can be. One that is there already keeps its place."""
        self._due.setdefault(key, 0.0)

    def remove(self, key: ObjectKey) -> None:
        """It needs no write."""
        self._due.pop(key, None)
        self._failures.pop(key, None)

    def clear(self) -> None:
        """Nothing needs a write."""
        self._due.clear()
        self._failures.clear()

    def next(self, now: float) -> ObjectKey | None:
        """Whose turn it is; it stays in the backlog. None if nobody's."""
        return next((key for key, due in self._due.items() if due <= now), None)

    def next_due(self) -> float:
        """When it is somebody's turn; infinite if nothing waits."""
        return min(self._due.values(), default=float("inf"))

    def fail(self, key: ObjectKey) -> int:
        """It could not be written; the result is how often in a row."""
        self._failures[key] = self._failures.get(key, 0) + 1
        return self._failures[key]

    def postpone(self, key: ObjectKey, until: float) -> None:
        """Not before then, and behind those that wait already."""
        self._due.pop(key, None)
        self._due[key] = until


class Bucket:
    """Tokens for writes: ``rate`` a second on average, at most ``burst`` at once."""

    def __init__(self, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = float(burst)
        self._at = 0.0

    def take(self, now: float) -> float:
        """Take a token; the result is how long to wait until it is there."""
        grown = self._tokens + (now - self._at) * self._rate
        self._tokens = min(float(self._burst), grown) - 1
        self._at = now
        return max(0.0, -self._tokens / self._rate)
