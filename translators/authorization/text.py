"""Istio's wildcard texts: ``*``, ``prefix*``, ``*suffix``, exact, and path templates."""

from translators.ir.authorization import TextKind, TextMatch


class UnusableValue(ValueError):
    """A value that has no meaning in its field; the text says why."""


def wildcard(value: str, *, ignore_case: bool = False) -> TextMatch:
    """Read a text with at most one ``*``, at its start or its end. Raises UnusableValue."""
    if value == "*":
        return TextMatch(TextKind.PRESENT)
    if not value or "*" in value[1:-1] or (value[0] == value[-1] == "*"):
        raise UnusableValue(f"{value!r}: a '*' may only stand alone, first, or last")
    if value.endswith("*"):
        return TextMatch(TextKind.PREFIX, value[:-1], ignore_case)
    if value.startswith("*"):
        return TextMatch(TextKind.SUFFIX, value[1:], ignore_case)
    return TextMatch(TextKind.EXACT, value, ignore_case)


def path(value: str) -> TextMatch:
    """Read a path: a wildcard text, or a template with ``{*}`` and ``{**}``.

    Paths are compared without query, fragment and parameters of segments, so none can be asked for.
    """
    if not {"?", "#", ";"}.isdisjoint(value):
        raise UnusableValue(f"{value!r}: paths are compared without '?', '#', ';' and what follows")
    if "{" not in value and "}" not in value:
        return wildcard(value)
    bare = value.replace("{**}", "").replace("{*}", "")
    if "*" in bare or "{" in bare or "}" in bare or not value.startswith("/"):
        raise UnusableValue(f"{value!r}: a template starts with '/' and holds only {{*}}, {{**}}")
    if any("{" in part and part not in ("{*}", "{**}") for part in value.split("/")):
        raise UnusableValue(f"{value!r}: {{*}} and {{**}} stand for whole segments")
    if "{*}" in value.partition("{**}")[2] or value.count("{**}") > 1:
        raise UnusableValue(f"{value!r}: {{**}} must be the last operator of a template")
    return TextMatch(TextKind.TEMPLATE, value)
