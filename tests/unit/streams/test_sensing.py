"""What sense does with records: located, judged, dead or kept, and when."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from geo.boundaries import BoundarySet, Commune, boundary_set
from geo.reform import REFORM
from geo.registry import Registry
from geo.succession import Succession
from ioc.settings import load_settings
from streams.atlas import Atlas
from streams.configuration import Configuration, ConfigurationRecord, Sheet
from streams.offline import MemoryRecord
from streams.schemas import CLOCK_KEY
from streams.sensing import Outcome, Sensing
from streams.topics import Topics

START = datetime.fromisoformat("2025-10-08T12:00:00+07:00")

RULES = """\
version: 1
rules:
  - id: street-water
    title: {vi: Ngập đường, en: Water on the street}
    hazard: flood
    stream: flood
    measure: road_depth_m
    unit: m
    direction: above
    hold: 10m
    levels:
      - {severity: minor, raise: 0.2, clear: 0.1}
"""
INVENTORY = """\
version: 1
sources:
  - {id: fixed, stream: flood, name: {vi: Cố định, en: Fixed}, kind: street, lon: 105.5, lat: 10.5}
"""


def squares(id: str, codes: str, since: datetime | None = None, until: datetime | None = None) -> BoundarySet:
    """Two square communes, side by side."""
    return boundary_set(
        id=id,
        approximate=False,
        source="made for the test",
        licence="",
        communes=[Commune(codes[0], "Tây", "92"), Commune(codes[1], "Đông", "92")],
        geometries=np.array([shapely.box(105, 10, 106, 11), shapely.box(106, 10, 107, 11)], dtype=object),
        valid_from=since,
        valid_until=until,
    )


@cache  # building a locator takes a while
def atlas(*sets: BoundarySet) -> Atlas:
    succession = Succession({"7": ["1"], "8": ["1", "2"]})
    return Atlas(Registry(sets or [squares("squares", "12")]), succession)


def configuration(rules: str = RULES, inventory: str = INVENTORY, maps: Atlas | None = None) -> Configuration:
    maps = maps or atlas()
    sheets = [Sheet(ref=s.ref, since=s.valid_from, until=s.valid_until) for s in maps.registry.sets]
    record = ConfigurationRecord(rules=rules, inventory=inventory, boundaries=sheets)
    return Configuration.of(record, maps, rules_name="rules", inventory_name="inventory")


class Bench:
    """One raw partition with a log of its own."""

    def __init__(self, stream: str = "flood") -> None:
        self.topics = Topics.of(load_settings(topic_prefix=""))
        self.sensing = Sensing(stream, 0, self.topics, atlas(), {}, late_bound=3600, future_tolerance=300)
        self.configurations = {c.hash: c for c in (configuration(),)}
        self.offset = 0

    def clock(self, minute: float, config: Configuration | None = None) -> MemoryRecord:
        config = config or configuration()
        self.configurations[config.hash] = config
        time = START + timedelta(minutes=minute)
        return self.record(json.dumps({"clock": time.isoformat(), "config": config.hash}).encode(), CLOCK_KEY)

    def event(self, minute: float, **fields: Any) -> MemoryRecord:
        time = START + timedelta(minutes=minute)
        event = {"id": f"e{minute}", "source": "fixed", "time": time.isoformat(), **fields}
        return self.record(json.dumps(event).encode(), b"fixed")

    def record(self, value: bytes, key: bytes = b"fixed") -> MemoryRecord:
        self.offset += 1
        return MemoryRecord(key, value, self.offset)

    def run(self, *records: MemoryRecord) -> Outcome:
        return self.sensing.run(records, self.configurations)

    def written(self, out: Outcome, topic: str) -> list[dict]:
        return [
            json.loads(value)
            for (name, _), records in out.effects.records.items()
            if name == topic
            for _, value in records
            if value is not None
        ]

    def located(self, out: Outcome) -> list[dict]:
        return self.written(out, self.topics.located.name)

    def signals(self, out: Outcome) -> list[dict]:
        return [s for s in self.written(out, self.topics.signals.name) if s["kind"] == "signal"]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_fixed_source_has_its_place_from_the_inventory(bench: Bench) -> None:
    """Jitter never moves a fixed source across a border: what the event says of its place is overruled."""
    out = bench.run(bench.clock(0), bench.event(0, lon=106.5, lat=10.5, road_depth_m=0.0))
    (event,) = bench.located(out)
    assert (event["place"]["commune"], event["lon"]) == ("1", 105.5)


@pytest.mark.parametrize(
    ("lon", "lat", "outcome", "commune"),
    [
        (106.5, 10.5, "inside", "2"),
        (120.0, 10.5, "outside", None),
        (None, None, "nowhere", None),
        (999, 10, "out-of-range", None),
        (10.5, 106.5, "swapped", None),
        (0.0, 0.0, "null-island", None),
    ],
)
def test_a_place_is_found_or_said_to_be_missing(
    bench: Bench, lon: float | None, lat: float | None, outcome: str, commune: str | None
) -> None:
    """A point in no commune is located as such and counted, never guessed."""
    place = {} if lon is None else {"lon": lon, "lat": lat}
    out = bench.run(bench.clock(0), bench.event(0, source="mobile", road_depth_m=0.0, **place))
    (event,) = bench.located(out)
    assert event["place"]["outcome"] == outcome
    assert event["place"].get("commune") == commune
    assert out.located == {outcome: 1}


@pytest.mark.parametrize(
    "value",
    [
        b"not json",
        b"",
        b"{}",
        b"[]",
        b'{"id":"x","source":"fixed","time":"2025-10-08T12:00:00"}',
        b'{"id":"","source":"fixed","time":"2025-10-08T12:00:00Z"}',
        b'{"id":"x","source":"\\u0000clock","time":"2025-10-08T12:00:00Z"}',
        b'{"id":"x","source":"fixed","time":"2025-10-08T12:00:00Z","road_depth_m":"deep"}',
        b'{"id":"x","source":"fixed","time":"2025-10-08T12:00:00Z","road_depth_m":NaN}',
        b"\xff\xfe",
    ],
)
def test_what_cannot_be_decoded_is_a_dead_letter(bench: Bench, value: bytes) -> None:
    """A bad record becomes a dead letter with its place in the log, and what follows it is still judged."""
    out = bench.run(bench.clock(0), bench.record(value), bench.event(1, road_depth_m=0.0))
    (letter,) = bench.written(out, bench.topics.dead_letters.name)
    assert letter["reason"] == "undecodable"
    assert letter["offset"] == 2
    assert out.dead == {"undecodable": 1}
    assert out.events == 2
    assert len(bench.located(out)) == 1


def test_a_dead_report_keeps_nothing_personal() -> None:
    """A dead letter of a report holds its position in the raw topic, not its content."""
    bench = Bench("report")
    out = bench.run(
        bench.clock(0), bench.record(b'{"reporter":{"name":"Nguyen Van A"},"category":"\xc4\x90"')
    )
    written = b"".join(v for records in out.effects.records.values() for _, v in records if v)
    assert out.dead == {"undecodable": 1}
    assert b"Nguyen" not in written


def test_a_located_report_keeps_nothing_personal() -> None:
    """A citizen's identity stays on the raw topic."""
    bench = Bench("report")
    out = bench.run(
        bench.clock(0),
        bench.event(0, category="flood", text="nước", reporter={"name": "Nguyen Van A", "phone": "0"}),
    )
    assert b"Nguyen" not in b"".join(v for records in out.effects.records.values() for _, v in records if v)
    assert bench.located(out)[0]["text"] == "nước"


