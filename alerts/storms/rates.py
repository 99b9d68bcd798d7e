"""The alarm rate: how many alarms an operator was given in the last ten minutes and the last hour.

An alarm is what asks an operator to look: an alert raised, escalated, reopened or overdue, one that is shown again
after it was suppressed, one whose shelf has come to its end by itself. What is suppressed or shelved asks nobody.

How much is too much is what alarm management (ISA-18.2, EEMUA 191) says of one operator: up to 12 alarms an hour
(6 to 12 is the usual range) can be managed, more than 10 in ten minutes is a flood.

Counted by whole minutes of event time: the figures are those of the present minute and the 9, or 59, before it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from alerts.alert import Alert
from alerts.state import Tables

#: More alarms than this in ten minutes are a flood.
FLOOD = 10
#: More than this in an hour an operator cannot manage.
MANAGEABLE = 12

#: manageable: as it should be; demanding: more in an hour than one can manage; flood: too many at once.
Load = Literal["manageable", "demanding", "flood"]

_PRESENTED = frozenset({"raised", "escalated", "reopened", "resumed", "overdue"})
_MINUTES_KEPT = 60


class AlarmRate:
    """The alarms of the last hour in one province."""

    def __init__(self, tables: Tables) -> None:
        #: Alarms by minute since 1970, its digits filled up so that keys are in the order of time.
        self._minutes = tables.table("alarms", int)

    def count(self, alert: Alert, now: datetime) -> None:
        """Count a change of an alert, if it is an alarm. `now` never goes back."""
        if not is_alarm(alert):
            return
        minute = _minute(now)
        key = _key(minute)
        self._minutes[key] = (self._minutes.get(key) or 0) + 1
        for old in self._minutes:
            if old > _key(minute - _MINUTES_KEPT):
                break
            self._minutes.pop(old)

    def last(self, now: datetime, minutes: int) -> int:
        """How many alarms there were in the last minutes before `now`, the present one included.

        Raises `ValueError` for less than one minute or more than the hour that is kept.
        """
        if not 1 <= minutes <= _MINUTES_KEPT:
            raise ValueError(f"alarms are counted for 1 to {_MINUTES_KEPT} minutes, not {minutes}")
        last = _minute(now)
        return sum(self._minutes.get(_key(minute)) or 0 for minute in range(last - minutes + 1, last + 1))

    def load(self, now: datetime, operators: int = 1) -> Load:
        """What the present rate means for so many operators that share the alarms."""
        if self.last(now, 10) > FLOOD * operators:
            return "flood"
        return "demanding" if self.last(now, 60) > MANAGEABLE * operators else "manageable"


def is_alarm(alert: Alert) -> bool:
    """Whether a change of an alert asks an operator to look."""
    if not alert.open or alert.suppressed or alert.shelved_until is not None:
        return False
    # An operator who takes an alert from the shelf himself is looking already.
    return alert.change in _PRESENTED or (alert.change == "unshelved" and not alert.by)


def _minute(time: datetime) -> int:
    return int(time.timestamp() // 60)


def _key(minute: int) -> str:
    return f"{minute:010d}"
