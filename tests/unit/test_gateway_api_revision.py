"""Which Gateways are ours, where several control planes share a cluster."""

import pytest

from tests.support.objects import gateway, reader_of
from translators.gateway_api.revision import is_ours
from translators.ir.waypoint import Mesh
from translators.resources.core import Namespace
from translators.resources.metadata import Metadata


def labelled(revision: str | None) -> dict[str, str]:
    return {} if revision is None else {"istio.io/rev": revision}


@pytest.mark.parametrize(
    ("own", "of_namespace", "ours"),
    [
        (None, None, True),
        (None, "canary", False),
        (None, "default", True),
        ("canary", "default", False),
        ("default", "canary", True),
        ("", "canary", True),  # empty is said, too
        (None, "", True),
    ],
)
def test_the_gateways_own_label_decides(own: str | None, of_namespace: str | None, ours: bool):
    home = Namespace(Metadata("default", labels=labelled(of_namespace)))
    subject = gateway(labels=labelled(own))
    reader = reader_of(home, subject)
    assert is_ours(reader, Mesh(revision="default"), subject) == ours
    assert is_ours(reader, Mesh(), subject)
