"""The kinds that are read: which of them the cluster has, and in which versions."""

from contextlib import suppress
from typing import Any

from translators.resources.gateway import GATEWAY_GROUP
from xds_server.preflight.report import Check, Section, error, warning
from xds_server.sources.kubernetes.kinds import RESOURCES, Resource
from xds_server.status.objects import Objects, Refused

_ISTIO_GROUPS = ("networking.istio.io", "security.istio.io")
_NEEDED = frozenset({"GatewayClass", "Gateway"})
_GATEWAY_CRD = (
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/gateways.gateway.networking.k8s.io"
)
_BUNDLE = "gateway.networking.k8s.io/bundle-version"
_CHANNEL = "gateway.networking.k8s.io/channel"


async def check_definitions(objects: Objects) -> Section:
    """By discovery, which everybody may ask. Raises ``TransportError``."""
    custom = [each for each in RESOURCES if each.group in (GATEWAY_GROUP, *_ISTIO_GROUPS)]
    served = {group: await _served(objects, group) for group in {one.group for one in custom}}
    judged = [_judge(each, served[each.group]) for each in custom]
    missing = [check for check in judged if check is not None]
    found = len(custom) - len(missing)
    summary = Check(f"{found} of {len(custom)} kinds are installed{await _bundle(objects)}")
    return Section("custom-resources", (summary, *missing))


async def _served(objects: Objects, group: str) -> dict[str, set[str]]:
    """The versions of a group, each with the plurals of its kinds; none if it isn't there."""
    versions: dict[str, set[str]] = {}
    with suppress(Refused):
        for entry in (await objects.get(f"/apis/{group}")).get("versions") or ():
            version = str(entry["version"])
            listed = await objects.get(f"/apis/{group}/{version}")
            versions[version] = {str(each["name"]) for each in listed.get("resources") or ()}
    return versions


def _judge(resource: Resource, served: dict[str, set[str]]) -> Check | None:
    """None if the kind can be read."""
    there = [version for version, plurals in served.items() if resource.plural in plurals]
    if set(there) & set(resource.versions):
        return None
    description = f"{resource.name} can be read"
    if there:
        known = ", ".join(resource.versions)
        reason = f"it is there in {', '.join(there)} only; known are {known}"
        return error(description, reason, "Install definitions that serve one of these.")
    hint = f"Install the definitions of {_project(resource)}."
    if resource.kind in _NEEDED:
        return error(description, "it is not installed", hint)
    return warning(description, "it is not installed", f"Nothing, or: {hint}")


def _project(resource: Resource) -> str:
    return "Istio" if resource.group.endswith("istio.io") else "the Gateway API"


async def _bundle(objects: Objects) -> str:
    """The release of the Gateway API, for those who may see that."""
    crd: dict[str, Any] = {}
    with suppress(Refused):
        crd = await objects.get(_GATEWAY_CRD)
    notes = crd.get("metadata", {}).get("annotations") or {}
    told = " ".join(filter(None, (notes.get(_BUNDLE), notes.get(_CHANNEL))))
    return f" (Gateway API {told})" if told else ""
