"""What an author may write in a file of rules: the YAML's form, and the words that editors show beside it.

These records hold the form alone. What must fit together is checked in `alerts.rules.checks`; `alerts.rules.written`
makes them into the records of `alerts.rules.kinds`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from alerts.model import SEVERITIES, Certainty, Severity, Text
from alerts.rules.kinds import Direction
from ioc.yamlfile import Duration, Scalar, TimeOfDay

#: No line break at the end either, which `$` alone would let pass.
Name = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9][a-z0-9-]*$(?!\n)",
        max_length=60,
        description="A name: small letters, digits and hyphens, such as water-level.",
    ),
]
Filled = Annotated[str, Meta(pattern=r"\S", max_length=300)]
#: For a union with a list: msgspec 0.22 frees the pattern of a text in such a union twice, and the process crashes.
Word = Annotated[str, Meta(min_length=1, max_length=300)]
#: A number that can be reckoned with: neither infinite nor .nan.
Number = Annotated[float, Meta(ge=-1e9, le=1e9)]
Whole = Annotated[int, Meta(ge=1, le=1_000_000)]
Metres = Annotated[float, Meta(gt=0, le=50_000, description="Radius in metres.")]

Hazard = Annotated[Name, Meta(description="What threatens, such as flood, traffic or salinity.")]
Measure = Annotated[str, Meta(description="The measure that is judged, such as level_m or speed_kmh.")]
Unit = Annotated[str, Meta(description="The unit of the bounds, as operators see it.")]
Stream = Annotated[str, Meta(description="The stream of events: traffic, flood, camera or report.")]
Side = Annotated[Direction, Meta(description="above: high values are bad; below: low ones are.")]
Hold = Annotated[
    Duration | None, Meta(description="How long it must stand so before the alert. Left out: not at all.")
]
Window = Annotated[Duration, Meta(description="How far back it looks.")]
Conditions = Annotated[
    dict[str, Word | Annotated[list[Word], Meta(min_length=1)]],
    Meta(description="Only events whose field has this value, or one of these: {kind: vehicle_queue}."),
]
Sureness = Annotated[Certainty, Meta(description="How sure the level is: possible, likely or observed.")]


class TextSpec(Struct, forbid_unknown_fields=True):
    """A text in Vietnamese and English."""

    vi: Filled
    en: Filled

    def text(self) -> Text:
        return {"vi": self.vi, "en": self.en}


Label = Annotated[TextSpec | None, Meta(description="Name of the level, such as BĐ3.")]


class BoundSpec(Struct, forbid_unknown_fields=True):
    """A bound that each source has of its own: {threshold: bd3, offset: -0.05}."""

    threshold: Annotated[Name, Meta(description="Name of the source's threshold in the inventory.")]
    offset: Annotated[Number, Meta(description="What is added to it.")] = 0.0


class LevelSpec(Struct, forbid_unknown_fields=True, kw_only=True):
    """A step of a ladder on a measure."""

    severity: Severity
    raise_at: Annotated[
        Number | BoundSpec, Meta(description="Where the level is entered: a number or a threshold.")
    ] = field(name="raise")
    clear_at: Annotated[Number | BoundSpec, Meta(description="Where it is left, short of `raise`.")] = field(
        name="clear"
    )
    label: Label = None
    certainty: Sureness = "observed"


class CountLevelSpec(Struct, forbid_unknown_fields=True, kw_only=True):
    """A step of a ladder on a number of events."""

    severity: Severity
    raise_at: Annotated[Whole, Meta(description="So many events enter the level.")] = field(name="raise")
    clear_at: Annotated[Whole, Meta(description="Fewer events than this leave it.")] = field(name="clear")
    label: Label = None
    certainty: Sureness = "observed"


class FusionLevelSpec(Struct, forbid_unknown_fields=True, kw_only=True):
    """A step of a ladder on a number of inputs that agree."""

    severity: Severity
    least: Annotated[int, Meta(ge=2, le=20, description="So many different inputs must agree.")]
    certainty: Sureness = "observed"
    label: Label = None


class SilenceLevelSpec(Struct, forbid_unknown_fields=True, kw_only=True):
    """A step of silence: either a time, or a number of the source's own intervals."""

    severity: Severity
    after: Annotated[Duration | None, Meta(description="So long without an event.")] = None
    intervals: Annotated[
        Annotated[float, Meta(ge=1, le=100_000)] | None,
        Meta(description="So many intervals of the source without an event."),
    ] = None
    label: Label = None


Levels = Annotated[list[LevelSpec], Meta(min_length=1, max_length=len(SEVERITIES))]


class LimitSpec(Struct, forbid_unknown_fields=True):
    """At most so many alerts of the rule within a window; beyond, one alert says that there are more."""

    alerts: Whole
    window: Window


class SelectorSpec(Struct, forbid_unknown_fields=True):
    """Which events count."""

    stream: Stream
    where: Conditions = {}


