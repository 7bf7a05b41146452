"""Reading what policies are attached to."""

from translators.resources.authorizationpolicy import TargetRef
from translators.resources.parsing import bounds
from translators.resources.parsing.fields import Fields

_KNOWN = frozenset({"group", "kind", "name", "namespace"})


def read_targets(spec: Fields, namespace: str) -> tuple[TargetRef, ...]:
    """``targetRefs`` and the older ``targetRef`` of a policy in ``namespace``."""
    listed = spec.each("targetRefs", bounds.TARGETS, lambda entry: _read_target(entry, namespace))
    single = spec.part("targetRef", lambda entry: _read_target(entry, namespace))
    return listed if single is None else (*listed, single)


def _read_target(fields: Fields, namespace: str) -> TargetRef:
    fields.refuse_others(_KNOWN)
    if fields.text("namespace", namespace) not in ("", namespace):
        fields.complain("namespace", "is not the policy's own", "Remove namespace.")
    return TargetRef(fields.text("group"), fields.required("kind"), fields.required("name"))
