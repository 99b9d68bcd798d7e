"""What sense tells of one source: doubts, silence, evidence, and events that others count."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from alerts.model import Plausibility
from alerts.rules.kinds import (
    Bound,
    CountRule,
    FusionInput,
    FusionRule,
    LadderRule,
    Level,
    RateRule,
    Selector,
    SilenceLevel,
    SilenceRule,
)
from alerts.signals import Occurrence
from tests.sensekit import MINUTE, Partition, at, configuration, short, signals, source

TITLE = {"vi": "Thử", "en": "Test"}

WATER = LadderRule(
    id="water",
    version="v1",
    hazard="flood",
    title=TITLE,
    stream="flood",
    measure="level_m",
    unit="m",
    direction="above",
    hold=timedelta(0),
    levels=(
        Level(severity="minor", raise_at=Bound(None, 1.0), clear_at=Bound(None, 0.8), certainty="likely"),
        Level(severity="severe", raise_at=Bound(None, 2.0), clear_at=Bound(None, 1.8)),
    ),
)
RISING = RateRule(
    id="rising",
    version="v1",
    hazard="flood",
    title=TITLE,
    stream="flood",
    measure="level_m",
    unit="m",
    direction="above",
    window=timedelta(hours=1),
    hold=timedelta(0),
    levels=(Level(severity="moderate", raise_at=Bound(None, 0.5), clear_at=Bound(None, 0.3)),),
)
SILENT = SilenceRule(
    id="silent",
    version="v1",
    hazard="system",
    title=TITLE,
    stream="flood",
    levels=(
        SilenceLevel(severity="minor", intervals=3),
        SilenceLevel(severity="moderate", intervals=12),
    ),
)
REPORTS = CountRule(
    id="reports",
    version="v1",
    hazard="flood",
    title=TITLE,
    of=Selector(stream="report", where={"category": ("flooded_street", "high_water")}),
    radius_m=300,
    window=timedelta(minutes=30),
    levels=WATER.levels,
)
AGREED = FusionRule(
    id="agreed",
    version="v1",
    hazard="flood",
    title=TITLE,
    inputs=(
        FusionInput(name="gauge", rule="water"),
        FusionInput(name="camera", of=Selector(stream="camera", where={"kind": ("flooded_road",)})),
    ),
    radius_m=300,
    window=timedelta(minutes=30),
    levels=WATER.levels,
)
PLAUSIBLE = {"level_m": Plausibility(least=-1, greatest=4, step=0.5)}


def test_a_doubted_reading_is_located_as_such_counted_and_raises_no_highest_level() -> None:
    """It is shown with its doubts; it raises the milder level, and the signal says that it is doubted."""
    here = Partition(configuration("A", [WATER], [source("gauge", plausible=PLAUSIBLE)]))
    out = here.outcome(here.clock(0), here.event(1, level_m=9.0), here.event(2, level_m=0.1))
    assert out.doubted == {"range": 1}
    assert [event.get("doubts") for event in here.located()] == [{"level_m": ["range"]}, None]
    (began, ended) = signals(here.told(0))
    assert (began.severity, began.certainty, began.doubts, began.peak) == (
        "minor",
        "likely",
        ("range",),
        None,
    )
    assert (ended.change, ended.doubts) == ("ended", ())


def test_an_event_that_is_not_judged_still_tells_what_cannot_be() -> None:
    """A late reading out of range is shown as doubted too, and leaves no trace in what is remembered."""
    here = Partition(configuration("A", [WATER], [source("gauge", plausible=PLAUSIBLE)]))
    late = [here.event(5, level_m=99.0), here.event(6, level_m=1.9)]
    here.run(here.clock(0), here.event(0, level_m=1.0), here.clock(90), *late, here.event(89, level_m=1.6))
    assert [event.get("doubts") for event in here.located()] == [
        None,
        {"level_m": ["range"]},
        None,
        {"level_m": ["spike"]},
    ]


def test_a_level_above_another_datum_neither_raises_nor_clears() -> None:
    here = Partition(configuration("A", [WATER, RISING], [source("gauge", datum="Hon Dau")]))
    told = here.run(
        here.clock(0),
        here.event(1, level_m=1.2, datum="Hon Dau"),
        here.event(2, level_m=9.0, datum="local zero"),
        here.event(3, level_m=-3.0, datum="local zero"),
        here.event(4, level_m=0.5),
    )
    assert short(told) == [("water", "began", "minor", 1), ("water", "ended", None, 4)]
    assert [event.get("doubts") for event in here.located()][1:3] == [{"level_m": ["datum"]}] * 2


def test_the_evidence_is_what_began_it_what_was_worst_and_what_was_last() -> None:
    here = Partition(configuration("A", [WATER], [source("gauge")]))
    levels = [(1, 1.1), (2, 1.3), (3, 2.5), (4, 2.4), (5, 0.2)]
    told = signals(here.run(here.clock(0), *[here.event(minute, level_m=level) for minute, level in levels]))
    assert [[piece.event for piece in signal.evidence] for signal in told] == [
        ["e1"],
        ["e1", "e3"],
        ["e1", "e3", "e5"],
    ]
    assert [piece.value for piece in told[-1].evidence] == [1.1, 2.5, 0.2]
    assert (told[-1].peak, told[-1].peaked) == (2.5, at(3))


def test_a_rise_is_told_as_a_distance() -> None:
    here = Partition(configuration("A", [RISING], [source("gauge")]))
    here.run(here.clock(0), here.event(1, level_m=0.2))
    (began,) = signals(here.run(here.clock(30), here.event(31, level_m=0.9)))
    assert (began.change, began.value, began.bound, began.start_event) == ("began", 0.7, 0.5, "e31")
    (ended,) = signals(here.run(here.clock(80), here.event(80, level_m=0.9)))
    assert (ended.change, ended.value, ended.peak) == ("ended", 0.0, 0.7)


def test_a_source_falls_silent_and_is_heard_again() -> None:
    """Its condition begins with the event that was heard last; the next one ends it."""
    here = Partition(configuration("A", [SILENT], [source("gauge", interval=300)]))
    told = here.run(here.clock(0), here.event(1, level_m=0.0), here.clock(15.9), here.clock(17))
    (began,) = signals(told)
    assert (began.time, began.order, began.start_event, began.start_time) == (at(16), at(16), "e1", at(1))
    assert (began.value, began.bound, began.measure, began.unit) == (900, 900, "silent_s", "s")
    assert (began.event, began.observed, began.peak, began.severity) == ("e1", at(1), None, "minor")
    changed, ended = signals(here.run(here.clock(70), here.event(70.5, level_m=0.0)))
    assert (changed.severity, changed.time, changed.value) == ("moderate", at(61), 3600)
    assert (ended.change, ended.time, ended.event, ended.value) == ("ended", at(70.5), "e70.5", 69.5 * 60)
    assert signals(here.run(here.clock(75))) == []


def test_the_next_silence_is_reckoned_from_the_event_that_ended_the_last() -> None:
    """Its mild level is due before the worse one of the silence that was."""
    here = Partition(configuration("A", [SILENT], [source("gauge", interval=300)]))
    here.run(here.clock(0), here.event(1, level_m=0.0), here.clock(20), here.event(21, level_m=0.0))
    assert short(here.run(here.clock(40))) == [("silent", "began", "minor", 36)]


def test_a_source_that_is_heard_from_before_it_was_listed_is_reckoned_from_there() -> None:
    here = Partition(configuration("A", [SILENT], [source("gauge", interval=300)]))
    assert short(here.run(here.clock(0), here.event(-4, level_m=0.0), here.clock(12))) == [
        ("silent", "began", "minor", 11)
    ]


def test_a_source_that_was_never_heard_is_silent_since_it_was_listed() -> None:
    """Known only from the inventory; identity follows from the configuration that listed it first."""
    first = configuration("A", [], [source("gauge", interval=300)])
    then = configuration("B", [SILENT], [source("gauge", interval=300, simulated=True)])
    here = Partition(first, then)
    told = here.run(here.clock(0, "A"), here.clock(5, "B"), here.clock(14, "B"), here.clock(16, "B"))
    (began,) = signals(told)
    assert (began.start_event, began.start_time, began.time) == ("inventory@A", at(0), at(15))
    assert (began.where.commune, began.evidence) == ("1", [])
    (ended,) = signals(here.run(here.event(16, level_m=0.0)))
    assert (ended.change, ended.start_event, ended.event) == ("ended", "inventory@A", "e16")


def test_a_source_that_was_never_heard_is_missed_in_the_partition_of_its_key_only() -> None:
    """Of four partitions one waits for it, or its silence would be told four times."""
    config = configuration("A", [SILENT], [source(f"gauge-{n}", interval=300) for n in range(20)])
    missed = []
    for number in range(4):
        here = Partition(config, number=number, partitions=4)
        missed += [signal.subject for signal in signals(here.run(here.clock(0), here.clock(20)))]
    assert sorted(missed) == sorted(f"gauge-{n}" for n in range(20))


def test_a_fixed_source_in_another_partition_than_its_own_is_counted() -> None:
    """A producer with another partitioner makes a silence that is none: it must show."""
    config = configuration("A", [SILENT], [source(f"gauge-{n}") for n in range(20)])
    here = Partition(config, number=0, partitions=4)
    here.run(here.clock(0), *[here.event(1, f"gauge-{n}", level_m=0.0) for n in range(20)])
    own = len(here.sensing.sources) - here.sensing.misplaced
    here.run(here.event(2, "mobile", lon=105.5, lat=10.5))
    assert here.sensing.misplaced > 0
    assert own > 0
    assert len(here.sensing.sources) == 21
    assert here.sensing.misplaced == 20 - own, "one that is in no inventory has no place of its own"


def test_a_late_event_does_not_end_a_silence() -> None:
    """It was not judged; and one that is judged but old ends it no earlier than it began."""
    here = Partition(configuration("A", [SILENT], [source("gauge", interval=300)]))
    here.run(here.clock(0), here.event(1, level_m=0.0), here.clock(90))
    assert short(here.run(here.event(29, level_m=0.0))) == []
    assert short(here.run(here.event(45, level_m=0.0))) == [("silent", "ended", None, 61)]
    (again,) = signals(here.run(here.clock(91)))
    assert (again.time, again.start_event, again.order) == (at(60), "e45", at(90))


def test_events_that_others_count_are_told_without_what_a_citizen_wrote() -> None:
    here = Partition(configuration("A", [REPORTS, AGREED]), stream="report")
    place = {"lon": 106.5, "lat": 10.5}
    here.run(
        here.clock(0),
        here.event(1, "app", category="flooded_street", text="Nguyen Van A", **place),
        here.event(2, "app", category="pothole", **place),
        here.event(3, "app", category="high_water"),
        here.event(4, "app", category="high_water", lon=0.0, lat=0.0),
        here.event(5, "app", category="high_water", lon=120.0, lat=10.5),
    )
    told = [message for message in here.told(0) if isinstance(message, Occurrence)]
    assert [(one.event, one.fields, one.where.commune) for one in told] == [
        ("e1", {"category": "flooded_street"}, "2"),
        ("e5", {"category": "high_water"}, None),
    ]
    assert b"Nguyen" not in msgspec.json.encode(told)


def test_a_fusion_is_told_of_the_events_of_its_inputs() -> None:
    here = Partition(configuration("A", [REPORTS, AGREED], [source("eye", stream="camera")]), stream="camera")
    told = here.run(
        here.clock(0), here.event(1, "eye", kind="flooded_road"), here.event(2, "eye", kind="crowd")
    )
    assert [message.event for message in told if isinstance(message, Occurrence)] == ["e1"]


def test_reports_of_one_channel_count_in_whatever_order_they_come() -> None:
    """A channel hands on what many people say: one report that overtakes another makes the other no less true."""
    here = Partition(configuration("A", [REPORTS]), stream="report")
    events = [
        here.event(minute, "app", category="high_water", lon=105.5, lat=10.5) for minute in (9, 8, 9, 0)
    ]
    out = here.outcome(here.clock(10), *events, here.clock(70), events[3])
    told = [message for message in here.told(0) if isinstance(message, Occurrence)]
    assert [(one.event, one.order) for one in told] == [("e9", at(10)), ("e8", at(10)), ("e0", at(10))]
    assert out.unjudged == {"out-of-order": 2, "duplicate": 1, "late": 1}


def test_what_a_simulation_made_makes_simulated_signals() -> None:
    here = Partition(configuration("A", [WATER, REPORTS], [source("gauge")]))
    (signal,) = signals(here.run(here.clock(0), here.event(1, level_m=1.1, simulated=True, run="r")))
    assert (signal.simulated, signal.run) == (True, "r")


def test_the_events_of_a_simulated_source_are_simulated_though_they_should_not_say_so() -> None:
    """Nobody is called out for a source that the inventory knows to be none."""
    here = Partition(configuration("A", [WATER], [source("gauge", simulated=True)]))
    (signal,) = signals(here.run(here.clock(0), here.event(1, level_m=1.1)))
    assert signal.simulated
    assert [event["simulated"] for event in here.located()] == [True]


def test_an_unpending_source_keeps_nothing_about_ladders() -> None:
    """There may be a hundred thousand sources, and most of them are well: nothing is kept about that."""
    here = Partition(configuration("A", [WATER, SILENT], [source("gauge", interval=300)]))
    here.run(here.clock(0), here.event(1, level_m=1.1), here.event(2, level_m=0.1), here.clock(40))
    here.run(here.event(41, level_m=0.2))
    state = here.log.state(here.topics.raw_state["flood"].name, 0)[b"gauge"]
    kept = msgspec.json.decode(state)
    # The picture's: when the source was last put into it, and the event that is not in it yet.
    assert kept.pop("pictured")
    assert kept.pop("unpictured")["id"]
    assert set(kept) == {"where", "time", "event"}
    assert len(msgspec.json.encode(kept)) < 250
    assert at(41) - here.sensing.state.clock == MINUTE  # type: ignore[operator]
