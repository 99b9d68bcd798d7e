"""The present picture: open alerts, the latest of each source, recent reports, and the time they hold for.

A plain class: records go in as bytes, in the order of their partitions; changes come out for whoever shows
them. No Kafka, no clock of its own. What is kept is bounded, whatever comes in.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec
from msgspec import Struct

from alerts.alert import Alert
from alerts.believable import believed
from alerts.commands import CommandOutcome
from alerts.incident import Incident
from alerts.model import SEVERITIES, AwareTime
from ioc.undecodable import UNDECODABLE
from maps.rate import AlarmRate
from maps.sensors import RANKS, Listed, LocatedEvent, Sensor, Sensors
from maps.views import alert_details, alert_view, comments_view, incident_view, is_aside, ms, outcome_view
from streams.configuration import ConfigurationFault

log = logging.getLogger(__name__)

#: Vietnam has had no daylight saving since 1975: a fixed offset says the local date.
LOCAL = timezone(timedelta(hours=7))

#: How long a citizen's report stays on the map, milliseconds of event time.
REPORT_MS = 30 * 60_000
#: A report so far ahead of the event time belongs to another run.
AHEAD_MS = 10 * 60_000
REPORTS_MAX = 1_000
ENDED_MAX = 5
#: Outcomes of commands that a page which was away for a moment still gets.
OUTCOMES_MAX = 50
#: Characters of a report's text that the wall shows.
TEXT_MAX = 280
#: Seconds of event time whose counts are kept for the rate.
RATE_SECONDS_MAX = 3_600


class SignalRecord(Struct):
    """What the wall reads of a record of ioc.signals: the kind, and who has passed which time."""

    kind: str = ""
    source: str = ""
    time: AwareTime | None = None
    run: str = ""
    appended_ms: int = 0


class Passed(Struct):
    """How far a raw partition has come: event time, its run, and when we heard of it."""

    time_ms: int
    run: str
    seen_ms: int


class Picture:
    """What the wall shows now. `apply_*` take records in; `take_changes` gives what they changed since.

    A record that cannot be read is counted in `bad` and changes nothing.
    """

    def __init__(self) -> None:
        self.bad = 0
        #: Located events older than those applied exist and were not read: counts of a day are lower bounds.
        self.truncated = False
        self._alert_decoder = msgspec.json.Decoder(Alert)
        self._incident_decoder = msgspec.json.Decoder(Incident)
        self._located_decoder = msgspec.json.Decoder(LocatedEvent)
        self._signal_decoder = msgspec.json.Decoder(SignalRecord)
        self._outcome_decoder = msgspec.json.Decoder(CommandOutcome)
        self._error_decoder = msgspec.json.Decoder(ConfigurationFault)
        self._open: dict[str, dict[str, Any]] = {}
        #: Open alerts that ask for attention: severity by id, by subject.
        self._calling: dict[str, dict[str, str]] = {}
        #: The records of alerts that are shown.
        self._records: dict[str, bytes] = {}
        self._incidents: dict[str, dict[str, Any]] = {}
        #: Partition of each alert in ioc.alerts, ended ones included: where commands about it go.
        self._partitions: dict[str, int] = {}
        self._rate = AlarmRate()
        self._outcomes: deque[dict[str, Any]] = deque(maxlen=OUTCOMES_MAX)
        self._configuration_error: ConfigurationFault | None = None
        self._ended: deque[dict[str, Any]] = deque(maxlen=ENDED_MAX)
        self.sensors = Sensors()
        self._reports: dict[str, dict[str, Any]] = {}
        self._passed: dict[str, Passed] = {}
        self._run = ""
        self._event_ms: int | None = None
        #: The second of event time that silence was last judged by.
        self._settled_s: int | None = None
        self._per_second: Counter[int] = Counter()
        self._reports_by_day: dict[tuple[str, str], int] = {}
        self._earliest_ms: int | None = None
        self._forget_changes()

    def _forget_changes(self) -> None:
        self._everything = False
        self._touched = False
        self._new_alerts: dict[str, dict[str, Any]] = {}
        self._gone: set[str] = set()
        self._new_incidents: dict[str, dict[str, Any]] = {}
        self._gone_incidents: set[str] = set()
        self._new_reports: set[str] = set()
        self._new_outcomes: list[dict[str, Any]] = []
        self._ended_changed = False

    # Records in

    def apply_alert(self, value: bytes | None, key: str, partition: int = 0) -> None:
        """Take a record of ioc.alerts: the latest of an alert, or None to forget the alert `key`."""
        if value is None:
            self._partitions.pop(key, None)
            self._records.pop(key, None)
            gone = self._open.pop(key, None)
            if gone is not None:
                self._call(gone, False)
            if gone is not None or self._drop_ended(key):
                self._new_alerts.pop(key, None)
                self._gone.add(key)
                self._touched = True
            return
        try:
            alert = self._alert_decoder.decode(value)
            view = alert_view(believed(alert))
        except UNDECODABLE as error:
            self._refuse("ioc.alerts", error)
            return
        id_ = view["id"]
        self._rate.take(alert)
        self._partitions[id_] = partition
        self._gone.discard(id_)
        self._drop_ended(id_)
        before = self._open.pop(id_, None)
        if before is not None and before["subject"] != view["subject"]:
            self._call(before, False)
        self._call(view, view["state"] == "open" and not is_aside(view))
        if view["state"] == "open":
            self._open[id_] = view
        else:
            if len(self._ended) == ENDED_MAX:
                self._records.pop(self._ended[-1]["id"], None)
            self._ended.appendleft(view)
            self._ended_changed = True
        self._records[id_] = value
        self._new_alerts[id_] = view
        self._touched = True

    def _call(self, view: dict[str, Any], calls: bool) -> None:
        """An alert asks for attention, or not any more: its subject has the severity of the worst that does."""
        subject = view["subject"]
        calling = self._calling.setdefault(subject, {})
        if calls:
            calling[view["id"]] = view["severity"]
        else:
            calling.pop(view["id"], None)
        if not calling:
            del self._calling[subject]
        self.sensors.mark(subject, max(calling.values(), key=RANKS.__getitem__, default=None))

    def apply_incident(self, value: bytes | None, key: str) -> None:
        """Take a record of ioc.incidents: the latest of an incident, or None to forget the incident `key`."""
        if value is None:
            self._forget_incident(key)
            return
        try:
            view = incident_view(believed(self._incident_decoder.decode(value)))
        except UNDECODABLE as error:
            self._refuse("ioc.incidents", error)
            return
        id_ = view["id"]
        if view["state"] == "closed":
            if id_ in self._incidents:
                self._forget_incident(id_)
                self._new_incidents[id_] = view
            return
        self._incidents[id_] = self._new_incidents[id_] = view
        self._gone_incidents.discard(id_)
        self._touched = True

    def _forget_incident(self, id_: str) -> None:
        if self._incidents.pop(id_, None) is not None:
            self._new_incidents.pop(id_, None)
            self._gone_incidents.add(id_)
            self._touched = True

    def know(self, inventory: Iterable[Listed]) -> None:
        """The inventory that is in force."""
        self.sensors.know(inventory)
        self._touched = True

    def _drop_ended(self, id_: str) -> bool:
        for view in self._ended:
            if view["id"] == id_:
                self._ended.remove(view)
                self._ended_changed = True
                return True
        return False

    def apply_outcome(self, value: bytes) -> None:
        """Take a record of ioc.audit: what became of a command."""
        try:
            view = outcome_view(believed(self._outcome_decoder.decode(value)))
        except UNDECODABLE as error:
            self._refuse("ioc.audit", error)
            return
        self._outcomes.append(view)
        self._new_outcomes.append(view)
        self._touched = True

    def apply_configuration_error(self, value: bytes | None) -> None:
        """Take the record of ioc.config that says why a new configuration is not taken; None: it is good again."""
        try:
            self._configuration_error = None if value is None else believed(self._error_decoder.decode(value))
        except UNDECODABLE as error:
            self._refuse("ioc.config", error)
            return
        self._touched = True

    def apply_located(self, value: bytes, *, counted: bool = True) -> None:
        """Take a record of ioc.located; one that ioc.picture kept is not counted again."""
        try:
            event = self._located_decoder.decode(value)
            believed(event.time)
        except UNDECODABLE as error:
            self._refuse("ioc.located", error)
            return
        time_ms = ms(event.time)
        self._touched = True
        if counted:
            self._count(event, time_ms)
        if event.stream == "report":
            self._apply_report(event, time_ms)
        elif event.lon is not None and event.lat is not None:
            self.sensors.hear(event, time_ms, event.lon, event.lat, value)

    def _count(self, event: LocatedEvent, time_ms: int) -> None:
        self._per_second[time_ms // 1000] += 1
        if len(self._per_second) > RATE_SECONDS_MAX:
            for second in sorted(self._per_second)[: RATE_SECONDS_MAX // 2]:
                del self._per_second[second]
        if self._earliest_ms is None or time_ms < self._earliest_ms:
            self._earliest_ms = time_ms
        if event.stream == "report":
            day = (event.run, event.time.astimezone(LOCAL).date().isoformat())
            self._reports_by_day[day] = self._reports_by_day.get(day, 0) + 1
            if len(self._reports_by_day) > 8:
                del self._reports_by_day[next(iter(self._reports_by_day))]

    def _apply_report(self, event: LocatedEvent, time_ms: int) -> None:
        id_ = f"{event.source}/{event.id}"
        place = event.place
        self._reports[id_] = {
            "id": id_,
            "lon": event.lon,
            "lat": event.lat,
            "time": time_ms,
            "category": event.category,
            "text": event.text[:TEXT_MAX],
            "commune": place.commune or None,
            "commune_name": place.commune_name or None,
            "simulated": event.simulated,
        }
        self._new_reports.add(id_)
        if len(self._reports) > REPORTS_MAX:
            dropped = next(iter(self._reports))
            del self._reports[dropped]
            self._new_reports.discard(dropped)

    def apply_passed(self, value: bytes, seen_ms: int, written_ms: int = 0) -> None:
        """Take a record of ioc.signals; only `passed` says something here: a raw partition has passed a time.

        `seen_ms` is when it was heard, ms since 1970: now for a record that has just come, the broker's stamp
        for one that is read again after a restart. `written_ms` is the broker's stamp: a worker that is behind took
        so long from the clock record, by the same clock, and what it says was known so much earlier.
        """
        try:
            record = believed(self._signal_decoder.decode(value))
        except UNDECODABLE as error:
            self._refuse("ioc.signals", error)
            return
        if record.kind != "passed" or record.time is None:
            return
        if record.appended_ms:
            seen_ms -= max(0, written_ms - record.appended_ms)
        self._passed[record.source] = Passed(ms(record.time), record.run, seen_ms)
        # One run gives way to the next at another moment in each partition: where most of them are counts.
        runs = Counter(passed.run for passed in self._passed.values())
        most = max(runs.values())
        run = record.run if runs[record.run] == most else runs.most_common(1)[0][0]
        if run != self._run:
            self._run = run
            self._everything = True
        # What comes out is complete only up to the slowest partition.
        self._event_ms = min(passed.time_ms for passed in self._passed.values() if passed.run == run)
        self._touched = True

    def _refuse(self, topic: str, error: Exception) -> None:
        self.bad += 1
        if self.bad == 1:
            log.warning("a record of %s cannot be read, it is left out, as others will be: %s", topic, error)

    # The picture out

    @property
    def event_ms(self) -> int | None:
        """The time up to which the picture is complete, ms since 1970; None before any is known."""
        return self._event_ms

    def silence(self, now_ms: int) -> float | None:
        """Seconds since the raw partition that has been silent longest was heard; None before any was."""
        seen = [passed.seen_ms for passed in self._passed.values() if passed.run == self._run]
        return max(0.0, (now_ms - min(seen)) / 1000) if seen else None

    def sensor(self, source: str) -> Sensor | None:
        """A source as it stands; None for one that is not known."""
        return self.sensors.get(source)

    def alert(self, alert: str) -> dict[str, Any] | None:
        """An alert that is shown, with all that it rests on."""
        record = self._records.get(alert)
        return None if record is None else alert_details(self._alert_decoder.decode(record))

    def comments(self, alert: str) -> list[dict[str, Any]]:
        """What operators wrote of an alert that is shown: for operators only."""
        record = self._records.get(alert)
        return [] if record is None else comments_view(self._alert_decoder.decode(record))

    def partition(self, alert: str) -> int | None:
        """The partition of an alert that ioc.alerts holds; None for one that it does not."""
        return self._partitions.get(alert)

    def open_counts(self) -> dict[str, int]:
        """Open alerts by severity, every severity present; without those put aside."""
        counts = Counter(view["severity"] for view in self._open.values() if not is_aside(view))
        return {severity: counts[severity] for severity in SEVERITIES}

    def aside_counts(self) -> dict[str, int]:
        """Open alerts that are put aside. One that is shelved and suppressed counts as suppressed."""
        aside = [view for view in self._open.values() if is_aside(view)]
        suppressed = sum(1 for view in aside if view["suppressed"])
        return {"suppressed": suppressed, "shelved": len(aside) - suppressed}

    def _report_is_recent(self, report: dict[str, Any]) -> bool:
        return self._event_ms is None or -AHEAD_MS <= self._event_ms - report["time"] <= REPORT_MS

    def _settle(self) -> None:
        """Let go what is not recent any more, and see who is silent by now."""
        if self._event_ms is None:
            return
        if self._event_ms // 1000 != self._settled_s:
            self._settled_s = self._event_ms // 1000
            self.sensors.pass_time(self._event_ms)
        for id_ in [id_ for id_, report in self._reports.items() if not self._report_is_recent(report)]:
            del self._reports[id_]
            self._new_reports.discard(id_)

    def _stats(self) -> dict[str, Any]:
        """The line of figures. Events a minute are of event time: a fast replay makes no city busier."""
        rate = today = None
        at_least = False
        if self._event_ms is not None:
            second = self._event_ms // 1000
            rate = sum(self._per_second[at] for at in range(second - 59, second + 1))
            local = datetime.fromtimestamp(second, LOCAL)
            today = self._reports_by_day.get((self._run, local.date().isoformat()), 0)
            midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
            at_least = self.truncated and (self._earliest_ms or 0) > ms(midnight)
        return {
            "located_per_minute": rate,
            "reports_today": today,
            "reports_today_at_least": at_least,
            "sources": len(self.sensors),
            **self._rate.counts(self._run, self._event_ms),
        }

    def _simulated(self) -> bool:
        return (
            self.sensors.simulated
            or any(view["simulated"] for view in self._open.values())
            or any(view["simulated"] for view in self._ended)
            or any(report["simulated"] for report in self._reports.values())
        )

    def _common(self) -> dict[str, Any]:
        return {
            "event_ms": self._event_ms,
            "simulated": self._simulated(),
            "counts": self.open_counts(),
            "aside": self.aside_counts(),
            "configuration_error": self._configuration_error,
            "stats": self._stats(),
        }

    def snapshot(self) -> dict[str, Any]:
        """Everything, as the page gets it first."""
        self._settle()
        return {
            "alerts": list(self._open.values()),
            "ended": list(self._ended),
            "incidents": list(self._incidents.values()),
            "sources": self.sensors.snapshot(self._event_ms),
            "reports": list(self._reports.values()),
            "outcomes": list(self._outcomes),
            **self._common(),
        }

    def take_changes(self) -> tuple[str, dict[str, Any]] | None:
        """What changed since the last call: None, ("changes", ...) or, with a new run, ("snapshot", ...)."""
        if not self._touched:
            return None
        self._settle()
        if self._everything:
            result = ("snapshot", self.snapshot())
            self.sensors.forget_changes()
        else:
            changes = self._common()
            changes["alerts"] = list(self._new_alerts.values())
            changes["gone"] = sorted(self._gone)
            changes["outcomes"] = self._new_outcomes
            changes["incidents"] = list(self._new_incidents.values())
            changes["incidents_gone"] = sorted(self._gone_incidents)
            changes["sources"] = self.sensors.take_changes(self._event_ms)
            changes["reports"] = [self._reports[id_] for id_ in sorted(self._new_reports)]
            if self._ended_changed:
                changes["ended"] = list(self._ended)
            result = ("changes", changes)
        self._forget_changes()
        return result

    @property
    def pending_readings(self) -> int:
        """How many readings `take_readings` would give."""
        return self.sensors.pending

    def take_readings(self) -> dict[str, Any]:
        """The latest readings since the last call, as flat arrays; to be called behind `take_changes`."""
        return self.sensors.take_readings(self._event_ms)
