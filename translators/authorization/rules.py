"""One rule of a policy as predicates, for requests, for TLS handshakes and for mere bytes.

Whatever has no meaning is decided for safety: it makes an ALLOW rule match less and any other
rule match more.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from translators.authorization.fields import (
    CONDITIONS_ON_OPERATION,
    CONDITIONS_ON_SOURCE,
    OPERATIONS,
    SOURCES,
    Carrier,
    Field,
    Scope,
    claim_field,
    header_field,
)
from translators.authorization.text import UnusableValue
from translators.ir.authorization import (
    Nothing,
    PeerIs,
    Predicate,
    PrincipalIs,
    TextKind,
    TextMatch,
)
from translators.ir.predicate import EVERYTHING, NOTHING, all_of, any_of, negate
from translators.ir.value import value
from translators.resources.authorizationpolicy import PolicyCondition, PolicyRule

Entry = Mapping[str, tuple[str, ...]]
"""What a ``source`` or an ``operation`` says: values by the names of fields."""

_ANY_PEER = PrincipalIs(TextMatch(TextKind.PRESENT))


@value
class Meaning:
    """What a rule demands of the source and of the operation, and what was wrong with it.

    ``problems`` are (field path below the rule, reason). ``needs`` tells what has to be read to
    decide all of it.
    """

    sources: Predicate
    operations: Predicate
    needs: frozenset[Carrier] = frozenset()
    problems: tuple[tuple[str, str], ...] = ()

    @property
    def never_matches(self) -> bool:
        """Whether there is nothing that it applies to."""
        return isinstance(self.sources, Nothing) or isinstance(self.operations, Nothing)


@dataclass(slots=True)
class _RuleReader:
    """Reads one rule; collects problems and what is needed to decide."""

    scope: Scope
    allows: bool
    problems: list[tuple[str, str]] = field(default_factory=list)
    needs: set[Carrier] = field(default_factory=set)

    @property
    def on_doubt(self) -> Predicate:
        return NOTHING if self.allows else EVERYTHING

    def any_entry(
        self, written: Iterable[Entry], fields: Mapping[str, Field], path: str
    ) -> Predicate:
        """Some ``source`` or ``operation``, if the rule has any."""
        found = [
            self.entry(entry, fields, path.format(index)) for index, entry in enumerate(written)
        ]
        return any_of(found) if found else EVERYTHING

    def entry(self, written: Entry, fields: Mapping[str, Field], path: str) -> Predicate:
        """All fields of one ``source`` or ``operation``; ``notXs`` is the opposite of ``xs``."""
        return all_of(
            [
                self.one_field(name, wanted, fields, f"{path}.{name}")
                for name, wanted in written.items()
            ]
        )

    def one_field(
        self, name: str, wanted: tuple[str, ...], fields: Mapping[str, Field], path: str
    ) -> Predicate:
        meaning = fields.get(name)
        negative = meaning is None and name.startswith("not")
        if negative:
            meaning = fields.get(name[3:4].lower() + name[4:])
        if meaning is None:
            self.problems.append((path, "is not a field of this API"))
            return self.on_doubt
        if not wanted:
            return EVERYTHING
        return self.values(meaning, wanted, negative=negative, path=path)

    def condition(self, condition: PolicyCondition, path: str) -> tuple[Predicate, Predicate]:
        """A ``when`` entry, as its part of the source and its part of the operation."""
        key = condition.key
        on_operation = CONDITIONS_ON_OPERATION.get(key)
        meaning = on_operation or CONDITIONS_ON_SOURCE.get(key) or header_field(key)
        meaning = meaning or claim_field(key)
        if meaning is None:
            self.problems.append((f"{path}.key", f"{key!r} is not supported"))
            return self.on_doubt, EVERYTHING
        parts = all_of(self.both(meaning, condition, path))
        return (EVERYTHING, parts) if on_operation else (parts, EVERYTHING)

    def both(self, meaning: Field, condition: PolicyCondition, path: str) -> Iterator[Predicate]:
        if condition.values:
            yield self.values(meaning, condition.values, negative=False, path=f"{path}.values")
        if condition.not_values:
            yield self.values(
                meaning, condition.not_values, negative=True, path=f"{path}.notValues"
            )

    def values(
        self, meaning: Field, wanted: tuple[str, ...], *, negative: bool, path: str
    ) -> Predicate:
        if meaning.needs is not Carrier.BYTES:
            self.needs.add(meaning.needs)
        if not meaning.is_known(self.scope.carrier):
            return self.on_doubt
        found = []
        for index, text in enumerate(wanted):
            try:
                found.append(meaning.meaning(self.scope, text))
            except UnusableValue as problem:
                self.problems.append((f"{path}[{index}]", str(problem)))
                found.append(negate(self.on_doubt) if negative else self.on_doubt)
        return self.without(meaning, any_of(found)) if negative else any_of(found)

    def without(self, meaning: Field, predicate: Predicate) -> Predicate:
        """The opposite. An ALLOW rule about an identity or a name still demands that there is one.

        Clients could leave out or encrypt a server name to get around the rule.
        """
        opposite = negate(predicate)
        if self.allows and _is_about_peer(predicate):
            return all_of((_ANY_PEER, opposite))
        if self.allows and meaning.needs is Carrier.HANDSHAKES:
            return all_of((meaning.meaning(self.scope, "*"), opposite))
        return opposite


def _is_about_peer(predicate: Predicate) -> bool:
    match predicate:
        case PeerIs() | PrincipalIs():
            return True
        case _:
            parts: tuple[Predicate, ...] = getattr(predicate, "parts", ())
            return any(_is_about_peer(part) for part in parts)


def read_rule(scope: Scope, rule: PolicyRule, *, allows: bool) -> Meaning:
    """What a rule means. ``allows``: of an ALLOW policy."""
    reader = _RuleReader(scope, allows)
    if rule.unreadable:
        return Meaning(reader.on_doubt, reader.on_doubt, problems=rule.unreadable)
    sources = [reader.any_entry(rule.sources, SOURCES, "from[{}].source")]
    operations = [reader.any_entry(rule.operations, OPERATIONS, "to[{}].operation")]
    for index, condition in enumerate(rule.when):
        on_source, on_operation = reader.condition(condition, f"when[{index}]")
        sources.append(on_source)
        operations.append(on_operation)
    return Meaning(
        all_of(sources), all_of(operations), frozenset(reader.needs), tuple(reader.problems)
    )
