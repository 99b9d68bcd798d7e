"""Make the scenario: `python -m streams.scenarios.can_tho_spring_tide.make` writes its files beside this one.

- `scenario.ndjson.gz`, the recording (its format: `streams.recording`);
- `inventory.yaml`, the fixed sources;
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

import yaml

from streams.scenarios.can_tho_spring_tide.places import COMMUNES
from streams.scenarios.can_tho_spring_tide.plan import Episode, Ladder, Source, commune_of, plan
from streams.scenarios.can_tho_spring_tide.readings import measures, readings, seconds
from streams.scenarios.can_tho_spring_tide.reports import SOURCE, near, reports

SEED = 20251008
MIDNIGHT = datetime(2025, 10, 8, tzinfo=timezone(timedelta(hours=7)))
DAY = 24 * 3600
#: Seconds between two clock records.
CLOCK = 10

_CITATION = "Decision 05/2020/QĐ-TTg of 31 January 2020, level as printed in bulletins"
_KINDS = {
    "gauge": ("water_level", "Trạm đo mực nước", "Water level gauge"),
    "street": ("street_water", "Cảm biến ngập đường", "Street water sensor"),
    "traffic": ("traffic_counter", "Cảm biến giao thông", "Traffic sensor"),
    "camera": ("camera", "Camera giao thông", "Traffic camera"),
}


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
    phases = {id_: int(290 * random.random()) for id_ in sources}
    records = sorted(_records(sources, phases, random), key=lambda record: record.at)
    truth = {"alerts": expected_alerts(sources, phases), "counts": _counts(records)}
    return {
        "scenario.ndjson.gz": _gzip("".join(f"{line}\n" for line in _lines(records))),
        "inventory.yaml": _inventory(sources, random).encode(),
        "expected.json": (json.dumps(truth, ensure_ascii=False, indent=1) + "\n").encode(),
    }


def expected_alerts(sources: dict[str, Source], phases: dict[str, int]) -> list[dict[str, Any]]:
    """The alerts that must come, by their first time. Each is one planned episode.

    A level is entered a hold after the reading `up` and left at the reading `down`; what happens at one
    instant is one change.
    """
    alerts = []
    for source in sources.values():
        for episode in source.episodes:
            assert source.ladder is not None
            alerts.append(
                {
                    "rule": source.ladder.rule,
                    "subject": source.id,
                    "commune": COMMUNES[commune_of(source)].code,
                    "changes": list(_changes(episode, source.ladder, phases[source.id])),
                }
            )
    return sorted(alerts, key=lambda alert: (alert["changes"][0]["time"], alert["rule"], alert["subject"]))


def _changes(episode: Episode, ladder: Ladder, phase: int) -> Iterator[dict[str, str]]:
    moments: dict[int, list[tuple[int, bool]]] = {}
    for stand in episode.stands:
        moments.setdefault(seconds(stand.up, phase) + ladder.hold, []).append((stand.level, True))
        moments.setdefault(seconds(stand.down, phase), []).append((stand.level, False))
    held: set[int] = set()
    for second in sorted(moments):
        before = max(held, default=-1)
        for level, entered in moments[second]:
            (held.add if entered else held.discard)(level)
        after = max(held, default=-1)
        if after == before:
            continue
        change = (
            "raised" if before < 0 else "escalated" if after > before else "lowered" if held else "cleared"
        )
        # Once cleared, the severity is the last that it had.
        severity = ladder.rungs[after if held else before].severity
        yield {"change": change, "severity": severity, "time": _time(1000 * second)}


def _records(sources: dict[str, Source], phases: dict[str, int], random: Random) -> Iterator[Record]:
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
    # The app delivers in order: a report is never older than the one before it.
    delivered = 0
    for second, event in reports(sources, random):
        event = {
            "id": event.pop("id"),
            "source": SOURCE,
            "time": _time(1000 * second),
            **event,
            "simulated": True,
        }
        fate = "nowhere" if "lon" not in event else "outside" if event["category"] == "other" else "inside"
        delivered = max(delivered + 1, 1000 * second + _delay(random))
        yield Record(delivered, "report", event, fate)
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


def _inventory(sources: dict[str, Source], random: Random) -> str:
    listed = []
    for source in sources.values():
        commune = COMMUNES[commune_of(source)]
        kind, vi, en = _KINDS[source.id.split("-")[0]]
        number = f" {source.number}" if source.number else ""
        lon, lat = near(commune, random)
        entry: dict[str, Any] = {
            "id": source.id,
            "stream": source.stream,
            "name": {"vi": f"{vi}{number}, {commune.vi}", "en": f"{en}{number}, {commune.en}"},
            "kind": kind,
            "lon": lon,
            "lat": lat,
            "interval": "5m",
            "simulated": True,
        }
        if source.commune == "can-tho":
            entry["name"] = {"vi": "Trạm Cần Thơ (sông Hậu)", "en": "Cần Thơ station (Hậu river)"}
        if source.thresholds:
            entry["thresholds"] = [
                {"name": name, "value": value, "citation": _CITATION}
                for name, value in source.thresholds.items()
            ]
        listed.append(entry)
    head = (
        "# Made by streams/scenarios/can_tho_spring_tide/make.py. Every source is simulated, and its place\n"
        "# is approximate: a point of its commune from the Python package vietnamadminunits 1.0.4 (MIT\n"
        "# licence), moved by less than 100 m. Only the warning levels of the three stations are real.\n"
    )
    return head + yaml.safe_dump(
        {"version": 1, "sources": listed},
        allow_unicode=True,
        sort_keys=False,
        default_flow_style=None,
        width=200,
    )


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
