"""Kubernetes YAML in, xDS and status out; ``make golden`` rewrites the expected files."""

import random

import pytest

from tests.golden.case import CASES, Case, all_cases, compiled, outputs, resources
from translators.wire import validated

EVERY_CASE = [pytest.param(case, id=case.name) for case in all_cases()]


@pytest.mark.parametrize("case", EVERY_CASE)
def test_output_is_as_expected(case: Case, update_golden: bool):
    texts = outputs(case)
    if update_golden:
        write(case, texts)
    assert {path.name: path.read_text() for path in case.expected_files()} == texts


@pytest.mark.parametrize("case", EVERY_CASE)
def test_validated_construction_gives_the_same_bytes(case: Case):
    with validated():
        careful = resources(compiled(case.changes()))
    assert careful == resources(compiled(case.changes()))


@pytest.mark.parametrize("case", EVERY_CASE)
def test_one_object_at_a_time_in_any_order_gives_the_same(case: Case):
    changes = case.changes()
    together = compiled(changes)
    random.Random(case.name).shuffle(changes)
    compiler = compiled([])
    for change in changes:
        compiler.apply([change])
        for name in compiler.waypoints():
            compiler.resources(name)
    assert resources(compiler) == resources(together)
    assert compiler.conditions() == together.conditions()


def test_no_expected_file_is_orphaned():
    owned = {path for case in all_cases() for path in case.folder.iterdir()}
    assert set(CASES.glob("*/*/*")) <= owned


def write(case: Case, texts: dict[str, str]) -> None:
    for path in case.expected_files():
        if path.name not in texts:
            path.unlink()
            print(f"removed {case.name}/{path.name}")  # noqa: T201
    for name, text in texts.items():
        path = case.folder / name
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            print(f"wrote {case.name}/{name}")  # noqa: T201
