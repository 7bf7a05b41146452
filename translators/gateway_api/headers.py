"""Header modifiers of routes and backends."""

from collections.abc import Iterator

from translators.gateway_api.issues import Issue, check
from translators.gateway_api.texts import is_editable_header, is_header_value
from translators.ir.route import NO_EDIT, HeaderEdit
from translators.resources.httproute import HeaderModifier, HttpFilter

REQUEST = "RequestHeaderModifier"
RESPONSE = "ResponseHeaderModifier"


def modifier_issues(modifier: HeaderModifier) -> Iterator[Issue]:
    """All that keeps a modifier from being used; field paths are below it."""
    for field, pairs in (("set", modifier.set), ("add", modifier.add)):
        names = [name.lower() for name, _ in pairs]
        once = len(set(names)) == len(names)
        yield from check(field, "a header is named more than once", holds=once)
        for index, (name, value) in enumerate(pairs):
            yield from _name_issues(f"{field}[{index}].name", name)
            valid = is_header_value(value)
            yield from check(f"{field}[{index}].value", "not a header value", holds=valid)
    for index, name in enumerate(modifier.remove):
        yield from _name_issues(f"remove[{index}]", name)


def edit_of(filters: tuple[HttpFilter, ...], kind: str) -> HeaderEdit:
    """The edit that the filter of a kind asks for; none without such a filter."""
    for one in filters:
        if one.type == kind and one.header_modifier is not None:
            return _edit(one.header_modifier)
    return NO_EDIT


def _name_issues(path: str, name: str) -> Iterator[Issue]:
    message = f"header {name!r} can't be changed"
    yield from check(path, message, holds=is_editable_header(name))


def _edit(modifier: HeaderModifier) -> HeaderEdit:
    return HeaderEdit(
        set=tuple((name.lower(), value) for name, value in modifier.set),
        add=tuple((name.lower(), value) for name, value in modifier.add),
        remove=tuple(dict.fromkeys(name.lower() for name in modifier.remove)),
    )
