"""Every golden case is accepted by a real Envoy."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from betterproto2 import Message
from envoy_data_plane.message_pool import default_message_pool

from tests.golden.case import Case, all_cases, compiled, resources
from tests.support.envoyproc import validate
from tests.support.static import bootstrap_of
from translators.wire import Resource
from xds_server.trial.static import Json


@pytest.mark.timeout(300)
def test_every_case_is_accepted():
    # Here, not by the workers: no two threads may prepare a message class at once.
    configs = [[*bootstraps(case)] for case in all_cases()]
    with ThreadPoolExecutor(2) as workers:
        refusals = dict(zip(all_cases(), workers.map(refusal, configs), strict=True))
    assert len(refusals) > 30
    assert {case.name: said for case, said in refusals.items() if said} == {}


def bootstraps(case: Case) -> Iterator[Json]:
    """What each waypoint of a case gets."""
    for waypoint in resources(compiled(case.changes())).values():
        yield bootstrap_of(map(decoded, waypoint))


def refusal(configs: Sequence[Json]) -> str:
    """What Envoy says against any of these, empty if nothing."""
    return "".join(validate(each) or "" for each in configs)


def decoded(resource: Resource) -> tuple[str, Message]:
    message_class = default_message_pool.url_to_type[resource.key.type_url]
    return resource.key.type_url, message_class.parse(resource.body)
