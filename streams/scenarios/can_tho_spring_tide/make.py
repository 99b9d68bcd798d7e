"""Make the scenario: `python -m streams.scenarios.can_tho_spring_tide.make` writes its files beside this one.

- `scenario.ndjson.gz`, the recording (its format: `streams.recording`);
- `inventory.yaml`, the fixed sources; `subscriptions.yaml` and `maintenance.yaml`, who is told and what is worked at;
- `expected.json`, what must come of it: told from the plan, never by applying rules to the readings.

Seeded: the same program writes the same bytes (with the same zlib).
"""

from __future__ import annotations

import gzip
import io
import json
import logging
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from streams.scenarios.can_tho_spring_tide import aftermath, files, truth
from streams.scenarios.can_tho_spring_tide.day import plan
from streams.scenarios.can_tho_spring_tide.places import COMMUNES
from streams.scenarios.can_tho_spring_tide.plan import Source, seconds
from streams.scenarios.can_tho_spring_tide.readings import measures, readings
from streams.scenarios.can_tho_spring_tide.reports import SOURCE, Report, reports
from streams.scenarios.can_tho_spring_tide.stated import CLOCK, WORKS
from streams.scenarios.can_tho_spring_tide.truth import Change, Told

SEED = 20251008
MIDNIGHT = datetime(2025, 10, 8, tzinfo=timezone(timedelta(hours=7)))
DAY = 24 * 3600


class Record(NamedTuple):
    """A line of the recording that is not a clock; `at` is in milliseconds after midnight."""

    at: int
    stream: str
    #: The event, or key and text of a record that is none.
    body: dict[str, Any]
    #: What becomes of it: inside, outside, nowhere, or a dead letter's reason.
    fate: str = "inside"
    #: Why it is not judged: late or duplicate.
    unjudged: str = ""


def make() -> dict[str, bytes]:
    """The scenario's files by name."""
    random = Random(SEED)
    sources = plan()
    phases = {id_: _phase(source, random) for id_, source in sources.items()}
    delivered = list(reports(sources, random))
    records = sorted(_records(sources, phases, delivered, random), key=lambda record: record.at)
    written = {**expected(sources, phases, delivered), "counts": _counts(records)}
    return {
        "scenario.ndjson.gz": _gzip("".join(f"{line}\n" for line in _lines(records))),
        "inventory.yaml": files.inventory(sources, random).encode(),
        "subscriptions.yaml": files.subscriptions().encode(),
        "maintenance.yaml": files.maintenance(_time(1000 * WORKS.since), _time(1000 * WORKS.until)).encode(),
        "expected.json": (json.dumps(written, ensure_ascii=False, indent=1) + "\n").encode(),
    }


def _phase(source: Source, random: Random) -> int:
    chance = int(290 * random.random())
    return chance if source.phase is None else source.phase


def expected(sources: dict[str, Source], phases: dict[str, int], delivered: list[Report]) -> dict[str, Any]:
    """What must come of the day: alerts by their first time, incidents, and what each agency is told."""
    told = truth.alerts(sources, phases, delivered)
    aftermath.follow(told)
    told.sort(key=lambda one: (one.raised, one.rule, one.subject))
    incidents = list(aftermath.incidents(told))
    for incident in incidents:
        _write_times(incident, "started", "ended")
        for high_water in incident.get("high_waters", ()):
            _write_times(high_water, "since", "until", "time")
    return {
        "alerts": [_alert(one) for one in told],
        "incidents": incidents,
        "messages": {
            agency: [f"{_time(1000 * time)} {kind} {what}" for time, kind, what in all_of_it]
            for agency, all_of_it in aftermath.messages(told).items()
        },
        "doubts": dict(
            sorted(Counter(doubt for source in sources.values() for doubt in _doubts(source)).items())
        ),
    }


def _alert(told: Told) -> dict[str, Any]:
    return {
        "rule": told.rule,
        "subject": told.subject,
        "communes": [COMMUNES[commune].code for commune in told.communes],
        "started": _time(1000 * told.started),
        "changes": [_change(change) for change in told.changes],
    }


def _change(change: Change) -> dict[str, str]:
    written = {"change": change.change, "severity": change.severity, "time": _time(1000 * change.time)}
    if change.certainty != "observed":
        written["certainty"] = change.certainty
    if change.reason:
        written["reason"] = change.reason
    return written


def _write_times(entry: dict[str, Any], *names: str) -> None:
    for name in names:
        entry[name] = None if entry[name] is None else _time(1000 * entry[name])


def _doubts(source: Source) -> Iterator[str]:
    for wrong in source.wrong.values():
        yield from wrong.doubts


