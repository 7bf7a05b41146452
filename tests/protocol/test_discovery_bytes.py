"""Requests and responses against betterproto's own reading of them, and against garbage."""

import contextlib
import json

import pytest
from envoy_data_plane.envoy.config.core.v3 import BuildVersion, Extension, Locality
from envoy_data_plane.envoy.config.core.v3 import Node as NodeMessage
from envoy_data_plane.envoy.service.discovery.v3 import (
    DeltaDiscoveryRequest,
    DeltaDiscoveryResponse,
    DiscoveryRequest,
    DiscoveryResponse,
)
from envoy_data_plane.envoy.type.v3 import SemanticVersion
from envoy_data_plane.google.protobuf import Struct
from envoy_data_plane.google.rpc import Status
from hypothesis import given
from hypothesis import strategies as st

from tests.protocol.worlds import CLUSTER, resource
from translators.wire.discovery import (
    MAX_ERROR_CHARACTERS,
    MAX_NAME_BYTES,
    MAX_NAMES,
    DeltaRequest,
    MalformedRequest,
    RequestError,
    delta_response,
    parse_node,
    read_delta_request,
    read_sotw_request,
    sotw_response,
)
from translators.wire.fields import read_entry
from translators.wire.resource import TypeUrl
from translators.wire.scalar import delimit

text = st.text(max_size=40)
texts = st.lists(text, max_size=6)
errors = st.none() | st.builds(RequestError, st.integers(0, 2**31 - 1), text)
nodes = st.none() | st.builds(NodeMessage, id=text, cluster=text)
json_values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=10,
)


def status(error: RequestError | None) -> Status | None:
    return error and Status(code=error.code, message=error.message)


@given(text, text, texts, texts, st.dictionaries(text, text, max_size=5), errors, nodes)
def test_delta_request_reads_as_betterproto_wrote_it(
    type_url: str,
    nonce: str,
    more: list[str],
    less: list[str],
    versions: dict[str, str],
    error: RequestError | None,
    node: NodeMessage | None,
) -> None:
    message = DeltaDiscoveryRequest(
        node=node,
        type_url=type_url,
        response_nonce=nonce,
        resource_names_subscribe=more,
        resource_names_unsubscribe=less,
        initial_resource_versions=versions,
        error_detail=status(error),
    )
    request = read_delta_request(bytes(message))
    assert (request.type_url, request.nonce) == (type_url, nonce)
    assert (request.subscribe, request.unsubscribe) == (tuple(more), tuple(less))
    assert (request.initial_versions, request.error) == (versions, error)
    assert request.node == (None if node is None else bytes(node))


@given(text, text, text, texts, errors, nodes)
def test_sotw_request_reads_as_betterproto_wrote_it(
    type_url: str,
    version: str,
    nonce: str,
    names: list[str],
    error: RequestError | None,
    node: NodeMessage | None,
) -> None:
    message = DiscoveryRequest(
        version_info=version,
        node=node,
        type_url=type_url,
        response_nonce=nonce,
        resource_names=names,
        error_detail=status(error),
    )
    request = read_sotw_request(bytes(message))
    assert (request.type_url, request.version, request.nonce) == (type_url, version, nonce)
    assert (request.names, request.error) == (tuple(names), error)
    assert request.node == (None if node is None else bytes(node))


@given(st.sampled_from(TypeUrl), text | st.text("0123456789"), st.binary(max_size=8), st.data())
def test_an_acknowledgement_reads_as_any_other_request_does(
    type_url: TypeUrl, nonce: str, more: bytes, data: st.DataObject
) -> None:
    whole = bytes(DeltaDiscoveryRequest(type_url=type_url.value, response_nonce=nonce)) + more
    cut = whole[: data.draw(st.integers(0, len(whole)))]
    ignored_field = b"\x78\x00"
    for request in (whole, cut):
        assert outcome(request) == outcome(ignored_field + request)


def outcome(request: bytes) -> DeltaRequest | None:
    """What is read, None if it is refused."""
    try:
        return read_delta_request(request)
    except MalformedRequest:
        return None


@given(text | st.text(min_size=120), text | st.text(min_size=120), st.data())
def test_a_short_entry_reads_as_any_other_does(key: str, value: str, data: st.DataObject) -> None:
    entry = b"\x0a" + delimit(key.encode()) + b"\x12" + delimit(value.encode())
    cut = entry[: data.draw(st.integers(0, len(entry)))]
    ignored_field = b"\x78\x00"
    for whole in (entry, cut, entry + ignored_field, entry + entry):
        assert entry_of(whole) == entry_of(ignored_field + whole)
    assert entry_of(entry) == (key, value.encode())


def entry_of(payload: bytes) -> tuple[str, bytes] | None:
    """What is read, None if it is refused."""
    try:
        return read_entry(payload)
    except MalformedRequest:
        return None


