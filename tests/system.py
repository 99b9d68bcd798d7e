"""The product's processes as a test runs them: real ones, on the session's broker, killed and started at will."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from alerts.agencies.messages import AgencyAlert, Message
from alerts.alert import Alert
from alerts.commands import CommandOutcome
from alerts.model import AwareTime
from ioc.settings import Settings
from ioc.shutdown import child_setup
from streams.clients import client_arguments
from streams.correlating import FRONTIER_KEY
from streams.topics import Topics

T = TypeVar("T")


def environment(settings: Settings) -> dict[str, str]:
    """This process's environment with all settings in it."""
    return {**os.environ, **settings.environment()}


def ioc(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`ioc ARGUMENTS` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "ioc", *arguments],
        env={**environment(settings), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def until(found: Callable[[], T | None], seconds: float, otherwise: Callable[[], str]) -> T:
    """What `found` returns, once that is something true."""
    deadline = time.monotonic() + seconds
    while not (result := found()):
        assert time.monotonic() < deadline, otherwise()
        time.sleep(0.1)
    return result


class System:
    """The processes under one topic prefix. Each has its output in a file of its own."""

    def __init__(self, settings: Settings, directory: Path) -> None:
        self.settings, self.directory = settings, directory
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        directory.mkdir(parents=True, exist_ok=True)

    def start(
        self, name: str, *arguments: str, more: Mapping[str, str] | None = None, **settings: object
    ) -> subprocess.Popen[bytes]:
        """Start `ioc ARGUMENTS` (default: the name itself) and remember it as `name`.

        `settings` are those in which it differs from the system's, `more` what its environment has beside them.
        """
        with (self.directory / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "ioc", *(arguments or (name,))],
                env={**environment(self.settings.model_copy(update=settings)), **(more or {})},
                stdout=log,
                stderr=log,
                preexec_fn=child_setup(),
            )
        self.processes[name] = process
        return process

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        process = self.processes[name]
        process.send_signal(number)
        if number == signal.SIGKILL:
            process.wait(10)

    def end(self, name: str) -> None:
        """End one process gently, so that what it had begun to write is committed or given up."""
        process = self.processes[name]
        process.terminate()
        process.wait(self.settings.shutdown_grace + 4)

    def stop(self) -> None:
        """End all that runs, gently first."""
        for process in self.processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
        for process in self.processes.values():
            try:
                process.wait(12)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)

    def log(self, name: str) -> str:
        return (self.directory / f"{name}.log").read_text(errors="replace")

    def tails(self) -> str:
        """The end of every process's output, for a failure's message."""
        return "\n".join(f"--- {name}\n{self.log(name)[-1500:]}" for name in self.processes)


@contextmanager
def running(settings: Settings, directory: Path) -> Iterator[System]:
    """A system that is ended with the block."""
    system = System(settings, directory)
    try:
        yield system
    finally:
        system.stop()


def consumer(settings: Settings, topic: str) -> KafkaConsumer:
    """A reader of all committed records of a topic, from its beginning."""
    reader = KafkaConsumer(
        **client_arguments(settings),
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        consumer_timeout_ms=500,
    )
    reader.assign(
        [TopicPartition(topic, number) for number in sorted(reader.partitions_for_topic(topic) or {0})]
    )
    return reader


def read_all(settings: Settings, topic: str) -> list:
    """Every committed record of a topic, up to its end now, in the order of each partition."""
    reader = consumer(settings, topic)
    try:
        ends = reader.end_offsets(list(reader.assignment()))
        records: list = []
        while any(reader.position(tp) < end for tp, end in ends.items()):
            for batch in reader.poll(timeout_ms=200).values():
                records += batch
        return records
    finally:
        reader.close()


def alert_changes(settings: Settings) -> list[Alert]:
    """Every committed alert change, in the order of the log."""
    decode = msgspec.json.Decoder(Alert).decode
    return [decode(record.value) for record in read_all(settings, Topics.of(settings).alert_changes.name)]


def messages(settings: Settings, agency: str) -> list[Message]:
    """Every committed message to an agency, heartbeats included, in the order of the log."""
    decode = msgspec.json.Decoder(Message).decode
    return [decode(record.value) for record in read_all(settings, Topics.of(settings).agency(agency).name)]


def told(settings: Settings, agency: str) -> list[AgencyAlert]:
    """The messages to an agency without the heartbeats."""
    return [message for message in messages(settings, agency) if isinstance(message, AgencyAlert)]


def outcomes(settings: Settings) -> list[CommandOutcome]:
    """What became of every command, in the order of the log."""
    decode = msgspec.json.Decoder(CommandOutcome).decode
    return [decode(record.value) for record in read_all(settings, Topics.of(settings).audit.name)]


class Sources:
    """Sends readings of street gauges to ioc.flood as the sources themselves would: one event each, made now."""

    def __init__(self, settings: Settings) -> None:
        self._topic = Topics.of(settings).raw["flood"].name
        self._producer = KafkaProducer(**client_arguments(settings), acks="all")
        self._number = itertools.count(1)

    def say(self, source: str, road_depth_m: float, **fields: Any) -> str:
        """One reading, at a point in Cần Thơ if `fields` name no other; returns the event's id once it is written."""
        event = {
            "id": f"{source}-{next(self._number)}",
            "source": source,
            "time": datetime.now(UTC).isoformat(),
            "lon": 105.78,
            "lat": 10.03,
            "road_depth_m": road_depth_m,
            **fields,
        }
        value = json.dumps(event).encode()
        self._producer.send(self._topic, key=source.encode(), value=value).get(timeout=10)
        return str(event["id"])

    def close(self) -> None:
        self._producer.close()


def wait_until_judged(system: System, until: datetime, seconds: float) -> None:
    """Wait until correlate has passed a time in every raw partition, as its committed state says."""
    settings = system.settings
    topics = Topics.of(settings)
    expected = sum(topic.partitions for topic in topics.raw.values())
    deadline = time.monotonic() + seconds
    reader = consumer(settings, topics.signals_state.name)
    frontier: dict[str, datetime] = {}
    try:
        while True:
            for batch in reader.poll(timeout_ms=200).values():
                for record in batch:
                    if record.key == FRONTIER_KEY and record.value:
                        frontier = msgspec.json.decode(record.value, type=dict[str, AwareTime])
            if len(frontier) == expected and min(frontier.values()) >= until:
                return
            assert time.monotonic() < deadline, f"not judged within {seconds} s: {frontier}\n{system.tails()}"
    finally:
        reader.close()


def wait_until_live(system: System, seconds: float = 60) -> None:
    """Wait until what is sent now is judged at once: the live clock, sense and correlate are at work."""
    wait_until_judged(system, datetime.now(UTC), seconds)


def by_alert(changes: list[Alert]) -> dict[str, list[bytes]]:
    """The changes of each alert in their order, as bytes: for comparing runs in id, sequence and content."""
    grouped: dict[str, list[bytes]] = {}
    for alert in changes:
        grouped.setdefault(alert.id, []).append(msgspec.json.encode(alert))
    return grouped
