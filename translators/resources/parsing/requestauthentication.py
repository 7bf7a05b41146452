"""Reading RequestAuthentication: what can't be read is named, so that no token passes by it."""

from dataclasses import replace

from translators.resources.metadata import Metadata
from translators.resources.parsing import bounds
from translators.resources.parsing.fields import Fields
from translators.resources.parsing.metadata import read_label_selector
from translators.resources.parsing.target import read_targets
from translators.resources.requestauthentication import JwtRule, RequestAuthentication

_SPEC = frozenset({"jwtRules", "selector", "targetRef", "targetRefs"})
_RULE = frozenset(
    {
        "audiences",
        "forwardOriginalToken",
        "fromCookies",
        "fromHeaders",
        "fromParams",
        "issuer",
        "jwks",
        "jwksUri",
        "jwks_uri",
        "outputClaimToHeaders",
        "outputPayloadToHeader",
        "presence",
        "spaceDelimitedClaims",
        "timeout",
    }
)


def read_requestauthentication(root: Fields, meta: Metadata) -> RequestAuthentication:
    """A RequestAuthentication, whatever is in it; see there how it tells what was unreadable."""
    spec = root.within("spec")
    spec.refuse_others(_SPEC)
    rules = list(spec.items("jwtRules", bounds.POLICY_RULES))
    found = RequestAuthentication(
        meta,
        targets=read_targets(spec, meta.namespace),
        selector=spec.part("selector", read_label_selector),
        rules=tuple(_read_rule(rule) for rule in rules),
    )
    if root.problems:
        found = replace(found, unreadable=root.unreadable())
    root.excuse(rules)
    return found


def _read_rule(fields: Fields) -> JwtRule:
    fields.refuse_others(_RULE)
    rule = JwtRule(
        issuer=fields.required("issuer", bounds.TEXT),
        audiences=fields.texts("audiences", bounds.POLICY_VALUES),
        jwks_uri=fields.text("jwksUri") or fields.text("jwks_uri"),
        jwks=fields.lines("jwks", bounds.KEY_SET),
        headers=fields.each("fromHeaders", bounds.HEADERS, _read_header),
        params=fields.texts("fromParams", bounds.HEADERS),
        cookies=fields.texts("fromCookies", bounds.HEADERS),
        payload_header=fields.text("outputPayloadToHeader"),
        claim_headers=fields.each("outputClaimToHeaders", bounds.HEADERS, _read_claim_header),
        space_delimited_claims=fields.texts("spaceDelimitedClaims", bounds.HEADERS),
        forward_token=fields.flag("forwardOriginalToken"),
        timeout=fields.text_or_none("timeout"),
        presence=fields.text("presence", "OPTIONAL"),
    )
    return replace(rule, unreadable=fields.unreadable()) if fields.problems else rule


def _read_header(fields: Fields) -> tuple[str, str]:
    return fields.required("name"), fields.text("prefix")


def _read_claim_header(fields: Fields) -> tuple[str, str]:
    return fields.required("header"), fields.required("claim")
