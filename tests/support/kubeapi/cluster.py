"""What the server does with objects: create, update, patch, delete, and what follows from that."""

import secrets
import string
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tests.support.kubeapi import ownership
from tests.support.kubeapi.admission import Admission, check_type, check_version
from tests.support.kubeapi.errors import ApiError, already_exists, conflict, not_found
from tests.support.kubeapi.kinds import BUILT_IN, CRD_KIND, NAMESPACES, Kind, kind_of_crd
from tests.support.kubeapi.ownership import Manager
from tests.support.kubeapi.patches import apply_patch
from tests.support.kubeapi.store import Object, ObjectName, Store, name_of

_KEPT = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "name")


@dataclass(frozen=True)
class Write:
    """How an object is written, besides the object itself. ``subresource`` is "" or "status"."""

    kind: Kind
    version: str
    namespace: str
    manager: str
    subresource: str = ""
    strict: bool = False
    dry_run: bool = False

    def as_manager(self, operation: str) -> Manager:
        api_version = self.kind.api_version(self.version)
        return Manager(self.manager, operation, self.subresource, api_version)

    @property
    def schema(self) -> Any:
        return self.kind.schemas[self.version]


class Cluster:
    """All kinds and objects, and the rules for them."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.kinds: dict[tuple[str, str], Kind] = {kind.key: kind for kind in BUILT_IN}
        self._admission = Admission()
        for name in ("default", "kube-system", "kube-public", "kube-node-lease"):
            manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            self.create(Write(NAMESPACES, "v1", "", "kube-apiserver"), manifest)

    def get(self, kind: Kind, namespace: str, name: str) -> Object:
        """Raises ``ApiError`` 404."""
        found = self.store.get(kind.key, (namespace, name))
        if found is None:
            raise not_found(kind.full_name, name)
        return found

    def create(self, write: Write, body: object) -> Object:
        """Raises ``ApiError``."""
        value = check_type(body, write.kind, write.version)
        if value["metadata"].get("resourceVersion"):
            raise ApiError(400, "BadRequest", "resourceVersion should not be set on new objects")
        return self._create(write, value)

    def _create(self, write: Write, value: Object, *, tracked: bool = False) -> Object:
        kind = write.kind
        value = self._with_new_metadata(write, value)
        self._check_namespace(write, value)
        if self.store.get(kind.key, name_of(value)) is not None:
            raise already_exists(kind.full_name, value["metadata"]["name"])
        if kind.has_status:
            value.pop("status", None)
        admitted = self._admission.admit(value, kind, write.version, None, strict=write.strict)
        if not tracked:
            manager = write.as_manager("Update")
            admitted = ownership.track_update(None, admitted, manager, write.schema)
        if write.dry_run:
            return admitted
        stored = self.store.put(kind.key, admitted)
        if kind is CRD_KIND:
            self._establish(stored)
        return stored

    def _with_new_metadata(self, write: Write, value: Object) -> Object:
        metadata = dict(value["metadata"])
        for name in ("resourceVersion", "selfLink", "deletionTimestamp"):
            metadata.pop(name, None)
        if not metadata.get("name") and metadata.get("generateName"):
            letters = string.ascii_lowercase + string.digits
            tail = "".join(secrets.choice(letters) for _ in range(5))
            metadata["name"] = f"{metadata['generateName']}{tail}"
        if not metadata.get("name"):
            raise ApiError(422, "Invalid", f"{write.kind.kind}: name or generateName is required")
        metadata["uid"] = str(uuid.uuid4())
        metadata["creationTimestamp"] = _now()
        if write.kind.counts_generation:
            metadata["generation"] = 1
        return {**value, "metadata": metadata}

    def _check_namespace(self, write: Write, value: Object) -> None:
        metadata = value["metadata"]
        if not write.kind.namespaced:
            metadata.pop("namespace", None)
            return
        if metadata.setdefault("namespace", write.namespace) != write.namespace:
            raise ApiError(
                400, "BadRequest", "the namespace of the object is not that of the request"
            )
        namespace = self.get(NAMESPACES, "", write.namespace)
        if namespace["metadata"].get("deletionTimestamp"):
            message = f"namespace {write.namespace} is being terminated"
            raise ApiError(403, "Forbidden", message)

    def update(self, write: Write, name: str, body: object) -> Object:
        """Replace an object, or its status. Raises ``ApiError``."""
        old = self.get(write.kind, write.namespace, name)
        new = check_type(body, write.kind, write.version)
        check_version(new, write.kind, old)
        return self._update(write, old, new)

    def patch(self, write: Write, name: str, content_type: str, patch: object) -> Object:
        """Patch an object, or its status. Raises ``ApiError``."""
        old = self.get(write.kind, write.namespace, name)
        seen = {**old, "apiVersion": write.kind.api_version(write.version)}
        new = check_type(
            apply_patch(content_type, seen, patch, write.schema), write.kind, write.version
        )
        if new["metadata"].get("resourceVersion") != old["metadata"]["resourceVersion"]:
            check_version(new, write.kind, old)
        return self._update(write, old, new)

    def apply(self, write: Write, name: str, body: object, *, force: bool) -> tuple[Object, bool]:
        """Server-side apply; the second result tells whether it was created."""
        config = check_type(body, write.kind, write.version)
        if config["metadata"].setdefault("name", name) != name:
            raise ApiError(400, "BadRequest", "the name of the object is not that of the request")
        if config["metadata"].get("managedFields"):
            raise ApiError(400, "BadRequest", "metadata.managedFields must be nil")
        live = self.store.get(write.kind.key, (write.namespace, name))
        if live is None and write.subresource:
            raise not_found(write.kind.full_name, name)
        manager = write.as_manager("Apply")
        if write.kind.has_status and not write.subresource:
            config.pop("status", None)
        if live is None:
            owned = ownership.apply(None, config, manager, write.schema, force=force)
            return self._create(write, owned, tracked=True), True
        if config["metadata"].get("resourceVersion"):
            check_version(config, write.kind, live)
        if write.subresource:
            config = {n: config[n] for n in ("apiVersion", "kind", "status") if n in config}
            config["metadata"] = {"name": name}
        applied = ownership.apply(live, config, manager, write.schema, force=force)
        return self._update(write, live, applied, tracked=True), False

    def _update(self, write: Write, old: Object, new: Object, *, tracked: bool = False) -> Object:
        kind = write.kind
        given_uid = new["metadata"].get("uid")
        if given_uid and given_uid != old["metadata"]["uid"]:
            why = f"Precondition failed: UID in precondition: {given_uid}"
            raise conflict(kind.full_name, old["metadata"]["name"], why)
        new = _split_status(write, old, new)
        new = {**new, "metadata": _kept_metadata(old, new)}
        new = self._admission.admit(new, kind, write.version, old, strict=write.strict)
        if not tracked:
            new = ownership.track_update(old, new, write.as_manager("Update"), write.schema)
        if kind.counts_generation and _counted(kind, old) != _counted(kind, new):
            new["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1
        if _is_same(old, new) or write.dry_run:
            return old if _is_same(old, new) else new
        return self._store_update(kind, new)

    def _store_update(self, kind: Kind, new: Object) -> Object:
        stored = self.store.put(kind.key, new)
        if kind is CRD_KIND:
            self._serve(stored)
        metadata = stored["metadata"]
        if metadata.get("deletionTimestamp") and not metadata.get("finalizers"):
            self._remove(kind, name_of(stored))
        return stored

    def delete(self, kind: Kind, namespace: str, name: str, options: dict[str, Any]) -> Object:
        """Delete an object, or mark it if it has finalizers: then the object, else a Status."""
        old = self.get(kind, namespace, name)
        _check_preconditions(kind, old, options.get("preconditions") or {})
        if options.get("dryRun"):
            return _deleted(kind, old)
        if options.get("propagationPolicy") == "Orphan":
            self._orphan(old)
        if kind.key == NAMESPACES.key:
            return self._terminate(old)
        if not old["metadata"].get("finalizers"):
            self._remove(kind, name_of(old))
            return _deleted(kind, old)
        return self._mark_deleted(kind, old)

    def _mark_deleted(self, kind: Kind, old: Object) -> Object:
        if old["metadata"].get("deletionTimestamp"):
            return old
        metadata = {**old["metadata"], "deletionTimestamp": _now(), "deletionGracePeriodSeconds": 0}
        if "generation" in metadata:
            metadata["generation"] += 1
        return self.store.put(kind.key, {**old, "metadata": metadata})

    def _remove(self, kind: Kind, name: ObjectName) -> None:
        removed = self.store.remove(kind.key, name)
        if kind is CRD_KIND:
            self._unserve(kind_of_crd(removed))
        self._collect_garbage(removed["metadata"]["uid"])
        self._finish_namespace(name[0])

    def _collect_garbage(self, uid: str) -> None:
        """Delete what has no other owner left."""
        for key, (namespace, name), each in self.store.everything():
            owners = each["metadata"].get("ownerReferences") or []
            left = [owner for owner in owners if owner.get("uid") != uid]
            if owners and not left and len(left) < len(owners):
                self.delete(self.kinds[key], namespace, name, {})
            elif len(left) < len(owners):
                metadata = {**each["metadata"], "ownerReferences": left}
                self.store.put(key, {**each, "metadata": metadata})

    def _orphan(self, owner: Object) -> None:
        for key, _, each in self.store.everything():
            owners = each["metadata"].get("ownerReferences") or []
            left = [o for o in owners if o.get("uid") != owner["metadata"]["uid"]]
            if len(left) < len(owners):
                metadata = {**each["metadata"], "ownerReferences": left}
                self.store.put(key, {**each, "metadata": metadata})

    def _terminate(self, namespace: Object) -> Object:
        name = namespace["metadata"]["name"]
        marked = self._mark_deleted(NAMESPACES, namespace)
        marked = self.store.put(NAMESPACES.key, {**marked, "status": {"phase": "Terminating"}})
        for key, (owner, each), _ in self.store.everything():
            if owner == name and self.store.get(key, (owner, each)) is not None:
                self.delete(self.kinds[key], owner, each, {})
        self._finish_namespace(name)
        return marked

    def _finish_namespace(self, name: str) -> None:
        namespace = self.store.get(NAMESPACES.key, ("", name))
        if not namespace or not namespace["metadata"].get("deletionTimestamp"):
            return
        if not any(owner == name for _, (owner, _), _ in self.store.everything()):
            self.store.remove(NAMESPACES.key, ("", name))

    def _serve(self, crd: Object) -> None:
        kind = kind_of_crd(crd)
        self.kinds[kind.key] = kind
        self._admission.learn(crd, kind)

    def _establish(self, crd: Object) -> None:
        self._serve(crd)
        reasons = {"NamesAccepted": "NoConflicts", "Established": "InitialNamesAccepted"}
        conditions = [
            {"type": t, "status": "True", "reason": reason, "lastTransitionTime": _now()}
            for t, reason in reasons.items()
        ]
        names = crd["spec"]["names"]
        status = {
            "acceptedNames": names,
            "conditions": conditions,
            "storedVersions": [v["name"] for v in crd["spec"]["versions"] if v["storage"]],
        }
        self.store.put(CRD_KIND.key, {**crd, "status": status})

    def _unserve(self, kind: Kind) -> None:
        for each in self.store.all(kind.key):
            self.store.remove(kind.key, name_of(each))
        del self.kinds[kind.key]


def _split_status(write: Write, old: Object, new: Object) -> Object:
    """A write to an object leaves its status alone, and one to its status leaves the rest alone."""
    if write.subresource == "status":
        metadata = {**old["metadata"], "managedFields": new["metadata"].get("managedFields", [])}
        kept = {**old, "apiVersion": new["apiVersion"], "metadata": metadata}
        kept.pop("status", None)
        return kept | ({"status": new["status"]} if "status" in new else {})
    if write.kind.has_status:
        kept = {name: child for name, child in new.items() if name != "status"}
        return kept | ({"status": old["status"]} if "status" in old else {})
    return new


def _kept_metadata(old: Object, new: Object) -> dict[str, Any]:
    kept = {name: old["metadata"][name] for name in _KEPT if name in old["metadata"]}
    namespace = old["metadata"].get("namespace")
    kept |= {"namespace": namespace} if namespace else {}
    if "generation" in old["metadata"]:
        kept["generation"] = old["metadata"]["generation"]
    return {**new["metadata"], **kept, "resourceVersion": old["metadata"]["resourceVersion"]}


def _counted(kind: Kind, value: Object) -> Object:
    """What a change of counts as a new generation."""
    left_out = {"metadata", "apiVersion"} | ({"status"} if kind.has_status else set())
    return {name: child for name, child in value.items() if name not in left_out}


def _is_same(old: Object, new: Object) -> bool:
    def without_times(value: Object) -> Object:
        entries = value["metadata"].get("managedFields") or []
        timeless = sorted(
            ({**e, "time": ""} for e in entries), key=lambda e: (e["manager"], e["operation"])
        )
        metadata = {**value["metadata"], "managedFields": timeless}
        return {**value, "apiVersion": "", "metadata": metadata}

    return without_times(old) == without_times(new)


def _check_preconditions(kind: Kind, old: Object, preconditions: dict[str, str]) -> None:
    for name, wanted in preconditions.items():
        if wanted and old["metadata"].get(name) != wanted:
            why = f"Precondition failed: {name} in precondition: {wanted}"
            raise conflict(kind.full_name, old["metadata"]["name"], why)


def _deleted(kind: Kind, old: Object) -> Object:
    metadata = old["metadata"]
    details = {"name": metadata["name"], "kind": kind.plural, "uid": metadata["uid"]}
    if kind.group:
        details["group"] = kind.group
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": details,
    }


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
