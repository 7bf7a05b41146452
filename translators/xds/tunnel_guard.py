"""What guards a tunnel on its CONNECT, whatever the tunnel leads to."""

from collections.abc import Callable

from translators.ir.authorization import Authorization
from translators.ir.listener import ConnectHost, ConnectPods
from translators.xds.filters.ext_authz import armed_checks
from translators.xds.filters.menu import Armed
from translators.xds.filters.rbac import armed_layers, armed_rbac, armed_verdicts


def armed_on_connect(
    host: ConnectHost | ConnectPods, asked: Callable[[Authorization], Authorization]
) -> tuple[Armed, ...]:
    """All filters with what they decide; ``asked`` says how a rule is asked of the CONNECT."""
    guard = asked(host.authorization)
    return (
        *armed_layers(asked(host.layered)),
        *armed_checks(guard),
        *armed_rbac(guard),
        *armed_verdicts(asked(host.opaque)),
    )
