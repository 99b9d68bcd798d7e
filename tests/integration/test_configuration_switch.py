"""A new configuration on a running system: one point of the log, no restart, no event lost or judged twice."""

from __future__ import annotations

import json
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from kafka import KafkaProducer

from streams.configuration import publish_configuration
from streams.schemas import CLOCK_KEY
from streams.topics import Topics
from tests.conftest import Kafka
from tests.system import alert_changes, read_all, running

RULES = """\
version: 1
rules:
  - id: street-water
    title: {{vi: Ngập đường, en: Water on the street}}
    hazard: flood
    stream: flood
    measure: road_depth_m
    unit: m
    direction: above
    levels:
      - {{severity: minor, raise: {bound}, clear: 0.05}}
"""


def test_new_rules_take_effect_everywhere_at_one_clock_record(kafka: Kafka, tmp_path: Path) -> None:
    """Twelve sources stand at 0.2 m: quiet while a street counts as flooded at 0.3, alerts once it does at 0.1."""
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    old.write_text(RULES.format(bound=0.3), encoding="utf-8")
    new.write_text(RULES.format(bound=0.1), encoding="utf-8")
    settings = kafka.settings(rules_file=old)
    topics = Topics.of(settings)
    producer = KafkaProducer(bootstrap_servers=settings.bootstrap, acks="all")
    sent: Counter[str] = Counter()

    def publish(seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for number in range(12):
                source = f"street-{number}"
                event = {
                    "id": f"{source}-{sent[source]}",
                    "source": source,
                    "time": datetime.now(UTC).isoformat(),
                    "lon": 105.78,
                    "lat": 10.03,
                    "road_depth_m": 0.2,
                }
                producer.send(topics.raw["flood"].name, key=source.encode(), value=json.dumps(event).encode())
                sent[source] += 1
            producer.flush()
            time.sleep(0.1)

    with running(settings, tmp_path / "logs") as system:
        for name in ("clock", "sense", "correlate"):
            system.start(name)
        publish(6)
        assert alert_changes(settings) == [], system.tails()
        published = publish_configuration(settings.model_copy(update={"rules_file": new}))
        publish(4)
        deadline = time.monotonic() + 60
        while len(alert_changes(settings)) < 12 and time.monotonic() < deadline:
            publish(0.5)
        changes = alert_changes(settings)
        assert all(process.poll() is None for process in system.processes.values()), system.tails()
        while len(located := read_all(settings, topics.located.name)) < sent.total():
            assert time.monotonic() < deadline + 10, system.tails()
    assert Counter(alert.subject for alert in changes) == Counter(sent.keys()), "one alert for each source"
    assert {alert.bound for alert in changes} == {0.1}

    first: dict[tuple[str, int], str] = {}
    for topic in topics.raw.values():
        for record in read_all(settings, topic.name):
            if record.key == CLOCK_KEY:
                clock = json.loads(record.value)
                if clock["config"] == published.hash:
                    first.setdefault((record.topic, record.partition), clock["clock"])
    assert len(first) == 16
    assert len(set(first.values())) == 1, "the same clock record in every partition"
    ids = Counter(json.loads(record.value)["id"] for record in located)
    assert ids.total() == sent.total()
    assert set(ids.values()) == {1}
