"""Alerts for tests, and a state that is written and restored between any two calls."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

from msgspec.structs import replace

from alerts.alert import Alert, ChangeName
from alerts.model import SEVERITIES, Severity, Where
from alerts.state import Tables

START = datetime(2025, 10, 8, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

#: Degrees for a metre, north of the equator by ten degrees.
METRE = 1 / 111_195

T = TypeVar("T")


def at(minute: float) -> datetime:
    return START + minute * MINUTE


def alert(name: str, minute: float = 0, severity: Severity = "moderate", **other: Any) -> Alert:
    """An alert that was raised at a minute in commune c1, unless `other` says otherwise."""
    fields: dict[str, Any] = {
        "sequence": 1,
        "change": "raised",
        "state": "open",
        "worst": severity,
        "rule": "water",
        "rule_version": "v1",
        "hazard": "flood",
        "title": {"vi": "Nước", "en": "Water"},
        "subject": f"gauge-{name}",
        "where": Where(lon=105.7, lat=10.0, commune="c1", province="92"),
        "started": at(minute),
        "measure": "level_m",
        "unit": "m",
        "value": 2.0,
        "observed": at(minute),
        "bound": 1.9,
        "start_event": f"e-{name}",
        "event": f"e-{name}",
        **other,
    }
    return Alert(id=name, time=at(minute), severity=severity, **fields)


def moved(before: Alert, minute: float, change: ChangeName, **other: Any) -> Alert:
    """The next change of an alert."""
    state = {"cleared": "cleared", "closed": "closed", "reopened": "open"}.get(change, before.state)
    severity: Severity = other.get("severity", before.severity)
    fields: dict[str, Any] = {
        "worst": max(severity, before.worst, key=SEVERITIES.index),
        "state": state,
        "change": change,
        "time": at(minute),
        "sequence": before.sequence + 1,
        **other,
    }
    return replace(before, **fields)


class Restoring(Generic[T]):
    """A part with its tables, which is made anew from what it wrote whenever `restart` says so."""

    def __init__(self, make: Callable[[Tables], T], configure: Callable[[T], object]) -> None:
        self._make, self._configure = make, configure
        self._tables = Tables()
        self._log: dict[bytes, bytes] = {}
        self.part = make(self._tables)
        configure(self.part)

    def restart(self) -> None:
        for key, value in self._tables.take_changes():
            if value is None:
                del self._log[key]
            else:
                self._log[key] = value
        self._tables = Tables()
        self.part = self._make(self._tables)
        self._tables.restore(self._log)
        self._configure(self.part)

    @property
    def records(self) -> int:
        """How many records of state there are."""
        return sum(len(table) for table in self._tables._tables.values())
