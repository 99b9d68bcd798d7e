"""The present picture: open alerts, the latest of each source, recent reports, and the time they hold for.

A plain class: records go in as bytes, in the order of their partitions; changes come out for whoever shows
them. No Kafka, no clock of its own. What is kept is bounded, whatever comes in.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec
from msgspec import Struct

from alerts.alert import Alert
from alerts.commands import CommandOutcome
from alerts.model import SEVERITIES, AwareTime
from maps.rate import AlarmRate
from streams.configuration import ConfigurationFault
from streams.schemas import Place

log = logging.getLogger(__name__)

#: Vietnam has had no daylight saving since 1975: a fixed offset says the local date.
LOCAL = timezone(timedelta(hours=7))

#: How long a citizen's report stays on the map, milliseconds of event time.
REPORT_MS = 30 * 60_000
#: A report so far ahead of the event time belongs to another run.
AHEAD_MS = 10 * 60_000
REPORTS_MAX = 1_000
SOURCES_MAX = 20_000
ENDED_MAX = 5
#: Outcomes of commands that a page which was away for a moment still gets.
OUTCOMES_MAX = 50
#: Characters of a report's text that the wall shows.
TEXT_MAX = 280
#: Seconds of event time whose counts are kept for the rate.
RATE_SECONDS_MAX = 3_600


class LocatedEvent(Struct):
    """What the wall reads of a record of ioc.located."""

    id: str
    source: str
    time: AwareTime
    stream: str
    place: Place
    lon: float | None = None
    lat: float | None = None
    simulated: bool = False
    run: str = ""
    category: str = ""
    text: str = ""


class SignalRecord(Struct):
    """What the wall reads of a record of ioc.signals: the kind, and who has passed which time."""

    kind: str = ""
    source: str = ""
    time: AwareTime | None = None
    run: str = ""


class Reading(Struct):
    """The latest event of a source: where it was, and the event as it came."""

    time_ms: int
    lon: float
    lat: float
    stream: str
    simulated: bool
    raw: bytes


class Passed(Struct):
    """How far a raw partition has come: event time, its run, and when we heard of it."""

    time_ms: int
    run: str
    seen_ms: int


def _ms(time: datetime) -> int:
    return round(time.timestamp() * 1000)


def is_aside(view: dict[str, Any]) -> bool:
    """Whether an open alert is not among those that ask for attention: it is suppressed or shelved."""
    return bool(view["suppressed"]) or view["shelved_until"] is not None


def outcome_view(outcome: CommandOutcome) -> dict[str, Any]:
    """What became of a command, as the page gets it. Nothing of what the operator wrote."""
    return {
        "id": outcome.command.id,
        "action": outcome.command.action,
        "operator": outcome.command.operator,
        "alert": outcome.alert or outcome.command.alert,
        "outcome": outcome.outcome,
        "reason": outcome.reason,
        "sequence": outcome.sequence,
    }


def alert_view(alert: Alert) -> dict[str, Any]:
    """An alert as the page gets it: plain JSON values, times in ms since 1970."""
    where = alert.where
    # One that an operator opened measures nothing.
    measured = bool(alert.measure)
    seen = alert.acknowledged
    return {
        "id": alert.id,
        "sequence": alert.sequence,
        "state": alert.state,
        "change": alert.change,
        "severity": alert.severity,
        "worst": alert.worst,
        "hazard": alert.hazard,
        "title": alert.title,
        "label": alert.label,
        "subject": alert.subject,
        "subject_name": alert.subject_name,
        "commune": where.commune,
        "commune_name": where.commune_name,
        "lon": where.lon,
        "lat": where.lat,
        "started": _ms(alert.started),
        "time": _ms(alert.time),
        "value": alert.value if measured else None,
        "bound": alert.bound if measured else None,
        "unit": alert.unit,
        "certainty": alert.certainty,
        "doubts": list(alert.doubts),
        "acknowledged": {"by": seen.by, "time": _ms(seen.time)} if seen else None,
        "assigned": alert.assigned,
        "shelved_until": _ms(alert.shelved_until) if alert.shelved_until else None,
        "comments": len(alert.comments),
        "suppressed": alert.suppressed,
        "overdue": alert.overdue,
        "incident": alert.incident,
        "awaiting": list(alert.awaiting),
        "simulated": alert.simulated,
    }


class Picture:
    """What the wall shows now. `apply_*` take records in; `take_changes` gives what they changed since.

    A record that cannot be read is counted in `bad` and changes nothing.
    """

    def __init__(self) -> None:
        self.bad = 0
        #: Located events older than those applied exist and were not read: counts of a day are lower bounds.
        self.truncated = False
        self._alert_decoder = msgspec.json.Decoder(Alert)
        self._located_decoder = msgspec.json.Decoder(LocatedEvent)
        self._signal_decoder = msgspec.json.Decoder(SignalRecord)
        self._outcome_decoder = msgspec.json.Decoder(CommandOutcome)
        self._error_decoder = msgspec.json.Decoder(ConfigurationFault)
        self._open: dict[str, dict[str, Any]] = {}
        #: Partition of each alert in ioc.alerts, ended ones included: where commands about it go.
        self._partitions: dict[str, int] = {}
        self._rate = AlarmRate()
        self._outcomes: deque[dict[str, Any]] = deque(maxlen=OUTCOMES_MAX)
        self._configuration_error: ConfigurationFault | None = None
        self._ended: deque[dict[str, Any]] = deque(maxlen=ENDED_MAX)
        self._sources: dict[str, Reading] = {}
        self._simulated_sources: set[str] = set()
        self._reports: dict[str, dict[str, Any]] = {}
        self._passed: dict[str, Passed] = {}
        self._run = ""
        self._event_ms: int | None = None
        self._per_second: Counter[int] = Counter()
        self._reports_by_day: dict[tuple[str, str], int] = {}
        self._earliest_ms: int | None = None
        self._forget_changes()

    def _forget_changes(self) -> None:
        self._everything = False
        self._touched = False
        self._new_alerts: dict[str, dict[str, Any]] = {}
        self._gone: set[str] = set()
        self._new_sources: set[str] = set()
        self._new_reports: set[str] = set()
        self._new_outcomes: list[dict[str, Any]] = []
        self._ended_changed = False

    # Records in

    def apply_alert(self, value: bytes | None, key: str, partition: int = 0) -> None:
        """Take a record of ioc.alerts: the latest of an alert, or None to forget the alert `key`."""
        if value is None:
            self._partitions.pop(key, None)
            if self._open.pop(key, None) or self._drop_ended(key):
                self._new_alerts.pop(key, None)
                self._gone.add(key)
                self._touched = True
            return
        try:
            alert = self._alert_decoder.decode(value)
            view = alert_view(alert)
        except msgspec.DecodeError as error:
            self._refuse("ioc.alerts", error)
            return
        id_ = view["id"]
        self._rate.take(alert)
        self._partitions[id_] = partition
        self._gone.discard(id_)
        self._drop_ended(id_)
        if view["state"] == "open":
            self._open[id_] = view
        else:
            self._open.pop(id_, None)
            self._ended.appendleft(view)
            self._ended_changed = True
        self._new_alerts[id_] = view
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
            view = outcome_view(self._outcome_decoder.decode(value))
        except msgspec.DecodeError as error:
            self._refuse("ioc.audit", error)
            return
        self._outcomes.append(view)
        self._new_outcomes.append(view)
        self._touched = True

    def apply_configuration_error(self, value: bytes | None) -> None:
        """Take the record of ioc.config that says why a new configuration is not taken; None: it is good again."""
        try:
            self._configuration_error = None if value is None else self._error_decoder.decode(value)
        except msgspec.DecodeError as error:
            self._refuse("ioc.config", error)
            return
        self._touched = True

    def apply_located(self, value: bytes) -> None:
        """Take a record of ioc.located."""
        try:
            event = self._located_decoder.decode(value)
        except msgspec.DecodeError as error:
            self._refuse("ioc.located", error)
            return
        time_ms = _ms(event.time)
        self._touched = True
        self._per_second[time_ms // 1000] += 1
        if len(self._per_second) > RATE_SECONDS_MAX:
            for second in sorted(self._per_second)[: RATE_SECONDS_MAX // 2]:
                del self._per_second[second]
        if self._earliest_ms is None or time_ms < self._earliest_ms:
            self._earliest_ms = time_ms
        if event.stream == "report":
            self._apply_report(event, time_ms)
        elif event.lon is not None and event.lat is not None:
            self._apply_reading(event, time_ms, event.lon, event.lat, value)

    def _apply_reading(self, event: LocatedEvent, time_ms: int, lon: float, lat: float, value: bytes) -> None:
        before = self._sources.pop(event.source, None)
        if before is None or (before.lon, before.lat, before.stream) != (lon, lat, event.stream):
            self._new_sources.add(event.source)
        # Popped and put back: the first of the dict is the source that has been silent longest.
        self._sources[event.source] = Reading(time_ms, lon, lat, event.stream, event.simulated, value)
        if event.simulated:
            self._simulated_sources.add(event.source)
        else:
            self._simulated_sources.discard(event.source)
        if len(self._sources) > SOURCES_MAX:
            dropped = next(iter(self._sources))
            del self._sources[dropped]
            self._simulated_sources.discard(dropped)
            self._new_sources.discard(dropped)

    def _apply_report(self, event: LocatedEvent, time_ms: int) -> None:
        day = (event.run, event.time.astimezone(LOCAL).date().isoformat())
        self._reports_by_day[day] = self._reports_by_day.get(day, 0) + 1
        if len(self._reports_by_day) > 8:
            del self._reports_by_day[next(iter(self._reports_by_day))]
        id_ = f"{event.source}/{event.id}"
        place = event.place
        self._reports[id_] = {
            "id": id_,
            "lon": event.lon,
            "lat": event.lat,
            "time": time_ms,
            "category": event.category,
            "text": event.text[:TEXT_MAX],
            "commune_name": place.commune_name or None,
            "simulated": event.simulated,
        }
        self._new_reports.add(id_)
        if len(self._reports) > REPORTS_MAX:
            dropped = next(iter(self._reports))
            del self._reports[dropped]
            self._new_reports.discard(dropped)

    def apply_passed(self, value: bytes, seen_ms: int) -> None:
        """Take a record of ioc.signals; only `passed` says something here: a raw partition has passed a time.

        `seen_ms` is when it was heard, ms since 1970: now for a record that has just come, the broker's stamp
        for one that is read again after a restart.
        """
        try:
            record = self._signal_decoder.decode(value)
        except msgspec.DecodeError as error:
            self._refuse("ioc.signals", error)
            return
        if record.kind != "passed" or record.time is None:
            return
        self._passed[record.source] = Passed(_ms(record.time), record.run, seen_ms)
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

    def reading(self, source: str) -> bytes | None:
        """The latest event of a source, as it came; None for one that is not known."""
        found = self._sources.get(source)
        return found.raw if found else None

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

    def _prune(self) -> None:
        if self._event_ms is None:
            return
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
            at_least = self.truncated and (self._earliest_ms or 0) > _ms(midnight)
        return {
            "located_per_minute": rate,
            "reports_today": today,
            "reports_today_at_least": at_least,
            "sources": len(self._sources),
            **self._rate.counts(self._run, self._event_ms),
        }

    def _simulated(self) -> bool:
        return (
            bool(self._simulated_sources)
            or any(view["simulated"] for view in self._open.values())
            or any(view["simulated"] for view in self._ended)
            or any(report["simulated"] for report in self._reports.values())
        )

    def _source_rows(self, names: Any) -> list[list[Any]]:
        rows = []
        for name in names:
            reading = self._sources[name]
            rows.append([name, round(reading.lon, 5), round(reading.lat, 5), reading.stream])
        return rows

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
        self._prune()
        return {
            "alerts": list(self._open.values()),
            "ended": list(self._ended),
            "sources": self._source_rows(self._sources),
            "reports": list(self._reports.values()),
            "outcomes": list(self._outcomes),
            **self._common(),
        }

    def take_changes(self) -> tuple[str, dict[str, Any]] | None:
        """What changed since the last call: None, ("changes", ...) or, with a new run, ("snapshot", ...)."""
        if not self._touched:
            return None
        self._prune()
        if self._everything:
            result = ("snapshot", self.snapshot())
        else:
            changes = self._common()
            changes["alerts"] = list(self._new_alerts.values())
            changes["gone"] = sorted(self._gone)
            changes["outcomes"] = self._new_outcomes
            changes["sources"] = self._source_rows(sorted(self._new_sources))
            changes["reports"] = [self._reports[id_] for id_ in sorted(self._new_reports)]
            if self._ended_changed:
                changes["ended"] = list(self._ended)
            result = ("changes", changes)
        self._forget_changes()
        return result
