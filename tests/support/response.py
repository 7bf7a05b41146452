"""The answer to an HTTP request, whichever version carried it."""

import json
from dataclasses import dataclass
from typing import Any

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Response:
    """Status, headers in the order of arrival with lower-case names, body, trailers."""

    status: int
    headers: Headers
    body: bytes
    trailers: Headers = ()

    def header(self, name: str) -> str | None:
        """The first header ``name`` (lower case), or None."""
        return next((value for key, value in self.headers if key == name), None)

    def json(self) -> Any:
        return json.loads(self.body)

    def received(self, name: str) -> list[str]:
        """What an echo application got in header ``name`` (lower case), in order."""
        return [value for key, value in self.json()["headers"] if key.lower() == name]
