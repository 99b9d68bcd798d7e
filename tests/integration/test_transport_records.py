"""Reading record by record gives what reading in chunks gives, on the whole scenario."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from ioc.settings import Settings
from streams.topics import Topics
from tests.chaos.logs import Came, last_clock, undisturbed
from tests.conftest import Kafka
from tests.planned import END, FILES, planned, planned_messages
from tests.system import read_all, running, wait_until_judged


def signals(settings: Settings) -> Counter[str]:
    """What sense told, without the times of the log itself and without how often it said what time it is."""
    told: Counter[str] = Counter()
    for record in read_all(settings, Topics.of(settings).signals.name):
        message = json.loads(record.value)
        message.pop("appended_ms", None)
        if message["kind"] != "passed":
            told[json.dumps(message, sort_keys=True)] += 1
    return told


@pytest.mark.timeout(500)
def test_the_scenario_is_judged_alike_in_chunks_and_record_by_record(kafka: Kafka, tmp_path: Path) -> None:
    """The same log twice: located events, signals, and all that correlate wrote, byte for byte and in its order."""
    in_chunks = kafka.settings(**FILES, raw_partitions=1)
    with running(in_chunks, tmp_path / "chunks") as system:
        system.start("sense")
        system.start("correlate")
        system.start("replay", "replay", "can-tho-spring-tide", "--speed", "max", "--run", "r")
        wait_until_judged(system, END, 240)
    assert last_clock(in_chunks) == END
    agencies = sorted(planned_messages())
    came = Came.of(in_chunks, agencies)
    assert len({key for key, _ in came.correlated["ioc.alerts", 0]}) == len(planned())
    by_record = kafka.settings(**FILES, raw_partitions=1, transport="records")
    came.assert_same(undisturbed(in_chunks, by_record, agencies, tmp_path / "records", seconds=300))
    assert signals(by_record) == signals(in_chunks)
