"""Routine events: less work for each, the same outcome."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta, timezone
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.model import Plausibility, Threshold
from alerts.rules.kinds import Bound, CommuneRule, LadderRule, Level, RateRule, SilenceLevel, SilenceRule
from geo.boundaries import Commune, boundary_set
from geo.registry import Registry
from geo.succession import Succession
from streams.atlas import Atlas
from streams.offline import MemoryRecord
from tests.sensekit import Partition, at, configuration, source

TITLE = {"vi": "Thử", "en": "Test"}
COMMON: dict[str, Any] = {"version": "v", "hazard": "flood", "title": TITLE, "stream": "flood"}


def ladder(
    measure: str, direction: Any, *levels: tuple[Any, Bound, Bound], hold: int = 0, **more: Any
) -> LadderRule:
    return LadderRule(
        **COMMON,
        id=f"{measure}-{direction}",
        measure=measure,
        unit="m",
        direction=direction,
        hold=timedelta(minutes=hold),
        levels=tuple(Level(severity=severity, raise_at=up, clear_at=down) for severity, up, down in levels),
        **more,
    )


RULES = (
    ladder(
        "road_depth_m",
        "above",
        ("minor", Bound(None, 3), Bound(None, 2)),
        ("severe", Bound("bd", 1), Bound("bd", 0)),
        hold=2,
    ),
    ladder("salinity_permille", "below", ("minor", Bound(None, 2), Bound(None, 3))),
    RateRule(
        **COMMON,
        id="rising",
        measure="level_m",
        unit="m",
        direction="above",
        window=timedelta(minutes=10),
        hold=timedelta(0),
        levels=(Level(severity="minor", raise_at=Bound(None, 3), clear_at=Bound(None, 1)),),
    ),
    SilenceRule(**COMMON, id="silent", levels=(SilenceLevel(severity="minor", intervals=3),)),
    CommuneRule(
        **COMMON,
        id="wet",
        measure="road_depth_m",
        unit="m",
        statistic="mean",
        direction="above",
        window=timedelta(minutes=2),
        hold=timedelta(0),
        least_sources=1,
        levels=(Level(severity="minor", raise_at=Bound(None, 3), clear_at=Bound(None, 2)),),
    ),
)
SOURCES = (
    source("a", interval=20.0, datum="local"),
    source("b", lon=106.5, simulated=True, thresholds=(Threshold(name="bd", value=0.5, until=at(9)),)),
    source(
        "c",
        thresholds=(Threshold(name="bd", value=0.5, since=at(4)),),
        plausible={"rain_mm": Plausibility(step=2.0)},
    ),
)


def turning(codes_before: str, codes_after: str, minute: float) -> Atlas:
    """Two squares whose communes have other codes from a minute on."""
    boxes = np.array([shapely.box(105, 10, 106, 11), shapely.box(106, 10, 107, 11)], dtype=object)

    def squares(id: str, codes: str, **holds: Any) -> Any:
        communes = [Commune(codes[0], "Tây", "92"), Commune(codes[1], "Đông", "92")]
        return boundary_set(
            id=id,
            approximate=False,
            source="made for the test",
            licence="",
            communes=communes,
            geometries=boxes,
            **holds,
        )

    sets = [
        squares("before", codes_before, valid_until=at(minute)),
        squares("after", codes_after, valid_from=at(minute)),
    ]
    return Atlas(Registry(sets), Succession({}))


MAPS = turning("12", "34", 7)
CONFIGURATIONS = (
    configuration("A", RULES, SOURCES, MAPS),
    # Fewer rules, a source less, another in the neighbouring commune, no turn of the map.
    configuration("B", RULES[1:3], (source("a", lon=106.5), SOURCES[1])),
)


class Day:
    """A random course of events, clock records, damaged records, chunks and restarts: mostly as it should be."""

    def __init__(self, chance: random.Random, partition: Partition) -> None:
        self._chance, self._partition = chance, partition
        #: Minutes since the start, the number of the last event, and the configuration that holds.
        self._minute, self._number, self._config = 0.0, 0, "A"

    def chunks(self) -> Iterator[list[MemoryRecord] | None]:
        """Records to judge at once; None: restart."""
        chunk = [self._partition.clock(0, "A")]
        for _ in range(200):
            what = self._chance.random()
            if what < 0.8:
                chunk.append(self._event())
            elif what < 0.95:
                self._minute += (
                    self._chance.choice([0.1, 0.3, 0.5, 1.5]) if self._chance.random() < 0.95 else 75
                )
                if self._chance.random() < 0.1:
                    self._config = self._chance.choice("AB")
                chunk.append(self._partition.clock(self._minute, self._config))
            elif what < 0.97:
                chunk.append(MemoryRecord(b"a", b"{", 0))
            else:
                yield chunk
                chunk = []
                if self._chance.random() < 0.3:
                    yield None
        yield chunk

    def _event(self) -> MemoryRecord:
        chance, odd = self._chance, self._chance.random()
        self._number += 1
        minute = self._minute + self._number / 1000
        fields: dict[str, Any] = {"lon": chance.choice([105.1, 106.9]), "lat": 10.5}
        for measure, share in (
            ("road_depth_m", 0.9),
            ("salinity_permille", 0.5),
            ("level_m", 0.1),
            ("rain_mm", 0.1),
        ):
            if chance.random() < share:
                normal = 4.0 if measure == "salinity_permille" else 1.0
                fields[measure] = normal if chance.random() < 0.9 else float(chance.randint(0, 4))
        if odd < 0.03:
            minute -= chance.choice([0.01, 0.5, 1, 2, 2, 3, 70])
        elif odd < 0.06:
            minute += chance.choice([0.5, 2, 4, 7])
        elif odd < 0.08:
            fields["datum"] = chance.choice(["local", "other"])
        elif odd < 0.10:
            fields["run"] = "r"
        elif odd < 0.12:
            fields["simulated"] = True
        zone = timezone(timedelta(hours=7 if chance.random() < 0.9 else 0))
        id_ = f"e{self._number - (chance.random() < 0.05)}" if chance.random() < 0.98 else "\x01"
        source = chance.choice(["a", "a", "a", "b", "b", "b", "c", "mobile"])
        time = at(minute).astimezone(zone).isoformat()
        return self._partition.event(0, source, id=id_, time=time, **fields)


@settings(deadline=None)
@given(st.integers(0, 2**32))
def test_handling_every_event_in_full_makes_no_difference(seed: int) -> None:
    """Each chunk writes the same records, byte for byte and in order, whether events are routine or none is."""
    routine = Partition(*CONFIGURATIONS, partitions=4)
    full = Partition(*CONFIGURATIONS, partitions=4, in_full=True)
    for chunk in Day(random.Random(seed), routine).chunks():
        if chunk is None:
            routine.restart()
            full.restart()
        else:
            assert routine.outcome(*chunk) == full.outcome(*chunk)


@pytest.mark.parametrize(
    ("odd", "why"),
    [
        ({"road_depth_m": 3.0}, "reaches a threshold"),
        ({"level_m": 0.0}, "has a measure that is judged by what came before"),
        ({"datum": "other"}, "is above another datum"),
        ({"id": "e4.9"}, "came before"),
        ({"time": at(-2).isoformat()}, "is older than the last one"),
        ({"time": at(8).isoformat()}, "is of another map's days"),
        ({"source": "mobile"}, "is of no source of the inventory"),
    ],
)
def test_what_is_routine_and_what_is_not(
    odd: dict[str, Any], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An event that a rule, a doubt, its order or its place makes special is handled in full; any other is not."""
    partition = Partition(CONFIGURATIONS[0])
    partition.outcome(partition.clock(0), partition.clock(5), partition.event(4.8, "a"))
    in_full = list[str]()
    monkeypatch.setattr(partition.sensing, "_event", lambda event, *_: in_full.append(event.id))
    partition.outcome(partition.event(4.9, "a", road_depth_m=0.0))
    assert in_full == []
    event = {"id": "odd", "road_depth_m": 0.0, **odd}
    partition.outcome(partition.event(5.1, event.pop("source", "a"), **event))
    assert in_full == [odd.get("id", "odd")], why
