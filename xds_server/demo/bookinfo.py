"""The manifests of the demo: a copy of examples/bookinfo that can be edited while it is served."""

import re
from dataclasses import dataclass
from pathlib import Path

from translators.resources.core import Pod, Service
from xds_server.sources.folder import load_folder

NAMESPACE = "bookinfo"
_PODS = "127.30.0."
_ROUTE, _POLICY = "httproute.yaml", "authorizationpolicy.yaml"
_READER = "sa/bookinfo-productpage"


@dataclass(frozen=True, slots=True)
class Bookinfo:
    """A folder of manifests, the running pods that they tell of, and the edits of the demo."""

    folder: Path

    @property
    def route(self) -> Path:
        """The file of the HTTPRoute."""
        return self.folder / _ROUTE

    @property
    def policy(self) -> Path:
        """The file of the AuthorizationPolicy."""
        return self.folder / _POLICY

    def pods(self) -> list[Pod]:
        """All pods, by name."""
        return [found for found in load_folder(self.folder).objects if isinstance(found, Pod)]

    def pod(self, app: str) -> Pod:
        """The first pod with that label ``app``. Raises LookupError."""
        return next(iter(pod for pod in self.pods() if pod.meta.labels.get("app") == app))

    def virtual_ip(self, service: str) -> str:
        """The cluster IP of a service. Raises LookupError."""
        services = (each for each in load_folder(self.folder).objects if isinstance(each, Service))
        return next(each.cluster_ips[0] for each in services if each.meta.name == service)


def find_examples() -> Path:
    """The folder of examples: in the checkout, or beside the installed package.

    Raises FileNotFoundError.
    """
    here = Path(__file__).resolve()
    for folder in (here.parents[2] / "examples", here.parent / "examples"):
        if (folder / NAMESPACE).is_dir():
            return folder
    raise FileNotFoundError("the folder examples/bookinfo is missing")


def copy_bookinfo(target: Path, network: str) -> Bookinfo:
    """Copy the manifests, with the pods moved to the /24 ``network`` (its first three numbers)."""
    target.mkdir()
    for source in sorted((find_examples() / NAMESPACE).glob("*.yaml")):
        (target / source.name).write_text(source.read_text().replace(_PODS, f"{network}."))
    return Bookinfo(target)


def with_weights(route: str, first: int, second: int) -> str:
    """The text of the route with other weights for its two weighted backends."""
    weights = iter((first, second))
    return re.sub(r"weight: \d+", lambda _: f"weight: {next(weights)}", route)


def without_reader(policy: str) -> str:
    """The text of the policy, with nobody in the place of productpage."""
    return policy.replace(_READER, "sa/nobody")


def replace_file(path: Path, text: str) -> None:
    """Put a new version of a file in place at once, as an editor or a mounted volume does."""
    draft = path.with_name(f".{path.name}.draft")
    draft.write_text(text)
    draft.replace(path)
