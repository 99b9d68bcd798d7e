"""How many alerts were raised lately: the figure that says whether operators can still follow."""

from __future__ import annotations

from alerts.alert import Alert

#: Windows of event time, milliseconds.
TEN_MINUTES_MS = 10 * 60_000
HOUR_MS = 60 * 60_000
#: Alerts that are remembered; more within an hour is far beyond what anybody could follow.
RAISED_MAX = 10_000


class AlarmRate:
    """Counts alerts by when they were raised. One that never asked for attention does not count."""

    def __init__(self) -> None:
        #: By the alert's id: its run, the time of the first record that asked for attention, and whether that time is
        #: a guess.
        self._raised: dict[str, tuple[str, int, bool]] = {}

    def take(self, alert: Alert) -> None:
        """Take a record of ioc.alerts.

        Where the first record is gone, as after a restart, the alert counts from when it has waited for somebody,
        or from when its condition began.
        """
        if alert.suppressed or alert.id in self._raised:
            return
        first = alert.change in ("raised", "resumed")
        at = alert.time if first else alert.waiting_since or alert.started
        self._raised[alert.id] = (alert.run, round(at.timestamp() * 1000), not first)
        if len(self._raised) > RAISED_MAX:
            del self._raised[next(iter(self._raised))]

    def counts(self, run: str, event_ms: int | None) -> dict[str, int | bool | None]:
        """Alerts of a run raised in the ten minutes and in the hour before a time; None before any is known.

        `alarms_about`: when one of the hour was raised is a guess.
        """
        if event_ms is None:
            return {"alarms_10m": None, "alarms_1h": None, "alarms_about": False}
        ages = [(event_ms - at, guessed) for its, at, guessed in self._raised.values() if its == run]
        return {
            "alarms_10m": sum(1 for age, _ in ages if age < TEN_MINUTES_MS),
            "alarms_1h": sum(1 for age, _ in ages if age < HOUR_MS),
            "alarms_about": any(guessed for age, guessed in ages if age < HOUR_MS),
        }
