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
        #: Run and time of the first record that asked for attention, by the alert's id.
        self._raised: dict[str, tuple[str, int]] = {}

    def take(self, alert: Alert) -> None:
        """Take a record of ioc.alerts.

        Where the first record is gone, as after a restart, the alert counts from when it has waited for somebody,
        or from when its condition began.
        """
        if alert.suppressed or alert.id in self._raised:
            return
        at = alert.time if alert.change == "raised" else alert.waiting_since or alert.started
        self._raised[alert.id] = (alert.run, round(at.timestamp() * 1000))
        if len(self._raised) > RAISED_MAX:
            del self._raised[next(iter(self._raised))]

    def counts(self, run: str, event_ms: int | None) -> dict[str, int | None]:
        """Alerts of a run raised in the ten minutes and in the hour before a time; None before any is known."""
        if event_ms is None:
            return {"alarms_10m": None, "alarms_1h": None}
        ages = [event_ms - at for its, at in self._raised.values() if its == run]
        return {
            "alarms_10m": sum(1 for age in ages if age < TEN_MINUTES_MS),
            "alarms_1h": sum(1 for age in ages if age < HOUR_MS),
        }
