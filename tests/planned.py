"""The scenario's own list of alerts, made from how its day was made and not by any rule's code."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from alerts.alert import Alert

SCENARIO = Path(__file__).parent.parent / "streams" / "scenarios" / "can_tho_spring_tide"

#: The recording's last moment.
END = datetime.fromisoformat("2025-10-09T00:00:00+07:00")

#: Rule, subject, commune, and each change with its severity and moment.
PlannedAlert = tuple[str, str, str | None, list[tuple[str, str, datetime]]]


def planned() -> tuple[list[PlannedAlert], dict[str, dict[str, int]]]:
    """The alerts that must come, sorted, and the counts of what happens to the day's events."""
    expected = json.loads((SCENARIO / "expected.json").read_text(encoding="utf-8"))
    alerts: list[PlannedAlert] = [
        (
            alert["rule"],
            alert["subject"],
            alert["commune"],
            [(c["change"], c["severity"], datetime.fromisoformat(c["time"])) for c in alert["changes"]],
        )
        for alert in expected["alerts"]
    ]
    return sorted(alerts), expected["counts"]


def as_planned(changes: Iterable[Alert]) -> list[PlannedAlert]:
    """Alert changes in the form of the list."""
    alerts: dict[str, PlannedAlert] = {}
    for alert in changes:
        entry = alerts.setdefault(alert.id, (alert.rule, alert.subject, alert.where.commune, []))
        entry[3].append((alert.change, alert.severity, alert.time))
    return sorted(alerts.values())
