"""Resources that a control plane would serve, as one static bootstrap for ``--mode validate``."""

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache

from betterproto2 import Message

from translators.ir.secret import Certificate, TrustBundle
from translators.wire import TypeUrl
from translators.xds import render
from translators.xds.names import ROOTS, SVID
from xds_server.identity.authority import create_authority
from xds_server.identity.spiffe import SpiffeId
from xds_server.trial.static import Json, static_bootstrap


def bootstrap_of(resources: Iterable[tuple[str, Message]]) -> Json:
    """The resources as (type URL, message), with what they fetch put where it is fetched from.

    Routes and endpoints that are missing are taken to be empty; the two secrets of a waypoint are
    made up if they are missing.
    """
    return static_bootstrap([*_made_up_secrets(), *resources])


@cache
def _made_up_secrets() -> tuple[tuple[str, Message], ...]:
    now = datetime.now(UTC)
    authority = create_authority(now)
    svid = authority.issue(SpiffeId("cluster.local", "default", "waypoint"), now)
    made_up = (
        Certificate(SVID, svid.chain, svid.key),
        TrustBundle(ROOTS, authority.trust_bundle()),
    )
    return tuple((TypeUrl.SECRET.value, render(each)) for each in made_up)
