"""Every golden case is accepted by a real Envoy."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from betterproto2 import Message
from envoy_data_plane.message_pool import default_message_pool

from tests.golden.case import all_cases, compiled, resources
from tests.support.envoyproc import validate
from tests.support.static import bootstrap_of
from translators.wire import Resource


@pytest.mark.timeout(300)
def test_every_case_is_accepted():
    translated = ([*resources(compiled(case.changes())).values()] for case in all_cases())
    with ThreadPoolExecutor(2) as workers:
        refusals = dict(zip(all_cases(), workers.map(refusal, translated), strict=True))
    assert len(refusals) > 30
    assert {case.name: said for case, said in refusals.items() if said} == {}


def refusal(waypoints: Sequence[Sequence[Resource]]) -> str:
    """What Envoy says against what a case's waypoints get, empty if nothing."""
    return "".join(validate(bootstrap_of(map(decoded, each))) or "" for each in waypoints)


def decoded(resource: Resource) -> tuple[str, Message]:
    message_class = default_message_pool.url_to_type[resource.key.type_url]
    return resource.key.type_url, message_class.parse(resource.body)
