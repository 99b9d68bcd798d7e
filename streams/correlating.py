"""What correlate does with a chunk of ioc.signals: signals become alerts with a lifecycle.

Signals of different raw partitions arrive in any order. They are held until the slowest raw partition has passed
their order time, then taken in the order (order time, rule, subject, number): so the outcome is the same however
the partitions interleave and wherever a chunk ends. What is held is part of the state, like the open alerts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec

from alerts import lifecycle
from alerts.alert import Alert
from alerts.model import AwareTime
from alerts.signals import Passed, Signal
from streams.decoding import RawRecord
from streams.topics import STREAMS, Topics
from streams.transactions import Effects

#: How long after its end an alert stays in ioc.alerts, in event time; then a tombstone removes it.
KEPT_AFTER_END = timedelta(days=3)

FRONTIER_KEY = b"frontier"

_encode = msgspec.json.encode
_decode_signal = msgspec.json.Decoder(Signal | Passed).decode

Order = tuple[datetime, str, str, int]


@dataclass
class Outcome:
    """What a chunk leads to: effects to commit, and the changes with the append time of their cause, ms."""

    effects: Effects = field(default_factory=Effects)
    changes: list[tuple[Alert, int]] = field(default_factory=list)
    unreadable: int = 0


class Correlating:
    """The alerts of one province: one partition of ioc.signals. `run` takes its chunks one after the other."""

    def __init__(self, partition: int, topics: Topics, restored: Mapping[bytes, bytes]) -> None:
        """`restored` is the partition's state as earlier chunks wrote it."""
        self.partition = partition
        self._topics = topics
        #: Last time that each raw partition has passed, by `stream/number`.
        self.frontier: dict[str, datetime] = {}
        #: Signals that some raw partition may still precede.
        self._held: dict[Order, Signal] = {}
        #: Open alerts by rule and subject.
        self.open: dict[tuple[str, str], Alert] = {}
        #: Ended alerts by id, and when they ended.
        self._ended: dict[str, datetime] = {}
        self._expected = [f"{stream}/{n}" for stream in STREAMS for n in range(topics.raw[stream].partitions)]
        for key, value in restored.items():
            self._restore(key, value)

    def _restore(self, key: bytes, value: bytes) -> None:
        kind = key.split(b"|", 1)[0]
        if key == FRONTIER_KEY:
            self.frontier = msgspec.json.decode(value, type=dict[str, AwareTime])
        elif kind == b"held":
            signal = msgspec.json.decode(value, type=Signal)
            self._held[_order(signal)] = signal
        elif kind == b"open":
            alert = msgspec.json.decode(value, type=Alert)
            self.open[alert.rule, alert.subject] = alert
        elif kind == b"ended":
            self._ended[key.split(b"|", 1)[1].decode()] = msgspec.json.decode(value, type=AwareTime)

    @property
    def passed(self) -> datetime | None:
        """The time that every raw partition has passed; None until each has passed one."""
        if any(source not in self.frontier for source in self._expected):
            return None
        return min(self.frontier[source] for source in self._expected)

    def run(self, records: Sequence[RawRecord]) -> Outcome:
        """Process one chunk. Never raises for what a record holds: an unreadable one is counted."""
        out = Outcome()
        arrived: list[Order] = []
        for record in records:
            try:
                message = _decode_signal(record.value or b"")
            except msgspec.MsgspecError:
                out.unreadable += 1
                continue
            if isinstance(message, Passed):
                before = self.frontier.get(message.source)
                self.frontier[message.source] = max(message.time, before) if before else message.time
            else:
                order = _order(message)
                if order not in self._held:
                    self._held[order] = message
                    arrived.append(order)
        held_before = self._held.keys() - set(arrived)
        passed = self.passed
        if passed is not None:
            for order in sorted(order for order in self._held if order[0] < passed):
                self._take(self._held.pop(order), out)
                if order in held_before:
                    self._state(out, _held_key(order), None)
            self._forget(passed, out)
        for order in arrived:
            if order in self._held:
                self._state(out, _held_key(order), _encode(self._held[order]))
        self._state(out, FRONTIER_KEY, _encode(self.frontier))
        return out

    def _take(self, signal: Signal, out: Outcome) -> None:
        subject = (signal.rule, signal.subject)
        alert = lifecycle.by_signal(self.open.get(subject), signal)
        if alert is None:
            return
        key, value = alert.id.encode(), _encode(alert)
        out.effects.add(self._topics.alert_changes.name, self.partition, key, value)
        out.effects.add(self._topics.alerts.name, self.partition, key, value)
        out.changes.append((alert, signal.appended_ms))
        open_key = f"open|{alert.rule}|{alert.subject}".encode()
        if alert.state == "open":
            self.open[subject] = alert
            self._state(out, open_key, value)
        else:
            del self.open[subject]
            self._state(out, open_key, None)
            self._ended[alert.id] = alert.time
            self._state(out, f"ended|{alert.id}".encode(), _encode(alert.time))

    def _forget(self, now: datetime, out: Outcome) -> None:
        """Remove ended alerts from ioc.alerts once they have been there long enough."""
        for alert in [alert for alert, ended in self._ended.items() if ended + KEPT_AFTER_END < now]:
            del self._ended[alert]
            self._state(out, f"ended|{alert}".encode(), None)
            out.effects.add(self._topics.alerts.name, self.partition, alert.encode(), None)

    def _state(self, out: Outcome, key: bytes, value: bytes | None) -> None:
        out.effects.add(self._topics.signals_state.name, self.partition, key, value)


def _order(signal: Signal) -> Order:
    return signal.order, signal.rule, signal.subject, signal.number


def _held_key(order: Order) -> bytes:
    time, rule, subject, number = order
    return f"held|{time.isoformat()}|{rule}|{subject}|{number}".encode()
