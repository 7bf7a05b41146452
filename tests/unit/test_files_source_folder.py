"""A folder as it is looked at: what counts, what is kept, and what is said of the rest."""

import os
from pathlib import Path
from typing import Any

import pytest

from translators.resources.authorizationpolicy import AuthorizationPolicy
from translators.resources.core import Namespace
from translators.resources.metadata import ObjectKey
from xds_server.sources.folder import Folder, load_folder, load_stream
from xds_server.sources.source import Check, unchecked


def namespace(name: str, **labels: str) -> str:
    return f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}, labels: {labels}}}\n"


BROKEN = "apiVersion: v1\nkind: Namespace\nmetadata: {name: a, labels: 5}\n"


def policy(action: str) -> str:
    return (
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n"
        f"metadata: {{name: p, namespace: n}}\nspec: {{action: {action}}}\n"
    )


class Look:
    """A folder and all that it holds by its own account, built from its changes alone."""

    def __init__(self, root: Path, grace: float = 1.0, check: Check = unchecked) -> None:
        self.folder = Folder(root, grace, check)
        self.held: dict[ObjectKey, object] = {}

    def __call__(self, now: float = 0.0, touched: tuple[str, ...] = ()) -> list[str]:
        """The names of all objects after another look."""
        for change in self.folder.refresh(now, touched):
            if change.value is None:
                del self.held[change.key]
            else:
                self.held[change.key] = change.value
        return sorted(key.name for key in self.held)

    def labels(self, name: str) -> dict[str, str]:
        found = self.held[ObjectKey("Namespace", "", name)]
        assert isinstance(found, Namespace)
        return dict(found.meta.labels)

    def problems(self) -> list[str]:
        return [str(problem) for problem in self.folder.problems()]


@pytest.fixture
def look(tmp_path: Path) -> Look:
    return Look(tmp_path)


def refuse_marked(manifest: Any) -> list[tuple[str, str]]:
    """Refuses what is labelled so; the parsers know nothing of it."""
    is_bad = manifest["metadata"].get("labels", {}).get("state") == "bad"
    return [("metadata.labels.state", "is bad")] if is_bad else []


def test_of_a_refused_object_the_last_good_version_stays(tmp_path: Path) -> None:
    look = Look(tmp_path, check=refuse_marked)
    (tmp_path / "new.yaml").write_text(namespace("new", state="bad"))
    (tmp_path / "a.yaml").write_text(namespace("a", state="good") + "---\n" + namespace("b"))
    assert look() == ["a", "b"]
    (tmp_path / "a.yaml").write_text(namespace("a", state="bad") + "---\n" + namespace("b", x="y"))
    assert look() == ["a", "b"]
    assert look.labels("a") == {"state": "good"}
    assert look.labels("b") == {"x": "y"}
    assert look.problems() == [
        "a.yaml:1: Namespace a metadata.labels.state is bad.",
        "new.yaml:1: Namespace new metadata.labels.state is bad.",
    ]
    (tmp_path / "new.yaml").write_text(namespace("new"))
    assert look() == ["a", "b", "new"]


def test_a_policy_that_was_never_good_protects_as_well_as_it_can_be_read(tmp_path: Path) -> None:
    def refuse_audit(manifest: Any) -> list[tuple[str, str]]:
        return [("spec.action", "is refused")] if manifest["spec"]["action"] != "DENY" else []

    look, file = Look(tmp_path, check=refuse_audit), tmp_path / "p.yaml"
    key = ObjectKey("AuthorizationPolicy", "n", "p")
    expected = {"AUDIT": "AUDIT", "CUSTOM": "CUSTOM", "DENY": "DENY", "ALLOW": "DENY"}
    for action, counting in expected.items():
        file.write_text(policy(action))
        assert look() == ["p"]
        found = look.held[key]
        assert isinstance(found, AuthorizationPolicy)
        assert found.action == counting
    assert look.problems() == ["p.yaml:1: AuthorizationPolicy n/p spec.action is refused."]


