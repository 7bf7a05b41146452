"""Times are counted as Prometheus' histograms are."""

from xds_server.serving.durations import BOUNDS, Durations


def test_counts_add_up_from_bound_to_bound() -> None:
    durations = Durations()
    for seconds in (0.0, 0.001, 0.0011, 0.3, 99.0):
        durations.note(seconds)
    buckets = dict(durations.buckets())
    assert list(buckets) == [*map(str, BOUNDS), "+Inf"]
    assert (buckets["0.001"], buckets["0.0025"], buckets["0.25"], buckets["0.5"]) == (2, 3, 3, 4)
    assert (buckets["30.0"], buckets["+Inf"]) == (4, 5)
    assert abs(durations.total - 99.3021) < 1e-9
