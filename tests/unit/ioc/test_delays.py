"""Delays counted many at a time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from ioc.delays import Delays

BUCKETS = (0.01, 0.5, 1.0, 60.0)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b"]), st.sampled_from([0.0, 0.01, 0.3, 0.5, 1.5, 90.0]), st.integers(1, 4)
        )
    )
)
def test_delays_are_exposed_as_prometheus_own_histogram_does(delays: list[tuple[str, float, int]]) -> None:
    """Whoever scrapes sees no difference, bounds included in their bucket."""
    mine, its = CollectorRegistry(), CollectorRegistry()
    many = Delays("test_seconds", "Help.", "stream", BUCKETS, mine)
    one_by_one = Histogram("test_seconds", "Help.", ["stream"], buckets=BUCKETS, registry=its)
    for label, seconds, count in delays:
        many.observe(label, [(seconds, count)])
        for _ in range(count):
            one_by_one.labels(label).observe(seconds)

    def lines(registry: CollectorRegistry) -> list[str]:
        text = generate_latest(registry).decode().splitlines()
        # Sums are rounded differently; when a series was created is not said by ours.
        return [line for line in text if "_created" not in line and "_sum" not in line]

    assert lines(mine) == lines(its)
    for label in {label for label, _, _ in delays}:
        total = sum(seconds * count for of, seconds, count in delays if of == label)
        found = mine.get_sample_value("test_seconds_sum", {"stream": label})
        assert found is not None
        assert abs(found - total) < 1e-9
