"""Metrics for Prometheus: Istio's names where the meaning is the same, ours beside them.

Nothing is counted here: all figures are read at the moment of a scrape from those who keep them.
No label holds the name of an object, so the number of series doesn't depend on the cluster.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    UnknownMetricFamily,
)
from prometheus_client.registry import Collector

from translators.wire import TypeUrl
from xds_server.ads import AdsCounters
from xds_server.identity.peer import Proof, Reason
from xds_server.snapshots import SnapshotStore

_VERSION = version("waypost")

_SHORT = {
    TypeUrl.CLUSTER: "cds",
    TypeUrl.ENDPOINT: "eds",
    TypeUrl.LISTENER: "lds",
    TypeUrl.ROUTE: "rds",
    TypeUrl.SECRET: "sds",
    TypeUrl.EXTENSION: "ecds",
}


@dataclass(frozen=True, slots=True)
class Reporting:
    """What is written to the cluster. ``refusals`` are writes that failed, and are tried again.

    ``deployed`` are objects of waypoints that were written, ``undeployed`` waypoints that could
    not be deployed as they should be.
    """

    leads: bool
    writes: int
    refusals: int
    waiting: int
    deployed: int = 0
    undeployed: int = 0


@dataclass(frozen=True, slots=True)
class Readings:
    """Where the figures are read.

    ``objects`` are counts by kind; ``ages`` are seconds since each kind was last known to be up
    to date, None for never; ``problems`` is how many there are; ``loop_lag`` is how late, in
    seconds, the event loop last came to a timer; ``root_expiry`` is a Unix time; ``reviews`` are
    questions about tokens by answer; ``reporting`` is None where no status is written. ``updates``
    are changes by Istio's type of them; ``published`` are bounds in seconds, and how many
    publications took at most so long after the change; ``publishing`` is the sum of those times;
    ``issued`` is how many certificates were issued.
    """

    store: SnapshotStore
    counters: AdsCounters
    objects: Callable[[], Mapping[str, int]]
    ages: Callable[[], Mapping[str, float | None]]
    problems: Callable[[], int]
    loop_lag: Callable[[], float]
    root_expiry: Callable[[], float]
    reviews: Callable[[], Mapping[str, int]]
    reporting: Callable[[], Reporting | None]
    updates: Callable[[], Mapping[str, int]]
    published: Callable[[], Sequence[tuple[str, float]]]
    publishing: Callable[[], float]
    issued: Callable[[], int]


class Metrics(Collector):
    """The page ``/metrics``."""

    def __init__(self, readings: Readings) -> None:
        self._readings = readings
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def page(self) -> bytes:
        """All figures as of now, in Prometheus' text format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """All figures as of now."""
        info = GaugeMetricFamily("waypost_info", "The version that runs.", labels=["version"])
        info.add_metric([_VERSION], 1)
        yield info
        yield from self._streams()
        yield from self._callers()
        yield from self._content()
        yield from self._input()
        yield from self._authority()
        yield from self._status()

    def _streams(self) -> Iterator[Metric]:
        counters = self._readings.counters
        yield _gauge("pilot_xds", "Proxies that are connected.", counters.streams_open)
        yield _by_type("pilot_xds_pushes", "Responses sent.", counters.responses)
        yield _by_type(
            "pilot_total_xds_rejects", "Responses that proxies refused.", counters.rejections
        )
        sent = CounterMetricFamily(
            "waypost_sent_bytes", "Bytes of resources sent.", labels=["type"]
        )
        for type_url, name in _SHORT.items():
            sent.add_metric([name], counters.resource_bytes[type_url])
        yield sent
        yield _counter("waypost_streams", "Streams that were opened.", counters.streams_opened)
        yield _counter(
            "waypost_refused_streams", "Streams that were not let in.", counters.streams_refused
        )
        yield _istios(
            "pilot_xds_write_timeout",
            "Streams that were ended because the proxy did not read.",
            counters.slow_clients_dropped,
        )
        yield HistogramMetricFamily(
            "waypost_publish_seconds",
            "Time from a change until what it means for a waypoint was given to its streams.",
            buckets=self._readings.published(),
            sum_value=self._readings.publishing(),
        )

    def _callers(self) -> Iterator[Metric]:
        counters = self._readings.counters
        admitted = CounterMetricFamily(
            "waypost_admitted_streams",
            "Streams that were let in, by what their callers were known by.",
            labels=["proof"],
        )
        for proof in Proof:
            admitted.add_metric([proof], counters.admitted[proof])
        denied = CounterMetricFamily(
            "waypost_denied_callers",
            "Callers that were not let in, or not any longer, for who they were or claimed to be.",
            labels=["reason"],
        )
        for reason in Reason:
            denied.add_metric([reason], counters.denied[reason])
        reviews = CounterMetricFamily(
            "waypost_token_reviews", "Questions to the API server, by answer.", labels=["answer"]
        )
        for answer, number in sorted(self._readings.reviews().items()):
            reviews.add_metric([answer], number)
        yield from (admitted, denied, reviews)

    def _content(self) -> Iterator[Metric]:
        """What is served, to all waypoints together, each waypoint's address once."""
        store, numbers, sizes = self._readings.store, Counter[TypeUrl](), Counter[TypeUrl]()
        attached = store.attached()
        for snapshot in filter(None, map(store.served, attached)):
            for type_url, named in snapshot.resources.items():
                numbers[type_url] += len(named)
                sizes[type_url] += sum(len(each.body) for each in named.values())
        for name, help_text, counts in (
            ("waypost_resources", "Resources that are served.", numbers),
            ("waypost_resource_bytes", "Bytes of the resources that are served.", sizes),
        ):
            family = GaugeMetricFamily(name, help_text, labels=["type"])
            for type_url, short in _SHORT.items():
                family.add_metric([short], counts[type_url])
            yield family
        waypoints = {key.waypoint for key in attached}
        yield _gauge("waypost_waypoints", "Waypoints with a proxy connected.", len(waypoints))
        yield _gauge(
            "waypost_quarantined_resources",
            "Resources whose content a proxy refused, so that an older one is served.",
            sum(len(store.rejections(waypoint)) for waypoint in waypoints),
        )

    def _input(self) -> Iterator[Metric]:
        readings = self._readings
        objects = readings.objects()
        yield _gauge("pilot_services", "Services that are known.", objects.get("Service", 0))
        updates = UnknownMetricFamily(
            "pilot_inbound_updates", "Changes of objects that were read.", labels=["type"]
        )
        for name, number in sorted(readings.updates().items()):
            updates.add_metric([name], number)
        yield updates
        known = GaugeMetricFamily("waypost_objects", "Objects that are known.", labels=["kind"])
        for kind, number in sorted(objects.items()):
            known.add_metric([kind], number)
        yield known
        ages = GaugeMetricFamily(
            "waypost_watch_age_seconds",
            "Time since what is known of a kind was last confirmed.",
            labels=["kind"],
        )
        for kind, age in sorted(readings.ages().items()):
            if age is not None:
                ages.add_metric([kind], age)
        yield ages
        yield _gauge("waypost_problems", "Entries of the page /problems.", readings.problems())
        yield _gauge(
            "waypost_loop_lag_seconds",
            "How late the event loop last came to a timer.",
            readings.loop_lag(),
        )

    def _authority(self) -> Iterator[Metric]:
        readings = self._readings
        yield _gauge(
            "citadel_server_root_cert_expiry_timestamp",
            "When the first of the CA's roots expires, as a Unix time.",
            readings.root_expiry(),
        )
        yield _gauge(
            "citadel_server_root_cert_expiry_seconds",
            "Time until the first of the CA's roots expires.",
            readings.root_expiry() - time.time(),
        )
        yield _istios(
            "citadel_server_success_cert_issuance_count",
            "Certificates issued.",
            readings.issued(),
        )

    def _status(self) -> Iterator[Metric]:
        reporting = self._readings.reporting()
        if reporting is None:
            return
        yield _gauge("waypost_leader", "1 if this replica writes status.", float(reporting.leads))
        yield _counter("waypost_status_writes", "Statuses written.", reporting.writes)
        yield _counter(
            "waypost_status_failures", "Writes of a status that failed.", reporting.refusals
        )
        yield _gauge(
            "waypost_status_waiting", "Objects that wait for their status.", reporting.waiting
        )
        yield _counter(
            "waypost_deployment_writes", "Writes of objects of waypoints.", reporting.deployed
        )
        yield _gauge(
            "waypost_undeployed_waypoints",
            "Waypoints that are not deployed as they should be.",
            reporting.undeployed,
        )


def _by_type(name: str, help_text: str, counts: Mapping[str, float]) -> Metric:
    family = UnknownMetricFamily(name, help_text, labels=["type"])
    for type_url, short in _SHORT.items():
        family.add_metric([short], counts[type_url])
    return family


def _istios(name: str, help_text: str, value: float) -> Metric:
    """A counter under Istio's name, which has no ``_total`` as the library's counters have."""
    return UnknownMetricFamily(name, help_text, value=value)


def _gauge(name: str, help_text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, help_text, value=value)


def _counter(name: str, help_text: str, value: float) -> Metric:
    return CounterMetricFamily(name, help_text, value=value)
