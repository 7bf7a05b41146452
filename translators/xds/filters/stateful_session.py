"""Session persistence (Gateway API GEP-1619): the session names the endpoint it belongs to."""

from datetime import timedelta

from betterproto2 import Message
from envoy_data_plane.envoy.config.core.v3 import TypedExtensionConfig
from envoy_data_plane.envoy.extensions.filters.http.stateful_session.v3 import (
    StatefulSession,
    StatefulSessionPerRoute,
)
from envoy_data_plane.envoy.extensions.http.stateful_session.cookie.v3 import (
    CookieBasedSessionState,
)
from envoy_data_plane.envoy.extensions.http.stateful_session.header.v3 import (
    HeaderBasedSessionState,
)
from envoy_data_plane.envoy.type.http.v3 import Cookie

from translators.ir.route import Persistence
from translators.wire import pack
from translators.xds.filters.menu import Armed, Filter


def inert_session() -> StatefulSession:
    """Keeps no session."""
    return StatefulSession()


def armed_session(persistence: Persistence) -> Armed:
    """Keeps the sessions of a route. If the endpoint of one is gone it moves to another."""
    state = TypedExtensionConfig(
        name=f"envoy.http.stateful_session.{'header' if persistence.header else 'cookie'}",
        typed_config=pack(_state(persistence)),
    )
    session = StatefulSession(session_state=state)
    return Armed(Filter.STATEFUL_SESSION, StatefulSessionPerRoute(stateful_session=session))


def _state(persistence: Persistence) -> Message:
    if persistence.header:
        return HeaderBasedSessionState(name=persistence.name)
    lifetime = persistence.lifetime_ms
    ttl = None if lifetime is None else timedelta(milliseconds=lifetime)
    return CookieBasedSessionState(
        cookie=Cookie(name=persistence.name, path=persistence.path, ttl=ttl)
    )
