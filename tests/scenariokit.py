"""The shipped scenario of Cần Thơ as it is read in tests."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import alerts
from alerts.rules.policy import RuleSet
from alerts.rules.written import parse_rules
from streams.recording import ClockLine, EventLine, RawLine, read_recording
from streams.scenarios import can_tho_spring_tide
from streams.scenarios.can_tho_spring_tide.make import MIDNIGHT
from streams.scenarios.can_tho_spring_tide.plan import Source
from streams.schemas import MEASURES
from tests.planned import expected

FOLDER = Path(can_tho_spring_tide.__file__).parent
RULES = Path(alerts.__file__).parent / "rules" / "default.yaml"
#: The measure of each kind of source.
MEASURE = {"gauge": "level_m", "street": "road_depth_m", "traffic": "speed_kmh", "camera": "count"}


@cache
def lines() -> list[ClockLine | EventLine | RawLine]:
    """All lines of the recording."""
    return list(read_recording(FOLDER / "scenario.ndjson.gz"))


@cache
def produced() -> dict[str, list[tuple[float, float]]]:
    """(seconds after midnight, value) of each fixed source, those that are planned only."""
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for line in lines():
        if isinstance(line, EventLine) and line.stream != "report":
            event = json.loads(line.event)
            if event["id"].startswith("n-"):
                when = (line.time - MIDNIGHT).total_seconds()
                found[line.source].append((when, event[MEASURE[line.source.split("-")[0]]]))
    return found


def series(source: Source) -> tuple[np.ndarray, np.ndarray]:
    """Positions (numbers of readings) and values, signed so that more is worse.

    Duplicates are left out, and what was measured above another zero.
    """
    when, value = np.array(sorted(set(produced()[source.id]))).T
    sign = source.ladder.sign if source.ladder else 1
    position = (when - when[0]) / 300
    other_zero = [position_ for position_, wrong in source.wrong.items() if wrong.datum]
    kept = ~np.isin(position, other_zero)
    return position[kept], sign * value[kept]


def of_rule(*rules: str) -> list[dict[str, Any]]:
    """The alerts of these rules that must come."""
    return [alert for alert in expected()["alerts"] if alert["rule"] in rules]


def moments(alert: dict[str, Any], *names: str) -> list[datetime]:
    """When changes of these names must come; all of them without a name."""
    return [
        datetime.fromisoformat(change["time"])
        for change in alert["changes"]
        if not names or change["change"] in names
    ]


@cache
def ruleset() -> RuleSet:
    return parse_rules(RULES.read_text(encoding="utf-8"), RULES.name, MEASURES)


def flooded_reports() -> list[dict[str, Any]]:
    """The reports of flooded streets that have a place."""
    events = (json.loads(line.event) for line in lines() if isinstance(line, EventLine))
    return [one for one in events if one.get("category") == "flooded_street" and "lon" in one]
