"""The internal listeners that serve the waypoint's services.

A connection finds its chain by look-ups of the address and the port that the client named, however
many services there are. Only chains and look-up change at run time, so that an update leaves the
connections of every other chain alone.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta

from betterproto2 import Message
from envoy_data_plane.envoy.config.core.v3 import TrafficDirection
from envoy_data_plane.envoy.config.listener.v3 import (
    Filter,
    FilterChain,
    Listener,
    ListenerFilter,
    ListenerInternalListenerConfig,
)
from envoy_data_plane.envoy.extensions.filters.listener.http_inspector.v3 import HttpInspector
from envoy_data_plane.envoy.extensions.filters.network.direct_response.v3 import (
    Config as DirectResponse,
)
from envoy_data_plane.envoy.extensions.matching.common_inputs.network.v3 import (
    ApplicationProtocolInput,
    DestinationIpInput,
    DestinationPortInput,
    FilterStateInput,
)
from envoy_data_plane.google.protobuf import StringValue
from envoy_data_plane.xds.core.v3 import TypedExtensionConfig
from envoy_data_plane.xds.type.matcher.v3 import (
    Matcher,
    MatcherMatcherTree,
    MatcherMatcherTreeMatchMap,
    MatcherOnMatch,
)

from translators.ir.listener import HttpChain, InternalListener, PortBinding, TcpChain
from translators.wire import pack, shared, template
from translators.xds.access_log import refused_connection_log
from translators.xds.address import canonical_ip
from translators.xds.address_range import beginnings, is_range
from translators.xds.filters.tcp_proxy import forward
from translators.xds.http import requests
from translators.xds.listener import original_dst
from translators.xds.names import OPAQUE_ALLOW, OPAQUE_DENY, REFUSED

# Bytes that might become an HTTP request are waited for this long, and so is a server that speaks
# first on a port that declares no protocol.
SNIFFING = timedelta(milliseconds=200)

_ByAddress = dict[str, dict[str, MatcherOnMatch]]

# The quotes are part of what Envoy looks up.
_HTTP_PROTOCOLS = ("'h2c'", "'http/1.0'", "'http/1.1'")


def internal_listener(node: InternalListener) -> Listener:
    """The listener with a chain for each port binding; what no binding names is closed.

    Of two bindings for one address and port the first counts.
    """
    return Listener(
        name=node.name,
        internal_listener=ListenerInternalListenerConfig(),
        traffic_direction=TrafficDirection.INBOUND,
        listener_filters=sniffing_filters() if node.sniff else [original_dst()],
        listener_filters_timeout=SNIFFING if node.sniff else None,
        continue_on_listener_filters_timeout=node.sniff,
        access_log=[refused_connection_log()] if node.sniff else [],
        filter_chain_matcher=_matcher(node),
        filter_chains=[*map(_chain, _chains(node.bindings)), *_refusal(node.sniff)],
        default_filter_chain=FilterChain(name="unknown", filters=[_close()]),
    )


def _refusal(sniff: bool) -> list[FilterChain]:
    """Where the protocol is declared, whoever is denied does not get as far as to the listener."""
    return [refusing()] if sniff else []


def sniffing_filters() -> list[ListenerFilter]:
    """The filters of a listener that finds out what is spoken."""
    inspector = ListenerFilter(
        name="envoy.filters.listener.http_inspector", typed_config=pack(HttpInspector())
    )
    return [original_dst(), inspector]


def _chains(bindings: Iterable[PortBinding]) -> Iterator[HttpChain | TcpChain]:
    """Every chain once: Envoy refuses a listener with two of one name."""
    by_name: dict[str, HttpChain | TcpChain] = {}
    for binding in bindings:
        for chain in (binding.http, binding.tcp):
            if chain is not None:
                by_name.setdefault(chain.name, chain)
    yield from by_name.values()


@shared
def _chain(chain: HttpChain | TcpChain) -> FilterChain:
    return FilterChain(name=chain.name, filters=list(chain_filters(chain)))


def chain_filters(chain: HttpChain | TcpChain) -> Iterator[Filter]:
    """What a chain does with its connections."""
    match chain:
        case HttpChain():
            yield requests(chain)
        case TcpChain():
            yield forward(chain.name, chain.cluster, chain.max_duration_ms)


@shared
def refusing() -> FilterChain:
    """Where the connections go that are denied."""
    return FilterChain(name=REFUSED, filters=[_close()])


def _close() -> Filter:
    return Filter(name="envoy.filters.network.direct_response", typed_config=pack(DirectResponse()))


def _matcher(node: InternalListener) -> Matcher | None:
    """Destination address, then port, then perhaps the sniffed protocol, to the chain's name."""
    single: _ByAddress = {}
    ranges: _ByAddress = {}
    for binding in node.bindings:
        decision = _decision(binding, node.sniff)
        if decision is None:
            continue
        for address in binding.addresses:
            filed = ranges if is_range(address) else single
            texts = beginnings(address) if is_range(address) else [canonical_ip(address)]
            for text in texts:
                filed.setdefault(text, {}).setdefault(str(binding.port), decision)
    by_range = _by_beginning(ranges) if ranges else None
    if not single:
        return by_range  # Envoy refuses an empty look-up
    otherwise = MatcherOnMatch(matcher=by_range) if by_range else None
    return _look_up(DestinationIpInput(), _by_address(single), otherwise)


