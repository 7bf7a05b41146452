"""Changing the path of a request, for the destination or in a redirect."""

from dataclasses import dataclass

from envoy_data_plane.envoy.type.matcher.v3 import RegexMatchAndSubstitute, RegexMatcher

from translators.ir.route import FullPath, PathEdit, PrefixPath
from translators.xds.text import escaped


@dataclass(frozen=True, slots=True)
class Substitution:
    """What the pattern matches in the path, its query left out, becomes the replacement."""

    pattern: str
    replacement: str

    def message(self) -> RegexMatchAndSubstitute:
        """The substitution in Envoy's words, the replacement taken literally."""
        return RegexMatchAndSubstitute(
            pattern=RegexMatcher(regex=self.pattern),
            substitution=self.replacement.replace("\\", "\\\\"),
        )


def substitution(edit: PathEdit | None) -> Substitution | None:
    """How the path is edited; None if it stays.

    Slashes where the new prefix ends and the rest begins are neither doubled nor lost, whether
    the prefix, its replacement or both are ``/`` (Gateway API ReplacePrefixMatch).
    """
    match edit:
        case None:
            return None
        case FullPath(value):
            return Substitution("^/.*$", value or "/")
        case PrefixPath(matched, value):
            return _prefix(matched.rstrip("/"), value.rstrip("/"))


def _prefix(old: str, new: str) -> Substitution | None:
    if old == new:
        return None
    if not old:
        return Substitution("^/", f"{new}/")
    if not new:
        return Substitution(f"^{escaped(old)}/*", "/")
    return Substitution(f"^{escaped(old)}", new)
