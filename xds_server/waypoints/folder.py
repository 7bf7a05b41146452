"""The waypoints of a folder of manifests, which are as ready as they would be in a cluster."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from translators.compiler import Compiler
from translators.gateway_api.binding import HBONE_PORT, WAYPOINT_CLASS
from translators.gateway_api.labels import USE_WAYPOINT, WAYPOINT_FOR
from translators.ir.condition import Condition
from translators.ir.waypoint import Mesh, TrafficType, WaypointName
from translators.resources.core import Namespace
from translators.resources.gateway import Gateway, GatewayClass
from translators.resources.metadata import KubernetesObject, ObjectKey
from translators.world import Change
from xds_server.sources.folder import Loaded, load_folder
from xds_server.waypoints.files import ManifestFiles
from xds_server.waypoints.manifest import (
    LISTENER,
    REVISION,
    WaypointError,
    WaypointSpec,
    manifest,
)
from xds_server.waypoints.place import UNTOLD, Found, Programmed
from xds_server.waypoints.yaml_edit import insert_first


@dataclass(frozen=True, slots=True)
class Folder:
    """A place (``Place``): a folder of manifests, or a file. Nothing in it changes by itself."""

    path: Path
    mesh: Mesh
    changes_by_itself: bool = field(default=False, init=False)

    async def gateways(self, namespace: str | None) -> list[Found]:
        """The Gateways of a namespace, or all, ordered by namespace and name."""
        objects = self.load().objects
        programmed = _programmed(objects, self.mesh)
        classes = {one.meta.name: one for one in objects if isinstance(one, GatewayClass)}
        found = (
            _found(one, classes.get(one.class_name), programmed.get(one.key, UNTOLD))
            for one in objects
            if isinstance(one, Gateway) and namespace in (None, one.meta.namespace)
        )
        return sorted(found, key=lambda one: one.name)

    async def gateway(self, name: WaypointName) -> Found | None:
        """One Gateway, if it is there."""
        return next((one for one in await self.gateways(name.namespace) if one.name == name), None)

    async def namespace_labels(self, name: str) -> Mapping[str, str] | None:
        """The labels of a namespace, None if no manifest of it is there."""
        objects = self.load().objects
        found = (one for one in objects if isinstance(one, Namespace) and one.meta.name == name)
        return next((one.meta.labels for one in found), None)

    async def apply(self, spec: WaypointSpec) -> None:
        """Edit the Gateway where it is, else write a file. Labels that were there stay."""
        namespace, name = spec.name

        def edit(document: Any) -> None:
            _edit_gateway(document, spec)

        if not self._files().edit(_key(spec.name), edit):
            self._files().add(manifest(spec), (name, f"{namespace}-{name}", f"{name}-gateway"))

    async def enrol(self, waypoint: WaypointName) -> None:
        """Label the namespace where its manifest is."""
        key = ObjectKey(Namespace.kind, "", waypoint.namespace)

        def edit(document: Any) -> None:
            _set_labels(document, {USE_WAYPOINT: waypoint.name})

        if not self._files().edit(key, edit):
            raise WaypointError(f"namespace: {waypoint.namespace} not found")

    async def delete(self, name: WaypointName) -> bool:
        """Remove a Gateway, and the file if it was all that was in it."""
        return self._files().remove(_key(name))

    def load(self) -> Loaded:
        """All that is there, with all that is wrong with it. Raises ``WaypointError``."""
        self._files()
        return load_folder(self.path)

    def _files(self) -> ManifestFiles:
        if not self.path.exists():
            raise WaypointError(f"{self.path}: no such file or folder")
        return ManifestFiles(self.path)


def _key(name: WaypointName) -> ObjectKey:
    return ObjectKey(Gateway.kind, name.namespace, name.name)


def _programmed(objects: list[KubernetesObject], mesh: Mesh) -> Mapping[ObjectKey, Programmed]:
    """What would be said of each Gateway."""
    compiler = Compiler(mesh)
    compiler.apply(Change(found.key, found) for found in objects)
    return {
        ObjectKey(Gateway.kind, said.origin.namespace, said.origin.name): _told(said)
        for said in compiler.conditions()
        if (said.origin.kind, said.type, said.scope) == (Gateway.kind, "Programmed", "")
    }


def _told(said: Condition) -> Programmed:
    return Programmed("True" if said.status else "False", said.reason, said.message)


def _found(gateway: Gateway, its_class: GatewayClass | None, programmed: Programmed) -> Found:
    meta = gateway.meta
    default = (its_class.meta.labels.get(WAYPOINT_FOR) if its_class else "") or TrafficType.SERVICE
    return Found(
        WaypointName(meta.namespace, meta.name),
        gateway.class_name,
        meta.labels.get(REVISION, ""),
        meta.labels.get(WAYPOINT_FOR) or default,
        programmed,
    )


def _edit_gateway(document: Any, spec: WaypointSpec) -> None:
    """Make a Gateway what is asked for, and nothing more."""
    _set_labels(document, spec.labels)
    inner = document["spec"]
    if inner.get("gatewayClassName") != WAYPOINT_CLASS:
        insert_first(inner, "gatewayClassName", WAYPOINT_CLASS)
    listeners = inner.get("listeners") or []
    if not any(one.get("port") == HBONE_PORT for one in listeners):
        inner["listeners"] = [dict(LISTENER), *listeners]


def _set_labels(document: Any, labels: Mapping[str, str]) -> None:
    if not labels:
        return
    metadata = document["metadata"]
    if not metadata.get("labels"):
        insert_first(metadata, "labels", {})
    for key, value in labels.items():
        insert_first(metadata["labels"], key, value)
