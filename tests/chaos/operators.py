"""Operators who handle the alerts of a run by a script, from which each command's place in time is known."""

from __future__ import annotations

import hashlib
import itertools
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import msgspec
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError

from alerts.alert import Alert
from alerts.commands import Action, Command
from ioc.settings import Settings
from streams.commanding import record_of
from streams.schemas import CLOCK_KEY, Clock
from streams.topics import Topics


class Operators:
    """Three people at their desks, each alert in the hands of a script: they see it raised, and give its commands.

    A command holds from a time that the log's clock has not reached, so that its place among all records is known.
    """

    def __init__(self, settings: Settings, ahead: timedelta) -> None:
        """`ahead`: how much later than the last clock record a command holds, for it to be in the log by then."""
        self._settings, self._ahead = settings, ahead
        self._topics = Topics.of(settings)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._now: datetime | None = None
        #: Alerts whose script was given, so that none is given twice when the broker fails in between.
        self._handled: set[str] = set()
        self.sent = 0

    def __enter__(self) -> Operators:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()

    def leave(self) -> None:
        """Give no more commands: all that were given stand in the log, or never will."""
        self._stop.set()
        self._thread.join(40)
        assert not self._thread.is_alive()

    def _work(self) -> None:
        while not self._stop.is_set():
            try:
                self._attend()
            except (KafkaError, OSError, ValueError):
                self._stop.wait(1.0)  # the broker is away; they look again

    def _attend(self) -> None:
        changes = KafkaConsumer(
            bootstrap_servers=self._settings.bootstrap.split(","),
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )
        producer = KafkaProducer(bootstrap_servers=self._settings.bootstrap.split(","), acks="all")
        raised, clock = self._topics.alert_changes.name, self._topics.raw["camera"].name
        changes.assign([TopicPartition(raised, 0), TopicPartition(clock, 0)])
        try:
            while not self._stop.is_set():
                for tp, batch in changes.poll(timeout_ms=200).items():
                    for record in batch:
                        if tp.topic == raised:
                            self._see(msgspec.json.decode(record.value, type=Alert), producer)
                        elif record.key == CLOCK_KEY:
                            self._now = msgspec.json.decode(record.value, type=Clock).clock
        finally:
            producer.close(timeout=5)
            changes.close()

    def _see(self, alert: Alert, producer: KafkaProducer) -> None:
        if alert.change != "raised" or alert.id in self._handled or self._now is None:
            return
        self._handled.add(alert.id)
        for command in self.script(alert, self._now + self._ahead):
            topic, key, value = record_of(self._topics, command, 0)
            producer.send(topic, key=key, value=value, partition=0)
            self.sent += 1
        producer.flush(timeout=30)

    def script(self, alert: Alert, start: datetime) -> Iterator[Command]:
        """What is asked about a raised alert; which of the scripts it gets follows from its id."""
        numbers, sequences = itertools.count(1), itertools.count(alert.sequence)

        def ask(action: Action, minutes: float, operator: str = "operator", **more: object) -> Command:
            # Each reckons with those before it and with nothing else happening, unless it says otherwise.
            fields = {"sequence": next(sequences), **more}
            return Command(
                id=f"{alert.id}-{next(numbers)}",
                action=action,
                operator=operator,
                issued=datetime.now(UTC),
                time=start + timedelta(minutes=minutes),
                alert=alert.id,
                **fields,  # type: ignore[arg-type]
            )

        yield from (ask("release", 1, "supervisor", to=agency) for agency in alert.awaiting)
        match hashlib.sha256(alert.id.encode()).digest()[0] % 5:
            case 0:
                yield (twice := ask("acknowledge", 2))
                yield twice
                yield ask("acknowledge", 4, "supervisor")
            case 1:
                yield ask("shelve", 2, sequence=None, until=start + timedelta(minutes=40))
            case 2:
                yield ask("close", 3, sequence=None, text="đã xử lý")
            case 3:
                yield ask("comment", 1, text="đang kiểm tra")
                yield ask("assign", 2, to="supervisor")
            case 4:
                yield ask("acknowledge", 2, "viewer")