def test_which_files_count(tmp_path: Path, look: Look) -> None:
    for name in ("a.yaml", "b.yml", "sub/deep/d.yaml", ".hidden.yaml", "e.txt", ".git/f.yaml"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(namespace(path.stem.strip(".")))
    (tmp_path / "c.json").write_text(
        '{"kind": "List", "items": [{"apiVersion": "v1", "kind": "Namespace", '
        '"metadata": {"name": "c"}}]}'
    )
    os.mkfifo(tmp_path / "pipe.yaml")
    assert look() == ["a", "b", "c", "d"]
    assert look.problems() == []


def test_edits_renames_and_deletions(tmp_path: Path, look: Look) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(namespace("a") + "---\n" + namespace("b"))
    assert look() == ["a", "b"]
    (tmp_path / "draft").write_text(namespace("b") + "---\n" + namespace("c"))
    (tmp_path / "draft").rename(file)
    assert look() == ["b", "c"]
    file.rename(tmp_path / "z.yaml")
    assert look.folder.refresh(0.0) == []
    (tmp_path / "z.yaml").unlink()
    assert look() == []


def test_a_touched_file_is_read_even_if_it_looks_the_same(tmp_path: Path, look: Look) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(namespace("a", k="1"))
    look()
    before = file.stat()
    file.write_text(namespace("a", k="2"))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    look(touched=("a.yaml",))
    assert look.labels("a") == {"k": "2"}


def test_a_mounted_config_map_is_swapped_as_one(tmp_path: Path, look: Look) -> None:
    for version in ("1", "2"):
        data = tmp_path / f"..data_{version}"
        data.mkdir()
        (data / "a.yaml").write_text(namespace("a", version=version))
    (tmp_path / "..data").symlink_to("..data_1")
    (tmp_path / "a.yaml").symlink_to("..data/a.yaml")
    look()
    assert look.labels("a") == {"version": "1"}
    (tmp_path / "..new").symlink_to("..data_2")
    (tmp_path / "..new").rename(tmp_path / "..data")
    look()
    assert look.labels("a") == {"version": "2"}


def test_links_must_stay_inside_and_may_loop(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    outside = tmp_path / "outside.yaml"
    outside.write_text(namespace("outside"))
    (root / "out.yaml").symlink_to(outside)
    (root / "gone.yaml").symlink_to("nowhere")
    (root / "sub" / "loop").symlink_to(root)
    (root / "sub" / "a.yaml").write_text(namespace("a"))
    look = Look(root)
    assert look() == ["a"]
    (problem,) = look.problems()
    assert problem.startswith("out.yaml: is a link that leads out of the folder")


def test_a_file_that_breaks_keeps_what_it_said(tmp_path: Path, look: Look) -> None:
    (tmp_path / "a.yaml").write_text(namespace("a"))
    (tmp_path / "b.yaml").write_text(namespace("b"))
    look()
    for bad in (b"a: [", b"\xff", b"&x a: *x", b"[" * 100_000, b"- 5\n", b"5"):
        (tmp_path / "a.yaml").write_bytes(bad)
        (tmp_path / "b.yaml").write_text(namespace("b", step=str(bad[:1].hex())))
        assert look() == ["a", "b"]
        assert look.labels("b") == {"step": bad[:1].hex()}
        assert [problem.partition(":")[0] for problem in look.problems()] == ["a.yaml"]
    (tmp_path / "a.yaml").write_text(namespace("a"))
    assert look() == ["a", "b"]
    assert look.problems() == []


def test_an_object_that_breaks_keeps_its_last_good_version(tmp_path: Path, look: Look) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(namespace("a", k="1") + "---\n" + namespace("b"))
    look()
    file.write_text("\n" + BROKEN + "---\n" + namespace("c"))
    assert look() == ["a", "c"]
    assert look.labels("a") == {"k": "1"}
    assert look.problems() == [
        "a.yaml:2: Namespace a metadata.labels is a whole number, not an object. Write an object."
    ]


def test_an_object_that_was_never_good_is_left_out(tmp_path: Path, look: Look) -> None:
    (tmp_path / "a.yaml").write_text(BROKEN + "---\n" + namespace("c"))
    assert look() == ["c"]
    assert len(look.problems()) == 1


def test_an_object_whose_name_breaks_removes_nothing(tmp_path: Path, look: Look) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(policy("DENY") + "---\n" + namespace("b"))
    look()
    file.write_text(policy("DENY").replace("name: p", "name: 5") + "---\n" + namespace("c"))
    assert look() == ["b", "c", "p"]


def test_a_policy_that_breaks_protects(tmp_path: Path, look: Look) -> None:
    (tmp_path / "a.yaml").write_text(policy("ALLOW"))
    look()
    (tmp_path / "a.yaml").write_text(policy("5"))
    look()
    (found,) = look.held.values()
    assert found.unreadable == (("spec.action", "is a whole number, not a text"),)  # type: ignore[attr-defined]
    assert len(look.problems()) == 1


def test_an_empty_file_has_some_grace(tmp_path: Path, look: Look) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(namespace("a"))
    look(now=0.0)
    file.write_text("")
    assert look(now=10.0) == ["a"]
    assert not look.folder.is_settled
    assert look(now=10.9) == ["a"]
    assert look(now=11.0) == []
    assert look.folder.is_settled


def test_an_empty_file_that_is_filled_in_time_never_was_empty(tmp_path: Path, look: Look) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(namespace("a"))
    look(now=0.0)
    file.write_text("")
    look(now=10.0)
    file.write_text(namespace("a"))
    assert look.folder.refresh(10.5) == []
    assert look.folder.is_settled
    file.write_text("")
    assert look(now=11.2) == ["a"]


def test_of_two_the_first_file_counts_and_both_are_told(tmp_path: Path, look: Look) -> None:
    (tmp_path / "b.yaml").write_text(namespace("x", of="b"))
    look()
    (tmp_path / "a.yaml").write_text("\n" + namespace("x", of="a"))
    look()
    assert look.labels("x") == {"of": "a"}
    assert look.problems() == [
        "a.yaml:2: Namespace x is also in b.yaml:1; this one counts. Remove one of them.",
        "b.yaml:1: Namespace x is also in a.yaml:2; that one counts. Remove one of them.",
    ]
    (tmp_path / "a.yaml").unlink()
    look()
    assert look.labels("x") == {"of": "b"}
    assert look.problems() == []


def test_twice_in_one_file(tmp_path: Path, look: Look) -> None:
    (tmp_path / "a.yaml").write_text(namespace("x", n="1") + "---\n" + namespace("x", n="2"))
    look()
    assert look.labels("x") == {"n": "1"}
    assert len(look.problems()) == 1


def test_a_missing_folder_changes_nothing(tmp_path: Path) -> None:
    root = tmp_path / "root"
    look = Look(root)
    assert look() == []
    assert "can't be listed" in look.problems()[0]
    root.mkdir()
    (root / "a.yaml").write_text(namespace("a"))
    assert look() == ["a"]
    assert look.problems() == []
    root.rename(tmp_path / "away")
    assert look() == ["a"]


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is unreadable for root")
def test_a_file_without_permission(tmp_path: Path, look: Look) -> None:
    (tmp_path / "a.yaml").write_text(namespace("a"))
    (tmp_path / "a.yaml").chmod(0)
    assert look() == []
    assert "Permission denied" in look.problems()[0]


def test_an_object_larger_than_a_cluster_stores_is_refused(tmp_path: Path) -> None:
    large = namespace("large", k="x" * 1_600_000)
    (tmp_path / "a.yaml").write_text(large + "---\n" + namespace("small"))
    objects, problems = load_folder(tmp_path)
    assert [value.meta.name for value in objects] == ["small"]
    assert [(each.line, each.file) for each in problems] == [(1, "a.yaml")]


def test_loading_a_folder_a_file_and_a_stream(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(namespace("b") + "---\n" + namespace("a"))
    for loaded in (
        load_folder(tmp_path),
        load_folder(tmp_path / "a.yaml"),
        load_stream((tmp_path / "a.yaml").read_bytes()),
    ):
        assert [value.meta.name for value in loaded.objects] == ["a", "b"]
        assert loaded.problems == []
    assert load_folder(tmp_path / "none").problems
    assert load_stream(b"a: [").problems[0].file == "<stdin>"
