"""The scenario of Cần Thơ: the shipped files are the program's, and the readings fit the plan."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import pytest
import yaml

from geo.distance import metres
from streams.inventory import parse_inventory
from streams.recording import ClockLine, EventLine, RawLine
from streams.scenarios import can_tho_spring_tide
from streams.scenarios.can_tho_spring_tide.day import plan
from streams.scenarios.can_tho_spring_tide.make import MIDNIGHT, make
from streams.scenarios.can_tho_spring_tide.places import COMMUNES
from streams.scenarios.can_tho_spring_tide.plan import QUEUE, STREET, TRAFFIC, Ladder, Source, water_level
from streams.scenarios.curves import Curve
from streams.schemas import EVENTS
from tests.planned import expected
from tests.scenariokit import (
    FOLDER,
    RULES,
    lines,
    series,
)

files = cache(make)


def test_shipped_files_are_what_the_program_makes() -> None:
    """The program makes exactly the shipped files. Compressed bytes depend on zlib too."""
    for name, content in files().items():
        shipped = (FOLDER / name).read_bytes()
        if name.endswith(".gz"):
            content, shipped = gzip.decompress(content), gzip.decompress(shipped)
        assert content == shipped, f"{name} is stale: run python -m {can_tho_spring_tide.__name__}.make"


@pytest.mark.long
def test_same_bytes_each_time() -> None:
    """Two runs give the same bytes, compressed ones included: no time and no chance outside the seed."""
    assert make() == files()


def test_planned_ladders_are_those_of_the_rules() -> None:
    """The plan speaks of the bounds and holds of the rules that ship, threshold for threshold."""
    rules = {rule["id"]: rule for rule in yaml.safe_load(RULES.read_text())["rules"]}
    thresholds = {"bd1": 1.8, "bd2": 1.9, "bd3": 2.0}

    def value(bound: Any) -> float:
        if isinstance(bound, dict):
            return thresholds[bound["threshold"]] + bound.get("offset", 0.0)
        return float(bound)

    ladders: list[Ladder] = [STREET, TRAFFIC, QUEUE, water_level(**thresholds)]
    for ladder in ladders:
        rule = rules[ladder.rule]
        assert rule["hold"] == f"{ladder.hold // 60}m"
        assert rule["direction"] == ("above" if ladder.sign == 1 else "below")
        assert [tuple(rung) for rung in ladder.rungs] == [
            (level["severity"], value(level["raise"]), value(level["clear"])) for level in rule["levels"]
        ]


def stands() -> Iterator[tuple[Source, int, int, float, float]]:
    """Source, `up`, `down`, and signed raise and clear values, of every planned stand."""
    for source in plan().values():
        for episode in source.episodes:
            assert source.ladder is not None
            for stand in episode.stands:
                rung = source.ladder.rungs[stand.level]
                yield source, stand.up, stand.down, *(source.ladder.sign * bound for bound in rung[1:])


def test_each_planned_crossing_is_where_the_plan_says() -> None:
    """A stand begins at `up` (the reading before is short of `raise`), is beyond it for the whole hold, never
    short of `clear` before `down`, and short of it at `down`."""
    for source, up, down, raise_at, clear_at in stands():
        assert source.ladder is not None
        position, value = series(source)
        hold = source.ladder.hold / 300
        where = f"{source.id} from {up} to {down}"
        assert value[position < up][-1] < raise_at, where
        assert (value[(position >= up) & (position <= up + hold)] >= raise_at).all(), where
        assert (value[(position >= up) & (position < down)] >= clear_at).all(), where
        assert value[position == down] < clear_at, where


def test_nothing_unplanned_stands_beyond_a_bound() -> None:
    """Outside the planned stands no source is at or beyond `raise` for as long as the hold."""
    for source in plan().values():
        if source.ladder is None or not source.heard:
            continue
        position, value = series(source)
        for level, rung in enumerate(source.ladder.rungs):
            inside = np.zeros(len(position), bool)
            for episode in source.episodes:
                for stand in episode.stands:
                    if stand.level == level:
                        inside |= (position >= stand.up) & (position < stand.down)
            beyond = (value >= source.ladder.sign * rung.raise_at) & ~inside
            for first in np.flatnonzero(beyond):
                after = np.flatnonzero(~beyond[first:])
                # The next reading short of the bound comes before the hold is complete.
                lasts = position[first + after[0]] - position[first]
                assert lasts < source.ladder.hold / 300, f"{source.id} at {position[first]}"


def test_near_misses_are_in_the_day() -> None:
    """The day holds what a careless rule gets wrong: a spike, an interrupted hold, trembling, silence."""

    def beyond(source: str, first: float, last: float, bound: float) -> list[bool]:
        position, value = series(plan()[source])
        return list(value[(position >= first) & (position <= last)] >= bound)

    assert beyond("street-cai-khe-4", 222, 225, 0.15) == [False, True, False, False, False]
    assert beyond("street-binh-thuy-2", 219, 220, 0.15) == [True, False, True]
    assert beyond("traffic-ninh-kieu-3", 200, 202, -15) == [True, False, True]
    trembling = beyond("street-ninh-kieu-3", 232, 240, 0.15)
    assert True in trembling[:-1]
    assert False in trembling
    position, _ = series(plan()["street-tan-an-1"])
    assert np.diff(position).max() > 25
    _, unjudged = series(plan()["gauge-dai-ngai"])
    assert unjudged.max() > 2.2
    _, exact = series(plan()["gauge-can-tho"])
    assert exact.max() > 2.0


def test_counts_are_those_of_the_recording() -> None:
    """The counts agree with the lines: events by stream, records that decode or not, duplicates."""
    counts = expected()["counts"]
    events = [line for line in lines() if not isinstance(line, ClockLine)]
    assert counts["events"] == Counter(line.stream for line in events)
    assert 25_000 <= len(events) <= 40_000
    assert sum(counts["located"].values()) + sum(counts["dead"].values()) == len(events)
    raw = [line for line in events if isinstance(line, RawLine)]
    assert counts["dead"]["undecodable"] == len(raw)
    for bad in raw:
        with pytest.raises(msgspec.MsgspecError):
            msgspec.json.decode(bad.raw, type=EVENTS[bad.stream])
    before: dict[str, str] = {}
    repeated = late = future = 0
    clock = MIDNIGHT
    for line in lines():
        if isinstance(line, ClockLine):
            clock = line.clock
        elif isinstance(line, EventLine):
            event = msgspec.json.decode(line.event, type=EVENTS[line.stream])
            assert event.simulated
            repeated += before.get(line.source) == event.id
            before[line.source] = event.id
            late += clock - event.time > timedelta(hours=1)
            future += event.time - clock > timedelta(minutes=5)
    assert counts["unjudged"] == {"late": late, "duplicate": repeated}
    assert counts["dead"]["future"] == future


def test_events_of_a_source_come_in_order() -> None:
    """Apart from the planned late and early ones, a source's events are in the order of their times."""
    last: dict[str, datetime] = {}
    for line in lines():
        if isinstance(line, EventLine) and b'"late-' not in line.event and b'"early-' not in line.event:
            assert line.time >= last.get(line.source, line.time)
            last[line.source] = line.time


