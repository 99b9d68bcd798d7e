"""What tests of agencies share: alerts, subscriptions, and what a reader makes of the messages."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from msgspec.structs import replace

from alerts.agencies.messages import AgencyAlert, Message
from alerts.alert import Alert
from alerts.model import SEVERITIES, Where
from alerts.rules.policy import Subscription

#: Late on an October afternoon in Cần Thơ.
START = datetime.fromisoformat("2026-10-28T16:20:00+07:00")


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def alert(id: str = "alert-1", **fields: Any) -> Alert:
    """A severe alert of a gauge in one commune, just raised, but for `fields`."""
    known: dict[str, Any] = {
        "sequence": 1,
        "change": "raised",
        "state": "open",
        "severity": "severe",
        "rule": "water-level",
        "rule_version": "v1",
        "hazard": "flood",
        "title": {"vi": "Mực nước vượt mức báo động", "en": "Water level above a warning level"},
        "label": {"vi": "BĐ3", "en": "BĐ3"},
        "subject": "gauge-1",
        "subject_name": {"vi": "Trạm thử 1", "en": "Test gauge 1"},
        "where": Where(
            lon=105.55,
            lat=9.95,
            commune="90001",
            commune_name="Phường Thử 1",
            province="92",
            boundaries="squares@1",
        ),
        "started": at(-10),
        "time": at(0),
        "measure": "level_m",
        "unit": "m",
        "value": 2.04,
        "observed": at(0),
        "bound": 2.0,
        "start_event": "e1",
        "event": "e2",
        **fields,
    }
    return Alert(id=id, worst=known.pop("worst", known["severity"]), **known)


def moved(before: Alert, change: str, **fields: Any) -> Alert:
    """The alert after one more change."""
    state = {"cleared": "cleared", "closed": "closed", "reopened": "open"}.get(change, before.state)
    stands = before.condition_stands and state == before.state
    new = replace(
        before,
        sequence=before.sequence + 1,
        change=change,
        state=state,
        condition_stands=stands or state == "open",
        **fields,
    )
    return replace(new, worst=max(new.severity, before.worst, key=SEVERITIES.index))


def subscription(agency: str = "fire", **fields: Any) -> Subscription:
    return Subscription(agency=agency, name={"vi": f"Cơ quan {agency}", "en": f"Agency {agency}"}, **fields)


def told(messages: Iterable[Message]) -> list[tuple[str, str, str]]:
    """Agency, alert and type of each message about an alert."""
    return [(one.agency, one.alert.id, one.type) for one in messages if isinstance(one, AgencyAlert)]
