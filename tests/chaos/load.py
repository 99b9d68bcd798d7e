"""The scenario's day with as many events as a run asks for: its sources several times, each a little further on."""

from __future__ import annotations

import base64
import gzip
import json
import math
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import yaml

from tests.planned import SCENARIO

#: How far a copy of a source lies from the one before, degrees each way: two kilometres, mostly another commune.
STEP = 0.013
SUBSCRIPTIONS = """\
version: 1
agencies:
  - id: drill
    name: {vi: Diễn tập, en: Exercise}
    exercise: true
  - id: drill-released
    name: {vi: Diễn tập có phát hành, en: Exercise with a release}
    exercise: true
    release: true
    severity: moderate
    heartbeat: 10m
  - id: drill-evening
    name: {vi: Diễn tập buổi tối, en: Exercise in the evening}
    exercise: true
    hours: {since: 18:30, until: 22:00, always: extreme}
  - id: fire
    name: {vi: Cảnh sát PCCC, en: Fire service}
"""
AGENCIES = ["drill", "drill-released", "drill-evening", "fire"]


@dataclass(frozen=True)
class Load:
    """A recording, and what came into it."""

    recording: Path
    inventory: Path
    subscriptions: Path
    maintenance: Path
    first: datetime
    last: datetime
    #: Records of sources, and how often each event (stream, source, id) is among them.
    records: int
    events: Counter[tuple[str, str, str]]

    @property
    def files(self) -> dict[str, Path]:
        """The files by the setting that they are for."""
        return {
            "inventory_file": self.inventory,
            "subscriptions_file": self.subscriptions,
            "maintenance_file": self.maintenance,
        }


def make_load(
    directory: Path, events: int, *, begin: datetime | None = None, end: datetime | None = None
) -> Load:
    """Write a recording with at least so many records of sources, from the scenario between two times."""
    directory.mkdir(parents=True, exist_ok=True)
    lines = _between(begin, end)
    own = sum(1 for line in lines if "clock" not in line)
    copies = max(1, math.ceil(events / own))
    found: Counter[tuple[str, str, str]] = Counter()
    records, moments = 0, []
    with (directory / "load.ndjson").open("w", encoding="utf-8") as out:
        for line in lines:
            if "clock" in line:
                moments.append(datetime.fromisoformat(line["clock"]))
                out.write(json.dumps(line) + "\n")
                continue
            for number in range(copies):
                copy = _moved(line, number)
                out.write(json.dumps(copy, ensure_ascii=False) + "\n")
                records += 1
                if (head := head_of(_value(copy))) is not None:
                    found[copy["stream"], *head] += 1
    inventory = yaml.safe_load((SCENARIO / "inventory.yaml").read_text(encoding="utf-8"))
    inventory["sources"] = [
        _source_moved(source, number) for source in inventory["sources"] for number in range(copies)
    ]
    (directory / "inventory.yaml").write_text(yaml.safe_dump(inventory, allow_unicode=True), encoding="utf-8")
    (directory / "subscriptions.yaml").write_text(SUBSCRIPTIONS, encoding="utf-8")
    (directory / "maintenance.yaml").write_text(
        (SCENARIO / "maintenance.yaml").read_text(encoding="utf-8"), encoding="utf-8"
    )
    return Load(
        recording=directory / "load.ndjson",
        inventory=directory / "inventory.yaml",
        subscriptions=directory / "subscriptions.yaml",
        maintenance=directory / "maintenance.yaml",
        first=moments[0],
        last=moments[-1],
        records=records,
        events=found,
    )


class _Head(msgspec.Struct):
    id: str
    source: str


_head = msgspec.json.Decoder(_Head).decode


def head_of(value: bytes) -> tuple[str, str] | None:
    """Source and id of a raw record; None where it does not say them."""
    try:
        head = _head(value)
    except msgspec.MsgspecError:
        return None
    return head.source, head.id


def _value(line: dict[str, Any]) -> bytes:
    """The record that a line becomes, as far as its head goes."""
    if "event" in line:
        return json.dumps(line["event"]).encode()
    return base64.b64decode(line["base64"]) if "base64" in line else line["raw"].encode()


def _between(begin: datetime | None, end: datetime | None) -> list[dict[str, Any]]:
    """The scenario's lines between two times, from a clock to a clock."""
    lines = []
    with gzip.open(SCENARIO / "scenario.ndjson.gz", "rt", encoding="utf-8") as recording:
        for text in recording:
            line = json.loads(text)
            moment = datetime.fromisoformat(line.get("clock") or line["at"])
            if (begin is None or begin <= moment) and (end is None or moment <= end):
                lines.append(line)
    clocks = [number for number, line in enumerate(lines) if "clock" in line]
    return lines[clocks[0] : clocks[-1] + 1]


def _moved(line: dict[str, Any], number: int) -> dict[str, Any]:
    """A copy of a line; the first is the line itself."""
    if not number:
        return line
    if "event" not in line:
        return {**line, "key": f"{line['key']}~{number}"}
    event = {**line["event"], "source": f"{line['event']['source']}~{number}"}
    for name in ("lon", "lat"):
        if isinstance(event.get(name), int | float):
            event[name] = round(event[name] + STEP * number, 6)
    return {**line, "event": event}


def _source_moved(source: dict[str, Any], number: int) -> dict[str, Any]:
    if not number:
        return source
    return {
        **source,
        "id": f"{source['id']}~{number}",
        "lon": round(source["lon"] + STEP * number, 6),
        "lat": round(source["lat"] + STEP * number, 6),
    }
