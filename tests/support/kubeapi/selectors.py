"""Label and field selectors."""

import re
from collections.abc import Callable
from typing import Any

from tests.support.kubeapi.errors import bad_request
from tests.support.kubeapi.kinds import Kind
from tests.support.kubeapi.store import Object

Selector = Callable[[Object], bool]

_LABEL_TERM = re.compile(
    r"\s*(?:(?P<absent>!)\s*(?P<absent_key>[\w./-]+)"
    r"|(?P<key>[\w./-]+)\s*(?:(?P<op>==|=|!=)\s*(?P<value>[\w.-]*)"
    r"|(?P<set_op>in|notin)\s*\((?P<values>[^)]*)\))?)\s*(?:,|$)"
)


def parse_selectors(kind: Kind, query: dict[str, str]) -> Selector:
    """The filter that a request's ``labelSelector`` and ``fieldSelector`` ask for."""
    labels = _parse_labels(query.get("labelSelector", ""))
    fields = _parse_fields(kind, query.get("fieldSelector", ""))

    def matches(value: Object) -> bool:
        own = value["metadata"].get("labels") or {}
        return all(term(own) for term in labels) and all(term(value) for term in fields)

    return matches


def _parse_labels(text: str) -> list[Callable[[dict[str, str]], bool]]:
    terms, position = [], 0
    while position < len(text):
        found = _LABEL_TERM.match(text, position)
        if found is None or found.end() == position:
            raise bad_request(f"unable to parse requirement: {text!r}")
        terms.append(_label_term(found))
        position = found.end()
    return terms


def _label_term(found: re.Match[str]) -> Callable[[dict[str, str]], bool]:
    key = found["absent_key"] or found["key"]
    if found["absent"]:
        return lambda labels: key not in labels
    if found["set_op"]:
        values = {value.strip() for value in found["values"].split(",")}
        wanted = found["set_op"] == "in"
        return lambda labels: (labels.get(key) in values) is wanted
    match found["op"]:
        case None:
            return lambda labels: key in labels
        case "!=":
            return lambda labels: labels.get(key) != found["value"]
        case _:
            return lambda labels: labels.get(key) == found["value"]


def _parse_fields(kind: Kind, text: str) -> list[Selector]:
    return [_field_term(kind, term) for term in text.split(",") if term]


def _field_term(kind: Kind, term: str) -> Selector:
    found = re.fullmatch(r"([\w.]+)(==|=|!=)(.*)", term)
    if found is None:
        raise bad_request(f"invalid field selector: {term!r}")
    path, operator, wanted = found.groups()
    if path not in ("metadata.name", "metadata.namespace", *kind.selectable):
        raise bad_request(f"field label not supported: {path}")
    equal = operator != "!="
    return lambda value: (_field(value, path) == wanted) is equal


def _field(value: Any, path: str) -> str:
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return "" if value is None else str(value)
