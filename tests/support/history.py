"""Random changes of a cluster's services, what was told of them, and whether the two agree."""

import random
from itertools import pairwise

from tests.support.following import Following, port_of, service
from tests.support.kubeapi import KubeApi
from translators.resources.metadata import ObjectKey

SERVICES = ("", "services")  # as the store of the API server files them


class History:
    """Writes at random, and notes every state that any object ever had."""

    def __init__(self, api: KubeApi) -> None:
        self._api = api
        self.ever: set[tuple[str, str, object]] = set()

    def write(self, chance: random.Random) -> None:
        """Make, change or remove one of a few services."""
        name = chance.choice("abcdefgh")
        exists = self._api.store.get(SERVICES, ("default", name)) is not None
        if exists and chance.random() < 0.3:
            self._api.remove(service(name))
        else:
            self._api.put(service(name, port=chance.randrange(1, 65536)))
        self.ever |= self.now()

    def now(self) -> set[tuple[str, str, object]]:
        """The states of all services, as they are now in the cluster."""
        return {
            (one["metadata"]["name"], one["metadata"]["uid"], one["spec"]["ports"][0]["port"])
            for one in self._api.store.all(SERVICES)
        }


def told(follow: Following) -> set[tuple[str, str, object]]:
    """Every state that was told of any object."""
    values = [change.value for change in follow.changes if change.value is not None]
    return {(value.meta.name, value.meta.uid, port_of(value)) for value in values}


def world(follow: Following) -> set[tuple[str, str, object]]:
    """The states of all services, as they are now to whoever follows."""
    values = follow.objects.values()
    return {(value.meta.name, value.meta.uid, port_of(value)) for value in values}


def repeated(follow: Following) -> list[bool]:
    """For each change, whether it says the same as the one before of that object."""
    by_key: dict[ObjectKey, list[object]] = {}
    for change in follow.changes:
        by_key.setdefault(change.key, []).append(change.value)
    return [first == second for told in by_key.values() for first, second in pairwise(told)]
