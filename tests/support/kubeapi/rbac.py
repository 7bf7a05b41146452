"""What a service account may do, by the roles that are bound to it (rbac.authorization.k8s.io)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.support.kubeapi.store import Object, Store

GROUP = "rbac.authorization.k8s.io"
ACCOUNT_PREFIX = "system:serviceaccount:"
_REVIEWS = {("authorization.k8s.io", "selfsubjectaccessreviews", "create")}


@dataclass(frozen=True, slots=True)
class Attempt:
    """What somebody wants to do. ``resource`` as in ``pods`` or ``pods/status``."""

    verb: str
    group: str
    resource: str
    namespace: str = ""
    name: str = ""


def may(store: Store, username: str, attempt: Attempt) -> bool:
    """Whether roles permit it. Who is no service account may do everything here."""
    if not username.startswith(ACCOUNT_PREFIX):
        return True
    if (attempt.group, attempt.resource, attempt.verb) in _REVIEWS:
        return True  # everybody may ask what they may
    namespace, name = username.removeprefix(ACCOUNT_PREFIX).split(":")
    return any(_permits(rule, attempt) for rule in _rules(store, namespace, name, attempt))


def _rules(store: Store, namespace: str, name: str, attempt: Attempt) -> Iterator[Any]:
    bindings = store.all((GROUP, "clusterrolebindings"))
    bindings += [
        each
        for each in store.all((GROUP, "rolebindings"))
        if attempt.namespace and each["metadata"]["namespace"] == attempt.namespace
    ]
    for binding in bindings:
        if any(_is_subject(each, namespace, name) for each in binding.get("subjects") or ()):
            yield from _role(store, binding).get("rules") or ()


def _is_subject(subject: Object, namespace: str, name: str) -> bool:
    wanted = {"kind": "ServiceAccount", "namespace": namespace, "name": name}
    return wanted.items() <= subject.items()


def _role(store: Store, binding: Object) -> Object:
    reference = binding["roleRef"]
    if reference["kind"] == "ClusterRole":
        return store.get((GROUP, "clusterroles"), ("", reference["name"])) or {}
    home = binding["metadata"]["namespace"]
    return store.get((GROUP, "roles"), (home, reference["name"])) or {}


def _permits(rule: Object, attempt: Attempt) -> bool:
    names = rule.get("resourceNames")
    return (
        _holds(rule, "verbs", attempt.verb)
        and _holds(rule, "apiGroups", attempt.group)
        and _holds(rule, "resources", attempt.resource)
        and (not names or attempt.name in names)
    )


def _holds(rule: Object, field: str, value: str) -> bool:
    return bool({value, "*"} & set(rule.get(field) or ()))
