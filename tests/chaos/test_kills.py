"""Kill any process at any moment: what comes of the log is what comes of it where nobody disturbs.

The short form, for every run of the tests, of what `make chaos` does with more of everything: ten faults under load
while operators give commands, in an order and at moments that follow from the seed.
"""

from __future__ import annotations

import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from kafka import KafkaProducer

from alerts.commands import Command
from streams.commanding import record_of
from streams.topics import Topics
from streams.transactions import POSITION_KEY
from tests.chaos.cases import SHORT
from tests.chaos.run import Taken, run_case
from tests.conftest import Kafka

SEEDS = [int(seed) for seed in os.environ.get("IOC_TEST_SEEDS", "1").split(",")]
EVENTS = 9_000


@pytest.mark.timeout(400)
@pytest.mark.parametrize("seed", SEEDS)
def test_killed_and_paused_processes_change_nothing(kafka: Kafka, tmp_path: Path, seed: int) -> None:
    """sense, correlate and clock are killed, ended and paused under load: nothing is lost, doubled or different."""
    outcome = run_case(
        SHORT,
        seed=seed,
        events=EVENTS,
        kills=len(SHORT.fixed),
        directory=tmp_path,
        say=lambda text: print(text, file=sys.stderr),  # noqa: T201
        settings=kafka.settings(topics=False),
    )
    found = outcome.verdict
    assert not outcome.hung
    assert found.clean, found.told
    assert outcome.under_load == len(SHORT.fixed), "the load ended before the faults did"
    assert found.compared["published"] >= EVENTS
    for topic, least in (("alert-changes", 200), ("incidents", 40), ("alerts.drill", 200), ("audit", 40)):
        assert found.compared[f"ioc.{topic}/0"] >= least, f"too little of ioc.{topic} to prove anything"
    assert found.compared["shown to an agency"] >= 100
    measured = [fault.recovery for fault in outcome.faults if fault.recovery is not None]
    assert len(measured) >= len(SHORT.fixed) - 2


def test_a_run_is_over_when_each_command_is_taken(kafka: Kafka) -> None:
    """One that stood behind the last position was once counted as lost with all that would have come of it."""
    settings = kafka.settings(raw_partitions=1)
    topics = Topics.of(settings)
    command = Command(id="c-1", action="comment", operator="an", issued=datetime(2025, 10, 8, tzinfo=UTC))
    producer = KafkaProducer(bootstrap_servers=settings.bootstrap.split(","), acks="all")
    try:
        topic, key, value = record_of(topics, command, 0)
        offset = producer.send(topic, key=key, value=value, partition=0).get(timeout=30).offset
        taken = Taken(settings)
        for position, expected in ((offset, False), (offset + 1, True)):
            producer.send(topics.signals_state.name, key=POSITION_KEY, value=b"%d" % position).get(timeout=30)
            deadline = time.monotonic() + 30
            while taken.position != position and time.monotonic() < deadline:
                taken()
            assert (taken.position, taken()) == (position, expected)
    finally:
        producer.close()
