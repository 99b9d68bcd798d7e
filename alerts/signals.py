"""The records of ioc.signals: what sense and the operators tell correlate.

Each has an `order`: where correlate takes it among all of them. It is the later of the record's own time and the
last clock record before it in its raw partition, so no later record of that partition can have an earlier one.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from alerts.model import AwareTime, Certainty, Doubt, Evidence, Severity, Text, Where


class Signal(Struct, kw_only=True, omit_defaults=True, tag_field="kind", tag="signal"):
    """A condition of one subject began, changed or ended.

    Sense tells those of sources; correlate makes those of counts, communes and fusions itself.
    """

    rule: str
    rule_version: str
    #: The source; the commune's code; or for a cluster of events the first of them.
    subject: str
    #: Name of the subject, for people.
    subject_name: Text = {}
    change: Literal["began", "changed", "ended"]
    #: None when ended.
    severity: Severity | None = None
    label: Text = {}
    certainty: Certainty = "observed"
    hazard: str
    title: Text
    measure: str
    unit: str
    #: When it became so: the event's time, or when the hold was complete.
    time: AwareTime
    order: AwareTime
    #: Grows with each signal of this rule and subject: puts those of one moment in their order.
    number: int
    #: Id of the event that started the condition; the alert's identity follows from it and its time.
    start_event: str
    start_time: AwareTime
    #: The last observation that was judged, and the bound it was judged by.
    value: float
    observed: AwareTime
    event: str
    bound: float
    #: The worst value since the condition began, and when; None where there is none, as for silence.
    peak: float | None = None
    peaked: AwareTime | None = None
    where: Where
    #: Codes of all communes that it lies in, where they are more than that of `where`.
    communes: list[str] = []
    #: Why the last reading is doubted.
    doubts: tuple[Doubt, ...] = ()
    evidence: list[Evidence] = []
    #: Why it ended, where it was not the measure: rule-removed, rule-changed, source-removed, boundary-changed,
    #: expired.
    reason: str = ""
    #: Where it goes on, when it ended because a border moved: the commune that it lies in now.
    successor: str = ""
    citation: str = ""
    simulated: bool = False
    run: str = ""
    #: When the broker appended the raw record that caused it, ms since 1970: for the delay's metric, never
    #: for a judgement.
    appended_ms: int = 0


class Occurrence(Struct, kw_only=True, omit_defaults=True, tag_field="kind", tag="occurrence"):
    """An event that a count or a fusion may rest on: a citizen's report without its text, a camera's event."""

    stream: str
    source: str
    event: str
    time: AwareTime
    order: AwareTime
    where: Where
    #: What a rule's conditions may look at, such as kind or category.
    fields: dict[str, str] = {}
    simulated: bool = False
    run: str = ""
    appended_ms: int = 0


class Sums(Struct, kw_only=True, omit_defaults=True, tag_field="kind", tag="sums"):
    """What the sources of one raw partition said in one commune and minute, for one rule about communes.

    A source counts once a minute, with its last value. What comes after the minute's sums were told is not in them.
    """

    rule: str
    #: Raw partition as `stream/number`.
    partition: str
    #: The minute's beginning.
    minute: AwareTime
    #: A minute after the minute's end: they are told at the first clock record that is no earlier.
    order: AwareTime
    #: The commune, without a point.
    where: Where
    sources: int
    total: float
    #: Sources at or beyond the rule's `beyond`.
    beyond: int = 0
    simulated: bool = False
    run: str = ""
    appended_ms: int = 0


class Passed(Struct, kw_only=True, omit_defaults=True, tag_field="kind", tag="passed"):
    """A raw partition has passed a time: nothing with an earlier order will come from it."""

    #: Raw partition as `stream/number`.
    source: str
    time: AwareTime
    #: The configuration that holds there from this time on.
    config: str
    run: str = ""
    #: When the broker appended the clock record, ms since 1970: for how far the workers are behind, never for a
    #: judgement.
    appended_ms: int = 0


class Switch(Struct, kw_only=True, omit_defaults=True, tag_field="kind", tag="switch"):
    """The clock record of this time names another configuration than the one before: it holds from here on.

    Every raw partition tells it, at the same time.
    """

    #: Raw partition as `stream/number`.
    source: str
    #: The clock record's time, which is its order.
    order: AwareTime
    config: str
    run: str = ""
