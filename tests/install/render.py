"""Renders the chart; ``python -m tests.install.render`` writes what is kept of that.

``envoy/install.yaml`` is the chart with its own values, for people without Helm; ``full.yaml``
beside this file has everything switched on, so that tests see all of the chart without Helm.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
CHART = ROOT / "envoy" / "chart"
INSTALL = ROOT / "envoy" / "install.yaml"
FULL = Path(__file__).with_name("full.yaml")
NAMESPACE = "waypost-system"

_HEAD = f"""\
# waypost on a cluster, without Helm: the chart in envoy/chart with its own values, rendered by
# `make manifests`. The Secret waypost-ca is to be made beforehand; the README says how.
apiVersion: v1
kind: Namespace
metadata:
  name: {NAMESPACE}
  labels:
    pod-security.kubernetes.io/enforce: restricted
"""
_HELMS_OWN = re.compile(r"^ +(helm\.sh/chart|app\.kubernetes\.io/managed-by): .*\n", re.MULTILINE)


def find_helm() -> str | None:
    """The program: ``HELM`` in the environment, or the first in the path."""
    return shutil.which(os.environ.get("HELM") or "helm")


def helm(*arguments: str | Path) -> str:
    """What Helm prints. Raises LookupError if there is none, CalledProcessError if it fails."""
    program = find_helm()
    if program is None:
        raise LookupError("there is no helm: put it into the path, or name it in HELM")
    command = [program, *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def template(*options: str | Path) -> str:
    """The chart as a release ``waypost`` in its namespace, on a cluster that is recent."""
    where = ("--namespace", NAMESPACE, "--kube-version", "1.34.0")
    return helm("template", "waypost", CHART, *where, *options)


def install() -> str:
    """The content of ``envoy/install.yaml``."""
    return _HEAD + _HELMS_OWN.sub("", template())


def full() -> str:
    """The content of ``full.yaml``."""
    return template("--values", CHART / "ci" / "full-values.yaml")


if __name__ == "__main__":
    INSTALL.write_text(install())
    FULL.write_text(full())