def _by_address(ports: _ByAddress) -> dict[str, MatcherOnMatch]:
    return {address: _by_port(by_port) for address, by_port in ports.items()}


def _by_beginning(ranges: _ByAddress) -> Matcher:
    """By the longest text that the address begins with."""
    address = TypedExtensionConfig(name="key", typed_config=pack(DestinationIpInput()))
    choices = MatcherMatcherTreeMatchMap(map=_by_address(ranges))
    return Matcher(matcher_tree=MatcherMatcherTree(input=address, prefix_match_map=choices))


def _by_port(choices: Mapping[str, MatcherOnMatch]) -> MatcherOnMatch:
    if len(choices) == 1:
        return _by_one_port(*next(iter(choices.items())))
    return MatcherOnMatch(matcher=_look_up(DestinationPortInput(), choices))


@template
def _by_one_port(port: str, decision: MatcherOnMatch) -> MatcherOnMatch:
    return MatcherOnMatch(matcher=_look_up(DestinationPortInput(), {port: decision}))


def _decision(binding: PortBinding, sniff: bool) -> MatcherOnMatch | None:
    if binding.http is None:
        return None if binding.tcp is None else _use(binding.tcp.name)
    if binding.tcp is None or not sniff:
        return _use(binding.http.name)
    return MatcherOnMatch(matcher=by_protocol(binding.http, binding.tcp))


def by_protocol(http: HttpChain, tcp: TcpChain) -> Matcher:
    """HTTP to the one chain, all else, unless it is denied, to the other."""
    use_http = {protocol: _use(http.name) for protocol in _HTTP_PROTOCOLS}
    return _look_up(ApplicationProtocolInput(), use_http, otherwise=_use_unless_denied(tcp.name))


@shared
def _use_unless_denied(name: str) -> MatcherOnMatch:
    """What the policies say was found out on the CONNECT; a denied connection reaches nobody."""
    decision = _use(name)
    for key in (OPAQUE_ALLOW, OPAQUE_DENY):
        denied = {"denied": _use(REFUSED)}
        decision = MatcherOnMatch(matcher=_look_up(FilterStateInput(key=key), denied, decision))
    return decision


def _look_up(
    key: Message,
    choices: Mapping[str, MatcherOnMatch],
    otherwise: MatcherOnMatch | None = None,
) -> Matcher:
    return Matcher(
        matcher_tree=MatcherMatcherTree(
            input=TypedExtensionConfig(name="key", typed_config=pack(key)),
            exact_match_map=MatcherMatcherTreeMatchMap(map=dict(choices)),
        ),
        on_no_match=otherwise,
    )


@template
def _use(chain: str) -> MatcherOnMatch:
    name = pack(StringValue(value=chain))
    return MatcherOnMatch(action=TypedExtensionConfig(name="chain", typed_config=name))
