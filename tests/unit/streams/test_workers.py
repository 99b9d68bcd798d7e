"""What a worker says of a province, and that it says no more of one that it gave away."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import cast

from prometheus_client import Gauge
from prometheus_client.metrics import MetricWrapperBase

from ioc import metrics
from ioc.health import Health
from ioc.settings import load_settings
from streams.configuration import Configurations
from streams.correlating import Correlating
from streams.topics import Topics
from streams.workers import CorrelateProcessor


def said_of(province: str) -> set[str]:
    """Names of the gauges that say something of a province."""
    gauges = [one for one in vars(metrics).values() if isinstance(one, Gauge)]
    return {
        family.name
        for gauge in gauges
        for family in gauge.collect()
        for sample in family.samples
        if sample.labels.get("province") == province
    }


def test_a_province_that_moved_is_not_spoken_of_any_more() -> None:
    """Every gauge about a province goes with its partition: what stands there is another worker's to say."""
    metrics.OPEN_ALERTS.labels("93", "severe").set(1)
    correlating = Correlating(0, Topics.of(load_settings()), {})
    processor = CorrelateProcessor(correlating, "92", cast(Configurations, None), Health())
    correlating.correlation._moments["last"] = datetime(2025, 10, 8, tzinfo=UTC)
    processor._count_open()
    every = {
        one._name
        for one in vars(metrics).values()
        if isinstance(one, MetricWrapperBase) and "province" in one._labelnames
    }
    assert said_of("92") == every
    processor.released()
    assert said_of("92") == set()
    assert said_of("93") == {"ioc_open_alerts"}
    metrics.forget_province("93")
