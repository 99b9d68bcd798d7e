"""What a contender wrote, brought into one form: equal where the work was the same.

Left out is what says nothing of the work: the order of keys, how a number or a time is written, and of a signal its
number and where correlate takes it, which the product alone counts by partition.
"""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

import msgspec

from alerts.signals import Occurrence, Passed, Signal, Sums, Switch
from tests.bench.stream.ground import Ground, Log
from tests.bench.stream.measure import Run, progress
from tests.system import read_all

#: Seconds that a contender may take for the short log.
SECONDS = 120.0

Located = dict[str, tuple[bytes, dict[str, Any]]]
Key = tuple[str, str, datetime, str]

_message = msgspec.json.Decoder(Signal | Occurrence | Sums | Passed | Switch).decode


def located(ground: Ground, log: Log, prefix: str) -> Located:
    """Committed located events by id, each with the record's key. Raises `ValueError` for an id that comes twice."""
    found: Located = {}
    for record in read_all(log.settings, ground.topics_for(log, prefix).located.name):
        event = msgspec.json.decode(record.value)
        event["time"] = datetime.fromisoformat(event["time"])
        if event["id"] in found:
            raise ValueError(f"located twice: {event['id']}")
        found[event["id"]] = record.key or b"", event
    return found


def signals(ground: Ground, log: Log, prefix: str) -> dict[Key, Signal]:
    """Committed signals by what they are. Raises `ValueError` for one that comes twice."""
    found: dict[Key, Signal] = {}
    for record in read_all(log.settings, ground.topics_for(log, prefix).signals.name):
        message = _message(record.value)
        if isinstance(message, Signal):
            key = message.rule, message.subject, message.time, message.change
            if key in found:
                raise ValueError(f"told twice: {key}")
            message.number, message.order, message.appended_ms = 0, message.time, 0
            found[key] = message
    return found


def finish(run: Run) -> None:
    """Wait until a contender has done the whole log and has written nothing more for a second.

    Raises `RuntimeError` where that takes too long.
    """
    deadline = time.monotonic() + SECONDS
    topic = run.ground.topics_for(run.log, run.prefix).signals.name
    with progress(run) as done:
        quiet, count = time.monotonic(), -1
        while done() < run.log.events or time.monotonic() < quiet + 1:
            run.require_alive()
            if (now := run.ground.written(topic)) != count:
                quiet, count = time.monotonic(), now
            if time.monotonic() > deadline:
                raise RuntimeError(
                    f"{run.contender.name} has done {done()} of {run.log.events}:\n{run.tail()}"
                )
            time.sleep(0.2)


def differences(one: dict, other: dict) -> list[str]:
    """The first few entries that two results do not share, in words."""
    lines = [f"{len(one)} against {len(other)} entries"] if len(one) != len(other) else []
    for key in sorted(one.keys() | other.keys(), key=str):
        if one.get(key) != other.get(key):
            lines.append(f"{key}: {one.get(key)} against {other.get(key)}")
        if len(lines) > 3:
            break
    return lines
