"""``metadata`` and label selectors, which many kinds share."""

import re
from collections.abc import Mapping
from functools import lru_cache

from translators.resources.gateway import LabelSelector, SelectorTerm
from translators.resources.metadata import Metadata
from translators.resources.parsing import bounds
from translators.resources.parsing.fields import Fields

_PART = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
_NAME = re.compile(rf"(?=.{{1,253}}\Z){_PART}(?:\.{_PART})*")  # DNS-1123 subdomain
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")  # DNS-1123 label
_NONE: dict[str, str] = {}
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def read_name(fields: Fields) -> str:
    """``metadata.name``; empty, with a problem, if it is no valid name."""
    return _read_dns(fields, "name", fields.required("name"), _NAME)


def read_namespace(fields: Fields) -> str:
    """``metadata.namespace``, ``default`` if missing; empty, with a problem, if invalid."""
    return _read_dns(fields, "namespace", fields.text("namespace", "default"), _NAMESPACE)


def read_named_account(metadata: Fields, annotation: str, default: str) -> str:
    """The service account that an annotation names; the default, with a problem, if invalid."""
    annotations = metadata.within("annotations")
    return _read_dns(annotations, annotation, annotations.text(annotation), _NAME) or default


def _read_dns(fields: Fields, name: str, value: str, form: re.Pattern[str]) -> str:
    if form.fullmatch(value):
        return value
    if value:
        fields.complain(
            name,
            f"{value[:64]!r} is no valid name",
            "Use lower-case letters, digits and '-', as DNS labels do.",
        )
    return ""


def read_metadata(fields: Fields, name: str, namespace: str) -> Metadata:
    """The rest of ``metadata``.

    The copy of the manifest that ``kubectl apply`` leaves in an annotation is dropped: nothing
    depends on it.
    """
    annotations = fields.table("annotations", bounds.ANNOTATION)
    annotations.pop(_LAST_APPLIED, None)
    annotations = annotations or _NONE
    return Metadata(
        name=name,
        namespace=namespace,
        labels=_same_labels(tuple(fields.table("labels").items())),
        annotations=annotations,
        uid=fields.text("uid"),
        generation=fields.number("generation", 0, high=2**63 - 1),
        created=fields.text("creationTimestamp"),
    )


def read_label_selector(fields: Fields) -> LabelSelector:
    """A Kubernetes label selector."""
    return LabelSelector(
        fields.table("matchLabels"),
        fields.each("matchExpressions", bounds.LABELS, _read_term),
    )


def _read_term(fields: Fields) -> SelectorTerm:
    return SelectorTerm(
        key=fields.required("key"),
        operator=fields.required("operator"),
        values=fields.texts("values", bounds.LABELS),
    )


@lru_cache(maxsize=1 << 16)
def _same_labels(labels: tuple[tuple[str, str], ...]) -> Mapping[str, str]:
    """One mapping for all pods of a workload, which have the same labels."""
    return dict(labels)
