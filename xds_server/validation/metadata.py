"""The rules for ``metadata`` that hold for every custom resource."""

import re
from collections.abc import Iterator

from xds_server.validation.violation import Violation, member

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_KEY = re.compile(r"(?:(?P<prefix>[^/]+)/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?")


def check_metadata(metadata: dict[str, object], *, namespaced: bool) -> Iterator[Violation]:
    """What is wrong with an object's name, namespace, labels and annotations."""
    # A prefix may end in a dash, since the server appends to it.
    name = metadata.get("name") or f"{metadata.get('generateName') or '-'}0"
    if not isinstance(name, str) or not _is_name(name):
        yield Violation("metadata.name", "must be a lower case DNS name")
    namespace = metadata.get("namespace", "")
    if not isinstance(namespace, str) or (namespace and not _NAMESPACE.fullmatch(namespace)):
        yield Violation("metadata.namespace", "must be a lower case DNS label")
    elif namespace and not namespaced:
        yield Violation("metadata.namespace", "must be absent: the kind belongs to no namespace")
    yield from _check_texts("metadata.labels", metadata.get("labels"), _LABEL_VALUE)
    yield from _check_texts("metadata.annotations", metadata.get("annotations"), None)


def _is_name(name: str) -> bool:
    return len(name) <= 253 and _NAME.fullmatch(name) is not None


def _check_texts(path: str, texts: object, pattern: re.Pattern[str] | None) -> Iterator[Violation]:
    if texts is None:
        return
    if not isinstance(texts, dict):
        yield Violation(path, "must be of type object")
        return
    for key, value in texts.items():
        if not _is_key(key):
            yield Violation(member(path, key), "has a name that is no qualified name")
        if not isinstance(value, str):
            yield Violation(member(path, key), "must be of type string")
        elif pattern is not None and not pattern.fullmatch(value):
            yield Violation(member(path, key), "must be a label value")


def _is_key(key: str) -> bool:
    found = _KEY.fullmatch(key)
    return found is not None and (found["prefix"] is None or _is_name(found["prefix"]))
