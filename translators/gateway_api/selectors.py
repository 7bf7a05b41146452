"""Label selectors (Kubernetes)."""

from collections.abc import Mapping

from translators.resources.gateway import LabelSelector, SelectorTerm


def selects(selector: LabelSelector, labels: Mapping[str, str]) -> bool:
    """Whether all terms of a selector hold; one with an unknown operator selects nothing."""
    return all(labels.get(key) == value for key, value in selector.match_labels.items()) and all(
        _holds(term, labels) for term in selector.terms
    )


def _holds(term: SelectorTerm, labels: Mapping[str, str]) -> bool:
    match term.operator:
        case "In":
            return labels.get(term.key) in term.values
        case "NotIn":
            return labels.get(term.key) not in term.values
        case "Exists":
            return term.key in labels
        case "DoesNotExist":
            return term.key not in labels
        case _:
            return False
