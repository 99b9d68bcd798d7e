"""The inventory: each fixed source with its place, kind, interval and thresholds, from YAML.

    version: 1
    sources:
      - id: gauge-1
        stream: flood
        name: {vi: ..., en: ...}
        kind: water_level
        lon: 105.78
        lat: 10.03
        interval: 5m                 # optional, as are owner, datum and simulated
        thresholds:                  # optional
          - {name: bd1, value: 1.8, since: "2020-01-31T00:00:00+07:00", citation: ...}

Every error names the file, the line and what to write instead.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from alerts.model import AwareTime, Source, Threshold
from ioc.yamlfile import Document, Duration
from ioc.yamlfile import Path as Part
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
    thresholds: list[ThresholdSpec] = []
    simulated: bool = False


class InventoryFile(Struct, forbid_unknown_fields=True):
    """An inventory as written."""

    version: Literal[1]
    sources: list[SourceSpec]


def parse_inventory(text: str, name: str) -> dict[str, Source]:
    """The sources of an inventory's text by id, in its order; `name` is said in errors.

    Raises `UserError` with `name`, line and column, what is wrong and what to write instead.
    """
    document = Document(text, name)
    found: dict[str, Source] = {}
    for index, spec in enumerate(document.convert(InventoryFile, REMEDIES).sources):
        part: Part = ("sources", index)
        if spec.id in found:
            raise document.error(
                (*part, "id"), f"the source {spec.id} is there twice", "give each its own id"
            )
        _check_place(document, part, spec)
        found[spec.id] = Source(
            id=spec.id,
            stream=spec.stream,
            name={"vi": spec.name.vi, "en": spec.name.en},
            kind=spec.kind,
            lon=spec.lon,
            lat=spec.lat,
            owner=spec.owner,
            interval=_interval(document, part, spec),
            datum=spec.datum,
            thresholds=_thresholds(document, (*part, "thresholds"), spec.thresholds),
            simulated=spec.simulated,
        )
    return found


def _check_place(document: Document, part: Part, spec: SourceSpec) -> None:
    # Written so that .nan fails too.
    if not abs(spec.lat) <= 90:
        swapped = abs(spec.lat) <= 180 and abs(spec.lon) <= 90
        raise document.error(
            (*part, "lat"),
            f"{spec.lat} is no latitude",
            "swap lon and lat" if swapped else REMEDIES["lat"],
        )
    if not abs(spec.lon) <= 180:
        raise document.error((*part, "lon"), f"{spec.lon} is no longitude", REMEDIES["lon"])


def _interval(document: Document, part: Part, spec: SourceSpec) -> float | None:
    if spec.interval is None:
        return None
    seconds = spec.interval.time.total_seconds()
    if seconds <= 0:
        raise document.error((*part, "interval"), "0 is not an interval", REMEDIES["interval"])
    return seconds


def _thresholds(document: Document, part: Part, specs: list[ThresholdSpec]) -> tuple[Threshold, ...]:
    found: list[Threshold] = []
    for index, spec in enumerate(specs):
        threshold = spec.threshold()
        if threshold.since and threshold.until and threshold.since >= threshold.until:
            raise document.error(
                (*part, index, "until"), "it ends before it begins", "let `until` be later than `since`"
            )
        if any(other.name == threshold.name and _overlap(other, threshold) for other in found):
            raise document.error(
                (*part, index, "name"),
                f"two values of {threshold.name} hold at once",
                "set `until` on the older one",
            )
        found.append(threshold)
    return tuple(found)


def _overlap(a: Threshold, b: Threshold) -> bool:
    a_ends_first = a.until is not None and b.since is not None and a.until <= b.since
    b_ends_first = b.until is not None and a.since is not None and b.until <= a.since
    return not (a_ends_first or b_ends_first)


def _utc(time: datetime | None) -> datetime | None:
    return None if time is None else time.astimezone(UTC)
