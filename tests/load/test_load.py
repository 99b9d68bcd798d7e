"""The load's own account, and its short form: what it finds lost or twice is so, and little load passes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from kafka import KafkaProducer

from streams.topics import Topics
from tests.conftest import Kafka
from tests.load.account import Account, account


def test_each_event_is_accounted_for(kafka: Kafka) -> None:
    """Of events 0 to 9: 3 is located twice, 5 is a dead letter, 7 is nowhere, 8 only in what was not committed."""
    settings = kafka.settings()
    topics = Topics.of(settings)
    producer = KafkaProducer(bootstrap_servers=settings.bootstrap, acks="all", transactional_id="account")
    producer.init_transactions()

    def locate(*numbers: int) -> None:
        for number in numbers:
            producer.send(topics.located.name, b'{"id":"%d-x-1","source":"x"}' % number)

    producer.begin_transaction()
    locate(0, 1, 2, 3, 3, 4, 6, 9)
    producer.send(topics.dead_letters.name, b"{}")
    producer.commit_transaction()
    producer.begin_transaction()
    locate(8)
    producer.flush()
    producer.abort_transaction()
    producer.close()
    read: list[int] = []
    assert account(settings, 10, read.append) == Account(located=7, dead=1, lost=2, duplicated=1)
    assert read[-1] == 8


@pytest.mark.timeout(300)
def test_a_short_load_passes(tmp_path: Path) -> None:
    """The real processes take a rate, then twice as much; each event is located once and an operator is heard."""
    output = tmp_path / "load.json"
    given = [
        "--start=500",
        "--most=1000",
        "--step=2",
        "--mad=5000",
        "--minutes=0.5",
        "--sources=3000",
        f"--output={output}",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "tests.load", *given], capture_output=True, text=True, timeout=240
    )
    assert done.returncode in (0, 1), done.stderr
    found = json.loads(output.read_text())
    assert set(found["failed"]) <= {"the wall says that it is behind"}, done.stderr + str(found)
    assert found["written"] == found["located"] > 10_000
    assert found["mad_source"]["unjudged"] > 0
    assert (found["lost"], found["duplicated"], found["dead"]) == (0, 0, 0)
