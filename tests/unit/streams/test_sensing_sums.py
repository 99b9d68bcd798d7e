"""Sums for rules about communes, against one who has all events; and the order of all that is told."""

from __future__ import annotations

import random
from collections import defaultdict
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from alerts.model import Plausibility
from alerts.rules.kinds import Bound, CommuneRule, Level
from alerts.signals import Passed, Sums
from tests.sensekit import START, Message, Partition, at, configuration, source, squares
from tests.unit.streams.test_sensing_source import RISING, SILENT, WATER


def rule(id: str, measure: str, beyond: float | None, direction: str = "above") -> CommuneRule:
    return CommuneRule(
        id=id,
        version="v",
        hazard="flood",
        title={"vi": "Mưa", "en": "Rain"},
        stream="flood",
        measure=measure,
        unit="mm",
        statistic="mean" if beyond is None else "share",
        beyond=beyond,
        direction=direction,  # type: ignore[arg-type]
        window=timedelta(minutes=5),
        least_sources=1,
        hold=timedelta(0),
        levels=(Level(severity="minor", raise_at=Bound(None, 0.5), clear_at=Bound(None, 0.4)),),
    )


RULES = (rule("rain", "rain_mm", 5.0), rule("dry", "rain_mm", 0.5, "below"), rule("level", "level_m", None))
SOURCES = [
    source("w1", interval=300, plausible={"rain_mm": Plausibility(greatest=50)}),
    source("w2", interval=300, simulated=True),
    source("e1", lon=106.5, interval=300),
    source("out", lon=120.0, interval=300),
]
HELD = replace(WATER, id="held", hold=timedelta(minutes=2))
#: (minute of the clock, its configuration) or (source, its time relative to the clock, rain, level)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from([0.2, 0.5, 1.0, 3.0, 9.0]), st.sampled_from("AAAB")),
        st.tuples(
            st.sampled_from(["w1", "w2", "e1", "out", "boat-w", "boat-e"]),
            st.sampled_from([-70.0, -4.0, -2.1, -1.0, -0.4, 0.0, 0.3, 2.0]),
            st.sampled_from([None, 0.0, 0.1, 0.2, 4.7, 5.0, 60.0]),
            st.sampled_from([None, 0.1, 0.7, 1.3, 2.2]),
        ),
    ),
    max_size=40,
)


def play(steps: list[tuple], here: Partition) -> list:
    """The steps as records; the boat is one source that crosses the border."""
    records, now, config = [here.clock(0, "A")], 0.0, "A"
    for step in steps:
        if len(step) == 2:
            now, config = now + step[0], step[1]
            records.append(here.clock(now, config))
        else:
            name, offset, rain, level = step
            fields = {"rain_mm": rain, "level_m": level}
            place = {"lon": 105.5 if name == "boat-w" else 106.5, "lat": 10.5} if "boat" in name else {}
            records.append(
                here.event(
                    moment(now, offset),
                    name.split("-")[0],
                    **{key: value for key, value in fields.items() if value is not None},
                    **place,
                )
            )
    return [*records, here.clock(now + 9, config)]


def moment(now: float, offset: float) -> float:
    """Minutes, so exact that what differs is another time in an event as well."""
    return round(now + offset, 6)


def fresh() -> Partition:
    return Partition(
        configuration("A", [*RULES, WATER, HELD, RISING, SILENT], SOURCES),
        configuration("B", [*RULES, WATER, HELD], SOURCES[1:], squares("moved", "34")),
    )