def test_an_event_from_the_future_harms_itself_only(bench: Bench) -> None:
    """Beyond the tolerance after the last clock record: a dead letter. Others are not late because of it."""
    out = bench.run(bench.clock(0), bench.event(5.1, road_depth_m=0.9), bench.event(0.5, road_depth_m=0.0))
    assert out.dead == {"future": 1}
    assert out.unjudged == {}
    assert bench.run(bench.event(5, road_depth_m=0.0)).dead == {}


def test_a_late_event_is_kept_and_not_judged(bench: Bench) -> None:
    out = bench.run(bench.clock(120), bench.event(59, road_depth_m=0.9), bench.clock(300))
    assert out.unjudged == {"late": 1}
    assert len(bench.located(out)) == 1
    assert bench.signals(out) == []


def test_a_duplicate_and_an_older_event_are_kept_and_not_judged(bench: Bench) -> None:
    out = bench.run(
        bench.clock(10),
        bench.event(10, road_depth_m=0.0),
        bench.event(10, road_depth_m=0.0),
        bench.event(9, road_depth_m=0.9),
        bench.clock(30),
    )
    assert out.unjudged == {"duplicate": 1, "out-of-order": 1}
    assert bench.signals(out) == []


def test_nothing_is_judged_before_the_first_clock_record(bench: Bench) -> None:
    """Without a clock record there is neither a time nor a configuration to judge by."""
    out = bench.run(bench.event(0, road_depth_m=0.9))
    assert out.unjudged == {"no-clock": 1}


