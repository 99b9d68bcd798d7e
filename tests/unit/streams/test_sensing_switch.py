"""What another configuration ends, begins and tells, at the clock record that names it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from alerts.rules.kinds import Bound, CommuneRule, Level
from alerts.signals import Passed, Sums, Switch
from streams.configuration import Configuration
from tests.sensekit import Message, Partition, at, configuration, short, signals, source, squares
from tests.unit.streams.test_sensing_source import RISING, SILENT, WATER

GAUGE = source("gauge", interval=300)
RAISED = [(1, 1.5)]


def raised(*configurations: object, **options: object) -> Partition:
    """A partition in which the gauge stands above the first level since minute 1."""
    here = Partition(*configurations, **options)  # type: ignore[arg-type]
    told = here.run(here.clock(0), here.event(1, level_m=1.5), here.clock(2))
    assert short(told) == [("water", "began", "minor", 1)]
    return here


def reasons(messages: list[Message]) -> list[tuple[str, str, str]]:
    return [(signal.rule, signal.change, signal.reason) for signal in signals(messages)]


def test_every_switch_is_told_to_every_province_and_no_clock_record_else() -> None:
    """The first configuration too; correlate learns from it what holds from which moment on."""
    here = Partition(configuration("A", []), configuration("B", []), provinces=("91", "92"))
    for records in (
        [here.clock(0), here.clock(1)],
        [here.clock(2, "B"), here.clock(3, "B"), here.clock(4, "A")],
    ):
        here.run(*records)
    for province in (0, 1):
        told = [(m.order, m.config) for m in here.told(province) if isinstance(m, Switch)]
        assert told == [(at(0), "A"), (at(2), "B"), (at(4), "A")]
        passed = [m.time for m in here.told(province) if isinstance(m, Passed)]
        assert passed == [at(1), at(4)]


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        ([], "rule-removed"),
        ([RISING], "rule-removed"),
        ([replace(WATER, levels=WATER.levels[:1])], "rule-changed"),
        ([replace(WATER, levels=(replace(WATER.levels[0], severity="moderate"), WATER.levels[1]))],
         "rule-changed"),
        ([replace(WATER, measure="road_depth_m")], "rule-changed"),
        ([replace(WATER, direction="below")], "rule-changed"),
        ([replace(WATER, where={"kind": ("x",)})], "rule-changed"),
        ([replace(WATER, stream="traffic", measure="speed_kmh")], "rule-changed"),
        ([replace(RISING, id="water")], "rule-changed"),
        ([replace(SILENT, id="water")], "rule-changed"),
    ],
)  # fmt: skip
def test_a_condition_ends_with_its_rule(rules: list, reason: str) -> None:
    """Whether the rule is gone or asks something else: what it began ends at the clock record, with the reason."""
    here = raised(configuration("A", [WATER], [GAUGE]), configuration("B", rules, [GAUGE]))
    told = here.run(here.clock(3, "B"), here.clock(4, "B"))
    assert reasons(told) == [("water", "ended", reason)]
    assert (signals(told)[0].time, signals(told)[0].start_event) == (at(3), "e1")
    assert [s for s in signals(here.run(here.clock(9, "B"))) if s.rule == "water"] == []


def test_a_rule_that_was_only_tuned_goes_on() -> None:
    """Other bounds, another hold, title or hazard: the condition stays, and the next reading is judged by them."""
    tuned = replace(
        WATER,
        version="v2",
        hold=timedelta(minutes=5),
        levels=(
            replace(WATER.levels[0], raise_at=Bound(None, 1.6), clear_at=Bound(None, 1.4)),
            WATER.levels[1],
        ),
    )
    here = raised(configuration("A", [WATER], [GAUGE]), configuration("B", [tuned], [GAUGE]))
    assert short(here.run(here.clock(3, "B"), here.event(4, level_m=1.5))) == []
    assert short(here.run(here.event(5, level_m=1.3))) == [("water", "ended", None, 5)]


def test_what_ends_and_begins_at_one_moment_has_numbers_in_that_order() -> None:
    """correlate takes signals of one moment by number; the ladder itself has begun anew in between."""
    other = replace(WATER, levels=WATER.levels[:1])
    here = raised(configuration("A", [WATER], [GAUGE]), configuration("B", [other], [GAUGE]))
    ended, began = signals(here.run(here.clock(3, "B"), here.event(3, level_m=1.2)))
    assert (ended.change, ended.order, began.change, began.order) == ("ended", at(3), "began", at(3))
    assert ended.number < began.number
    assert began.start_event == "e3"


@pytest.mark.parametrize("after", [configuration("B", [], [GAUGE]), configuration("B", [WATER])])
def test_an_end_is_never_taken_before_the_beginning_of_a_source_whose_clock_runs_ahead(
    after: Configuration,
) -> None:
    """Its event of minute 4 came in minute 0, within the tolerance; what ends it in minute 1 comes behind it."""
    here = Partition(configuration("A", [WATER], [GAUGE]), after)
    began, ended = signals(here.run(here.clock(0), here.event(4, level_m=1.5), here.clock(1, "B")))
    assert (began.order, ended.change, ended.time, ended.order) == (at(4), "ended", at(1), at(4))


def test_a_source_that_leaves_the_inventory_ends_its_conditions_and_is_forgotten() -> None:
    """One that never was in it just goes on."""
    here = Partition(configuration("A", [WATER], [GAUGE]), configuration("B", [WATER]))
    mobile = {"lon": 105.5, "lat": 10.5}
    here.run(here.clock(0), here.event(1, level_m=1.5), here.event(1, "boat", level_m=1.5, **mobile))
    told = here.run(here.clock(3, "B"))
    assert [(s.subject, s.reason, s.subject_name["en"]) for s in signals(told)] == [
        ("gauge", "source-removed", "gauge")
    ]
    assert list(here.sensing.sources) == ["boat"]
    assert b"gauge" not in here.log.state(here.topics.raw_state["flood"].name, 0)
    assert [s.subject for s in signals(here.run(here.event(4, "boat", level_m=0.0, **mobile)))] == ["boat"]


def test_a_condition_moves_with_the_border() -> None:
    """It closes in the old commune, which names the new one, and begins there at once under another identity."""
    here = raised(
        configuration("A", [WATER], [GAUGE]),
        configuration("B", [WATER], [GAUGE], squares("moved", "34")),
        configuration("C", [WATER], [GAUGE], squares("again", "34")),
    )
    ended, began = signals(here.run(here.clock(3, "B")))
    assert (ended.change, ended.reason, ended.successor) == ("ended", "boundary-changed", "3")
    assert (ended.where.commune, ended.start_event, ended.severity) == ("1", "e1", None)
    assert (began.change, began.where.commune, began.severity) == ("began", "3", "minor")
    assert began.start_event.startswith("e1@moved@")
    assert (began.start_time, began.value, began.time) == (at(1), 1.5, at(3))
    assert [piece.event for piece in began.evidence] == ["e1"], "the evidence is the event itself"
    assert ended.number < began.number
    assert signals(here.run(here.clock(4, "C"))) == [], (
        "another set with the same commune there changes nothing"
    )
    (over,) = signals(here.run(here.event(5, level_m=0.1)))
    assert (over.change, over.start_event, over.where.commune) == ("ended", began.start_event, "3")
    assert over.where.boundaries.startswith("again@")


def test_each_move_makes_another_identity() -> None:
    """There and back: the alert is not the one that was closed before."""
    here = raised(
        configuration("A", [WATER], [GAUGE]),
        configuration("B", [WATER], [GAUGE], squares("moved", "34")),
    )
    told = here.run(here.clock(3, "B"), here.clock(4, "A"), here.clock(5, "B"))
    begins = [signal.start_event for signal in signals(told) if signal.change == "began"]
    assert len({*begins, "e1"}) == 4


def test_where_the_province_changes_the_end_goes_to_the_old_one() -> None:
    """Also where the commune keeps its code; within the new province both go there."""
    here = raised(
        configuration("A", [WATER], [GAUGE]),
        configuration("B", [WATER], [GAUGE], squares("moved", "12", "93,93")),
        configuration("C", [WATER], [GAUGE], squares("moved-on", "34", "93,93")),
        provinces=("92", "93"),
    )
    here.run(here.clock(3, "B"), here.clock(4, "C"))
    assert [(s.change, s.where.commune) for s in signals(here.told(0))] == [("began", "1"), ("ended", "1")]
    assert [(s.change, s.where.commune) for s in signals(here.told(1))] == [
        ("began", "1"),
        ("ended", "1"),
        ("began", "3"),
    ]


def test_a_boat_that_leaves_the_province_takes_its_condition_along() -> None:
    """Else the alert would stay open with the old province's operators, who never hear of it again."""
    here = Partition(configuration("A", [WATER], (), squares("two", "12", "92,93")), provinces=("92", "93"))
    west, east = {"lon": 105.5, "lat": 10.5}, {"lon": 106.5, "lat": 10.5}
    here.run(
        here.clock(0),
        here.event(1, "boat", level_m=1.5, **west),
        here.event(2, "boat", level_m=1.6, **east),
        here.event(3, "boat", level_m=0.1, **east),
    )
    assert reasons(here.told(0)) == [("water", "began", ""), ("water", "ended", "boundary-changed")]
    assert [(s.change, s.time) for s in signals(here.told(1))] == [("began", at(2)), ("ended", at(3))]