def test_clocks_are_every_ten_seconds() -> None:
    """The whole day has a clock line every ten seconds, the first and the last line among them."""
    clocks = [line.clock for line in lines() if isinstance(line, ClockLine)]
    assert clocks == [MIDNIGHT + timedelta(seconds=10 * i) for i in range(8641)]
    assert isinstance(lines()[0], ClockLine)
    assert isinstance(lines()[-1], ClockLine)


def test_inventory_holds_every_fixed_source_in_its_commune() -> None:
    """Every fixed source is listed as simulated, within 100 m of its commune's point, with its thresholds."""
    found = parse_inventory((FOLDER / "inventory.yaml").read_text(), "inventory.yaml")
    assert set(found) == set(plan())
    for id_, source in found.items():
        planned = plan()[id_]
        point = COMMUNES["ninh-kieu" if planned.commune == "can-tho" else planned.commune]
        if planned.point is None:
            assert metres(source.lon, source.lat, point.lon, point.lat) < 100
        else:
            assert (source.lon, source.lat) == planned.point
        assert source.simulated
        assert source.interval == 300
        assert {threshold.name: threshold.value for threshold in source.thresholds} == planned.thresholds


def test_no_real_person_is_in_it() -> None:
    """Every reporter is recognisably made up."""
    people = [
        json.loads(line.event)["reporter"] for line in lines() if getattr(line, "source", "") == "citizen-app"
    ]
    assert len(people) > 100
    assert all(
        p["name"].startswith("Người Không Có Thật ") and p["phone"].startswith("0000 000") for p in people
    )


def test_size_that_can_ship() -> None:
    """The recording stays small enough for a package."""
    assert len(files()["scenario.ndjson.gz"]) < 1_200_000


def test_curve_is_monotone_between_its_points() -> None:
    """Between two points a curve never leaves their values: a crossing can only be at a planned point."""
    knots = [(0.0, 0.0), (1.0, 5.0), (10.0, 5.1), (12.0, 1.0), (13.0, 1.0), (20.0, -3.0)]
    curve = Curve(knots)
    for (x0, y0), (x1, y1) in pairwise(knots):
        values = np.array([curve(x) for x in np.linspace(x0, x1, 50)])
        assert ((values >= min(y0, y1)) & (values <= max(y0, y1))).all()
        assert (np.diff(values) * np.sign(y1 - y0) >= -1e-12).all()
