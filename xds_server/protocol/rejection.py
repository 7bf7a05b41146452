"""Which resources a client's error message blames."""

from collections.abc import Iterable

from translators.wire.resource import Resource

_PREAMBLES = ("Error adding/updating listener(s) ", "Error adding/updating cluster(s) ")


def blamed(message: str, resources: Iterable[Resource]) -> tuple[Resource, ...]:
    """The resources that the message names, as Envoy's LDS and CDS do; empty for other messages.

    Envoy writes ``Error adding/updating cluster(s) a: reason, b: reason`` (listeners end in a line
    feed instead). A reason may contain anything, so only a name at the start of a part counts.
    """
    for preamble in _PREAMBLES:
        _, found, rest = message.partition(preamble)
        if found:
            parts = "\n" + rest
            return tuple(r for r in resources if _starts_part(r.key.name, parts))
    return ()


def _starts_part(name: str, parts: str) -> bool:
    return f"\n{name}: " in parts or f", {name}: " in parts
