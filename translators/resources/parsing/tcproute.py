"""Reading TCPRoute and TLSRoute: a rule with an unreadable part is kept, and says so."""

from translators.resources.metadata import Metadata
from translators.resources.parsing import bounds
from translators.resources.parsing.fields import Fields
from translators.resources.parsing.reference import read_backend_ref, read_parents, read_weight
from translators.resources.tcproute import TcpBackend, TCPRoute, TcpRule, TLSRoute


def read_tcproute(root: Fields, meta: Metadata) -> TCPRoute | None:
    """A TCPRoute; None if anything outside its rules can't be read."""
    spec = root.within("spec")
    rules = list(spec.items("rules", bounds.RULES))
    route = TCPRoute(
        meta,
        parents=read_parents(spec, meta.namespace),
        rules=tuple(_read_rule(rule, meta.namespace) for rule in rules),
    )
    return route if root.excuse(rules) else None


def read_tlsroute(root: Fields, meta: Metadata) -> TLSRoute | None:
    """A TLSRoute; None if anything outside its rules can't be read."""
    spec = root.within("spec")
    rules = list(spec.items("rules", bounds.RULES))
    route = TLSRoute(
        meta,
        parents=read_parents(spec, meta.namespace),
        hostnames=spec.texts("hostnames", bounds.HOSTNAMES, bounds.NAME),
        rules=tuple(_read_rule(rule, meta.namespace) for rule in rules),
    )
    return route if root.excuse(rules) else None


def _read_rule(fields: Fields, namespace: str) -> TcpRule:
    return TcpRule(
        backends=fields.each(
            "backendRefs", bounds.BACKENDS, lambda entry: _read_backend(entry, namespace)
        ),
        name=fields.text("name"),
        unreadable=fields.unreadable(),
    )


def _read_backend(fields: Fields, namespace: str) -> TcpBackend:
    return TcpBackend(read_backend_ref(fields, namespace), read_weight(fields))
