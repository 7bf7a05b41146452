"""Editing one document of a file: all that is not meant stays as it is, to the byte."""

import os
from pathlib import Path
from typing import Any

import pytest

from translators.resources.metadata import ObjectKey
from xds_server.waypoints.files import ManifestFiles, replace_file
from xds_server.waypoints.manifest import WaypointError
from xds_server.waypoints.yaml_edit import CannotEdit, edit_yaml, insert_first, split

KEY = ObjectKey("Namespace", "", "shop")
OTHER = "apiVersion: v1\nkind:   Namespace # odd\nmetadata: {name:   'far'  }\n"
SHOP = """\
# The shop.
apiVersion: v1
kind: Namespace  # of ours
metadata:
    name: "shop"
    annotations:
        note: |
            several
            lines
        list-like: '- x'

    # the end
"""


def label(document: Any) -> None:
    metadata = document["metadata"]
    if "labels" not in metadata:
        insert_first(metadata, "labels", {})
    insert_first(metadata["labels"], "a", "b")


def label_file(path: Path) -> str:
    assert ManifestFiles(path.parent).edit(KEY, label)
    return path.read_bytes().decode()


def test_a_document_keeps_its_comments_quotes_order_and_indentation(tmp_path: Path):
    path = tmp_path / "all.yaml"
    path.write_text(f"{OTHER}---\n{SHOP}---\n{OTHER.replace('far', 'near')}")
    edited = SHOP.replace("metadata:\n", "metadata:\n    labels:\n        a: b\n")
    assert label_file(path) == f"{OTHER}---\n{edited}---\n{OTHER.replace('far', 'near')}"


@pytest.mark.parametrize("dash", ["- ", "  - "])
def test_lists_stay_as_far_in_as_they_were(tmp_path: Path, dash: str):
    text = f"apiVersion: v1\nkind: Namespace\nspec:\n  finalizers:\n  {dash}one\n"
    path = tmp_path / "a.yaml"
    path.write_text(f"{text}metadata:\n  name: shop\n")
    assert label_file(path) == f"{text}metadata:\n  labels:\n    a: b\n  name: shop\n"


def test_line_ends_of_windows_are_kept(tmp_path: Path):
    path = tmp_path / "a.yaml"
    path.write_bytes(f"{OTHER}---\n{SHOP}".replace("\n", "\r\n").encode())
    text = label_file(path)
    assert text.count("\n") == text.count("\r\n")
    assert text.startswith(OTHER.replace("\n", "\r\n"))


@pytest.mark.parametrize("head", ["", "---\n"])
def test_a_byte_order_mark_is_kept(tmp_path: Path, head: str):
    path = tmp_path / "a.yaml"
    path.write_text(f"\ufeff{head}{SHOP}")
    assert label_file(path).startswith(f"\ufeff{head}# The shop.\n")


def test_long_lines_are_not_folded(tmp_path: Path):
    long = "  annotations:\n    x: " + "word " * 200 + "end\n"
    path = tmp_path / "a.yaml"
    path.write_text(f"apiVersion: v1\nkind: Namespace\nmetadata:\n  name: shop\n{long}")
    assert label_file(path).endswith(long)


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_json(tmp_path: Path, mark: str):
    path = tmp_path / "a.json"
    path.write_text(
        mark + '{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}\n'
    )
    text = label_file(path)
    assert text.startswith(f"{mark}{{\n")
    assert '"a": "b"' in text


@pytest.mark.parametrize(
    "text", ["%YAML 1.2\n---\na: b\n", "a: b\n...\n---\nc: d\n", "a: b\n--- {c: d}\n"]
)
def test_what_cannot_be_cut_is_refused(text: str):
    with pytest.raises(CannotEdit):
        split(text)


@pytest.mark.parametrize("text", ["", "a: |\n  x\n---\n---\n# c\nb: c", "---\n--- # x\n\n", "a: b"])
def test_the_pieces_are_the_file(text: str):
    assert "".join(piece.text for piece in split(text)) == text


def test_an_edit_without_effect_changes_no_byte():
    (piece,) = split("b:   {c:  d}   # odd\n")
    assert edit_yaml(piece, lambda document: document["b"].update(c="d")) is piece


def test_a_file_keeps_its_mode_and_a_link_stays_a_link(tmp_path: Path):
    target = tmp_path / "target.yaml"
    target.write_text("old")
    target.chmod(0o640)
    link = tmp_path / "link.yaml"
    link.symlink_to(target)
    replace_file(link, "new")
    assert (link.is_symlink(), target.read_text()) == (True, "new")
    assert target.stat().st_mode & 0o777 == 0o640
    assert set(tmp_path.iterdir()) == {link, target}


def test_a_file_that_cannot_be_written_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "a.yaml"
    path.write_text("old")

    def fail(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(WaypointError, match="No space left"):
        replace_file(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
