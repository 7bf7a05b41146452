"""Reading ReferenceGrant: an unknown field is a problem, because it may be a name misspelt."""

from translators.resources.metadata import Metadata
from translators.resources.parsing import bounds
from translators.resources.parsing.fields import Fields
from translators.resources.referencegrant import GrantFrom, GrantTo, ReferenceGrant

_FROM = frozenset({"group", "kind", "namespace"})
_TO = frozenset({"group", "kind", "name"})


def read_referencegrant(root: Fields, meta: Metadata) -> ReferenceGrant:
    """A ReferenceGrant."""
    spec = root.within("spec")
    return ReferenceGrant(
        meta,
        sources=spec.each("from", bounds.GRANTS, _read_from),
        targets=spec.each("to", bounds.GRANTS, _read_to),
    )


def _read_from(fields: Fields) -> GrantFrom:
    fields.refuse_others(_FROM)
    return GrantFrom(fields.text("group"), fields.required("kind"), fields.required("namespace"))


def _read_to(fields: Fields) -> GrantTo:
    fields.refuse_others(_TO)
    return GrantTo(fields.text("group"), fields.required("kind"), fields.text("name"))
