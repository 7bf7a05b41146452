"""What a client asks for, of one resource type on one stream: names, and the wildcard."""

from collections.abc import Collection, Iterable

WILDCARD = "*"


class Subscription:
    """The names that a client subscribed to.

    xDS protocol, "How the client specifies what resources to return": a first request without
    names means ``*``, but only until the client has named anything; from then on no names means
    no resources.
    """

    __slots__ = ("_named_once", "names", "requested", "wildcard")

    def __init__(self) -> None:
        self.names: dict[str, None] = {}
        self.wildcard = False
        self.requested = False
        """Whether the client has asked for this type at all."""
        self._named_once = False

    def covers(self, name: str) -> bool:
        """Whether the client wants to have the resource of this name."""
        return self.wildcard or name in self.names

    def subscribe(self, names: Iterable[str]) -> None:
        """Incremental: more names. No names at all in the first request is the legacy wildcard."""
        for name in names:
            self._add(name)
        self._see_request()

    def unsubscribe(self, names: Iterable[str]) -> list[str]:
        """Incremental: fewer names; returns those that were subscribed, without ``*``."""
        return [name for name in names if self._remove(name)]

    def replace(self, names: Collection[str]) -> tuple[list[str], list[str]]:
        """State of the world: exactly these names. Returns the new ones and the dropped ones."""
        wanted = dict.fromkeys(names)
        added = [name for name in wanted if name not in self.names and name != WILDCARD]
        dropped = [name for name in self.names if name not in wanted]
        if self._named_once or wanted:
            self.wildcard = False
        for name in dropped:
            self._remove(name)
        self.subscribe(wanted)
        return added, dropped

    def _add(self, name: str) -> None:
        self._named_once = True
        if name == WILDCARD:
            self.wildcard = True
        else:
            self.names[name] = None

    def _remove(self, name: str) -> bool:
        if name == WILDCARD:
            self.wildcard = False
            return False
        return self.names.pop(name, WILDCARD) is None

    def _see_request(self) -> None:
        if not self.requested:
            self.requested = True
            self.wildcard = self.wildcard or not self._named_once