def model(steps: list[tuple]) -> tuple[dict[tuple, dict[str, float]], int]:
    """By rule, commune, minute and being simulated: the values of the sources; and how many come too late."""
    said: dict[tuple, dict[str, float]] = defaultdict(dict)
    last: dict[str, tuple[float, str]] = {}
    now, left_out = 0.0, 0
    for step in steps:
        if len(step) == 2:
            now += step[0]
            continue
        name, offset, rain, level = step
        time = moment(now, offset)
        id_, event = name.split("-")[0], f"e{time}"
        before = last.get(id_)
        if offset < -60 or (before is not None and (event == before[1] or time < before[0])):
            continue
        last[id_] = (time, event)
        commune = {"w1": "1", "w2": "1", "e1": "2", "boat-w": "1", "boat-e": "2"}.get(name)
        minute = int((at(time).timestamp()) // 60)
        for one in RULES:
            value = rain if one.measure == "rain_mm" else level
            if value is None or commune is None or (id_ == "w1" and one.measure == "rain_mm" and value > 50):
                continue
            if (minute + 2) * 60 <= at(now).timestamp():
                left_out += 1
                continue
            for other in ("1", "2"):  # a source counts once a minute, where it was last
                said[one.id, other, minute, False].pop(id_, None)
            said[one.id, commune, minute, id_ == "w2"][id_] = value
    return {key: values for key, values in said.items() if values}, left_out


def test_a_clock_record_that_one_partition_lacks_does_not_part_its_sums_from_the_others() -> None:
    """The sums of a minute have one order in all partitions: else those that are told later would be left out."""
    orders = []
    for clocks in ((1.5, 2.0, 2.5), (1.5, 2.5)):
        here = fresh()
        records = [here.clock(0), here.event(0.2, "e1", rain_mm=4.0), *map(here.clock, clocks)]
        orders.append({one.order for one in here.run(*records) if isinstance(one, Sums)})
    assert orders == [{at(2)}, {at(2)}]


@settings(max_examples=150, deadline=None)  # the first one builds the maps
@given(
    STEPS.map(lambda steps: [step if len(step) == 4 else (step[0], "A") for step in steps]), st.integers(0, 9)
)
def test_sums_are_those_of_one_who_has_all_events(steps: list[tuple], seed: int) -> None:
    """Whatever the chunks and however often the state was restored; each minute once, in order."""
    here = fresh()
    told = here.run_in_pieces(play(steps, here), random.Random(seed))
    sums = [message for message in told if isinstance(message, Sums)]
    expected, _ = model(steps)
    by_id = {one.id: one for one in RULES}
    found = {
        (one.rule, one.where.commune, int(one.minute.timestamp() // 60), one.simulated): (
            one.sources,
            one.total,
            one.beyond,
        )
        for one in sums
    }
    assert len(found) == len(sums), "each minute is told once"
    assert found.keys() == expected.keys()
    for key, values in expected.items():
        limit, above = by_id[key[0]].beyond, by_id[key[0]].direction == "above"
        beyond = [v for v in values.values() if limit is not None and (v >= limit if above else v <= limit)]
        sources, total, count = found[key]
        assert (sources, count) == (len(values), len(beyond))
        assert abs(total - sum(values.values())) < 1e-9
    assert [(one.order, one.minute) for one in sums] == sorted((one.order, one.minute) for one in sums)
    for one in sums:
        assert one.order >= one.minute + timedelta(minutes=2)
        assert one.where.lon is None


@settings(deadline=None)
@given(STEPS.map(lambda steps: [step if len(step) == 4 else (step[0], "A") for step in steps]))
def test_what_comes_after_its_sums_is_left_out_and_counted(steps: list[tuple]) -> None:
    here = fresh()
    assert here.outcome(*play(steps, here)).left_out == model(steps)[1]


@settings(max_examples=150, deadline=None)  # the first one builds the maps
@given(STEPS, st.integers(0, 9))
def test_chunks_and_restarts_make_no_difference_and_the_order_is_kept(steps: list[tuple], seed: int) -> None:
    """All kinds of rules under two configurations: the same is told, and nothing with an order that was passed."""
    whole, pieces = fresh(), fresh()
    told = whole.run(*play(steps, whole))
    again = pieces.run_in_pieces(play(steps, pieces), random.Random(seed))
    assert [m for m in told if not isinstance(m, Passed)] == [m for m in again if not isinstance(m, Passed)]
    in_order(told)
    in_order(again)
    numbers = [m.number for m in told if hasattr(m, "number")]
    assert numbers == sorted(set(numbers))


def in_order(messages: list[Message]) -> None:
    """No record has an order before a time that its partition had passed."""
    passed: datetime = START - timedelta(days=1)
    for message in messages:
        if isinstance(message, Passed):
            assert message.time >= passed
            passed = message.time
        else:
            assert message.order >= passed


def test_a_minute_is_told_at_the_first_clock_record_a_minute_after_its_end() -> None:
    here = fresh()
    here.run(here.clock(0), here.event(0.1, "w1", rain_mm=5.0), here.event(0.3, "w1", rain_mm=6.0))
    assert [m for m in here.run(here.clock(1.9)) if isinstance(m, Sums)] == []
    dry, rain = (m for m in here.run(here.clock(2)) if isinstance(m, Sums))
    assert (rain.rule, rain.sources, rain.total, rain.beyond) == ("rain", 1, 6.0, 1)
    assert (rain.minute, rain.order, rain.partition) == (START, at(2), "flood/0")
    assert (rain.where.commune, rain.where.commune_name, rain.where.province) == ("1", "Tây", "92")
    assert (dry.rule, dry.sources, dry.beyond) == ("dry", 1, 0)
    assert [m for m in here.run(here.clock(3)) if isinstance(m, Sums)] == []


def test_simulated_sources_have_sums_of_their_own() -> None:
    """An exercise beside the real sensors of a commune never makes its mean."""
    here = fresh()
    here.run(here.clock(0), here.event(0.1, "w1", rain_mm=5.0), here.event(0.2, "w2", rain_mm=1.0))
    told = [m for m in here.run(here.clock(2)) if isinstance(m, Sums) and m.rule == "rain"]
    assert [(m.simulated, m.sources, m.total) for m in told] == [(False, 1, 5.0), (True, 1, 1.0)]