def test_silence_moves_and_ends_like_any_condition() -> None:
    """With the border, with its rule, with its source; begun again before an event, it has another identity."""
    here = Partition(
        configuration("A", [SILENT], [GAUGE]),
        configuration("B", [SILENT], [GAUGE], squares("moved", "34")),
        configuration("C", [replace(SILENT, kinds=("rain",))], [GAUGE], squares("moved", "34")),
        configuration("D", [], [], squares("moved", "34")),
    )
    here.run(here.clock(0), here.event(1, level_m=0.0), here.clock(20))
    begins = [s.start_event for s in signals(here.told(0))]
    told = here.run(here.clock(21, "B"), here.clock(22, "B"))
    assert reasons(told) == [("silent", "ended", "boundary-changed"), ("silent", "began", "")]
    begins += [s.start_event for s in signals(told) if s.change == "began"]
    told = here.run(here.clock(23, "C"), here.clock(24, "C"))
    assert reasons(told) == [("silent", "ended", "rule-changed")]
    told = here.run(here.clock(25, "B"), here.clock(26, "B"))
    assert short(told) == [("silent", "began", "minor", 25)]
    begins += [s.start_event for s in signals(told)]
    assert reasons(here.run(here.clock(27, "D"))) == [("silent", "ended", "source-removed")]
    assert len(set(begins)) == 3


