"""Finished resources: encoded, versioned by content, and of the type that they claim."""

import pytest
from envoy_data_plane.envoy.config.cluster.v3 import Cluster
from envoy_data_plane.envoy.config.route.v3 import FilterConfig, RouteConfiguration
from envoy_data_plane.google.protobuf import Any

from translators.ir.origin import Origin
from translators.wire import (
    ResourceKey,
    Snapshot,
    TypeUrl,
    content_version,
    finish,
    pack,
    unvalidated,
)
from translators.wire.reading import readable

ORIGIN = Origin("Service", "shop", "cart", "spec.ports[0]")
KEY = ResourceKey(TypeUrl.ENDPOINT, "cart")


def test_a_resource_holds_the_bytes_and_their_hash() -> None:
    with unvalidated():
        resource = finish(TypeUrl.CLUSTER, "cart", Cluster(name="cart"), [KEY, KEY], [ORIGIN])
    assert resource.key == ResourceKey(TypeUrl.CLUSTER, "cart")
    assert resource.body == bytes(Cluster(name="cart"))
    assert resource.version == content_version(resource.body)
    assert resource.requires == (KEY,)
    assert resource.origins == (ORIGIN,)


def test_equality_is_of_content() -> None:
    plain = finish(TypeUrl.CLUSTER, "cart", Cluster(name="cart"))
    assert plain == finish(TypeUrl.CLUSTER, "cart", Cluster(name="cart"), [KEY, KEY], [ORIGIN])
    changed = finish(TypeUrl.CLUSTER, "cart", Cluster(name="cart", alt_stat_name="c"))
    assert plain != changed
    assert plain.version != changed.version


def test_versions_are_the_same_in_every_process() -> None:
    assert content_version(b"waypost") == "8d8987b79e06cf39695393d975772f17"


def test_a_message_of_another_type_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'cart': .*Cluster is not .*Listener"):
        finish(TypeUrl.LISTENER, "cart", Cluster())


def test_a_snapshot_finds_resources_by_type_and_name() -> None:
    old = finish(TypeUrl.CLUSTER, "cart", Cluster(name="cart"))
    new = finish(TypeUrl.CLUSTER, "cart", Cluster(name="cart", alt_stat_name="c"))
    snapshot = Snapshot.of([old, new])
    assert snapshot.get(new.key) is new
    assert snapshot.of_type(TypeUrl.CLUSTER) == {"cart": new}
    assert snapshot.of_type(TypeUrl.ROUTE) == {}
    assert snapshot.get(KEY) is None


def test_an_any_of_nothing_is_written_as_envoy_reads_it() -> None:
    """Envoy refuses one whose ``@type`` is empty."""
    with unvalidated():
        met = pack(FilterConfig(config=Any()))
        table = RouteConfiguration(name="cart", typed_per_filter_config={"cors": met})
        shown = readable(finish(TypeUrl.ROUTE, "cart", table))
    (settings,) = shown["typed_per_filter_config"].values()
    assert settings["config"] == {}
