"""The generated mesh: what benchmarks measure is what ``waypost bench world`` writes."""

from pathlib import Path

import yaml
from click.testing import CliRunner

from benchmarks import worlds
from translators.resources import parse
from translators.resources.metadata import KubernetesObject, ObjectKey
from xds_server.cli import main
from xds_server.cli.bench_manifests import manifests


def written(folder: Path) -> dict[ObjectKey, KubernetesObject]:
    documents = [
        document for path in folder.iterdir() for document in yaml.safe_load_all(path.read_text())
    ]
    found = [parse(document).value for document in documents]
    return {one.key: one for one in found if one is not None}


def test_the_command_writes_what_benchmarks_measure(tmp_path: Path) -> None:
    sizes = ["--namespaces", "2", "--services", "3", "--pods", "2", "--rules", "2"]
    outcome = CliRunner().invoke(main, ["bench", "world", *sizes, str(tmp_path)])
    assert outcome.exit_code == 0, outcome.output
    assert written(tmp_path) == {one.key: one for one in worlds.world(2, 3, 2, rules=2)}


def test_manifests_are_without_problems() -> None:
    for manifest in manifests(0, 2, 2, 2):
        assert not parse(manifest).problems


def test_addresses_are_unique() -> None:
    objects = worlds.world(3, 300, 1, rules=1)
    addresses = [ip for one in objects for ip in getattr(one, "cluster_ips", ())]
    assert len(set(addresses)) == len(addresses) == 900