def _records(
    sources: dict[str, Source], phases: dict[str, int], delivered: list[Report], random: Random
) -> Iterator[Record]:
    for source in sources.values():
        for number, (position, value) in enumerate(readings(source, random)):
            second = seconds(position, phases[source.id])
            event = {
                "id": f"n-{number}",
                "source": source.id,
                "time": _time(1000 * second),
                **measures(source, position, value, random),
                "simulated": True,
            }
            record = Record(1000 * second + _delay(random), source.stream, event)
            yield record
            if (source.id, number) == ("camera-an-binh-2", 110):
                yield record._replace(at=record.at + 40, unjudged="duplicate")
        for number, position in enumerate(source.sees_water):
            second = seconds(position, phases[source.id])
            event = {
                "id": f"w-{number}",
                "source": source.id,
                "time": _time(1000 * second),
                "kind": "flooded_road",
                "confidence": round(0.7 + 0.25 * random.random(), 2),
                "simulated": True,
            }
            yield Record(1000 * second + _delay(random), source.stream, event)
    # The app delivers in order: a report is never older than the one before it.
    last = 0
    for report in delivered:
        event = {
            "id": report.event["id"],
            "source": SOURCE,
            "time": _time(1000 * report.second),
            **{name: value for name, value in report.event.items() if name not in ("id", "source")},
            "simulated": True,
        }
        fate = "nowhere" if "lon" not in event else "outside" if event["category"] == "other" else "inside"
        last = max(last + 1, 1000 * report.second + _delay(random))
        yield Record(last, "report", event, fate)
    yield from _odd_ones(phases)


def _odd_ones(phases: dict[str, int]) -> Iterator[Record]:
    """Records that are bad, late or from the future: one of each kind."""

    def event(
        source: str, hour: float, id_: str, ago: float = 0, **fields: Any
    ) -> tuple[int, dict[str, Any]]:
        # Half a step after a reading, so that it is in nobody's way.
        second = int(hour * 12) * 300 + phases.get(source, 0) + 150
        time = _time(int(1000 * (second - ago)))
        return 1000 * second, {"id": id_, "source": source, "time": time, **fields, "simulated": True}

    def raw(stream: str, at: int, key: str, text: str) -> Record:
        return Record(at, stream, {"key": key, "raw": text}, "undecodable")

    def without(body: dict[str, Any], field: str) -> dict[str, Any]:
        return {name: value for name, value in body.items() if name != field}

    at, _ = event("traffic-cai-rang-4", 9.2, "bad-1")
    yield raw("traffic", at, "traffic-cai-rang-4", "speed=31.5;flow=420")
    at, body = event("gauge-o-mon", 10.1, "bad-2", level_m=1.21)
    yield raw("flood", at, "gauge-o-mon", _json(without(body, "id")))
    at, body = event("gauge-thot-not", 11.4, "bad-3", level_m=1.37)
    yield raw("flood", at, "gauge-thot-not", _json({**body, "time": body["time"][:19]}))
    at, body = event("traffic-tan-an-3", 13.6, "bad-4", speed_kmh="31 km/h")
    yield raw("traffic", at, "traffic-tan-an-3", _json(body))
    at, body = event("camera-o-mon-2", 14.3, "bad-5", count=4)
    yield raw("camera", at, "camera-o-mon-2", _json(body))
    at, body = event(SOURCE, 16.1, "bad-6", category="flooded_street", lon=float("nan"), lat=10.03)
    yield raw("report", at, SOURCE, _json(body))
    at, body = event("traffic-phuoc-thoi-1", 12.2, "early-1", ago=-3 * 3600, speed_kmh=38.2)
    yield Record(at, "traffic", body, "future")
    at, body = event("street-o-mon-1", 20.5, "late-1", ago=95 * 60, road_depth_m=0.41)
    yield Record(at, "flood", body, unjudged="late")


def _delay(random: Random) -> int:
    """Milliseconds from an observation to its record."""
    return 400 + int(5200 * random.random())


def _counts(records: list[Record]) -> dict[str, Any]:
    located = Counter(record.fate for record in records)
    dead = {reason: located.pop(reason) for reason in ("undecodable", "future")}
    return {
        "events": dict(sorted(Counter(record.stream for record in records).items())),
        "located": {outcome: located[outcome] for outcome in ("inside", "outside", "nowhere")},
        "dead": dead,
        "unjudged": dict(Counter(record.unjudged for record in records if record.unjudged)),
    }


def _lines(records: list[Record]) -> Iterator[str]:
    clock = 0
    for record in records:
        while 1000 * clock <= record.at:
            yield _json({"clock": _time(1000 * clock)})
            clock += CLOCK
        head = {"stream": record.stream, "at": _time(record.at)}
        yield _json({**head, **(record.body if "raw" in record.body else {"event": record.body})})
    for second in range(clock, DAY + 1, CLOCK):
        yield _json({"clock": _time(1000 * second)})


def _time(ms: int) -> str:
    """RFC 3339 from milliseconds after midnight."""
    time = MIDNIGHT + timedelta(milliseconds=ms)
    return time.isoformat(timespec="milliseconds" if ms % 1000 else "seconds")


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _gzip(text: str) -> bytes:
    # Neither a time nor a name in the header: the same text gives the same bytes.
    buffer = io.BytesIO()
    with gzip.GzipFile("", "wb", 9, buffer, mtime=0) as file:
        file.write(text.encode())
    return buffer.getvalue()


def main() -> None:
    """Write the files beside this one."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for name, content in make().items():
        path = Path(__file__).with_name(name)
        path.write_bytes(content)
        logging.info("%s: %d bytes", path.name, len(content))


if __name__ == "__main__":
    main()
