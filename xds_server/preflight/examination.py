"""All questions, in an order in which each makes sense only if those before had an answer."""

from collections.abc import Awaitable, Iterator
from dataclasses import dataclass
from pathlib import Path

from xds_server.preflight.access import check_access
from xds_server.preflight.api_server import check_api_server
from xds_server.preflight.certificates import check_folder, check_secret
from xds_server.preflight.definitions import check_definitions
from xds_server.preflight.replicas import check_replicas
from xds_server.preflight.report import Outcome, Section, error, worst
from xds_server.sources.kubernetes.transport import TransportError
from xds_server.status.objects import Objects, Refused


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be looked at.

    The control plane is the release ``name`` in ``namespace``. ``account`` is the service account
    (``namespace/name``) whose permissions are asked for, empty for our own. ``ca_dir`` is looked at
    in place of the Secret ``ca_secret``. ``before`` the installation nothing runs yet.
    """

    namespace: str
    name: str
    account: str = ""
    ca_secret: str = ""
    ca_dir: Path | None = None
    before: bool = False


async def examine(objects: Objects, asked: Asked) -> tuple[Section, ...]:
    """Ask everything. Raises nothing for what the cluster answers, or doesn't."""
    first = await check_api_server(objects.transport)
    if worst((first,)) is Outcome.ERROR:
        return (first,)
    found = [first]
    for name, asking in _questions(objects, asked):
        try:
            found.append(await asking)
        except (Refused, TransportError) as failure:
            hint = "See whether kubectl can do it with the same kubeconfig and context."
            found.append(Section(name, (error("can be asked about", str(failure), hint),)))
    return tuple(found)


def _questions(objects: Objects, asked: Asked) -> Iterator[tuple[str, Awaitable[Section]]]:
    yield "custom-resources", check_definitions(objects)
    if not asked.before:
        yield "access", check_access(objects, asked.namespace, asked.account)
    if asked.ca_dir is not None:
        yield "certificates", _folder(asked.ca_dir)
    else:
        yield "certificates", check_secret(objects, asked.namespace, asked.ca_secret)
    if not asked.before:
        yield "control-plane", check_replicas(objects, asked.namespace, asked.name)


async def _folder(directory: Path) -> Section:
    return check_folder(directory)
