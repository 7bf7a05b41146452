"""The ConfigMaps that say what users want to have otherwise.

They are named by Gateways, in any namespace, and hold no label to follow them by. Following all
ConfigMaps of a cluster for a few would be dear: those that are named are read again and again.
"""

import time
from collections.abc import Iterable, Mapping
from typing import Any

from translators.deployment import DEFAULTS_FOR_CLASS, InvalidParameters, Overlays, overlays
from translators.resources.gateway import Gateway, ParametersRef
from xds_server.status.objects import Manifest, Objects, Refused

AGAIN_S = 15.0
"""How long it may take until an edit counts."""

_Place = tuple[str, str]  # namespace and name of a ConfigMap


class Parameters:
    """The parameters of Gateways; ``namespace`` is where those for classes are."""

    def __init__(self, objects: Objects, namespace: str) -> None:
        self._objects = objects
        self._namespace = namespace
        self._named: dict[_Place, Manifest | str] = {}  # a text says why there is none
        self._defaults: dict[str, Manifest] = {}
        self._read_at = float("-inf")

    async def refresh(self, gateways: Iterable[Gateway]) -> None:
        """Read what these Gateways need, unless that was done a moment ago.

        Raises ``TransportError``, and ``Refused`` for the defaults of classes.
        """
        needed = {place for each in gateways if (place := _place(each)) is not None}
        is_old = time.monotonic() - self._read_at > AGAIN_S
        if not is_old and needed <= self._named.keys():
            return
        self._defaults = await self._read_defaults()
        self._named = {place: await self._read(place) for place in sorted(needed)}
        self._read_at = time.monotonic()

    def of(self, gateway: Gateway) -> Overlays:
        """What is wanted for a Gateway. Raises ``InvalidParameters``."""
        default = self._defaults.get(gateway.class_name)
        own = self._own(gateway)
        return overlays(each for each in (default, own) if each is not None)

    def _own(self, gateway: Gateway) -> Mapping[str, Any] | None:
        reference = gateway.infrastructure.parameters
        if reference is None:
            return None
        place = _place(gateway)
        if place is None:
            raise InvalidParameters(
                f"parametersRef names a {reference.kind}, and only a ConfigMap can be used"
            )
        found = self._named.get(place, "not read yet")
        if isinstance(found, str):
            raise InvalidParameters(f"ConfigMap {reference.name!r}: {found}")
        return found

    async def _read(self, place: _Place) -> Manifest | str:
        namespace, name = place
        try:
            return await self._objects.get(f"/api/v1/namespaces/{namespace}/configmaps/{name}")
        except Refused as refused:
            return "not found" if refused.code == 404 else str(refused)

    async def _read_defaults(self) -> dict[str, Manifest]:
        """By class; of several for one class the first by name counts."""
        path = f"/api/v1/namespaces/{self._namespace}/configmaps"
        found: dict[str, Manifest] = {}
        async for each in self._objects.all(path, {"labelSelector": DEFAULTS_FOR_CLASS}):
            found.setdefault(each["metadata"]["labels"][DEFAULTS_FOR_CLASS], each)
        return found


def _place(gateway: Gateway) -> _Place | None:
    match gateway.infrastructure.parameters:
        case ParametersRef(group="", kind="ConfigMap", name=name):
            return gateway.meta.namespace, name
        case _:
            return None
