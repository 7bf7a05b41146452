"""Reading the fields of an untyped manifest, noting every one that can't be read.

Nothing here raises for any input. A reader asks for what it wants, always gets a value of the
right type, and finds in ``problems`` what was not as it must be. A field that is null counts as
missing, as it does for the API server. Texts are kept once (``intern``): the same names, labels and
addresses are in thousands of objects.

Nearly every field of every object is good, or missing. So each reader tells first whether the value
is just what it wants; what may be wrong with it, and where it is, is found out only if it is not.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from sys import intern
from typing import TypeGuard, TypeVar

from translators.resources.parsing import bounds

T = TypeVar("T")

# Control characters but tab, and surrogates, which have no UTF-8 form: proxies refuse both.
_UNCLEAN = re.compile("[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_NOTHING: Mapping[object, object] = {}


@dataclass(frozen=True, slots=True)
class Problem:
    """A field that can't be read: where, why, and what to write instead.

    ``path`` is for example ``spec.rules[1].matches[0].path.value``, empty for the whole object.
    """

    path: str
    reason: str
    fix: str


def join(path: str, name: str) -> str:
    """The path of a field below another; either may be empty."""
    return f"{path}.{name}" if path and name else path or name


def describe(value: object) -> str:
    """The type of a manifest value in the words of YAML."""
    if value is None:
        return "null"
    known: tuple[tuple[type, str], ...] = (
        (bool, "a boolean"),
        (int, "a whole number"),
        (float, "a fraction"),
        (str, "a text"),
        (Mapping, "an object"),
        (list, "a list"),
    )
    return next((words for kind, words in known if isinstance(value, kind)), type(value).__name__)


class Fields:
    """The fields of one object inside a manifest.

    ``problems`` is where complaints go; ``above`` and ``name``, with ``index`` in a list, tell
    the object's place. A value that is no object is complained about, and has no fields.
    """

    __slots__ = ("_above", "_index", "_name", "_values", "problems")

    def __init__(
        self,
        value: object,
        problems: list[Problem],
        above: "Fields | None" = None,
        name: str = "",
        index: int | None = None,
    ) -> None:
        self.problems = problems
        self._above = above
        self._name = name
        self._index = index
        if type(value) is dict or isinstance(value, Mapping):
            self._values: Mapping[object, object] = value
        else:
            self._values = _NOTHING
            self.complain("", f"is {describe(value)}, not an object", "Write an object.")

    @property
    def _path(self) -> str:
        """The object's own place: put together only for complaints."""
        if self._above is None:
            return self._name
        path = join(self._above._path, self._name)
        return path if self._index is None else f"{path}[{self._index}]"

    def complain(self, name: str, reason: str, fix: str) -> None:
        """Note that a field (empty: the object itself) can't be read.

        The name may be any text that a manifest holds, so it is escaped: people will print it.
        """
        path = join(self._path, name)
        if not path.isprintable():
            path = path.encode("unicode_escape").decode("ascii")
        self.problems.append(Problem(path, reason, fix))

    def refuse_others(self, known: frozenset[str]) -> None:
        """Every field must be known, and not null: for kinds where a typo would open a door."""
        if known.issuperset(self._values) and None not in self._values.values():
            return
        for name in self._values:
            shown = str(name)[:64]
            if name not in known:
                self.complain(shown, "is no known field", f"Use one of {', '.join(sorted(known))}.")
            elif self.raw(shown) is None:
                self.complain(shown, "is null", f"Fill {shown} or remove it.")

    def unreadable(self) -> tuple[tuple[str, str], ...]:
        """The problems so far: (path below this object, reason)."""
        if not self.problems:
            return ()
        path = self._path
        return tuple(
            (problem.path.removeprefix(path).removeprefix("."), problem.reason)
            for problem in self.problems
        )

    def names(self) -> tuple[object, ...]:
        """The names of all fields as written; YAML allows any scalar."""
        return tuple(self._values)

    def raw(self, name: str) -> object:
        """A field as written; None if it is missing."""
        return self._values.get(name)

    def _typed(self, name: str, kind: type[T]) -> T | None:
        """A field if it has exactly that type (a boolean is no number), else None."""
        value = self._values.get(name)
        if value is None or type(value) is kind:
            return value
        wanted = describe(kind())
        self.complain(name, f"is {describe(value)}, not {wanted}", f"Write {wanted}.")
        return None

    def text_or_none(self, name: str, limit: int = bounds.TEXT) -> str | None:
        """A text of at most ``limit`` characters; None if missing or bad."""
        value = self._values.get(name)
        if value is None:
            return None
        if type(value) is str and len(value) <= limit and value.isprintable():
            return intern(value)
        return self._doubtful(name, limit)

    def _doubtful(self, name: str, limit: int) -> str | None:
        """A text that may be bad, or good all the same."""
        value = self._typed(name, str)
        if value is not None and self._is_clean(name, value, limit):
            return intern(value)
        return None

    def text(self, name: str, default: str = "", limit: int = bounds.TEXT) -> str:
        """A text that may be missing."""
        value = self._values.get(name)
        if value is None:
            return default
        if type(value) is str and len(value) <= limit and value.isprintable():
            return intern(value)
        text = self._doubtful(name, limit)
        return default if text is None else text

    def lines(self, name: str, limit: int) -> str:
        """A text that may have several lines; empty if missing or bad."""
        value = self._typed(name, str) or ""
        return value if self._fits(name, value, limit) else ""

    def required(self, name: str, limit: int = bounds.NAME) -> str:
        """A text that must be there, and not be empty."""
        value = self._values.get(name)
        if value is None or value == "":
            self.complain(name, "is missing", f"Add {name}.")
            return ""
        return self.text(name, limit=limit)

    def number_or_none(self, name: str, low: int = 0, high: int = 2**31 - 1) -> int | None:
        """A whole number from ``low`` to ``high``; None if missing or bad."""
        value = self._values.get(name)
        if value is None or (type(value) is int and low <= value <= high):
            return value
        if self._typed(name, int) is None:
            return None
        self.complain(name, f"is not from {low} to {high}", f"Write a number from {low} to {high}.")
        return None

    def number(self, name: str, default: int, low: int = 0, high: int = 2**31 - 1) -> int:
        """A whole number that may be missing."""
        if self._values.get(name) is None:
            return default
        value = self.number_or_none(name, low, high)
        return default if value is None else value

    def port_or_none(self, name: str = "port") -> int | None:
        """A port number; None if missing or bad."""
        return self.number_or_none(name, 1, 65535)

    def port(self, name: str = "port") -> int:
        """A port number that must be there; 0 if it is not."""
        if self.raw(name) is None:
            self.complain(name, "is missing", "Add the port number.")
        return self.port_or_none(name) or 0

    def flag(self, name: str, *, default: bool = False) -> bool:
        """A boolean that may be missing."""
        if self._values.get(name) is None:
            return default
        value = self._typed(name, bool)
        return default if value is None else value

    def within(self, name: str) -> "Fields":
        """The fields of a nested object; a missing one has none."""
        value = self._values.get(name)
        return Fields(_NOTHING if value is None else value, self.problems, self, name)

    def part(self, name: str, read: "Callable[[Fields], T]") -> T | None:
        """What ``read`` makes of a nested object; None if it is missing."""
        return None if self._values.get(name) is None else read(self.within(name))

    def _list(self, name: str, limit: int) -> list[object]:
        found = self._values.get(name)
        if type(found) is list and len(found) <= limit:
            return found
        values = self._typed(name, list) or []
        if len(values) <= limit:
            return values
        self.complain(name, f"has {len(values)} entries, more than {limit}", "Use fewer entries.")
        return []

    def items(self, name: str, limit: int) -> "Iterator[Fields]":
        """The objects of a list; each has ``problems`` of its own, for the caller to place."""
        for index, value in enumerate(self._list(name, limit)):
            yield Fields(value, [], self, name, index)

    def excuse(self, items: "Iterable[Fields]") -> bool:
        """Note the problems of list items that are kept; tells if there were none but those."""
        readable = not self.problems
        for item in items:
            self.problems += item.problems
        return readable

    def each(self, name: str, limit: int, read: "Callable[[Fields], T]") -> tuple[T, ...]:
        """What ``read`` makes of the objects of a list; those with problems are left out."""
        if self._values.get(name) is None:
            return ()
        found, problems = [], self.problems
        for index, value in enumerate(self._list(name, limit)):
            before = len(problems)
            item = read(Fields(value, problems, self, name, index))
            if len(problems) == before:
                found.append(item)
        return tuple(found)

    def texts(self, name: str, limit: int, length: int = bounds.TEXT) -> tuple[str, ...]:
        """A list of texts; bad ones are left out."""
        if self._values.get(name) is None:
            return ()
        return tuple(
            [
                intern(value)
                for index, value in enumerate(self._list(name, limit))
                if (type(value) is str and len(value) <= length and value.isprintable())
                or (self._is_text(value, name, index) and self._is_clean(name, value, length))
            ]
        )

    def numbers(self, name: str, limit: int, low: int, high: int) -> tuple[int, ...]:
        """A list of whole numbers; bad ones are left out."""
        values = self._list(name, limit)
        place = Fields({f"{name}[{i}]": v for i, v in enumerate(values)}, self.problems, self)
        found = (place.number_or_none(f"{name}[{i}]", low, high) for i in range(len(values)))
        return tuple(number for number in found if number is not None)

    def table(self, name: str, length: int = bounds.TEXT) -> dict[str, str]:
        """An object whose fields are all texts, as labels are; bad ones are left out."""
        if self._values.get(name) is None:
            return {}
        place = self.within(name)
        if len(place._values) > bounds.LABELS:
            self.complain(name, f"has more than {bounds.LABELS} entries", "Use fewer entries.")
            return {}
        return {
            intern(str(key)): intern(value)
            for key, value in place._values.items()
            if (_is_plain(key, bounds.TEXT) and _is_plain(value, length))
            or (
                place._is_key(key)
                and place._is_text(value, key)
                and place._fits(key, value, length)
            )
        }

    def ports(self, name: str) -> dict[str, int]:
        """An object whose fields are all port numbers; bad ones are left out."""
        place = self.within(name)
        if len(place._values) > bounds.PORTS:
            self.complain(name, f"has more than {bounds.PORTS} entries", "Use fewer entries.")
            return {}
        found = {key: place.port_or_none(key) for key in place._values if place._is_key(key)}
        return {key: port for key, port in found.items() if port is not None}

    def _is_key(self, key: object) -> TypeGuard[str]:
        if isinstance(key, str) and len(key) <= bounds.TEXT and _is_unicode(key):
            return True
        self.complain("", f"has {describe(key)} as a name", "Write a plain text, in quotes.")
        return False

    def _is_text(self, value: object, name: str, index: int | None = None) -> TypeGuard[str]:
        if type(value) is str:
            return True
        place = name if index is None else f"{name}[{index}]"
        self.complain(place, f"is {describe(value)}, not a text", "Write a text, in quotes.")
        return False

    def _is_clean(self, name: str, value: str, limit: int) -> bool:
        if not value.isprintable() and _UNCLEAN.search(value):
            self.complain(name, "has a control character in it", "Remove the control character.")
            return False
        return self._fits(name, value, limit)

    def _fits(self, name: str, value: str, limit: int) -> bool:
        if len(value) > limit:
            self.complain(name, f"is longer than {limit} characters", "Write a shorter text.")
            return False
        if not _is_unicode(value):
            self.complain(name, "is no valid Unicode", "Remove the surrogates.")
            return False
        return True


def _is_plain(value: object, limit: int) -> TypeGuard[str]:
    """Whether it is a short text that can't be bad Unicode; most are."""
    return type(value) is str and len(value) <= limit and value.isascii()


def _is_unicode(text: str) -> bool:
    """Whether it has a UTF-8 form."""
    return text.isascii() or not _SURROGATE.search(text)
