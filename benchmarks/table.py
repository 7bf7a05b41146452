"""The figures of whole runs beside their targets, as Markdown; those that miss are bold.

Usage: python -m benchmarks.table RUN.json [RUN.json ...], each of them what ``python -m
benchmarks.run --full`` printed.
"""

import json
import operator
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

_COMPARE = {"<=": operator.le, ">=": operator.ge, "=": operator.eq}
_ABSENT = "–"


class Figure(NamedTuple):
    """Where in a benchmark's JSON it is, and its bound: a comparison and a number, or nothing."""

    benchmark: str
    bound: str
    path: str


class Row(NamedTuple):
    """A line of the table."""

    number: str
    what: str
    figures: tuple[Figure, ...]


def at(benchmark: str, *pairs: tuple[str, str]) -> tuple[Figure, ...]:
    """Figures of one benchmark, each a bound and a path."""
    return tuple(Figure(benchmark, bound, path) for bound, path in pairs)


def results(benchmark: str, bound: str, *names: str) -> tuple[Figure, ...]:
    """The ratios of a comparison of codecs."""
    return at(benchmark, *((bound, f"results/{name}/ratio") for name in names))


_GENERIC = (
    "cluster",
    "route_configuration_10_routes",
    "listener_2_http_chains",
    "load_assignment_100_endpoints",
)
_TEMPLATED = ("our_cluster", "our_route_table_10_routes", "our_load_assignment_100_endpoints")
_KINDS = ("slice", "route", "policy")
_EXACT = "exactly_one_resource_to_its_two_envoys"

ROWS: tuple[Row, ...] = (
    Row(
        "1",
        "codec, as shipped / ours: cluster, route table, listener, assignment",
        results("encode", ">= 25", *_GENERIC),
    ),
    Row(
        "1",
        "the same, templated: cluster, route table, assignment",
        results("encode", ">= 200", *_TEMPLATED),
    ),
    Row(
        "2",
        "ours / upb: cluster, route table, listener, assignment",
        results("vs_upb", "<= 1.5", *_GENERIC),
    ),
    Row("2", "the same, templated", results("vs_upb", "<= 0.5", *_TEMPLATED)),
    Row(
        "3",
        "a delta response of 100 finished clusters, as shipped / ours",
        results("encode", ">= 50", "delta_response_100_cached_clusters"),
    ),
    Row(
        "4",
        "ACK; first request of 25 names and versions, as shipped / ours",
        results("parse_requests", ">= 10", "ack", "first_request_25_names_and_versions"),
    ),
    Row(
        "5",
        "index and translate all / json.loads; memory / bytes",
        at("change", ("<= 4", "cold/translate_ratio"), ("<= 4", "cold/rss_ratio")),
    ),
    Row(
        "5",
        "cold start from decoded objects: index and translate all, s; memory then, MiB",
        at("scale", ("<= 10", "cold_start/cold_start_s"), ("<= 1200", "cold_start/rss_mib")),
    ),
    *(
        Row(
            "6",
            f"{kind}: event to response / json.loads, p50, p99",
            at(
                "change",
                ("<= 5", f"change/{kind}/ratio_p50"),
                ("<= 10", f"change/{kind}/ratio_p99"),
            ),
        )
        for kind in _KINDS
    ),
    *(
        Row(
            "6, 8",
            f"{kind}: change to delivered, 2,000 streams, p50, p99, ms",
            at(
                "scale",
                ("<= 2.5", f"change_{kind}/delivered_p50_ms"),
                ("<= 10", f"change_{kind}/delivered_p99_ms"),
            ),
        )
        for kind in _KINDS
    ),
    Row(
        "7",
        "changes without meaning: responses",
        at("scale", ("= 0", "suppressed/responses")),
    ),
    Row(
        "7",
        "status of a route; managedFields, revision, order of a slice: p50 / json.loads",
        at(
            "change",
            *(
                ("<= 2", f"suppressed/{name}/ratio_p50")
                for name in (
                    "status of a route",
                    "managedFields of a slice",
                    "resourceVersion of a slice",
                    "order of endpoints",
                )
            ),
        ),
    ),
    Row(
        "8",
        "of 200 slices, routes, policies: to exactly two Envoys, one resource each",
        at("scale", *(("= 200", f"change_{kind}/{_EXACT}") for kind in _KINDS)),
    ),
    *(
        Row(
            "9",
            f"push to {streams:,} / least: processor time, p99",
            at(
                "fanout",
                ("<= 1.3", f"{streams}/ratio/cpu_us_a_push"),
                ("<= 1.5", f"{streams}/ratio/p99_ms"),
            ),
        )
        for streams in (100, 1000, 2000)
    ),
    Row(
        "10",
        "change for 2 of 2,000 / of 2: p50, p99",
        at("idle", ("<= 1.5", "ratio/p50_ms"), ("<= 1.5", "ratio/p99_ms")),
    ),
    Row(
        "11",
        "storm of 2,000 / least: wall, processor time",
        at("storm", ("<= 1.5", "storm/ratio/wall_s"), ("", "storm/ratio/cpu_ms_a_stream")),
    ),
    Row(
        "11",
        "all 2,000 configured, s; change meanwhile, p99, ms",
        at(
            "scale",
            ("<= 8", "connect/configured_s"),
            ("<= 1000", "connect/change_meanwhile_p99_ms"),
        ),
    ),
    Row(
        "12",
        "resume: resource bytes; time / storm",
        at("scale", ("= 0", "resume/resource_bytes"), ("<= 0.6", "resume/seconds_to_storm")),
    ),
    Row(
        "13",
        "50 of 100 stalled: p99 of the others, ratio; growth, MiB",
        at(
            "scale",
            ("<= 1.2", "slow_clients/ratio_p99"),
            ("", "slow_clients/some_stalled/rss_growth_mib"),
        ),
    ),
    Row(
        "14",
        "burst of 5,000: events/s; these / one at a time; wrong at clients",
        at(
            "scale",
            (">= 3000", "burst/events_per_s"),
            (">= 0.3", "burst/to_one_at_a_time"),
            ("= 0", "burst/wrong_at_clients"),
        ),
    ),
    Row(
        "15",
        "36 kB for everybody / least, last stream",
        at("fanout", ("<= 2", "listener/ratio/last_ms")),
    ),
    Row(
        "15",
        "a policy for everybody, translated / handed over",
        at("storm", ("<= 2", "global/ratio/last_ms")),
    ),
    Row(
        "16",
        "a tenth refuses: sent again; p99 of the others, ratio",
        at("nack", ("= 0", "sent_again"), ("<= 1.1", "others_p99_ms/ratio")),
    ),
    *(
        Row(
            "17",
            f"loop in the {when}: turn, lag, p99.9; collector, longest, ms",
            at(
                "scale",
                ("<= 10", f"{part}/turn_p999_ms"),
                ("<= 50", f"{part}/loop_lag_p999_ms"),
                ("<= 30", f"{part}/gc_pause_max_ms"),
            ),
        )
        for when, part in (("storm", "connect"), ("burst", "burst"))
    ),
    Row(
        "18",
        "an idle stream / least, memory",
        at("fanout", ("<= 2", "2000/ratio/kib_a_stream")),
    ),
    Row("19", "soak, growth, %", at("soak", ("<= 2", "growth_percent"))),
    Row(
        "20",
        "serve ready on bookinfo; --help, s",
        at("start", ("<= 3", "seconds/serve_ready"), ("<= 0.15", "seconds/help")),
    ),
    Row(
        "22",
        "last 100 of 3,000 routes / first, p99: ten a service, all of one",
        at(
            "route_probe",
            ("<= 1.5", "ten_a_service/p99_ratio"),
            ("<= 1.5", "all_of_one_service/p99_ratio"),
        ),
    ),
    Row(
        "23",
        "1,000 routes at once: writes of the Gateway; all accepted after, s",
        at("status_writes", ("<= 20", "gateway_writes"), ("<= 2", "all_accepted_s")),
    ),
    Row(
        "",
        "data plane, ratios to the plainest: requests/s; p99; processor time",
        at("dataplane", (">= 0.95", "ratio_requests"), ("", "ratio_p99"), ("", "ratio_cpu")),
    ),
    Row(
        "",
        "40 real Envoys: in sync, s; last ACK of a route, p99, ms",
        at(
            "acks",
            ("<= 10", "runs/1/boot_to_in_sync_s"),
            ("<= 1000", "runs/1/route/last_ack_p99_ms"),
        ),
    ),
)