def test_a_hold_completes_at_a_clock_record_and_is_stamped_with_its_due_time(bench: Bench) -> None:
    bench.run(bench.clock(0), bench.event(1, road_depth_m=0.5))
    (signal,) = bench.signals(bench.run(bench.clock(60)))
    assert signal["change"] == "began"
    assert datetime.fromisoformat(signal["time"]) == START + timedelta(minutes=11)
    assert datetime.fromisoformat(signal["order"]) == START + timedelta(minutes=11)
    assert signal["start_event"] == "e1"


def test_the_order_of_a_signal_is_never_before_the_time_that_was_passed_on(bench: Bench) -> None:
    """correlate must be able to rely on it: a signal of a late event stands at the last clock record."""
    bench.run(bench.clock(0), bench.event(1, road_depth_m=0.5), bench.clock(60))
    (signal,) = bench.signals(bench.run(bench.event(30, road_depth_m=0.0)))
    assert datetime.fromisoformat(signal["time"]) == START + timedelta(minutes=30)
    assert datetime.fromisoformat(signal["order"]) == START + timedelta(minutes=60)


def test_a_clock_record_that_goes_back_is_not_believed(bench: Bench) -> None:
    bench.run(bench.clock(60))
    bench.run(bench.clock(0), bench.record(b"garbage", CLOCK_KEY))
    assert bench.sensing.state.clock == START + timedelta(minutes=60)


def test_passing_time_goes_to_every_province_after_its_signals(bench: Bench) -> None:
    """A time that was passed says that no earlier signal follows: it must come behind them."""
    out = bench.run(bench.clock(0), bench.event(1, road_depth_m=0.5), bench.clock(60), bench.clock(61))
    kinds = [json.loads(v)["kind"] for _, v in out.effects.records[bench.topics.signals.name, 0] if v]
    assert kinds == ["switch", "signal", "passed"]


def test_events_behind_a_configuration_are_located_by_it_in_the_same_chunk(bench: Bench) -> None:
    """A configuration takes effect at its clock record, wherever the chunk ends."""
    moved = configuration(inventory=INVENTORY.replace("lon: 105.5", "lon: 106.5"))
    out = bench.run(
        bench.clock(0),
        bench.event(0, road_depth_m=0.0),
        bench.clock(1, moved),
        bench.event(1, road_depth_m=0.0),
    )
    assert sorted(event["place"]["commune"] for event in bench.located(out)) == ["1", "2"]


