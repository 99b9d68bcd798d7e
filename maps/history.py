"""The last days as the wall showed them: the alerts of each minute, and what sources said by then.

Frames (`streams.picturing`) name the open alerts of a minute; how each stood is in its records. A plain class:
records go in as bytes, in the order of their partitions. No Kafka, no clock. What is kept is bounded by the hours
that are kept and by `RECORDS_MAX`.
"""

from __future__ import annotations

import bisect
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from alerts.alert import Alert
from alerts.believable import believed
from alerts.incident import HighWater, Incident
from alerts.model import SEVERITIES, AwareTime, Severity
from alerts.signals import Passed
from ioc.undecodable import UNDECODABLE
from maps.picture import LOCAL, REPORT_MS, Picture
from streams.picturing import Frame, decode_frame

log = logging.getLogger(__name__)

MINUTE_MS = 60_000
#: Records of alerts that are kept; beyond, those that have not changed for longest go.
RECORDS_MAX = 50_000
#: Incidents that are kept; beyond, those that have not changed for longest go.
INCIDENTS_MAX = 5_000
#: A time that is asked for is that of the frame before it, if that is no older than this.
GAP_MS = 10 * MINUTE_MS

_decode_alert = msgspec.json.Decoder(Alert).decode
_decode_incident = msgspec.json.Decoder(Incident).decode


class _Said(Struct):
    """What is looked at of a record of ioc.located before it is shown."""

    source: str
    stream: str
    time: AwareTime


_decode_said = msgspec.json.Decoder(_Said).decode


@dataclass(frozen=True)
class _Kept:
    frame: Frame
    appended_ms: int


@dataclass(frozen=True)
class Moment:
    """The alerts at a whole minute."""

    time_ms: int
    frames: tuple[Frame, ...]
    #: Their records as they stood then.
    alerts: tuple[Alert, ...]
    #: Their incidents as they stood then, as far as these are known.
    incidents: tuple[Incident, ...]
    #: When the last of the frames was appended: all events up to the minute stand before that in ioc.located.
    appended_ms: int


