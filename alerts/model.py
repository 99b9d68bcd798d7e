"""The words that the whole package uses, as typed records.

All are values: functions of this package return new ones. Times carry the zone that their source gave.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Struct

#: A time with a zone; decoding refuses one without.
AwareTime = Annotated[datetime, msgspec.Meta(tz=True)]

#: From least to worst: CAP 1.2's severities without Unknown.
Severity = Literal["minor", "moderate", "severe", "extreme"]
SEVERITIES: tuple[Severity, ...] = ("minor", "moderate", "severe", "extreme")

#: How sure it is, from least to most: CAP 1.2's certainties without Unlikely and Unknown.
Certainty = Literal["possible", "likely", "observed"]
CERTAINTIES: tuple[Certainty, ...] = ("possible", "likely", "observed")

#: Why a reading is doubted: beyond what is plausible, a jump that no second reading confirms, the same value for
#: too long, or a level above another datum than the inventory's.
Doubt = Literal["range", "spike", "stuck", "datum"]

#: A text in each language of the product: {"vi": ..., "en": ...}.
Text = dict[str, str]


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


class Threshold(Struct, frozen=True, kw_only=True):
    """A threshold of one source, such as a gauge's báo động level, and the days it holds for."""

    name: str
    value: float
    #: First instant it holds; None: since ever.
    since: AwareTime | None = None
    #: First instant it no longer holds; None: still holds.
    until: AwareTime | None = None
    citation: str = ""


class Plausibility(Struct, frozen=True, kw_only=True):
    """What readings of one measure of a source can be believed."""

    #: Least and greatest value that can be; None: not known.
    least: float | None = None
    greatest: float | None = None
    #: The most that two readings in a row can differ; None: not known.
    step: float | None = None
    #: Seconds after which an unchanging value is doubted; None: never.
    stuck: float | None = None


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
    #: By measure.
    plausible: dict[str, Plausibility] = {}
    simulated: bool = False


class Observation(Struct, frozen=True, kw_only=True):
    """One event as the rules see it."""

    event: str
    time: AwareTime
    #: Measures by name; one that the event lacks is absent.
    measures: dict[str, float]
    #: Text fields for a rule's `where`.
    fields: dict[str, str] = {}
    #: Why a measure is doubted, by measure; one that is believed is absent.
    doubts: dict[str, tuple[Doubt, ...]] = {}


class Evidence(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One observation that an alert rests on. Never a citizen's text or name."""

    stream: str
    source: str
    event: str
    time: AwareTime
    value: float | None = None
    doubts: tuple[Doubt, ...] = ()
