"""The words of the package: rules, signals and alerts, as typed records.

All are values: functions of this package return new ones. Times carry the zone that their source gave.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Literal

import msgspec
from msgspec import Struct

#: A time with a zone; decoding refuses one without.
AwareTime = Annotated[datetime, msgspec.Meta(tz=True)]

#: From least to worst: CAP 1.2's severities without Unknown.
Severity = Literal["minor", "moderate", "severe", "extreme"]
SEVERITIES: tuple[Severity, ...] = ("minor", "moderate", "severe", "extreme")

#: A text in each language of the product: {"vi": ..., "en": ...}.
Text = dict[str, str]


class Bound(Struct, frozen=True, omit_defaults=True):
    """A value to compare with: a number, or a threshold that each source has of its own, plus an offset."""

    #: Name of the source's threshold in the inventory, such as bd3; None: `offset` is the value itself.
    threshold: str | None
    offset: float = 0.0


class Level(Struct, frozen=True, kw_only=True):
    """One step of a ladder. It is entered at `raise_at` and left only at `clear_at`: hysteresis."""

    severity: Severity
    raise_at: Bound
    clear_at: Bound
    label: Text = {}


class LadderRule(Struct, frozen=True, kw_only=True):
    """A ladder of thresholds on one measure of one source.

    A level is reached when the measure has stood at or beyond `raise_at` for `hold`, and left as soon as the
    measure is short of `clear_at`. Between the two it stays what it was.
    """

    id: str
    #: Hash of the rule's content.
    version: str
    stream: str
    measure: str
    unit: str
    hazard: str
    title: Text
    #: above: high values are bad; below: low ones are.
    direction: Literal["above", "below"]
    hold: timedelta
    #: Mildest first.
    levels: tuple[Level, ...]
    #: Equality conditions on other fields of the event, such as {"kind": "vehicle_queue"}.
    where: dict[str, str] = {}
    citation: str = ""


class Threshold(Struct, frozen=True, kw_only=True):
    """A threshold of one source, such as a gauge's báo động level, and the days it holds for."""

    name: str
    value: float
    #: First instant it holds; None: since ever.
    since: AwareTime | None = None
    #: First instant it no longer holds; None: still holds.
    until: AwareTime | None = None
    citation: str = ""


class Where(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The place of an alert, and the boundaries that said so."""

    lon: float | None = None
    lat: float | None = None
    commune: str | None = None
    commune_name: str | None = None
    province: str | None = None
    #: `id@version` of the boundary set.
    boundaries: str = ""
    #: The set is an approximation, not the official map.
    approximate: bool = False


class Signal(Struct, kw_only=True, omit_defaults=True, tag_field="kind", tag="signal"):
    """A condition of one source began, changed or ended. From sense to correlate."""

    rule: str
    rule_version: str
    #: The source.
    subject: str
    #: Name of the source, for people.
    subject_name: Text = {}
    change: Literal["began", "changed", "ended"]
    #: None when ended.
    severity: Severity | None = None
    label: Text = {}
    hazard: str
    title: Text
    measure: str
    unit: str
    #: When it became so: the event's time, or when the hold was complete.
    time: AwareTime
    #: Where correlate takes it among all signals: the later of `time` and the last clock record before it.
    order: AwareTime
    #: Counts the signals of this rule and subject: puts those of one moment in their order.
    number: int
    #: Id of the event that started the condition; the alert's identity follows from it.
    start_event: str
    start_time: AwareTime
    #: The last observation that was judged, and the bound it was judged by.
    value: float
    observed: AwareTime
    event: str
    bound: float
    where: Where
    #: Why it ended, where it was not the measure: rule-removed, source-removed.
    reason: str = ""
    citation: str = ""
    simulated: bool = False
    run: str = ""
    #: When the broker appended the raw record that caused it, ms since 1970: for the delay's metric, never
    #: for a judgement.
    appended_ms: int = 0


class Passed(Struct, kw_only=True, omit_defaults=True, tag_field="kind", tag="passed"):
    """A raw partition has passed a time: no signal with an earlier order will come from it."""

    #: Raw partition as `stream/number`.
    source: str
    time: AwareTime
    #: The configuration that holds there from this time on.
    config: str
    run: str = ""


class Alert(Struct, kw_only=True, omit_defaults=True):
    """An alert as it stands after its latest change: the record of ioc.alert-changes and ioc.alerts."""

    #: Follows from run, rule, subject and the event that started it.
    id: str
    #: 1 for the first change, then one more for each: a reader that keeps (id, sequence) sees each once.
    sequence: int
    change: Literal["raised", "escalated", "lowered", "cleared", "closed"]
    state: Literal["open", "cleared", "closed"]
    #: The present severity; once cleared or closed, the last it had.
    severity: Severity
    #: The worst it ever had.
    worst: Severity
    rule: str
    rule_version: str
    hazard: str
    title: Text
    #: Name of the level reached, such as BĐ3.
    label: Text = {}
    subject: str
    subject_name: Text = {}
    where: Where
    #: When the condition began, before any hold.
    started: AwareTime
    #: When this change became true.
    time: AwareTime
    measure: str
    unit: str
    value: float
    observed: AwareTime
    #: The bound that the value crossed.
    bound: float
    start_event: str
    event: str
    #: Why it was closed, where the measure did not clear it.
    reason: str = ""
    citation: str = ""
    simulated: bool = False
    run: str = ""


class Observation(Struct, frozen=True, kw_only=True):
    """One event as the rules see it."""

    event: str
    time: AwareTime
    #: Measures by name; one that the event lacks is absent.
    measures: dict[str, float]
    #: Text fields for a rule's `where`.
    fields: dict[str, str] = {}


class Source(Struct, frozen=True, kw_only=True):
    """A fixed source of the inventory."""

    id: str
    stream: str
    name: Text
    kind: str
    lon: float
    lat: float
    owner: str = ""
    #: How often it reports, seconds; None where unknown.
    interval: float | None = None
    datum: str | None = None
    thresholds: tuple[Threshold, ...] = ()
    simulated: bool = False