class InputSpec(Struct, forbid_unknown_fields=True, kw_only=True):
    """One of the streams that must agree: an open alert of a rule about one source, or events."""

    name: Name
    rule: Annotated[Name | None, Meta(description="A rule of kind ladder, rate or silence.")] = None
    of: SelectorSpec | None = None


# Examples


class Moment(Scalar):
    """When something happens in an example: after its start (15m), or on the clock (07:30)."""

    PATTERN = rf"({Duration.PATTERN})|({TimeOfDay.PATTERN})"
    MEANING = "A time after the example's start such as 15m, or on the clock such as 07:30"

    def __init__(self, text: str) -> None:
        try:
            self.at: Duration | TimeOfDay = TimeOfDay(text) if ":" in text else Duration(text)
        except ValueError:
            raise ValueError(
                f"{text!r} is no time; write one after the start such as 15m, or on the clock such as 07:30"
            ) from None


class PlausibleSpec(Struct, forbid_unknown_fields=True):
    """What readings of a measure can be believed, as in an inventory."""

    least: Number | None = None
    greatest: Number | None = None
    step: Number | None = None
    stuck: Duration | None = None


Offset = Annotated[float, Meta(ge=-100_000, le=100_000)]
FromTo = Annotated[list[Offset], Meta(min_length=2, max_length=2)]
East = Annotated[Offset | None, Meta(description="Metres east of the middle.")]
North = Annotated[Offset | None, Meta(description="Metres north of the middle.")]
Longitude = Annotated[Annotated[float, Meta(ge=-180, le=180)] | None, Meta(description="Degrees east.")]
Latitude = Annotated[Annotated[float, Meta(ge=-90, le=90)] | None, Meta(description="Degrees north.")]


class ExampleSourceSpec(Struct, forbid_unknown_fields=True, kw_only=True):
    """A source that an example's inventory has."""

    stream: Annotated[Stream | None, Meta(description="Left out: the rule's.")] = None
    kind: Filled | None = None
    thresholds: dict[Name, Number] = {}
    interval: Duration | None = None
    datum: Filled | None = None
    plausible: dict[str, PlausibleSpec] = {}
    east: East = None
    north: North = None
    lon: Longitude = None
    lat: Latitude = None


class GivenSpec(Struct, kw_only=True):
    """What comes in: an event, or one at each `every`. Its other keys are the event's own: level_m: 1.9.

    A number may be written as [first, last] where the event is repeated: it then goes from one to the other.
    """

    at: Moment
    to: Annotated[Moment | None, Meta(description="Repeated until then.")] = None
    every: Annotated[Duration | None, Meta(description="How often it is repeated.")] = None
    source: Annotated[
        Word | Annotated[list[Word], Meta(min_length=1)] | None,
        Meta(description="Who sends it, or several who do. One without a place in the inventory is mobile."),
    ] = None
    stream: Annotated[Stream | None, Meta(description="Left out: the source's, or the rule's.")] = None
    east: Annotated[Offset | FromTo | None, Meta(description="Metres east of the middle.")] = None
    north: Annotated[Offset | FromTo | None, Meta(description="Metres north of the middle.")] = None
    lon: Longitude = None
    lat: Latitude = None


class ExpectSpec(Struct, forbid_unknown_fields=True, kw_only=True):
    """A change of an alert of the rule. What is left out is not compared."""

    at: Moment
    change: Literal[
        "raised", "escalated", "lowered", "updated", "cleared", "closed", "overdue", "suppressed", "resumed"
    ]
    severity: Severity | None = None
    certainty: Certainty | None = None
    label: Annotated[Filled | None, Meta(description="The level's label in either language.")] = None
    source: Annotated[Name | None, Meta(description="The source that the alert is about.")] = None
    reason: Annotated[Filled | None, Meta(description="Why it was closed or suppressed.")] = None


class ExampleSpec(Struct, forbid_unknown_fields=True, kw_only=True):
    """What must come of some events. Without `expect` no alert may come."""

    name: Filled
    start: Annotated[TimeOfDay, Meta(description="Left out: midnight.")] | None = None
    source: Annotated[ExampleSourceSpec | None, Meta(description="The only source.")] = None
    sources: Annotated[dict[Name, ExampleSourceSpec], Meta(description="Several, by name.")] = {}
    given: list[GivenSpec] = []
    until: Moment
    expect: list[ExpectSpec] = []


# Rules


class RuleSpecBase(Struct, forbid_unknown_fields=True, kw_only=True):
    """What all rules have."""

    id: Name
    title: TextSpec
    hazard: Hazard
    citation: Annotated[str, Meta(description="Where the bounds come from, such as a decision.")] = ""
    limit: LimitSpec | None = None
    examples: Annotated[list[ExampleSpec], Meta(description="Run by `ioc rules test`.")] = []


class LadderSpec(RuleSpecBase, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="ladder"):
    """A measure of one source stands at or beyond a bound."""

    stream: Stream
    measure: Measure
    unit: Unit
    direction: Side
    levels: Levels
    hold: Hold = None
    where: Conditions = {}


