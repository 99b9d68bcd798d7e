"""What the wall is restored from: ioc.picture, a compacted record of the present picture and of the last days.

- `source|STREAM|ID`: the latest judged event of a source as it stands in ioc.located. Sense writes it, at most once
  in each ten seconds of the log's time; at the end of these the last event is there.
- `report|PARTITION|N`: the last citizens' reports of a raw partition, in a ring of `REPORTS_KEPT`.
- `frame|PROVINCE|N`: the alerts of a province at a whole minute, in a ring as long as the history; by correlate.

Rings make a bound out of compaction: what is new takes the key of what is old enough, and nobody has to delete it.
All is written in the transaction of the chunk that it follows from, and what a key holds at last depends neither on
where chunks end nor on restarts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Protocol

import msgspec
from msgspec import UNSET, Raw, Struct

from alerts.alert import Alert
from alerts.conditions.subject import SourceState
from alerts.correlation import Correlation
from alerts.model import SEVERITIES, AwareTime, Severity

#: Seconds of the log's time in which a source is written once.
SLOT_SECONDS = 10
#: Reports of each raw partition that are kept.
REPORTS_KEPT = 250
#: Alerts that a frame names; beyond, those that matter least are only counted.
FRAME_ALERTS_MAX = 500

MINUTE = timedelta(minutes=1)

SOURCE_PREFIX, REPORT_PREFIX, FRAME_PREFIX = b"source|", b"report|", b"frame|"

#: Key and value; None removes the key.
Record = tuple[bytes, bytes | None]


class Counts(Protocol):
    """What is kept of a raw partition beside its sources."""

    #: How many reports it has put into the picture.
    reports: int


class SourcePicture:
    """What sense writes of one raw partition's sources. What is not yet written waits in their state."""

    def __init__(self, stream: str, partition: int) -> None:
        self._stream = stream
        self._prefix = SOURCE_PREFIX + stream.encode() + b"|"
        self._reports = b"%s%d|" % (REPORT_PREFIX, partition)
        self._slot = 0
        #: By source, its last event where that is not written yet.
        self._waiting: dict[str, bytes] = {}

    def restore(self, sources: Mapping[str, SourceState], clock: datetime | None) -> None:
        """Go on with sources as earlier chunks left them; `clock` is the last clock record."""
        self._waiting = {
            name: bytes(state.unpictured) for name, state in sources.items() if state.unpictured is not UNSET
        }
        if clock is not None:
            self._slot = _slot(clock)

    def heard(self, name: str, state: SourceState, located: bytes, of_partition: Counts) -> Record | None:
        """A source's latest event, as ioc.located has it: what to write now; None where it has to wait."""
        if self._stream == "report":
            # Each of them stands for itself, though they share a source.
            of_partition.reports += 1
            return self._reports + b"%d" % (of_partition.reports % REPORTS_KEPT), located
        if state.pictured != self._slot:
            state.pictured = self._slot
            return self._key(name), located
        self._waiting[name] = located
        return None

    def keep(self, names: Iterable[str], sources: Mapping[str, SourceState]) -> None:
        """Put what waits of these sources into their states, which are about to be written."""
        for name in names:
            located = self._waiting.get(name)
            if located is not None:
                sources[name].unpictured = Raw(located)

    def pass_time(self, clock: datetime, sources: Mapping[str, SourceState]) -> list[tuple[str, Record]]:
        """A clock record: at the end of ten seconds what waits is written, by the source's name in order."""
        slot = _slot(clock)
        if slot == self._slot:
            return []
        self._slot = slot
        if not self._waiting:
            return []
        waiting, self._waiting = self._waiting, {}
        written: list[tuple[str, Record]] = []
        for name in sorted(waiting):
            written.append((name, (self._key(name), waiting[name])))
            # Of the ten seconds that begin now, this is the one.
            state = sources[name]
            state.pictured, state.unpictured = slot, UNSET
        return written

    def gone(self, name: str) -> Record:
        """A source that is no longer known."""
        self._waiting.pop(name, None)
        return self._key(name), None

    def _key(self, name: str) -> bytes:
        return self._prefix + name.encode()


def _slot(clock: datetime) -> int:
    return int(clock.timestamp()) // SLOT_SECONDS


class FrameAlert(Struct, frozen=True, array_like=True):
    """An open alert of a frame: (id, sequence) names its record in ioc.alert-changes."""

    id: str
    sequence: int
    severity: Severity
    #: Suppressed or shelved: it asked for no attention.
    aside: bool = False


class Frame(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The alerts of one province at a whole minute of event time: all of before it, nothing of after it."""

    time: AwareTime
    province: str
    run: str = ""
    #: By commune, the worst of its open alerts that ask for attention.
    communes: dict[str, Severity] = {}
    #: Open alerts that ask for attention.
    counts: dict[Severity, int] = {}
    suppressed: int = 0
    shelved: int = 0
    #: Alarms in the ten minutes and in the hour before.
    alarms_10m: int = 0
    alarms_1h: int = 0
    #: Those that ask for attention first, then the worst, then the newest.
    alerts: list[FrameAlert] = []
    #: Open alerts that are not named.
    unnamed: int = 0
    simulated: bool = False


def frame_of(correlation: Correlation, time: datetime, province: str, run: str) -> Frame:
    """The frame of a minute to which `correlation` has just come."""
    alerts = sorted(correlation.open(), key=_importance)
    communes: dict[str, Severity] = {}
    counts: dict[Severity, int] = {}
    for alert in alerts:
        if not _aside(alert):
            counts[alert.severity] = counts.get(alert.severity, 0) + 1
            for code in alert.area:
                communes.setdefault(code, alert.severity)  # the worst come first
    suppressed = sum(bool(alert.suppressed) for alert in alerts)
    before = time - MINUTE
    return Frame(
        time=time,
        province=province,
        run=run,
        communes=dict(sorted(communes.items())),
        counts=counts,
        suppressed=suppressed,
        shelved=sum(_aside(alert) for alert in alerts) - suppressed,
        alarms_10m=correlation.rate.last(before, 10),
        alarms_1h=correlation.rate.last(before, 60),
        alerts=[
            FrameAlert(alert.id, alert.sequence, alert.severity, _aside(alert))
            for alert in alerts[:FRAME_ALERTS_MAX]
        ],
        unnamed=max(0, len(alerts) - FRAME_ALERTS_MAX),
        simulated=any(alert.simulated for alert in alerts),
    )


def _aside(alert: Alert) -> bool:
    return bool(alert.suppressed) or alert.shelved_until is not None


def _importance(alert: Alert) -> tuple[bool, int, float, str]:
    return _aside(alert), -SEVERITIES.index(alert.severity), -alert.started.timestamp(), alert.id


def frame_key(frame: Frame, hours: int) -> bytes:
    """The place of a frame in a ring of so many hours."""
    minute = int(frame.time.timestamp()) // 60
    return FRAME_PREFIX + f"{frame.province}|{minute % (hours * 60):06d}".encode()


def minutes_between(after: datetime, until: datetime, hours: int) -> Iterable[datetime]:
    """The whole minutes after one time up to another, but no more than the ring holds."""
    last = int(until.timestamp()) // 60
    first = max(int(after.timestamp()) // 60 + 1, last - hours * 60 + 1)
    return (datetime.fromtimestamp(60 * minute, UTC) for minute in range(first, last + 1))


decode_frame = msgspec.json.Decoder(Frame).decode
