"""Raw events in Kafka to alerts, through real processes: what the scenario planned is what comes out."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from alerts.agencies.messages import Message
from alerts.incident import Incident
from streams.topics import Topics
from tests.conftest import Kafka
from tests.planned import (
    END,
    FILES,
    as_planned,
    expected,
    incidents_as_planned,
    messages_as_planned,
    planned,
    planned_incidents,
    planned_messages,
)
from tests.system import alert_changes, by_alert, read_all, running, wait_until_judged


@pytest.mark.parametrize(("speed", "chunk_records"), [("max", 2000), ("3600", 150)])
def test_the_scenarios_alerts_come_out(kafka: Kafka, tmp_path: Path, speed: str, chunk_records: int) -> None:
    """Alerts, incidents and agencies' messages are those on the scenario's list; every event is located or a dead
    letter, once.

    At full speed, and with a day in 24 seconds and small chunks.
    """
    settings = kafka.settings(**FILES, chunk_records=chunk_records)
    topics = Topics.of(settings)
    with running(settings, tmp_path) as system:
        system.start("sense")
        system.start("correlate")
        system.start("replay", "replay", "can-tho-spring-tide", "--speed", speed, "--run", "r")
        wait_until_judged(system, END, 240)
        assert system.processes["replay"].wait(10) == 0, system.log("replay")
    changes = alert_changes(settings)
    counts = expected()["counts"]
    assert as_planned(changes) == planned()
    assert all(alert.simulated and alert.run == "r" for alert in changes)
    for alert_id, of_alert in by_alert(changes).items():
        sequences = [json.loads(change)["sequence"] for change in of_alert]
        assert sequences == list(range(1, len(of_alert) + 1)), f"{alert_id}: a gap or a repetition"

    located = [json.loads(record.value) for record in read_all(settings, topics.located.name)]
    assert Counter(event["place"]["outcome"] for event in located) == counts["located"]
    assert all(event["place"]["approximate"] and event["place"]["boundaries"] for event in located)
    assert not any("reporter" in event for event in located), "a citizen's identity stays on the raw topic"
    dead = [json.loads(record.value) for record in read_all(settings, topics.dead_letters.name)]
    assert Counter(letter["reason"] for letter in dead) == counts["dead"]
    assert not any("value" in letter for letter in dead if letter["topic"] == topics.raw["report"].name)

    latest = {record.key: record.value for record in read_all(settings, topics.alerts.name)}
    assert len(latest) == len(planned())
    still_open = [alert for alert in map(json.loads, latest.values()) if alert["state"] == "open"]
    assert [alert["subject"] for alert in still_open] == ["street-my-xuyen-1"], "it is never heard"

    incidents = [
        msgspec.json.decode(record.value, type=Incident)
        for record in read_all(settings, topics.incidents.name)
    ]
    assert incidents_as_planned(incidents) == planned_incidents()
    messages = [
        msgspec.json.decode(record.value, type=Message)
        for agency in planned_messages()
        for record in read_all(settings, topics.agency(agency).name)
    ]
    assert messages_as_planned(messages) == planned_messages()
    doubts = Counter(
        doubt for event in located for found in event.get("doubts", {}).values() for doubt in found
    )
    assert doubts == expected()["doubts"]
