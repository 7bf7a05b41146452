"""Matching texts. Regular expressions are built from escaped parts, never from user text."""

import re2
from envoy_data_plane.envoy.type.matcher.v3 import RegexMatcher, StringMatcher

from translators.ir.authorization import TextKind, TextMatch
from translators.wire import template

SPIFFE = "spiffe://"

_ANYTHING = "(?s:.)"  # a claim may hold line breaks


@template
def exact(value: str) -> StringMatcher:
    """The text and nothing else."""
    return StringMatcher(exact=value)


@template
def regex(pattern: str) -> StringMatcher:
    """A pattern (RE2) that must match the whole text."""
    return StringMatcher(safe_regex=RegexMatcher(regex=pattern))


def escaped(text: str) -> str:
    """A pattern that matches the text itself."""
    return str(re2.escape(text))


def text_matcher(text: TextMatch, before: str = "") -> StringMatcher:
    """The condition on a text that is always led by ``before``.

    Raises ValueError for a path template, which only the path of a request can be held against.
    """
    match text.kind:
        case TextKind.EXACT:
            return _equal(before + text.value, text.ignore_case)
        case TextKind.PREFIX if before or text.value:
            return _begun_with(before + text.value, text.ignore_case)
        case TextKind.SUFFIX if text.value and not before:
            return StringMatcher(suffix=text.value, ignore_case=text.ignore_case)
        case TextKind.PREFIX | TextKind.SUFFIX | TextKind.PRESENT:
            return regex(escaped(before) + pattern(text, anything=_ANYTHING))
        case TextKind.TEMPLATE:
            raise ValueError(f"{text} can only be asked of a path")


@template
def _equal(value: str, ignore_case: bool) -> StringMatcher:
    return StringMatcher(exact=value, ignore_case=ignore_case)


@template
def _begun_with(value: str, ignore_case: bool) -> StringMatcher:
    return StringMatcher(prefix=value, ignore_case=ignore_case)


def pattern(text: TextMatch, anything: str) -> str:
    """The condition as a pattern, in which a wildcard stands for some of ``anything``.

    Raises ValueError for a path template.
    """
    literal = f"(?i:{escaped(text.value)})" if text.ignore_case else escaped(text.value)
    match text.kind:
        case TextKind.EXACT:
            return literal
        case TextKind.PREFIX:
            return f"{literal}{anything}*"
        case TextKind.SUFFIX:
            return f"{anything}*{literal}"
        case TextKind.PRESENT:
            return f"{anything}+"
        case TextKind.TEMPLATE:
            raise ValueError(f"{text} can only be asked of a path")
