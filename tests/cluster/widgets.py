"""A custom resource that has one of everything: defaults, lists that are maps, rules, a status."""

import asyncio
from typing import Any

from tests.cluster.conftest import Kube

GROUP = "contract.waypost.test"
NAME = f"widgets.{GROUP}"
VERSION = f"{GROUP}/v1"
_ESTABLISH_S = 20.0
_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"

_SPEC = {
    "type": "object",
    "required": ["size"],
    "properties": {
        "size": {"type": "integer", "minimum": 1, "maximum": 10},
        "color": {"type": "string", "default": "red"},
        "class": {
            "type": "string",
            "x-kubernetes-validations": [
                {"rule": "self == oldSelf", "message": "class is immutable"}
            ],
        },
        "parts": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
            "items": {
                "type": "object",
                "required": ["name"],
                "properties": {
                    "name": {"type": "string"},
                    "weight": {"type": "integer"},
                    "unit": {"type": "string"},
                },
            },
        },
    },
    "x-kubernetes-validations": [
        {"rule": "self.color != 'pink' || self.size > 5", "message": "small is never pink"}
    ],
}
CRD: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": NAME},
    "spec": {
        "group": GROUP,
        "scope": "Namespaced",
        "names": {
            "kind": "Widget",
            "listKind": "WidgetList",
            "plural": "widgets",
            "singular": "widget",
        },
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": _SPEC,
                            "status": {
                                "type": "object",
                                "properties": {"phase": {"type": "string"}},
                            },
                        },
                    }
                },
            }
        ],
    },
}


def widget(name: str, **spec: Any) -> dict[str, Any]:
    """A valid Widget with more fields in its spec."""
    return {
        "apiVersion": VERSION,
        "kind": "Widget",
        "metadata": {"name": name},
        "spec": {"size": 3} | spec,
    }


def path(kube: Kube, name: str = "") -> str:
    """The path of the collection, or of a Widget."""
    return kube.group(VERSION, "widgets", name)


async def define(kube: Kube) -> None:
    """Define the kind and wait until the server says that it is served."""
    reply = await kube.client.create(_CRDS, CRD)
    assert reply.code in (201, 409), reply.body
    end = asyncio.get_running_loop().time() + _ESTABLISH_S
    while not await _is_established(kube):
        assert asyncio.get_running_loop().time() < end, "the kind is not served"
        await asyncio.sleep(0.05)


async def _is_established(kube: Kube) -> bool:
    reply = await kube.client.get(f"{_CRDS}/{NAME}")
    conditions = reply.body.get("status", {}).get("conditions", [])
    states = {each["type"]: each["status"] for each in conditions}
    served = await kube.client.get(path(kube))
    return states.get("Established") == "True" and served.code == 200