def found(figure: Figure, run: Mapping[str, Any]) -> Any:
    """The value in a run, None if it isn't there."""
    value: Any = run.get(figure.benchmark)
    for step in figure.path.split("/"):
        try:
            value = value[int(step)] if isinstance(value, list) else value[step]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def meets(value: float, bound: str) -> bool:
    """Whether a value is within its bound; everything is within none."""
    if not bound:
        return True
    compare, limit = bound.split()
    return bool(_COMPARE[compare](value, float(limit)))


def shown(value: float | None, bound: str) -> str:
    """A figure of three digits or more, bold if it misses its target."""
    if value is None:
        return _ABSENT
    text = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return text if meets(value, bound) else f"**{text}**"


def targets(figures: Iterable[Figure]) -> str:
    """The bounds, once if they are all the same."""
    bounds = [figure.bound or _ABSENT for figure in figures]
    return ", ".join(bounds[:1] if len(set(bounds)) == 1 else bounds)


def table(runs: Iterable[Mapping[str, Any]]) -> list[str]:
    """The lines; a run is the JSON of each benchmark by its name."""
    runs = list(runs)
    titles = ["row", "what", "target", *(f"run {number}" for number, _ in enumerate(runs, 1))]
    lines = [titles, ["---"] * len(titles)]
    for row in ROWS:
        cells = [
            ", ".join(shown(found(each, run), each.bound) for each in row.figures) for run in runs
        ]
        lines.append([row.number, row.what, targets(row.figures), *cells])
    return [f"| {' | '.join(line)} |" for line in lines]


def main() -> None:
    """Print the table of the runs whose files are given."""
    runs = [json.loads(Path(path).read_text()) for path in sys.argv[1:]]
    print("\n".join(table({each["benchmark"]: each for each in run} for run in runs)))


if __name__ == "__main__":
    main()