class RateSpec(RuleSpecBase, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="rate"):
    """A measure of one source has risen or fallen so far within a window."""

    stream: Stream
    measure: Measure
    unit: Unit
    direction: Annotated[Direction, Meta(description="above: a rise is bad; below: a fall is.")]
    window: Window
    levels: Annotated[
        Levels, Meta(description="Bounds are the distance: above 0 for a rise, below 0 for a fall.")
    ]
    hold: Hold = None
    where: Conditions = {}


class SilenceSpec(RuleSpecBase, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="silence"):
    """A source of the inventory has not been heard for so long, or never."""

    stream: Stream
    kinds: Annotated[
        list[Filled], Meta(description="Kinds of sources in the inventory; left out: all of the stream.")
    ] = []
    levels: Annotated[list[SilenceLevelSpec], Meta(min_length=1, max_length=len(SEVERITIES))]


class CountSpec(RuleSpecBase, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="count"):
    """So many events lie within a radius of a place and within a window."""

    of: SelectorSpec
    radius_m: Metres
    window: Window
    levels: Annotated[list[CountLevelSpec], Meta(min_length=1, max_length=len(SEVERITIES))]


class CommuneSpec(RuleSpecBase, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="commune"):
    """What the sources of one commune say together."""

    stream: Stream
    measure: Measure
    unit: Unit
    statistic: Annotated[
        Literal["mean", "share"],
        Meta(
            description="mean: of the sources' values; share: of the sources at or beyond `beyond`, 0 to 1."
        ),
    ]
    beyond: Annotated[Number | None, Meta(description="From where on a source counts; for a share only.")] = (
        None
    )
    direction: Annotated[
        Direction,
        Meta(description="On which side of `beyond` a source counts; for a mean, which values are bad."),
    ]
    window: Annotated[Duration, Meta(description="How far back it looks, in whole minutes.")]
    least_sources: Annotated[
        Whole, Meta(description="With fewer in every minute of the window nothing is judged.")
    ]
    levels: Levels
    hold: Hold = None
    where: Conditions = {}


class FusionSpec(RuleSpecBase, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="fusion"):
    """Several streams agree in one place within a window."""

    inputs: Annotated[list[InputSpec], Meta(min_length=2, max_length=20)]
    radius_m: Metres
    window: Window
    # One severity may be there with several certainties.
    levels: Annotated[list[FusionLevelSpec], Meta(min_length=1, max_length=3 * len(SEVERITIES))]


AnyRuleSpec = LadderSpec | RateSpec | SilenceSpec | CountSpec | CommuneSpec | FusionSpec

#: By the word that stands at `kind`; without one a rule is a ladder.
KINDS: dict[str, type[AnyRuleSpec]] = {
    "ladder": LadderSpec,
    "rate": RateSpec,
    "silence": SilenceSpec,
    "count": CountSpec,
    "commune": CommuneSpec,
    "fusion": FusionSpec,
}


# What holds for all rules


class EscalationSpec(Struct, forbid_unknown_fields=True):
    """An alert that nobody has acknowledged for so long becomes overdue."""

    severity: Annotated[Severity, Meta(description="Alerts of this severity and worse.")]
    after: Duration
    to: Annotated[Literal["operator", "supervisor"], Meta(description="Whose business it becomes.")]


class InhibitionSpec(Struct, forbid_unknown_fields=True, kw_only=True):
    """While an alert of one rule is open, alerts of others in the same place are suppressed."""

    id: Name
    by: Annotated[list[Name], Meta(min_length=1, description="Rules whose open alerts suppress.")]
    severity: Annotated[Severity, Meta(description="Only from this severity on.")] = "minor"
    of: Annotated[list[Name], Meta(min_length=1, description="Rules whose alerts are suppressed.")]
    same: Annotated[Literal["commune", "province", "subject"], Meta(description="Where they are.")] = (
        "commune"
    )


class GroupingSpec(Struct, forbid_unknown_fields=True, kw_only=True):
    """Alerts that belong to one incident."""

    id: Name
    title: TextSpec
    hazard: Hazard
    rules: Annotated[list[Name], Meta(description="Left out: every rule of the hazard.")] = []
    radius_m: Annotated[
        Metres | None, Meta(description="Metres from its first alert, for `same: place`.")
    ] = None
    same: Literal["place", "commune", "province"] = "place"
    gap: Annotated[Duration, Meta(description="How long after its last alert another one still joins.")]
    peaks: Annotated[
        Duration | None, Meta(description="High waters further apart than this are told one by one.")
    ] = None


class RuleFile(Struct, forbid_unknown_fields=True, kw_only=True):
    """Rules of an installation: when an alert is raised, and what becomes of it."""

    version: Literal[1]
    rules: list[AnyRuleSpec]
    escalations: list[EscalationSpec] = []
    inhibitions: list[InhibitionSpec] = []
    incidents: list[GroupingSpec] = []
