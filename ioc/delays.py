"""A histogram of delays to which many records are added at once; prometheus_client's own takes them one by one."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString


class Delays(Collector):
    """Seconds by the value of one label."""

    def __init__(
        self,
        name: str,
        help: str,
        label: str,
        buckets: Sequence[float],
        registry: CollectorRegistry = REGISTRY,
    ) -> None:
        """`buckets` are upper bounds in ascending order; one without a bound is added."""
        self._name, self._help, self._label, self._buckets = name, help, label, tuple(buckets)
        self._counts: dict[str, list[int]] = {}
        self._sums: dict[str, float] = {}
        registry.register(self)

    def observe(self, value: str, delays: Iterable[tuple[float, int]]) -> None:
        """Add delays, each with how many records had it, to those of a label's value."""
        counts = self._counts.setdefault(value, [0] * (len(self._buckets) + 1))
        total = self._sums.get(value, 0.0)
        for seconds, count in delays:
            counts[bisect_left(self._buckets, seconds)] += count
            total += seconds * count
        self._sums[value] = total

    def forget(self, value: str) -> None:
        """Expose no more what there is of a label's value."""
        self._counts.pop(value, None)
        self._sums.pop(value, None)

    def describe(self) -> Iterator[HistogramMetricFamily]:
        yield HistogramMetricFamily(self._name, self._help, labels=[self._label])

    def collect(self) -> Iterator[HistogramMetricFamily]:
        family = HistogramMetricFamily(self._name, self._help, labels=[self._label])
        bounds = [*map(floatToGoString, self._buckets), "+Inf"]
        for value, counts in list(self._counts.items()):
            buckets = [(bound, float(count)) for bound, count in zip(bounds, accumulate(counts), strict=True)]
            family.add_metric([value], buckets, self._sums.get(value, 0.0))
        yield family
