"""The scenario's own list of what must come, made from how its day was made and not by any rule's code.

Both that list and what was judged are put into the same plain form, so that a difference shows as what differs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from alerts.agencies.messages import AgencyAlert, Message
from alerts.alert import Alert
from alerts.incident import Incident

SCENARIO = Path(__file__).parent.parent / "streams" / "scenarios" / "can_tho_spring_tide"

#: The settings under which the scenario's day is what it is.
FILES = {
    "inventory_file": SCENARIO / "inventory.yaml",
    "subscriptions_file": SCENARIO / "subscriptions.yaml",
    "maintenance_file": SCENARIO / "maintenance.yaml",
}

#: The recording's last moment.
END = datetime.fromisoformat("2025-10-09T00:00:00+07:00")

#: Rule, subject, the commune of its place, all its communes, when it started, and each change with its severity,
#: certainty, reason and moment.
PlainAlert = tuple[str, str, str, list[str], str, list[tuple[str, str, str, str, str]]]


@cache
def expected() -> dict[str, Any]:
    """The list as it ships."""
    return json.loads((SCENARIO / "expected.json").read_text(encoding="utf-8"))


def planned() -> list[PlainAlert]:
    """The alerts that must come, sorted."""
    return sorted(
        (
            alert["rule"],
            alert["subject"],
            (alert["communes"] or [""])[0],
            sorted(alert["communes"]),
            _moment(alert["started"]),
            [
                (
                    change["change"],
                    change["severity"],
                    change.get("certainty", "observed"),
                    change.get("reason", ""),
                    _moment(change["time"]),
                )
                for change in alert["changes"]
            ],
        )
        for alert in expected()["alerts"]
    )


def as_planned(changes: Iterable[Alert]) -> list[PlainAlert]:
    """Alert changes in the form of the list. That an alert hides another is said without the other's id."""
    alerts: dict[str, PlainAlert] = {}
    for alert in changes:
        entry = alerts.setdefault(
            alert.id,
            (
                alert.rule,
                alert.subject,
                alert.where.commune or "",
                sorted(alert.area),
                _moment(alert.started),
                [],
            ),
        )
        reason = "inhibited" if alert.reason.startswith("inhibited:") else alert.reason
        entry[5].append((alert.change, alert.severity, alert.certainty, reason, _moment(alert.time)))
    return sorted(alerts.values())


def planned_incidents() -> list[dict[str, Any]]:
    """The incidents that must stand at the end of the day, in the order of their beginning."""
    return [
        {
            **_with_moments(incident),
            "high_waters": [_with_moments(high) for high in incident.get("high_waters", ())],
        }
        for incident in expected()["incidents"]
    ]


def _with_moments(entry: dict[str, Any]) -> dict[str, Any]:
    times = ("started", "ended", "since", "until", "time")
    return {name: _moment(value) if name in times else value for name, value in entry.items()}


def incidents_as_planned(records: Iterable[Incident]) -> list[dict[str, Any]]:
    """The latest record of each incident in the form of the list."""
    latest = {record.id: record for record in records}
    return [
        {
            "grouping": incident.grouping,
            "state": incident.state,
            "worst": incident.worst,
            "communes": incident.communes,
            "started": _moment(incident.started),
            "ended": _moment(incident.ended),
            "members": sorted(f"{member.rule} {member.subject}" for member in incident.members),
            "high_waters": [
                {
                    "since": _moment(high.since),
                    "until": _moment(high.until),
                    "alerts": len(high.alerts),
                    "subject": high.subject,
                    "severity": high.severity,
                    "value": high.value,
                    "time": _moment(high.time),
                }
                for high in incident.peaks
            ],
        }
        for incident in sorted(latest.values(), key=lambda one: (one.started, one.grouping))
    ]


def planned_messages() -> dict[str, list[tuple[str, str]]]:
    """By agency all that it must be told, sorted: when, and what of which rule and subject."""
    return {
        agency: sorted((_moment(line.split()[0]), " ".join(line.split()[1:])) for line in lines)
        for agency, lines in expected()["messages"].items()
    }


def messages_as_planned(messages: Iterable[Message]) -> dict[str, list[tuple[str, str]]]:
    """Messages in the form of the list, heartbeats left out."""
    found: dict[str, list[tuple[str, str]]] = {}
    for message in messages:
        if isinstance(message, AgencyAlert):
            alert = message.alert
            line = _moment(alert.time), f"{message.type} {alert.rule} {alert.subject}"
            found.setdefault(message.agency, []).append(line)
    return {agency: sorted(lines) for agency, lines in found.items()}


def _moment(time: datetime | str | None) -> str:
    """A moment in whole milliseconds: that sums are judged a microsecond after they were told is nobody's plan."""
    if time is None:
        return ""
    moment = datetime.fromisoformat(time) if isinstance(time, str) else time
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")
