"""The kinds of rules, as the records that are judged by.

Three judge one source (in `sense`): a ladder of thresholds, a rate of change, silence. Three judge many (in
`correlate`): a count within a radius and a window, a commune's mean or share, the fusion of several streams.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from msgspec import Struct

from alerts.model import Certainty, Severity, Text

#: Values that a field of the event may have, by field: {"kind": ("vehicle_queue",)}. Empty: any event.
Conditions = dict[str, tuple[str, ...]]
Direction = Literal["above", "below"]


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
    certainty: Certainty = "observed"


class Limit(Struct, frozen=True):
    """At most so many alerts of one rule within a window; beyond, one alert says that there are more."""

    alerts: int
    window: timedelta


class RuleBase(Struct, frozen=True, kw_only=True):
    """What all rules have."""

    id: str
    #: Hash of the rule's content.
    version: str
    hazard: str
    title: Text
    citation: str = ""
    limit: Limit | None = None


class Selector(Struct, frozen=True, kw_only=True):
    """Which events count."""

    stream: str
    where: Conditions = {}


class LadderRule(RuleBase, frozen=True, kw_only=True, tag_field="kind", tag="ladder"):
    """A ladder of thresholds on one measure of one source.

    A level is reached when the measure has stood at or beyond `raise_at` for `hold`, and left as soon as the
    measure is short of `clear_at`. Between the two it stays what it was.
    """

    stream: str
    measure: str
    unit: str
    #: above: high values are bad; below: low ones are.
    direction: Direction
    hold: timedelta
    #: Mildest first.
    levels: tuple[Level, ...]
    where: Conditions = {}


class RateRule(RuleBase, frozen=True, kw_only=True, tag_field="kind", tag="rate"):
    """A ladder on how far one measure of one source has risen (above) or fallen (below) within `window`.

    Levels compare the distance itself: above 0 where it rises, below 0 where it falls.
    """

    stream: str
    measure: str
    unit: str
    direction: Direction
    window: timedelta
    hold: timedelta
    levels: tuple[Level, ...]
    where: Conditions = {}


class SilenceLevel(Struct, frozen=True, kw_only=True):
    """A step of silence: so long, or so many of the source's own intervals, without an event of it."""

    severity: Severity
    after: timedelta | None = None
    intervals: float | None = None
    label: Text = {}


class SilenceRule(RuleBase, frozen=True, kw_only=True, tag_field="kind", tag="silence"):
    """A source of the inventory has not been heard; also one that never was, since it was listed."""

    stream: str
    #: Kinds of sources as the inventory names them; empty: all of the stream.
    kinds: tuple[str, ...] = ()
    levels: tuple[SilenceLevel, ...]


class CountRule(RuleBase, frozen=True, kw_only=True, tag_field="kind", tag="count"):
    """A ladder on how many events lie within `radius_m` of a place and within `window`, across communes too."""

    of: Selector
    radius_m: float
    window: timedelta
    levels: tuple[Level, ...]


class CommuneRule(RuleBase, frozen=True, kw_only=True, tag_field="kind", tag="commune"):
    """A ladder on what the sources of one commune say together, minute by minute."""

    stream: str
    measure: str
    unit: str
    #: mean: of the sources' values; share: of the sources at or beyond `beyond`, 0 to 1.
    statistic: Literal["mean", "share"]
    beyond: float | None = None
    #: On which side of `beyond` a source counts, and on which side of the levels' bounds it is bad for a mean.
    direction: Direction
    #: Whole minutes.
    window: timedelta
    #: Where no minute of the window has values of so many sources nothing is judged.
    least_sources: int
    hold: timedelta
    levels: tuple[Level, ...]
    where: Conditions = {}


class FusionInput(Struct, frozen=True, kw_only=True):
    """One of the streams that must agree: an open condition of a rule about one source, or events."""

    name: str
    rule: str | None = None
    of: Selector | None = None


class FusionRule(RuleBase, frozen=True, kw_only=True, tag_field="kind", tag="fusion"):
    """A ladder on how many different inputs agree within `radius_m` of a place and within `window`."""

    inputs: tuple[FusionInput, ...]
    radius_m: float
    window: timedelta
    #: Bounds count inputs.
    levels: tuple[Level, ...]


SourceRule = LadderRule | RateRule | SilenceRule
ProvinceRule = CountRule | CommuneRule | FusionRule
Rule = SourceRule | ProvinceRule


def matches(where: Conditions, fields: dict[str, str]) -> bool:
    """Whether an event with these fields meets the conditions."""
    return all(fields.get(name) in values for name, values in where.items())
