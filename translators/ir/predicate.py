"""Combining predicates, with everything that is already decided folded away."""

from collections.abc import Iterable

from translators.ir.authorization import AllOf, AnyOf, Everything, Not, Nothing, Predicate

EVERYTHING = Everything()
NOTHING = Nothing()


def all_of(parts: Iterable[Predicate]) -> Predicate:
    """True if every part is."""
    kept = tuple(part for part in parts if not isinstance(part, Everything))
    if any(isinstance(part, Nothing) for part in kept):
        return NOTHING
    if len(kept) == 1:
        return kept[0]
    return AllOf(kept) if kept else EVERYTHING


def any_of(parts: Iterable[Predicate]) -> Predicate:
    """True if some part is."""
    kept = tuple(part for part in parts if not isinstance(part, Nothing))
    if any(isinstance(part, Everything) for part in kept):
        return EVERYTHING
    if len(kept) > 1:
        kept = tuple(dict.fromkeys(kept))
    if len(kept) == 1:
        return kept[0]
    return AnyOf(kept) if kept else NOTHING


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