def test_a_source_that_is_listed_anew_is_waited_for_from_then_on() -> None:
    """Its removal forgot when it was heard; it does not fall silent for a time at which nobody knew it."""
    here = Partition(configuration("A", [SILENT], [GAUGE]), configuration("B", [SILENT]))
    here.run(here.clock(0), here.event(1, level_m=0.0), here.clock(5, "B"), here.clock(40, "A"))
    (began,) = signals(here.run(here.clock(60)))
    assert (began.time, began.start_event) == (at(55), "inventory@A")


def test_a_source_that_was_moved_is_found_where_it_is_now() -> None:
    """Of a source that never reported the inventory alone says where it lies."""
    east = source("gauge", interval=300, lon=106.5)
    here = Partition(configuration("A", [SILENT], [GAUGE]), configuration("B", [SILENT], [east]))
    told = here.run(here.clock(0), here.clock(2, "B"), here.clock(20, "B"))
    assert [(s.where.commune, s.where.lon) for s in signals(told)] == [("2", 106.5)]


def test_values_for_a_commune_rule_that_asks_something_else_now_are_dropped() -> None:
    """A minute's sums are never of two measures; a rule that was only tuned keeps what was said."""

    def rule(measure: str, limit: float) -> CommuneRule:
        return CommuneRule(
            id="rain",
            version="v",
            hazard="flood",
            title={},
            stream="flood",
            measure=measure,
            unit="mm",
            statistic="share",
            beyond=limit,
            direction="above",
            window=timedelta(minutes=5),
            least_sources=1,
            hold=timedelta(0),
            levels=(Level(severity="minor", raise_at=Bound(None, 0.5), clear_at=Bound(None, 0.4)),),
        )

    for after, expected in ((rule("rain_mm", 99), [(1, 7.0, 0)]), (rule("level_m", 1), [])):
        here = Partition(
            configuration("A", [rule("rain_mm", 1)], [GAUGE]), configuration("B", [after], [GAUGE])
        )
        here.run(here.clock(0), here.event(0.5, rain_mm=7.0, level_m=3.0), here.clock(1, "B"))
        told = here.run(here.clock(2.5, "B"))
        assert [(m.sources, m.total, m.beyond) for m in told if isinstance(m, Sums)] == expected
