"""Reading documents from bytes: the same values as the API server, within bounds."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xds_server.sources import documents
from xds_server.sources.documents import Document, DocumentError, read_documents

TEXT = st.text(st.characters(max_codepoint=0xD7FF))  # beyond, JSON's escapes are not YAML's
SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | TEXT
# YAML has no name longer than 1,024 characters, as many as 85 that JSON writes as escapes.
NAME = TEXT.filter(lambda text: len(text) <= 80)
JSON = st.recursive(
    SCALARS, lambda part: st.lists(part) | st.dictionaries(NAME, part), max_leaves=20
)


def values(text: str) -> list[object]:
    return [document.value for document in read_documents(text.encode())]


def refusal(data: bytes, *, is_json: bool = False) -> tuple[int, str]:
    with pytest.raises(DocumentError) as caught:
        read_documents(data, is_json=is_json)
    return caught.value.line, caught.value.reason


def test_each_document_knows_its_line() -> None:
    text = "# first\na: 1\n---\n\n---\n# none\n---\nb: 2\n...\n"
    assert read_documents(text.encode()) == [Document(2, {"a": 1}), Document(8, {"b": 2})]
    assert read_documents(b"") == read_documents(b"# nothing\n") == []


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", True),
        ("Off", False),
        ("~", None),
        ("'yes'", "yes"),
        ("y", "y"),
        ("12", 12),
        ("-12", -12),
        ("010", 8),
        ("0o10", 8),
        ("0x1F", 31),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("12:30:45", "12:30:45"),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("1.2.3", "1.2.3"),
        ("9" * 5000, "9" * 5000),
        ("'12'", "12"),
        ("!!str 12", "12"),
        (".inf", ".inf"),
        ("-", [None]),
        ("|\n  a\n  b", "a\nb"),
        ("{a: [1, {b: c}]}", {"a": [1, {"b": "c"}]}),
    ],
)
def test_scalars_are_what_the_api_server_takes_them_for(text: str, value: object) -> None:
    assert values(f"k: {text}" if text != "-" else "k:\n-") == [{"k": value}]


@given(JSON)
def test_json_is_read_alike_as_json_and_as_yaml(value: object) -> None:
    data = json.dumps(value).encode()
    expected = [] if value is None else [value]
    assert [each.value for each in read_documents(data, is_json=True)] == expected
    assert [each.value for each in read_documents(data)] == expected


@pytest.mark.parametrize(
    ("data", "line", "words"),
    [
        (b"a: 1\nb: [", 3, "no valid YAML"),
        (b"a: 1\n- b", 2, "no valid YAML"),
        (b"a: \x00", 0, "no valid YAML"),
        (b"a: 1\nb: \xff", 2, "UTF-8"),
        (b"a: 1\nb: &x 2", 2, "anchor"),
        (b"a: *x", 1, "alias"),
        (b"a: &x [*x]", 1, "anchor"),
        (b"a: 1\nb: 2\na: 3", 3, "twice"),
        (b"[a]: 1", 1, "collection as a name"),
        (b"a: !!python/object:os.system x", 1, "tag"),
        (b"a: !!binary eA==", 1, "tag"),
        (b"a: !x {}", 1, "tag"),
    ],
)
def test_what_can_not_be_read_names_its_line(data: bytes, line: int, words: str) -> None:
    found_line, reason = refusal(data)
    assert words in reason
    assert found_line == line


def test_bad_json_names_its_line() -> None:
    assert refusal(b'{\n"a": }', is_json=True)[0] == 2
    assert "too long" in refusal(b"9" * 5000, is_json=True)[1]


@pytest.mark.parametrize("is_json", [False, True])
def test_nesting_is_bounded(is_json: bool) -> None:
    def nested(depth: int) -> bytes:
        return b"[" * depth + b"1" + b"]" * depth

    assert len(read_documents(nested(64), is_json=is_json)) == 1
    for depth in (65, 640, 200_000):
        assert "deeper" in refusal(nested(depth), is_json=is_json)[1]


def test_nesting_by_indentation_is_bounded() -> None:
    text = "\n".join("  " * level + "a:" for level in range(70))
    assert "deeper" in refusal(text.encode())[1]


def test_documents_are_counted() -> None:
    assert len(read_documents(b"--- 1\n" * 10_000)) == 10_000
    assert refusal(b"--- 1\n" * 10_001) == (10_001, "has more than 10000 documents")


def test_the_size_of_a_file_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "MAX_FILE_BYTES", 1024**2)
    assert len(read_documents(b"a: 1" + b" " * (1024**2 - 4))) == 1
    assert refusal(b"a: 1" + b" " * (1024**2 - 3)) == (0, "is larger than 1 MiB")
