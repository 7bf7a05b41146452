"""How long to wait before the API server is asked again. Times are in seconds."""

_FIRST = 0.5
_LONGEST = 30.0
_LONGEST_ASKED_FOR = 300.0  # what a server may ask for with Retry-After


def delay(failures: int, chance: float, retry_after: float = 0.0) -> float:
    """The pause after so many failures in a row (at least 1).

    It doubles up to 30 s, less up to a half by ``chance`` (0 to 1), so that many clients of a
    server that comes back do not ask as one. What the server itself asked for counts as the
    least, and is stretched by up to a tenth.
    """
    asked_for = min(retry_after, _LONGEST_ASKED_FOR) * (1 + chance / 10)
    return max(asked_for, doubled(_FIRST, _LONGEST, failures, chance))


def doubled(first: float, longest: float, failures: int, chance: float) -> float:
    """``first``, doubled with each failure after that up to ``longest``, less up to a half."""
    pause = first * 2.0 ** min(failures - 1, 16)
    return min(longest, pause) * (1 - chance / 2)


class Pace:
    """Keeps requests that repeat failed ones apart, over all kinds of one server."""

    def __init__(self, interval: float = 0.5) -> None:
        self._interval = interval
        self._free_at = 0.0

    def reserve(self, now: float) -> float:
        """Take the next free moment; the result is how long it is until then."""
        start = max(now, self._free_at)
        self._free_at = start + self._interval
        return start - now

    def clear(self) -> None:
        """Nobody waits for the moments that were taken: the server is back."""
        self._free_at = 0.0
