"""Reading what routes refer to: parents and backends."""

from translators.resources.gateway import GATEWAY_GROUP
from translators.resources.httproute import BackendRef, ParentRef
from translators.resources.parsing import bounds
from translators.resources.parsing.fields import Fields


def read_parents(spec: Fields, namespace: str) -> tuple[ParentRef, ...]:
    """``parentRefs`` of a route in ``namespace``."""
    return spec.each("parentRefs", bounds.PARENTS, lambda entry: _read_parent(entry, namespace))


def _read_parent(fields: Fields, namespace: str) -> ParentRef:
    return ParentRef(
        group=fields.text("group", GATEWAY_GROUP),
        kind=fields.text("kind", "Gateway"),
        namespace=fields.text("namespace") or namespace,
        name=fields.required("name"),
        port=fields.port_or_none(),
        section=fields.text("sectionName"),
    )


def read_backend_ref(fields: Fields, namespace: str) -> BackendRef:
    """A backend of a route in ``namespace``."""
    return BackendRef(
        group=fields.text("group"),
        kind=fields.text("kind", "Service"),
        namespace=fields.text("namespace") or namespace,
        name=fields.required("name"),
        port=fields.port_or_none(),
    )


def read_weight(fields: Fields) -> int:
    """``weight`` of a backend, 1 if missing."""
    return fields.number("weight", 1, high=1_000_000)
