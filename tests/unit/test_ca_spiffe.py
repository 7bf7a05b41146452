import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from xds_server.identity.spiffe import SpiffeId

label = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
identities = st.builds(
    SpiffeId,
    trust_domain=st.from_regex(r"[a-z0-9._-]{1,40}", fullmatch=True),
    namespace=label,
    service_account=st.lists(label, min_size=1, max_size=4).map(".".join),
)


def test_uri_has_the_layout_of_istio() -> None:
    identity = SpiffeId("cluster.local", "bookinfo", "reviews.v1")
    assert identity.uri == str(identity) == "spiffe://cluster.local/ns/bookinfo/sa/reviews.v1"


@given(identities)
def test_parse_is_the_inverse_of_uri(identity: SpiffeId) -> None:
    assert SpiffeId.parse(identity.uri) == identity


@given(st.text() | st.text(alphabet="spife:/na.%-_~ #?@\0").map("spiffe://td/ns/".__add__))
@example("spiffe://td/ns/a/sa/b")
def test_whatever_parses_is_spelt_exactly_like_its_uri(text: str) -> None:
    try:
        identity = SpiffeId.parse(text)
    except ValueError:
        return
    assert identity.uri == text


@given(identities, st.data())
def test_one_foreign_character_anywhere_is_refused(identity: SpiffeId, data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(identity.uri)))
    character = data.draw(st.characters())
    assume(character not in "abcdefghijklmnopqrstuvwxyz0123456789.-_")
    with pytest.raises(ValueError, match="not"):
        SpiffeId.parse(identity.uri[:position] + character + identity.uri[position:])


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "spiffe://",
        "spiffe:///ns/a/sa/b",
        "SPIFFE://td/ns/a/sa/b",
        "https://td/ns/a/sa/b",
        "td/ns/a/sa/b",
        "spiffe://spiffe://td/ns/a/sa/b",
        "spiffe://TD/ns/a/sa/b",
        "spiffe://td:443/ns/a/sa/b",
        "spiffe://user@td/ns/a/sa/b",
        f"spiffe://{'t' * 256}/ns/a/sa/b",
        "spiffe://td/ns/a/sa/b/",
        "spiffe://td/ns/a/sa/b/c",
        "spiffe://td//ns/a/sa/b",
        "spiffe://td/ns/a",
        "spiffe://td/ns//sa/b",
        "spiffe://td/ns/a/sa/",
        "spiffe://td/ns/../sa/b",
        "spiffe://td/ns/a/sa/.",
        "spiffe://td/ns/a/sa/b..c",
        "spiffe://td/NS/a/SA/b",
        "spiffe://td/sa/a/ns/b",
        "spiffe://td/ns/a/sa/B",
        "spiffe://td/ns/a.b/sa/c",
        "spiffe://td/ns/-a/sa/b",
        f"spiffe://td/ns/{'a' * 64}/sa/b",
        f"spiffe://td/ns/a/sa/{'.'.join(['b' * 63] * 4)}",
        "spiffe://td/ns/a/sa/b?x=1",
        "spiffe://td/ns/a/sa/b#x",
        "spiffe://td/ns/a/sa/b%2Fc",
        "spiffe://td/ns/a/sa/b\0",
        "spiffe://td/ns/a/sa/b\n",
        "spiffe://td/ns/a/sa/ä",
        "spiffe://td/ns/a/sa/b,spiffe://td/ns/c/sa/d",
        "spiffe://td/ns/١/sa/b",
    ],
)
def test_refused(uri: str) -> None:
    with pytest.raises(ValueError, match="not"):
        SpiffeId.parse(uri)


@pytest.mark.parametrize(
    "parts", [("td", "a/sa/b", "c"), ("td/ns/a/sa/b", "c", "d"), ("td", "a", "b?c")]
)
def test_no_part_can_smuggle_in_another(parts: tuple[str, str, str]) -> None:
    with pytest.raises(ValueError, match="is not a valid"):
        SpiffeId(*parts)
