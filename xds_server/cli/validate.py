"""``waypost validate``."""

import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from xds_server.cli.options import FOUND_PROBLEMS, manifests_option, text_or_json

if TYPE_CHECKING:
    from translators.resources.metadata import ObjectKey
    from xds_server.sources.source import SourceProblem
    from xds_server.validation import Validator
    from xds_server.validation.schemas import Channel


@click.command()
@manifests_option
@click.option(
    "--channel",
    type=click.Choice(["experimental", "standard"]),
    default="experimental",
    show_default=True,
    help="Which definitions of the Gateway API the cluster has.",
)
@text_or_json
def validate(manifests: Path, channel: "Channel", output: str) -> None:
    """Check manifests with the schemas and rules of their kinds, as an API server would.

    Prints FILE:LINE, the object, the field and the reason for each problem; the exit code is then
    79.
    """
    validator = _open_validator(channel)
    files, known = _read_files(manifests)
    objects = [each for name, data in files for each in _read_objects(name, data)]
    found = _find_problems(objects, known, validator)
    click.echo(_to_json(found) if output == "json" else _to_text(found), nl=False)
    counts = (_count(files, "file"), _count(objects, "object"), _count(found, "problem"))
    click.echo(", ".join(counts), err=True)
    if found:
        sys.exit(FOUND_PROBLEMS)


def _open_validator(channel: "Channel") -> "Validator":
    try:
        from xds_server.validation.validator import RULES_SKIPPED, default_validator
    except ImportError as error:
        advice = "pip install 'waypost[validation]'"
        raise click.ClickException(f"{error.name} is not installed: {advice}") from error
    validator = default_validator(channel)
    if not validator.checks_rules:
        click.echo(f"Notice: {RULES_SKIPPED}", err=True)
    return validator


class _Manifest(NamedTuple):
    """An object as it is written, and where."""

    file: str
    line: int
    value: object


def _read_files(path: Path) -> "tuple[list[tuple[str, bytes]], list[SourceProblem]]":
    """Names and bytes of all files, and what the parsers complain of in them.

    ``path`` is a folder, a file, or ``-`` for standard input. Raises ClickException.
    """
    from xds_server.sources.folder import find_files, load_folder, load_stream

    try:
        if str(path) == "-":
            data = sys.stdin.buffer.read()
            return [("<stdin>", data)], load_stream(data).problems
        if not path.is_dir():
            return [(path.name, path.read_bytes())], load_folder(path).problems
        readable = sorted(name for name, stamp in find_files(path).items() if stamp)
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror}") from error
    files = []
    for name in readable:
        with suppress(OSError):  # the loader complains of it
            files.append((name, (path / name).read_bytes()))
    return files, load_folder(path).problems


def _read_objects(name: str, data: bytes) -> Iterator[_Manifest]:
    """Every object of a file; none if it can't be read, of which the loader complains."""
    from xds_server.sources.documents import DocumentError, read_documents
    from xds_server.sources.manifest_file import expand_lists

    with suppress(DocumentError):
        for line, value in expand_lists(read_documents(data, is_json=name.endswith(".json"))):
            yield _Manifest(name, line, value)


def _find_problems(
    manifests: list[_Manifest], known: "list[SourceProblem]", validator: "Validator"
) -> "list[SourceProblem]":
    """What the parsers and the schemas complain of; of two about one field, the parsers'."""
    places = {(each.file, each.line, each.path) for each in known}
    others = [
        problem
        for manifest in manifests
        for problem in _violations(manifest, validator)
        if (problem.file, problem.line, problem.path) not in places
    ]
    return sorted([*known, *others], key=lambda each: (each.file, each.line, each.path))


def _violations(manifest: _Manifest, validator: "Validator") -> "Iterator[SourceProblem]":
    from translators.resources import parse
    from xds_server.sources.source import SourceProblem

    key = parse(manifest.value).key or _key(manifest.value)
    for path, reason in validator.validate(manifest.value):
        yield SourceProblem(manifest.file, manifest.line, key, path, reason, "")


def _key(manifest: object) -> "ObjectKey | None":
    """The name of an object of a kind that has no parser."""
    from translators.resources.metadata import ObjectKey

    match manifest:
        case {"kind": str(kind), "metadata": {"name": str(name), **metadata}}:
            return ObjectKey(kind, str(metadata.get("namespace", "")), name)
        case _:
            return None


def _to_text(problems: "list[SourceProblem]") -> str:
    return "".join(f"{problem}\n" for problem in problems)


def _to_json(problems: "list[SourceProblem]") -> str:
    import json

    return json.dumps([_describe(each) for each in problems], indent=2) + "\n"


def _describe(problem: "SourceProblem") -> dict[str, Any]:
    key = problem.object
    return {
        "file": problem.file,
        "line": problem.line,
        "kind": key.kind if key else None,
        "namespace": key.namespace if key else None,
        "name": key.name if key else None,
        "field": problem.path,
        "reason": problem.reason,
        "fix": problem.fix,
    }


def _count(things: list[Any], noun: str) -> str:
    return f"{len(things)} {noun}{'' if len(things) == 1 else 's'}"
