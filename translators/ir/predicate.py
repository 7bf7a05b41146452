"""Combining predicates, with everything that is already decided folded away."""

from collections.abc import Iterable

from translators.ir.authorization import AllOf, AnyOf, Everything, Not, Nothing, Predicate

EVERYTHING = Everything()
NOTHING = Nothing()


def all_of(parts: Iterable[Predicate]) -> Predicate:
    """True if every part is."""
    kept = [part for part in parts if not isinstance(part, Everything)]
    if len(kept) == 1:
        return kept[0]
    if Nothing in map(type, kept):
        return NOTHING
    return AllOf(tuple(kept)) if kept else EVERYTHING


def any_of(parts: Iterable[Predicate]) -> Predicate:
    """True if some part is."""
    kept = [part for part in parts if not isinstance(part, Nothing)]
    if len(kept) == 1:
        return kept[0]
    if Everything in map(type, kept):
        return EVERYTHING
    distinct = tuple(dict.fromkeys(kept))
    if len(distinct) == 1:
        return distinct[0]
    return AnyOf(distinct) if distinct else NOTHING


def negate(part: Predicate) -> Predicate:
    """True if the part is not."""
    match part:
        case Everything():
            return NOTHING
        case Nothing():
            return EVERYTHING
        case Not(inner):
            return inner
        case _:
            return Not(part)
