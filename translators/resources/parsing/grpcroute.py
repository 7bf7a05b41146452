"""Reading GRPCRoute: a rule with an unreadable part is kept, and says so."""

from dataclasses import replace

from translators.resources.grpcroute import GrpcMatch, GrpcMethodMatch, GRPCRoute, GrpcRule
from translators.resources.metadata import Metadata
from translators.resources.parsing import bounds
from translators.resources.parsing.fields import Fields
from translators.resources.parsing.httpfilter import read_filters
from translators.resources.parsing.httproute import (
    read_http_backends,
    read_session_persistence,
    read_value_match,
)
from translators.resources.parsing.reference import read_parents


def read_grpcroute(root: Fields, meta: Metadata) -> GRPCRoute | None:
    """A GRPCRoute; None if anything outside its rules can't be read."""
    spec = root.within("spec")
    rules = list(spec.items("rules", bounds.RULES))
    route = GRPCRoute(
        meta,
        parents=read_parents(spec, meta.namespace),
        hostnames=spec.texts("hostnames", bounds.HOSTNAMES, bounds.NAME),
        rules=tuple(_read_rule(rule, meta.namespace) for rule in rules),
    )
    return route if root.excuse(rules) else None


def _read_rule(fields: Fields, namespace: str) -> GrpcRule:
    rule = GrpcRule(
        matches=_read_matches(fields),
        name=fields.text("name"),
        filters=read_filters(fields, namespace),
        backends=read_http_backends(fields, namespace),
        session_persistence=fields.part("sessionPersistence", read_session_persistence),
    )
    return replace(rule, unreadable=fields.unreadable()) if fields.problems else rule


def _read_matches(fields: Fields) -> tuple[GrpcMatch, ...]:
    """As for HTTPRoute: an unreadable match is left out, the default is for none written."""
    if fields.problems:
        return ()
    if fields.raw("matches") in (None, []):
        return (GrpcMatch(),)
    return fields.each("matches", bounds.MATCHES, _read_match)


def _read_match(fields: Fields) -> GrpcMatch:
    return GrpcMatch(
        method=_read_method(fields.within("method")),
        headers=fields.each("headers", bounds.HEADERS, read_value_match),
    )


def _read_method(fields: Fields) -> GrpcMethodMatch:
    return GrpcMethodMatch(
        type=fields.text("type", "Exact"),
        service=fields.text("service", limit=bounds.REGEX),
        method=fields.text("method", limit=bounds.REGEX),
    )
