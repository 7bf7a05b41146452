"""Requests as policies see them: Envoy's normal form of paths, and what is refused beforehand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from translators.authorization.request import HttpHead, Refusal, find_ambiguity, read_path

TEXTS = st.text("/.%;\\?#e2fF5cC03x~é", max_size=12).map("/".__add__)


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/", "/"),
        ("/a", "/a"),
        ("/a?b=/../c", "/a"),
        ("/a?%2f%00", "/a"),
        ("//a///b//", "/a/b/"),
        ("/./a/./b/.", "/a/b/"),
        ("/a/../b", "/b"),
        ("/../../b", "/b"),
        ("/a/b/..", "/a/"),
        ("/a//../b", "/a/b"),
        ("/%61%2d%2E%5f%7E", "/a-._~"),
        ("/a/%2e%2e/b", "/b"),
        ("/a/.%2E/b", "/b"),
        ("/a\\..\\b", "/b"),
        ("/a;x/b;y=z", "/a/b"),
        ("/a/..;x/b", "/b"),
        ("/a/.;/b", "/a/b"),
        ("/a\\..;x\\b", "/a/../b"),
        ("/a/%2e%2e;/b", "/a/../b"),
        ("/;x/b", "//b"),
        ('/"<>^`{|}', "/%22%3C%3E%5E%60%7B%7C%7D"),
        ("/[a]*!$&'()+,:@=", "/[a]*!$&'()+,:@="),
        ("/é", "/%C3%A9"),
        ("/%c3%a9", "/%c3%a9"),
        ("/%2561", "/%2561"),
        ("/%4%31", "/%2541"),
        ("/%%32e", "/%252e"),
        ("/%", "/%"),
        ("/%zz%61", "/%zza"),
        ("/%3bx", "/%3bx"),
        ("/.../a", "/.../a"),
    ],
)
def test_normal_form(target: str, path: str) -> None:
    assert read_path(target) == path


@pytest.mark.parametrize(
    "target", ["", "*", "a", "\\a", "http://x/", "/a#b", "/#", "/a%00", "/%00"]
)
def test_malformed(target: str) -> None:
    assert read_path(target) is Refusal.MALFORMED


@pytest.mark.parametrize("target", ["/a%2fb", "/a%2Fb?x", "/%5c", "/a%5Cb", "/a;%2f"])
def test_escaped_slashes_are_sent_back(target: str) -> None:
    assert read_path(target) is Refusal.ESCAPED_SLASH


@given(TEXTS)
def test_a_path_is_normal_or_refused(target: str) -> None:
    path = read_path(target)
    if isinstance(path, Refusal):
        return
    assert path.startswith("/")
    assert path.isascii()
    assert not set(path) & set("?#;\\")
    if find_ambiguity(HttpHead("GET", "h", path)) is None:
        assert not {"", ".", ".."} & set(path.split("/")[1:-1])
        assert read_path(path) == path


@pytest.mark.parametrize(
    ("path", "host", "refusal"),
    [
        ("/", "a", None),
        ("/a/", "a.b:80", None),
        ("/a", "[::1]:80", None),
        ("/a", "a.b.", None),
        ("/a", "A_b-c.D:", None),
        ("/a//b", "a", Refusal.AMBIGUOUS_PATH),
        ("//", "a", Refusal.AMBIGUOUS_PATH),
        ("/../a", "a", Refusal.AMBIGUOUS_PATH),
        ("/a/.", "a", Refusal.AMBIGUOUS_PATH),
        ("/a/..", "a", Refusal.AMBIGUOUS_PATH),
        ("/a", "", Refusal.AMBIGUOUS_HOST),
        ("/a", "a,b", Refusal.AMBIGUOUS_HOST),
        ("/a", "a@b", Refusal.AMBIGUOUS_HOST),
        ("/a", "a..b", Refusal.AMBIGUOUS_HOST),
        ("/a", "a:x", Refusal.AMBIGUOUS_HOST),
        ("/a", "a:8:8", Refusal.AMBIGUOUS_HOST),
        ("/a", "ä", Refusal.AMBIGUOUS_HOST),
    ],
)
def test_what_could_be_read_in_two_ways(path: str, host: str, refusal: Refusal | None) -> None:
    assert find_ambiguity(HttpHead("GET", host, path)) is refusal
