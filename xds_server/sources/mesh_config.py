"""The file with the mesh's configuration."""

from pathlib import Path
from typing import Any

import yaml

from translators.ir.waypoint import Mesh
from translators.meshconfig import read_mesh_config


class MeshConfigError(Exception):
    """The file can't be used; the text says why, one problem a line."""


def load_mesh_config(path: Path, given: Mesh) -> Mesh:
    """What a file says over what is ``given``. It is read once; a change takes a restart.

    The file holds a MeshConfig, or a ConfigMap with one under ``mesh`` as Istio's is. Raises
    MeshConfigError rather than to leave out a part, because a provider that is left out denies.
    """
    try:
        document = yaml.safe_load(path.read_text())
        if isinstance(document, dict) and document.get("kind") == "ConfigMap":
            document = yaml.safe_load(_data(document))
    except yaml.MarkedYAMLError as problem:
        line = f":{problem.problem_mark.line + 1}" if problem.problem_mark else ""
        raise MeshConfigError(f"{path}{line}: is no valid YAML: {problem.problem}") from None
    except (OSError, UnicodeError, yaml.YAMLError) as problem:
        raise MeshConfigError(f"{path}: {problem}") from None
    config = read_mesh_config(document, given)
    if config.problems:
        lines = (f"{path}: {each.path} {each.reason}. {each.fix}" for each in config.problems)
        raise MeshConfigError("\n".join(lines))
    return config.mesh


def _data(config_map: dict[str, Any]) -> str:
    data = config_map.get("data")
    text = data.get("mesh") if isinstance(data, dict) else None
    if not isinstance(text, str):
        raise MeshConfigError("the ConfigMap has no data.mesh")
    return text
