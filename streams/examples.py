"""Runs the examples beside rules through the same functions that judge a live system, without a broker."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from heapq import merge
from typing import Any

import msgspec
import numpy as np
import shapely

from alerts.alert import Alert
from alerts.rules.examples import Example, Expected, Given, Spot
from geo.distance import EARTH_RADIUS_M
from ioc.errors import UserError
from ioc.settings import Settings
from streams.configuration import Configuration
from streams.inventory import parse_inventory
from streams.offline import judge
from streams.schemas import CLOCK_KEY, Clock
from streams.topics import Topics, partition_of

#: A clock record each so often; a live system has one a second, and no outcome depends on it.
CLOCK_EVERY = timedelta(seconds=10)
#: So long the clock goes on after `until`: what becomes known late, such as a minute's sums, is known by then.
AFTERWARDS = timedelta(minutes=5)

#: Metres of a degree of latitude, as distances are reckoned in the rules.
_DEGREE = math.radians(1) * EARTH_RADIUS_M

#: Changes that count only where an example expects one of that name: they come from other alerts, from people who do
#: not answer, or say no more than what is known.
ONLY_IF_EXPECTED = frozenset({"updated", "overdue", "suppressed", "resumed"})

_MILLISECOND = timedelta(milliseconds=1)

Raw = tuple[str, int, bytes | None, bytes | None]


@dataclass(frozen=True)
class Came:
    """A change that came, or that was expected."""

    at: timedelta
    change: str
    severity: str
    certainty: str
    #: In Vietnamese and in English; empty where the level has none.
    labels: tuple[str, ...]
    source: str
    reason: str

    @property
    def label(self) -> str:
        return self.labels[0] if self.labels else ""

    @classmethod
    def of(cls, alert: Alert, start: datetime) -> Came:
        return cls(
            # What follows from a minute's sums comes a microsecond after them.
            at=(alert.time - start) // _MILLISECOND * _MILLISECOND,
            change=alert.change,
            severity=alert.severity,
            certainty=alert.certainty,
            labels=tuple(alert.label.values()),
            source=alert.subject,
            reason=alert.suppressed or alert.reason,
        )

    def fits(self, expected: Expected) -> bool:
        """Whether it is what was expected; what is left out there is not compared."""
        return (
            self.at == expected.at
            and self.change == expected.change
            and expected.severity in (None, self.severity)
            and expected.certainty in (None, self.certainty)
            and (expected.label is None or expected.label in self.labels)
            and expected.source in (None, self.source)
            # A suppression names the other alert behind a colon.
            and (expected.reason is None or expected.reason in (self.reason, self.reason.split(":")[0]))
        )


@dataclass(frozen=True)
class Line:
    """A change in both lists, only expected, or only come."""

    expected: Expected | None
    came: Came | None


@dataclass(frozen=True)
class Outcome:
    """What came of an example."""

    example: Example
    #: In the order of time.
    lines: tuple[Line, ...]

    @property
    def good(self) -> bool:
        return all(line.expected is not None and line.came is not None for line in self.lines)


class Examples:
    """Runs examples of one file of rules."""

    def __init__(self, settings: Settings, configuration: Configuration) -> None:
        """`configuration` has the rules and the maps; each example brings its own sources."""
        # One partition for each stream: no outcome depends on their number, and each has its clock records.
        self._settings = settings.model_copy(update={"raw_partitions": 1, "topic_prefix": ""})
        # No window of maintenance, agency or operator of the installation has a say.
        policy = msgspec.structs.replace(configuration.policy, maintenance=(), subscriptions=(), operators=())
        self._configuration = replace(configuration, policy=policy)

    def run(self, example: Example) -> Outcome:
        """Judge an example's events. Raises `UserError` where the maps have no commune on its day."""
        middle = self._middle(example)
        configuration = replace(
            self._configuration,
            hash="example",
            sources=parse_inventory(_inventory(example, middle), example.place),
        )
        changes = judge(
            self._settings, configuration, self._records(example, middle, configuration.hash)
        ).changes
        wanted = {expected.change for expected in example.expected}
        came = [
            Came.of(alert, example.start)
            for alert in changes
            if alert.rule == example.rule
            and alert.time <= example.start + example.until
            and (alert.change not in ONLY_IF_EXPECTED or alert.change in wanted)
        ]
        came.sort(key=lambda change: change.at)
        return Outcome(example, tuple(_aligned(example.expected, came)))

    def _middle(self, example: Example) -> tuple[float, float]:
        """A point well inside a commune: within the largest of the map that holds on the day."""
        boundaries = self._configuration.atlas.registry.at(example.start)
        if boundaries is None or not len(boundaries.communes):
            raise UserError(
                "no commune for an example",
                f"no map holds on {example.start:%Y-%m-%d}",
                "see ioc boundaries list",
            )
        shapes = boundaries.geometries
        point = shapely.point_on_surface(shapes[int(np.argmax(shapely.area(shapes)))])
        return round(float(point.x), 5), round(float(point.y), 5)

    def _records(self, example: Example, middle: tuple[float, float], config: str) -> Iterator[Raw]:
        topics = {stream: topic.name for stream, topic in Topics.of(self._settings).raw.items()}
        ticks = range((example.until + AFTERWARDS) // CLOCK_EVERY + 1)
        clocks = ((number * CLOCK_EVERY, 0, None) for number in ticks)
        # An event comes in when its time is: after the clock record of that moment.
        events = ((given.at, 1, given) for given in example.given)
        number = 0
        for at, _, given in merge(clocks, events, key=lambda entry: entry[:2]):
            if given is None:
                value = msgspec.json.encode(Clock(clock=example.start + at, config=config))
                yield from ((topic, 0, CLOCK_KEY, value) for topic in topics.values())
            else:
                number += 1
                key = given.source.encode()
                partition = partition_of(key, self._settings.raw_partitions)
                value = msgspec.json.encode(_event(given, number, example.start, middle))
                yield topics[given.stream], partition, key, value


def _event(given: Given, number: int, start: datetime, middle: tuple[float, float]) -> dict[str, Any]:
    event: dict[str, Any] = {"id": f"event-{number}", "source": given.source, "time": start + given.at}
    if given.spot is not None:
        event["lon"], event["lat"] = _degrees(given.spot, middle)
    return event | given.fields


def _inventory(example: Example, middle: tuple[float, float]) -> str:
    """The example's sources as an inventory."""
    sources = []
    for sender in example.senders:
        lon, lat = _degrees(sender.spot, middle)
        source: dict[str, Any] = {
            "id": sender.id,
            "stream": sender.stream,
            "name": {"vi": sender.id, "en": sender.id},
            "kind": sender.kind,
            "lon": lon,
            "lat": lat,
            "thresholds": [
                {"name": name, "value": value, "citation": "example"}
                for name, value in sender.thresholds.items()
            ],
        }
        optional: Mapping[str, Any] = {
            "interval": sender.interval,
            "datum": sender.datum,
            "plausible": sender.plausible,
        }
        sources.append(source | {key: value for key, value in optional.items() if value})
    # JSON is YAML.
    return json.dumps({"version": 1, "sources": sources}, ensure_ascii=False)


def _degrees(spot: Spot, middle: tuple[float, float]) -> tuple[float, float]:
    if spot.lon is not None and spot.lat is not None:
        return spot.lon, spot.lat
    lon, lat = middle
    return (
        round(lon + spot.east / (_DEGREE * math.cos(math.radians(lat))), 7),
        round(lat + spot.north / _DEGREE, 7),
    )


def _aligned(expected: Sequence[Expected], came: Sequence[Came]) -> list[Line]:
    """What was expected beside what came, in the order of time."""
    left, lines = list(came), []
    # Those that say most choose first, so that one that says little does not take what another needs.
    for wanted in sorted(expected, key=_unsaid):
        found = next((change for change in left if change.fits(wanted)), None)
        if found is not None:
            left.remove(found)
        lines.append(Line(wanted, found))
    lines += [Line(None, change) for change in left]
    return sorted(lines, key=lambda line: (line.expected or line.came).at)  # type: ignore[union-attr]


def _unsaid(expected: Expected) -> int:
    return sum(getattr(expected, name) is None for name in expected.__struct_fields__)
