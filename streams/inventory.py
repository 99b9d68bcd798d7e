"""The inventory: each fixed source with its place, kind, interval and thresholds, from YAML.

    version: 1
    kinds:                           # optional: what holds for all sources of a kind that do not say otherwise
      water_level:
        interval: 5m
        datum: Hon Dau
        plausible: {level_m: {least: -1, greatest: 4, step: 0.5, stuck: 6h}}
    sources:
      - id: gauge-1
        stream: flood
        name: {vi: ..., en: ...}
        kind: water_level
        lon: 105.78
        lat: 10.03
        interval: 5m                 # optional, as are owner, datum, plausible and simulated
        thresholds:                  # optional
          - {name: bd1, value: 1.8, since: "2020-01-31T00:00:00+07:00", citation: ...}

`plausible` says by measure which readings are doubted: outside of least and greatest, further than `step` from the
readings before, or unchanged for `stuck`. Each of the four may be left out. A source's own entry for a measure takes
the place of its kind's.

Every error names the file, the line and what to write instead; all that is wrong is told at once.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from alerts.believable import GREATEST
from alerts.model import AwareTime, Plausibility, Source, Threshold
from ioc.yamlfile import Document, Duration, Problems
from ioc.yamlfile import Path as Part
from streams.schemas import MEASURES
from streams.topics import STREAMS

#: What to write, by field: the remedy of an error about it.
REMEDIES = {
    "version": "write `version: 1`",
    "id": "use letters, digits and - _ . : without spaces",
    "stream": f"write one of {', '.join(STREAMS)}",
    "lon": "write degrees east such as 105.78, without quotes, -180 to 180",
    "lat": "write degrees north such as 10.03, without quotes, -90 to 90",
    "interval": "write it with its unit, such as 60s, 5m or 1h",
    "simulated": "write true or false",
    "value": "write a number such as 1.8, without quotes",
    "since": "write it as 2020-01-31T00:00:00+07:00",
    "until": "write it as 2020-01-31T00:00:00+07:00",
    "least": "write a number such as -1, without quotes",
    "greatest": "write a number such as 4, without quotes",
    "step": "write a number above 0 such as 0.5, without quotes",
    "stuck": "write it with its unit, such as 6h",
}

Filled = Annotated[str, Meta(min_length=1)]


class NameSpec(Struct, forbid_unknown_fields=True):
    """A name in each language."""

    vi: Filled
    en: Filled


class ThresholdSpec(Struct, forbid_unknown_fields=True):
    """A threshold as written."""

    name: Filled
    value: float
    since: AwareTime | None = None
    until: AwareTime | None = None
    citation: str = ""

    def threshold(self) -> Threshold:
        return Threshold(
            name=self.name,
            value=self.value,
            since=_utc(self.since),
            until=_utc(self.until),
            citation=self.citation,
        )


class PlausibleSpec(Struct, forbid_unknown_fields=True):
    """What can be believed of a measure, as written."""

    least: float | None = None
    greatest: float | None = None
    step: float | None = None
    stuck: Duration | None = None

    def plausibility(self) -> Plausibility:
        return Plausibility(
            least=self.least,
            greatest=self.greatest,
            step=self.step,
            stuck=self.stuck.time.total_seconds() if self.stuck else None,
        )


class KindSpec(Struct, forbid_unknown_fields=True):
    """What holds for the sources of a kind, as written."""

    interval: Duration | None = None
    datum: Filled | None = None
    plausible: dict[str, PlausibleSpec] = {}


class SourceSpec(Struct, forbid_unknown_fields=True, kw_only=True):
    """A source as written."""

    id: Annotated[str, Meta(max_length=200, pattern=r"^[^\s\x00-\x1f\x7f]+$")]
    stream: Literal["traffic", "flood", "camera", "report"]
    name: NameSpec
    kind: Filled
    lon: float
    lat: float
    owner: str = ""
    interval: Duration | None = None
    datum: Filled | None = None
    plausible: dict[str, PlausibleSpec] = {}
    thresholds: list[ThresholdSpec] = []
    simulated: bool = False


class InventoryFile(Struct, forbid_unknown_fields=True):
    """An inventory as written."""

    version: Literal[1]
    sources: list[SourceSpec]
    #: By name.
    kinds: dict[str, KindSpec] = {}


def parse_inventory(text: str, name: str) -> dict[str, Source]:
    """The sources of an inventory's text by id, in its order; `name` is said in errors.

    Raises `UserError` with `name`, line and column, what is wrong and what to write instead.
    """
    problems = Problems(Document(text, name), REMEDIES)
    file = problems.read(InventoryFile)
    found: dict[str, Source] = {}
    if file is not None:
        for kind, kind_spec in file.kinds.items():
            streams: set[str] = {spec.stream for spec in file.sources if spec.kind == kind}
            _check_interval(problems, ("kinds", kind), kind_spec.interval)
            _check_plausible(
                problems, ("kinds", kind, "plausible"), kind_spec.plausible, streams or set(STREAMS)
            )
        for index, spec in enumerate(file.sources):
            part: Part = ("sources", index)
            if spec.id in found:
                problems.add((*part, "id"), f"the source {spec.id} is there twice", "give each its own id")
                continue
            _check_place(problems, part, spec)
            _check_interval(problems, part, spec.interval)
            _check_plausible(problems, (*part, "plausible"), spec.plausible, {spec.stream})
            _check_thresholds(problems, (*part, "thresholds"), spec.thresholds)
            found[spec.id] = _source(spec, file.kinds.get(spec.kind, KindSpec()))
    problems.tell()
    return found


def _source(spec: SourceSpec, kind: KindSpec) -> Source:
    interval = spec.interval or kind.interval
    plausible = {**kind.plausible, **spec.plausible}
    return Source(
        id=spec.id,
        stream=spec.stream,
        name={"vi": spec.name.vi, "en": spec.name.en},
        kind=spec.kind,
        lon=spec.lon,
        lat=spec.lat,
        owner=spec.owner,
        interval=interval.time.total_seconds() if interval else None,
        datum=spec.datum or kind.datum,
        thresholds=tuple(threshold.threshold() for threshold in spec.thresholds),
        plausible={measure: one.plausibility() for measure, one in plausible.items()},
        simulated=spec.simulated,
    )


def _check_place(problems: Problems, part: Part, spec: SourceSpec) -> None:
    # Written so that .nan fails too.
    if not abs(spec.lat) <= 90:
        swapped = abs(spec.lat) <= 180 and abs(spec.lon) <= 90
        problems.add(
            (*part, "lat"),
            f"{spec.lat} is no latitude",
            "swap lon and lat" if swapped else REMEDIES["lat"],
        )
    if not abs(spec.lon) <= 180:
        problems.add((*part, "lon"), f"{spec.lon} is no longitude", REMEDIES["lon"])


def _check_interval(problems: Problems, part: Part, interval: Duration | None) -> None:
    if interval is not None and not interval.time:
        problems.add((*part, "interval"), "0 is not an interval", REMEDIES["interval"])


def _check_plausible(
    problems: Problems, part: Part, plausible: dict[str, PlausibleSpec], streams: set[str]
) -> None:
    """`streams` are those of the sources that it holds for."""
    for measure, spec in plausible.items():
        at = (*part, measure)
        measures = {name for stream in streams for name in MEASURES[stream]}
        if measure not in measures:
            problems.add(
                at,
                f"{' and '.join(sorted(streams))} has no measure {measure}",
                f"write one of {', '.join(sorted(measures))}" if measures else "remove it",
            )
        elif spec == PlausibleSpec():
            problems.add(at, "it says nothing", "write one of least, greatest, step and stuck, or remove it")
        for field in ("least", "greatest"):
            value = getattr(spec, field)
            if value is not None and not math.isfinite(value):
                problems.add((*at, field), f"{value} is no bound", REMEDIES[field])
        if spec.least is not None and spec.greatest is not None and spec.least >= spec.greatest:
            problems.add(
                (*at, "greatest"), "nothing lies between least and greatest", "let least be below greatest"
            )
        if spec.step is not None and not 0 < spec.step < math.inf:
            problems.add((*at, "step"), f"{spec.step} is no step", REMEDIES["step"])
        if spec.stuck is not None and not spec.stuck.time:
            problems.add((*at, "stuck"), "every reading is stuck for 0", REMEDIES["stuck"])


def _check_thresholds(problems: Problems, part: Part, specs: list[ThresholdSpec]) -> None:
    found: list[Threshold] = []
    for index, spec in enumerate(specs):
        # Written so that .nan fails too: nothing is above it, and its level would never be reached.
        if not abs(spec.value) <= GREATEST:
            problems.add(
                (*part, index, "value"), f"{spec.value} is no threshold", "write a number such as 2.0"
            )
        threshold = spec.threshold()
        if threshold.since and threshold.until and threshold.since >= threshold.until:
            problems.add(
                (*part, index, "until"), "it ends before it begins", "let `until` be later than `since`"
            )
        if any(other.name == threshold.name and _overlap(other, threshold) for other in found):
            problems.add(
                (*part, index, "name"),
                f"two values of {threshold.name} hold at once",
                "set `until` on the older one",
            )
        found.append(threshold)


def _overlap(a: Threshold, b: Threshold) -> bool:
    a_ends_first = a.until is not None and b.since is not None and a.until <= b.since
    b_ends_first = b.until is not None and a.since is not None and b.until <= a.since
    return not (a_ends_first or b_ends_first)


def _utc(time: datetime | None) -> datetime | None:
    return None if time is None else time.astimezone(UTC)
