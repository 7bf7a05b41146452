"""Durations of the Gateway API (GEP-2257): ``1h30m``, ``500ms``."""

import re

_DURATION = re.compile(r"([0-9]{1,5}(h|m|s|ms)){1,4}")
_PART = re.compile(r"([0-9]{1,5})(ms|h|m|s)")
_MILLISECONDS = {"h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}


def is_duration(text: str) -> bool:
    """Whether a text is a duration."""
    return _DURATION.fullmatch(text) is not None


def milliseconds(text: str) -> int:
    """How long a duration is. Raises ValueError if the text is none."""
    if not is_duration(text):
        raise ValueError(f"{text!r} is not a duration")
    return sum(int(number) * _MILLISECONDS[unit] for number, unit in _PART.findall(text))
