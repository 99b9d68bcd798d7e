"""Activating boundaries on a running system: all workers switch at one point of the log, without a restart."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.request import urlopen

from kafka import KafkaProducer

from geo.cache import present_set
from geo.files import write_boundaries
from ioc.ports import free_port
from ioc.settings import Settings
from streams.schemas import CLOCK_KEY
from streams.topics import Topics
from tests.conftest import Kafka
from tests.system import environment, read_all, running


def ioc(settings: Settings, *arguments: str) -> str:
    """What `ioc ARGUMENTS` prints; its exit code must be 0."""
    done = subprocess.run(
        [sys.executable, "-m", "ioc", *arguments],
        env=environment(settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def drawn(settings: Settings) -> str:
    """The wall's page, which names the boundaries that it draws; empty while it does not answer."""
    try:
        with urlopen(f"http://127.0.0.1:{settings.wall_port}/", timeout=5) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


def test_a_running_system_switches_at_one_clock_record(kafka: Kafka, tmp_path: Path) -> None:
    """No event is lost or located twice; before the clock record the old set says the commune, after it the new."""
    settings = kafka.settings(state_dir=tmp_path / "state", wall_port=free_port())
    topics = Topics.of(settings)
    file = tmp_path / "other.geojson"
    write_boundaries(replace(present_set(["92"], settings.cache_dir), id="other"), file)
    accept = [part for check in ("area", "displaced", "gap", "overlap") for part in ("--accept", check)]
    ioc(settings, "boundaries", "import", str(file), "--id", "other", "--approximate", *accept)

    producer = KafkaProducer(bootstrap_servers=settings.bootstrap, acks="all")
    sent = 0

    def publish(seconds: float) -> None:
        nonlocal sent
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for number in range(8):
                event = {
                    "id": f"e{sent}",
                    "source": f"street-{number}",
                    "time": datetime.now(UTC).isoformat(),
                    "lon": 105.78,
                    "lat": 10.03,
                }
                key = event["source"].encode()
                producer.send(topics.raw["flood"].name, key=key, value=json.dumps(event).encode())
                sent += 1
            producer.flush()
            time.sleep(0.1)

    with running(settings, tmp_path / "logs") as system:
        for name in ("clock", "sense", "correlate", "wall"):
            system.start(name)
        publish(6)
        deadline = time.monotonic() + 30
        while "vn-approximate-2025-07@" not in drawn(settings):
            assert time.monotonic() < deadline, system.tails()
            publish(0.5)
        assert "takes effect" in ioc(settings, "boundaries", "activate", "other")
        publish(5)
        deadline = time.monotonic() + 20
        while "other@" not in drawn(settings):
            assert time.monotonic() < deadline, "the wall draws the former boundaries still"
            time.sleep(0.2)
        assert "takes effect" in ioc(settings, "boundaries", "deactivate", "other")
        publish(4)
        deadline = time.monotonic() + 20
        while len(located := read_all(settings, topics.located.name)) < sent:
            assert time.monotonic() < deadline, system.tails()
        assert all(process.poll() is None for process in system.processes.values()), system.tails()

    events = [json.loads(record.value) for record in located]
    assert len(events) == sent
    assert set(Counter(event["id"] for event in events).values()) == {1}
    by = {event["id"]: event["place"]["boundaries"].partition("@")[0] for event in events}
    assert set(by.values()) == {"vn-approximate-2025-07", "other"}

    configs: dict[tuple[str, int], list[tuple[str, str]]] = {}
    expected: dict[str, str] = {}
    for topic in topics.raw.values():
        for record in sorted(read_all(settings, topic.name), key=lambda r: (r.partition, r.offset)):
            history = configs.setdefault((record.topic, record.partition), [])
            if record.key != CLOCK_KEY:
                expected[json.loads(record.value)["id"]] = history[-1][1] if history else ""
                continue
            clock = json.loads(record.value)
            if not history or history[-1][1] != clock["config"]:
                history.append((clock["clock"], clock["config"]))
    changes = list(configs.values())
    assert all(len(history) == 3 for history in changes), "there and back"
    assert all(history[1:] == changes[0][1:] for history in changes), "at the same clock records everywhere"
    other = changes[0][1][1]
    assert {event for event, config in expected.items() if config == other} == {
        event for event, boundaries in by.items() if boundaries == "other"
    }
