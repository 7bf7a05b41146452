"""What is wrong with a manifest, and how a field of it is named."""

import re
from typing import NamedTuple

_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


class Violation(NamedTuple):
    """A field that an API server would refuse.

    ``path`` is for example ``spec.rules[1].matches[0].path.value``, empty for the whole object;
    ``reason`` completes a sentence that starts with it.
    """

    path: str
    reason: str


def member(path: str, name: str) -> str:
    """The path of an object's field; names that are no plain words are put in brackets."""
    if _PLAIN_NAME.fullmatch(name) is None:
        return f"{path}[{name}]"
    return f"{path}.{name}" if path else name


def element(path: str, index: int) -> str:
    """The path of an item in a list."""
    return f"{path}[{index}]"
