"""Resources with contents that need no Envoy to be told apart."""

from collections.abc import Iterable

from translators.ir.origin import Origin
from translators.wire.resource import Resource, ResourceKey, TypeUrl, content_version
from translators.wire.snapshot import Snapshot


def resource(type_url: TypeUrl, name: str, content: str = "1", *requires: ResourceKey) -> Resource:
    """A resource whose version depends on its name and content alone."""
    body = f"{name}={content}".encode()
    return Resource(
        ResourceKey(type_url, name),
        body,
        content_version(body),
        requires,
        (Origin("HTTPRoute", "shop", name),),
    )


def cluster(name: str, content: str = "1") -> Resource:
    return resource(TypeUrl.CLUSTER, name, content)


def route(name: str, content: str = "1") -> Resource:
    return resource(TypeUrl.ROUTE, name, content)


def listener(name: str, content: str = "1") -> Resource:
    return resource(TypeUrl.LISTENER, name, content)


def endpoint(name: str, content: str = "1") -> Resource:
    return resource(TypeUrl.ENDPOINT, name, content)


def secret(name: str, content: str = "1") -> Resource:
    return resource(TypeUrl.SECRET, name, content)


def snapshot(*resources: Resource) -> Snapshot:
    return Snapshot.of(resources)


def names(resources: Iterable[Resource]) -> list[str]:
    return sorted(each.key.name for each in resources)