def test_a_rule_that_goes_ends_what_it_began(bench: Bench) -> None:
    """When a rule goes with a new configuration its alerts close with that reason."""
    bench.run(bench.clock(0), bench.event(1, road_depth_m=0.5), bench.clock(30))
    other = configuration(rules=RULES.replace("street-water", "other"))
    (signal,) = bench.signals(bench.run(bench.clock(40, other)))
    assert (signal["change"], signal["reason"], signal["rule"]) == ("ended", "rule-removed", "street-water")


def test_every_chunk_writes_its_partitions_state(bench: Bench) -> None:
    """A position without any state would mean that the state's log is gone."""
    out = bench.run(bench.record(b"garbage"))
    assert out.effects.records[bench.topics.raw_state["flood"].name, 0]


def test_an_event_is_located_in_the_map_of_its_own_day(bench: Bench) -> None:
    """Before the reform the former commune with what became of it, after it the present one with where it came
    from, in the same chunk; where no map holds the event is kept and says so."""
    begin, reform = START - timedelta(minutes=30), REFORM
    maps = atlas(
        squares("former", "78", since=reform - timedelta(days=300), until=reform),
        squares("present", "12", since=reform),
    )
    config = configuration(inventory="version: 1\nsources: []\n", maps=maps)
    times = [reform - timedelta(seconds=1), reform, begin, reform - timedelta(days=400)]
    records = [bench.clock(0, config)]
    for number, time in enumerate(times):
        event = {
            "id": f"e{number}",
            "source": f"s{number}",
            "time": time.isoformat(),
            "lon": 106.5,
            "lat": 10.5,
        }
        records.append(bench.record(json.dumps(event).encode(), b"s"))
    places = {event["id"]: event["place"] for event in bench.located(bench.run(*records))}
    assert (places["e0"]["commune"], places["e0"]["present"], places["e0"]["fate"]) == (
        "8",
        ["1", "2"],
        "divided",
    )
    assert (places["e1"]["commune"], places["e1"]["former"]) == ("2", ["8"])
    assert places["e2"]["boundaries"].startswith("present@")
    assert places["e3"] == {"outcome": "no-map", "boundaries": ""}


def test_other_maps_hold_behind_their_clock_record(bench: Bench) -> None:
    """Activated boundaries take effect at one point of the log: the event before it has the old commune still."""
    moved = configuration(maps=atlas(squares("moved", "34")))
    out = bench.run(
        bench.clock(0),
        bench.event(0, road_depth_m=0.0),
        bench.clock(1, moved),
        bench.event(1, road_depth_m=0.0),
    )
    assert [event["place"]["commune"] for event in sorted(bench.located(out), key=lambda e: e["id"])] == [
        "1",
        "3",
    ]


def test_near_a_border_the_neighbour_is_named() -> None:
    """Twenty metres from the other commune: the event says so; a kilometre away it does not."""
    maps = Atlas(Registry([squares("squares", "12")]), Succession({}), border_width=50)
    at, away = (106 - 20 / 109_500, 10.5), (105.99, 10.5)
    near, far = maps.places([(START, *at), (START, *away)])
    assert (near.commune, near.neighbour, near.neighbour_name) == ("1", "2", "Đông")
    assert near.border_m == pytest.approx(20, abs=0.5)
    assert far.commune == "1"
    assert far.border_m is far.neighbour is UNSET


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=60),
            st.tuples(
                st.one_of(st.none(), st.floats(), st.text(max_size=5)),
                st.one_of(st.none(), st.floats(), st.text(max_size=5)),
            ),
        ),
        max_size=12,
    )
)
def test_nothing_that_a_record_holds_stops_a_partition(contents: list[Any]) -> None:
    """Any bytes, and any numbers or texts for a place: each record is located with a named outcome, or is dead."""
    bench = Bench()
    records = [
        bench.record(content)
        if isinstance(content, bytes)
        else bench.event(number, source=f"s{number}", lon=content[0], lat=content[1])
        for number, content in enumerate(contents)
    ]
    out = bench.run(bench.clock(0), *records)
    assert out.events == len(records)
    assert out.located.total() + out.dead.total() == len(records)
    assert len(bench.located(out)) == out.located.total()