class History:
    """The frames of the last hours, and the records of the alerts that they name."""

    def __init__(self, hours: int) -> None:
        self._hours = hours
        #: By minute and province.
        self._frames: dict[int, dict[str, _Kept]] = {}
        self._minutes: list[int] = []
        #: By alert, its records by sequence; the alert that changed last at the end.
        self._alerts: dict[str, dict[int, bytes]] = {}
        self._records = 0
        #: The last record of each incident; the one that changed last at the end.
        self._incidents: dict[str, bytes] = {}
        self.bad = 0

    def __len__(self) -> int:
        """How many minutes there are."""
        return len(self._minutes)

    # Records in

    def take_frame(self, value: bytes, appended_ms: int = 0) -> None:
        """Take a frame of ioc.picture. One that is older than the hours that are kept is left out."""
        try:
            frame = believed(decode_frame(value))
        except UNDECODABLE as error:
            self._refuse("a frame of ioc.picture", error)
            return
        minute = _ms(frame.time) // MINUTE_MS
        if self._minutes and minute <= self._minutes[-1] - self._hours * 60:
            return
        if minute not in self._frames:
            self._frames[minute] = {}
            bisect.insort(self._minutes, minute)
        self._frames[minute][frame.province] = _Kept(frame, appended_ms)
        self._drop_old()

    def _drop_old(self) -> None:
        oldest = self._minutes[-1] - self._hours * 60
        gone = bisect.bisect_right(self._minutes, oldest)
        for minute in self._minutes[:gone]:
            del self._frames[minute]
        del self._minutes[:gone]

    def take_alert(self, value: bytes) -> None:
        """Take a record of ioc.alert-changes, or of ioc.alerts."""
        try:
            alert = believed(_decode_alert(value))
        except UNDECODABLE as error:
            self._refuse("an alert", error)
            return
        records = self._alerts.pop(alert.id, {})
        self._records += alert.sequence not in records
        records[alert.sequence] = value
        self._alerts[alert.id] = records
        while self._records > RECORDS_MAX and len(self._alerts) > 1:
            self._records -= len(self._alerts.pop(next(iter(self._alerts))))

    def take_incident(self, value: bytes) -> None:
        """Take a record of ioc.incidents: the last of an incident tells since when each alert belongs to it."""
        try:
            id_ = believed(_decode_incident(value)).id
        except UNDECODABLE as error:
            self._refuse("an incident", error)
            return
        self._incidents.pop(id_, None)
        self._incidents[id_] = value
        if len(self._incidents) > INCIDENTS_MAX:
            del self._incidents[next(iter(self._incidents))]

    def _refuse(self, what: str, error: Exception) -> None:
        self.bad += 1
        if self.bad == 1:
            log.warning("%s cannot be read, it is left out, as others will be: %s", what, error)

    # The past out

    @property
    def span(self) -> tuple[int, int] | None:
        """The first and the last minute that there is, ms since 1970."""
        return (self._minutes[0] * MINUTE_MS, self._minutes[-1] * MINUTE_MS) if self._minutes else None

    def timeline(self, since_ms: int | None = None, until_ms: int | None = None) -> dict[str, Any]:
        """The minutes of a time in short, all by default: worst first.

        `frames` are rows of [minute since 1970, open alerts extreme, severe, moderate, minor, alarms in ten minutes,
        communes], where communes are pairs of an index into `communes` and a digit, 1 for extreme to 4 for minor.
        """
        codes: dict[str, int] = {}
        rows = []
        first = 0 if since_ms is None else bisect.bisect_left(self._minutes, -(-since_ms // MINUTE_MS))
        last = len(self._minutes)
        if until_ms is not None:
            last = bisect.bisect_right(self._minutes, until_ms // MINUTE_MS)
        for minute in self._minutes[first:last]:
            frames = [kept.frame for kept in self._frames[minute].values()]
            counts = [sum(frame.counts.get(name, 0) for frame in frames) for name in _WORST_FIRST]
            coloured: list[int] = []
            for frame in frames:
                for code, severity in frame.communes.items():
                    coloured += (codes.setdefault(code, len(codes)), _WORST_FIRST.index(severity) + 1)
            rows.append([minute, *counts, sum(frame.alarms_10m for frame in frames), coloured])
        span = self.span
        return {
            "first": span[0] if span else None,
            "last": span[1] if span else None,
            "communes": list(codes),
            "frames": rows,
        }

    def at(self, time_ms: int) -> Moment | None:
        """The alerts at a time: those of the whole minute before it. None where there is none near."""
        index = bisect.bisect_right(self._minutes, time_ms // MINUTE_MS) - 1
        if index < 0 or time_ms - self._minutes[index] * MINUTE_MS > GAP_MS:
            return None
        minute = self._minutes[index]
        kept = tuple(self._frames[minute].values())
        alerts = []
        for one in kept:
            for row in one.frame.alerts:
                if (alert := self._record(row.id, row.sequence, row.severity)) is not None:
                    alerts.append(alert)
        return Moment(
            minute * MINUTE_MS,
            tuple(one.frame for one in kept),
            tuple(alerts),
            self._incidents_at(minute * MINUTE_MS, alerts),
            max(one.appended_ms for one in kept),
        )

    def _incidents_at(self, time_ms: int, alerts: Iterable[Alert]) -> tuple[Incident, ...]:
        """The incidents of alerts that were open at a time, without what came to them later."""
        of: dict[str, list[Alert]] = {}
        for alert in alerts:
            if alert.incident in self._incidents:
                of.setdefault(alert.incident, []).append(alert)
        return tuple(
            incident_at(_decode_incident(self._incidents[id_]), its, time_ms) for id_, its in of.items()
        )

    def changes(self, since_ms: int, until_ms: int) -> list[Alert]:
        """What happened to alerts from one time on, up to but without another, in the order of time."""
        found = [
            alert
            for records in self._alerts.values()
            for alert in map(_decode_alert, records.values())
            if since_ms <= _ms(alert.time) < until_ms
        ]
        return sorted(found, key=lambda alert: (alert.time, alert.id, alert.sequence))

    def alert(self, id_: str) -> Alert | None:
        """The last record of an alert; None where there is none."""
        records = self._alerts.get(id_)
        return _decode_alert(records[max(records)]) if records else None

    def _record(self, id_: str, sequence: int, severity: Severity) -> Alert | None:
        """How an alert stood. Where that record is gone, a later one with what the frame knows of it."""
        records = self._alerts.get(id_)
        if not records:
            return None
        if sequence in records:
            return _decode_alert(records[sequence])
        later = min((number for number in records if number > sequence), default=max(records))
        return msgspec.structs.replace(_decode_alert(records[later]), state="open", severity=severity)


def incident_at(last: Incident, its: Iterable[Alert], time_ms: int) -> Incident:
    """An incident as it stood at a time: its last record, what came later taken away. `its` were its open alerts.

    What had ended then keeps the severity that its last record has; a high water measured later has no value.
    """
    now = {alert.id: alert for alert in its}
    members = []
    for member in last.members:
        if _ms(member.since) > time_ms:
            continue
        if (alert := now.get(member.alert)) is not None:
            member = msgspec.structs.replace(
                member,
                severity=alert.severity,
                worst=alert.worst,
                until=None,
                peak=alert.peak,
                peaked=alert.peaked,
            )
        members.append(member)
    peaks = [_high_water_at(peak, now, time_ms) for peak in last.peaks if _ms(peak.since) <= time_ms]
    severities = [alert.severity for alert in now.values()]
    worst = max(severities, key=SEVERITIES.index, default=last.severity)
    area = [code for alert in now.values() for code in alert.area]
    return msgspec.structs.replace(
        last,
        state="open",
        severity=worst,
        worst=max([worst, *(member.worst for member in members)], key=SEVERITIES.index),
        time=max((alert.time for alert in now.values()), default=last.time),
        ended=None,
        members=members,
        peaks=peaks,
        communes=last.communes if len(members) == len(last.members) else [*dict.fromkeys(area)],
        evidence={},
    )


def _high_water_at(peak: HighWater, now: dict[str, Alert], time_ms: int) -> HighWater:
    later = peak.time is not None and _ms(peak.time) > time_ms
    over = peak.until is not None and _ms(peak.until) <= time_ms
    return msgspec.structs.replace(
        peak,
        until=peak.until if over else None,
        value=None if later else peak.value,
        time=None if later else peak.time,
    )


_WORST_FIRST = tuple(reversed(SEVERITIES))


def _ms(time: datetime) -> int:
    return round(time.timestamp() * 1000)


def past_picture(moment: Moment, located: Iterable[bytes]) -> Picture:
    """What the wall showed at a moment. `located` are records of ioc.located; of later events nothing is taken.

    A source that did not speak in them is not there.
    """
    picture = Picture()
    for alert in moment.alerts:
        picture.apply_alert(msgspec.json.encode(alert), alert.id)
    for incident in moment.incidents:
        picture.apply_incident(msgspec.json.encode(incident), incident.id)
    for value in _said_by(located, moment.time_ms):
        picture.apply_located(value)
    runs = {frame.run for frame in moment.frames}
    passed = Passed(
        source="history",
        time=datetime.fromtimestamp(moment.time_ms / 1000, LOCAL),
        config="",
        run=min(runs) if len(runs) == 1 else "",
    )
    picture.apply_passed(msgspec.json.encode(passed), moment.time_ms)
    picture.truncated = True
    return picture


def _said_by(located: Iterable[bytes], until_ms: int) -> list[bytes]:
    """The latest event of each source up to a time, and the reports of the last half hour."""
    latest: dict[tuple[str, str], tuple[int, bytes]] = {}
    reports = []
    for value in located:
        try:
            said = believed(_decode_said(value))
        except UNDECODABLE:
            continue
        time_ms = _ms(said.time)
        if time_ms > until_ms:
            continue
        if said.stream == "report":
            if until_ms - time_ms <= REPORT_MS:
                reports.append((time_ms, value))
        elif (key := (said.stream, said.source)) not in latest or latest[key][0] <= time_ms:
            latest[key] = (time_ms, value)
    return [value for _, value in sorted([*latest.values(), *reports], key=lambda one: one[0])]
