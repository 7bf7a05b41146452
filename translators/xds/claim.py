"""Matching claims of a token that the JWT filter has verified."""

from envoy_data_plane.envoy.config.rbac.v3 import MetadataSource, SourcedMetadata
from envoy_data_plane.envoy.type.matcher.v3 import (
    ListMatcher,
    MetadataMatcher,
    MetadataMatcherPathSegment,
    OrMatcher,
    ValueMatcher,
)

from translators.ir.authorization import ClaimIs
from translators.xds.text import text_matcher

_VERIFIED = "envoy.filters.http.jwt_authn"


def claim_is(claim: ClaimIs) -> SourcedMetadata:
    """The claim is such a text, or a list that holds one."""
    text = ValueMatcher(string_match=text_matcher(claim.text))
    element = ValueMatcher(list_match=ListMatcher(one_of=text))
    matcher = MetadataMatcher(
        filter=_VERIFIED,
        path=[MetadataMatcherPathSegment(key=key) for key in ("payload", *claim.keys)],
        value=ValueMatcher(or_match=OrMatcher(value_matchers=[text, element])),
    )
    return SourcedMetadata(metadata_matcher=matcher, metadata_source=MetadataSource.DYNAMIC)
