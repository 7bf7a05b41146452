"""Golden inputs, edited at random: whatever is edited, the bytes are those of a fresh start."""

import random
from functools import cache
from typing import Any

import pytest
import yaml

from tests.fuzz.test_manifests import places, removed, replaced
from tests.golden.case import MESH, all_cases
from translators.compiler import Compiler
from translators.ir.waypoint import WaypointName
from translators.resources import parse
from translators.resources.metadata import KubernetesObject, ObjectKey
from translators.wire import Resource, ResourceKey
from translators.world import Change

Manifest = dict[str, Any]
State = dict[ObjectKey, KubernetesObject]

JUNK = (
    *("9" * 5000, "\ue0000\ue001", "", "\x00", "*", "é.example", "[::1", "a" * 300, 0, -1, 2**63),
    *(True, None, "127.0.0.1", "10.0.0.0/8", "::/0", "a/b/c/d", "NONE", "DYNAMIC_DNS", "*.x", "."),
)


@cache
def inputs() -> list[list[Manifest]]:
    texts = ((case.folder / "input.yaml").read_text() for case in all_cases())
    return [[one for one in yaml.safe_load_all(text) if one] for text in texts]


@cache
def pool() -> dict[str, list[Manifest]]:
    """All manifests by kind."""
    found: dict[str, list[Manifest]] = {}
    for manifest in (one for given in inputs() for one in given):
        found.setdefault(manifest["kind"], []).append(manifest)
    return found


def edited(chance: random.Random, manifest: Manifest) -> Manifest:
    """The manifest with the content of another, or with a field less, or with one of junk."""
    other = chance.choice(pool()[manifest["kind"]])
    found = list(places(manifest))
    if chance.random() < 0.4 or not found:
        names = {name: manifest["metadata"].get(name) for name in ("name", "namespace")}
        kept = {name: value for name, value in names.items() if value is not None}
        return other | {"metadata": other["metadata"] | kept}
    path = chance.choice(found)
    if chance.random() < 0.5:
        return removed(manifest, path)
    return replaced(manifest, path, chance.choice(JUNK))


def read(manifest: Manifest) -> KubernetesObject | None:
    return parse(manifest).value


def seen(compiler: Compiler) -> dict[WaypointName, dict[ResourceKey, Resource]]:
    return {name: dict(compiler.resources(name)) for name in compiler.waypoints()}


def started(state: State) -> Compiler:
    compiler = Compiler(MESH)
    compiler.apply(Change(key, value) for key, value in state.items())
    return compiler


@pytest.mark.parametrize("seed", range(40))
def test_edits_end_where_a_fresh_start_does(seed: int):
    chance = random.Random(seed)
    manifests = [*chance.choice(inputs()), *chance.choice(inputs())]
    state = {one.key: one for one in map(read, manifests) if one is not None}
    compiler = started(state)
    seen(compiler)
    for _ in range(8):
        value = read(edited(chance, chance.choice(manifests)))
        if value is None:
            continue
        if chance.random() < 0.3:
            state.pop(value.key, None)
        else:
            state[value.key] = value
        compiler.apply([Change(value.key, state.get(value.key))])
        if chance.random() < 0.5:
            seen(compiler)
    whole = started(state)
    assert seen(compiler) == seen(whole)
    assert compiler.conditions() == whole.conditions()