@given(st.integers(0, 3 * MAX_ERROR_CHARACTERS))
def test_of_a_long_complaint_both_ends_are_kept(size: int) -> None:
    words = f"first{'é' * size}last"
    message = DeltaDiscoveryRequest(type_url=CLUSTER.value, error_detail=Status(message=words))
    error = read_delta_request(bytes(message)).error
    assert error is not None
    if len(words) <= MAX_ERROR_CHARACTERS:
        assert error.message == words
    else:
        assert len(error.message) == MAX_ERROR_CHARACTERS
        assert error.message.startswith("first")
        assert error.message.endswith("last")


@given(st.binary(max_size=200))
def test_garbage_is_refused_or_read_but_never_crashes(data: bytes) -> None:
    for read in (read_delta_request, read_sotw_request, parse_node):
        with contextlib.suppress(MalformedRequest):
            read(data)


@given(st.data())
def test_a_cut_request_is_refused_or_read_but_never_crashes(data: st.DataObject) -> None:
    whole = bytes(
        DeltaDiscoveryRequest(
            type_url=CLUSTER.value,
            resource_names_subscribe=["a", "b"],
            initial_resource_versions={"a": "1"},
            error_detail=Status(code=3, message="x"),
        )
    )
    cut = whole[: data.draw(st.integers(0, len(whole)))]
    with contextlib.suppress(MalformedRequest):
        read_delta_request(cut)


@pytest.mark.parametrize("excess", [0, 1, 9 * MAX_NAMES])
def test_names_are_bounded(excess: int) -> None:
    wire = bytes(DeltaDiscoveryRequest(type_url="t", resource_names_subscribe=["n"])) + bytes(
        DiscoveryRequest(resource_names=["n"])
    ) * (MAX_NAMES - 1 + excess)
    if excess:
        with pytest.raises(MalformedRequest):
            read_delta_request(wire)
    else:
        assert len(read_delta_request(wire).subscribe) == MAX_NAMES


@pytest.mark.parametrize("name", ["n" * (MAX_NAME_BYTES + 1), "é" * (MAX_NAME_BYTES // 2 + 1)])
def test_the_length_of_a_name_is_bounded(name: str) -> None:
    wire = bytes(DiscoveryRequest(resource_names=[name]))
    with pytest.raises(MalformedRequest):
        read_sotw_request(wire)
    assert read_sotw_request(bytes(DiscoveryRequest(resource_names=["n" * MAX_NAME_BYTES])))


@given(st.dictionaries(text, json_values, max_size=4), text, text)
def test_node_reads_as_betterproto_wrote_it(
    metadata: dict[str, object], node_id: str, cluster: str
) -> None:
    version = BuildVersion(version=SemanticVersion(major_number=1, minor_number=40, patch=0))
    message = NodeMessage(
        id=node_id,
        cluster=cluster,
        metadata=Struct.from_dict(json.loads(json.dumps(metadata))),
        user_agent_name="envoy",
        user_agent_build_version=version,
        extensions=[Extension(name="envoy.filters.http.router")],
        locality=Locality(region=cluster, zone=node_id, sub_zone="rack"),
    )
    node = parse_node(bytes(message))
    assert (node.id, node.cluster, node.metadata) == (node_id, cluster, metadata)
    assert (node.user_agent_name, node.user_agent_version) == ("envoy", "1.40.0")
    assert (node.region, node.zone) == (cluster, node_id)


def test_metadata_nested_too_deep_is_refused() -> None:
    value: dict[str, object] = {}
    for _ in range(40):
        value = {"a": value}
    with pytest.raises(MalformedRequest):
        parse_node(bytes(NodeMessage(metadata=Struct.from_dict(value))))


resources = st.lists(
    st.builds(resource, st.just(CLUSTER), st.text(min_size=1, max_size=300), text), max_size=5
)


@given(resources, text, texts)
def test_delta_response_is_what_betterproto_would_write(
    carried: list, nonce: str, removed: list[str]
) -> None:
    body = delta_response(CLUSTER, nonce, carried, removed)
    message = DeltaDiscoveryResponse.parse(body)
    assert (message.type_url, message.nonce) == (CLUSTER, nonce)
    assert message.removed_resources == removed
    assert [
        (r.name, r.version, r.resource.type_url, r.resource.value) for r in message.resources
    ] == [(r.key.name, r.version, CLUSTER, r.body) for r in carried]
    if nonce and all(r.version for r in carried):
        assert bytes(message) == body


@given(resources, st.text(min_size=1, max_size=40), st.text(min_size=1, max_size=40))
def test_sotw_response_is_what_betterproto_would_write(
    carried: list, nonce: str, version: str
) -> None:
    body = sotw_response(CLUSTER, nonce, version, carried)
    message = DiscoveryResponse.parse(body)
    assert (message.type_url, message.nonce, message.version_info) == (CLUSTER, nonce, version)
    assert [(r.type_url, r.value) for r in message.resources] == [
        (CLUSTER, r.body) for r in carried
    ]
    assert bytes(message) == body
