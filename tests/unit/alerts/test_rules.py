"""Rule files: what is accepted, and that every refusal names file, line, column, reason and remedy."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import alerts
from alerts.rules.kinds import (
    Bound,
    CommuneRule,
    CountRule,
    FusionInput,
    FusionRule,
    LadderRule,
    Limit,
    RateRule,
    Selector,
    SilenceRule,
)
from alerts.rules.policy import RuleSet
from alerts.rules.streams import TEXTS
from alerts.rules.written import parse_rules, read_rules
from ioc.errors import UserError
from ioc.yamlfile import Document, FileErrors
from streams.schemas import EVENTS, MEASURES, Event

HERE = Path(__file__).parent / "rules"
EVERY_KIND = (HERE / "every-kind.yaml").read_text(encoding="utf-8")

GOOD = """\
version: 1
rules:
  - id: street-water
    title: {vi: Ngập đường, en: Water on the street}
    hazard: flood
    stream: flood
    measure: road_depth_m
    unit: m
    direction: above
    hold: 5m
    levels:
      - {severity: minor, raise: 0.15, clear: 0.10}
      - {severity: severe, raise: 0.30, clear: 0.25}
"""

BAD = [
    ("hold: 5m", "hold: soon", "rules.yaml:10:11", "not a duration"),
    ("measure: road_depth_m", "measure: depth", "rules.yaml:7:14", "no measure depth"),
    ("stream: flood", "stream: floods", "rules.yaml:6:13", "no stream is called floods"),
    ("raise: 0.30", "raise: 0.10", "rules.yaml:13:48", "clear must lie below raise"),
    ("severity: severe", "severity: terrible", "rules.yaml:13:20", "terrible"),
    ("severity: severe", "severity: minor", "rules.yaml:13:20", "mild to worst"),
    ("clear: 0.25", "clear: 0.25, colour: red", "rules.yaml:13:62", "colour"),
    ("raise: 0.30", "raise: {threshold: bd3}", "rules.yaml:13:9", "cannot be compared"),
    ("unit: m", "unit: m\n    unit: m", "rules.yaml:9:5", "given twice"),
    (", en: Water on the street", "", "rules.yaml:4:12", "missing required field `en`"),
    ("id: street-water", "id: 7", "rules.yaml:3:9", "str"),
    ("id: street-water", 'id: "street-water\\n"', "rules.yaml:3:9", "matching regex"),
    ("version: 1", "version: 2", "rules.yaml:1:10", "2"),
    ("rules:", "rules: [", "rules.yaml", "not valid YAML"),
    ("direction: above", "direction: below", "rules.yaml:12:47", "clear must lie above raise"),
    ("hazard: flood", "hazard: flood\n    kind: ladders", "rules.yaml:6:11", "no kind of rule is called ladders"),
    ("hazard: flood", "hazard: flood\n    kind: [ladder]", "rules.yaml:6:11", "no kind of rule"),
    ("raise: 0.15", "raise: .nan", "rules.yaml:12:34", "`float`"),
    ("raise: 0.15", "raise: .inf", "rules.yaml:12:34", "`float`"),
    ("hold: 5m", "hold: 5m\n    where: {kind: x}", "rules.yaml:11:19", "an event of flood has no text kind"),
    ("hold: 5m", "hold: 5m\n    limit: {alerts: 0, window: 1h}", "rules.yaml:11:21", ">= 1"),
    ("hold: 5m", "hold: 5m\n    limit: {alerts: 1, window: 0m}", "rules.yaml:11:32", "0 is no length"),
]  # fmt: skip

#: In the file with every kind.
BAD_OF_ANY_KIND = [
    ("    citation: A decision\n", "", "does not say where they come from"),
    ("window: 1h\n    hold: 5m", "window: 0m\n    hold: 5m", "0 is no length of time"),
    ("raise: 0.3, clear: 0.2", "raise: -0.3, clear: -0.2", "a rise is a number above 0"),
    ("raise: 0.3, clear: 0.2", "raise: {threshold: a}, clear: {threshold: a, offset: -1}", "a rate has no"),
    ("severity: minor, intervals: 3", "severity: minor, intervals: 3, after: 1h", "either `after` or"),
    ("severity: minor, intervals: 3", "severity: minor", "either `after` or"),
    ("severity: moderate, intervals: 12", "severity: moderate, intervals: 2", "no longer than the milder"),
    ("after: 1d", "after: 0d", "0 is no length of time"),
    ("category: [flooded_street, flooded_house]", "colour: red", "an event of report has no text colour"),
    ("of: {stream: report, where", "of: {stream: reports, where", "no stream is called reports"),
    ("radius_m: 300\n    window: 30m\n    levels:\n      - {severity: minor",
     "radius_m: 0\n    window: 30m\n    levels:\n      - {severity: minor", "> 0"),
    ("raise: 5, clear: 3", "raise: 5, clear: 5", "clear must lie below raise"),
    ("raise: 5, clear: 3", "raise: 5.5, clear: 3", "`int`"),
    ("raise: 20, clear: 12", "raise: 5, clear: 4", "raise is no more"),
    ("raise: 20, clear: 12", "raise: 20, clear: 2", "clear is less"),
    ("    beyond: 15\n", "", "add `beyond"),
    ("statistic: mean\n", "statistic: mean\n    beyond: 3\n", "a mean counts no sources"),
    ("window: 10m\n    least_sources: 3\n    hold", "window: 90s\n    least_sources: 3\n    hold", "whole minutes"),
    ("raise: 0.6, clear: 0.4", "raise: 60, clear: 40", "between 0 and 1"),
    ("raise: 0.6, clear: 0.4", "raise: 0.4, clear: 0.6", "clear must lie below raise"),
    ("raise: 12, clear: 16", "raise: 16, clear: 12", "clear must lie above raise"),
    ("rule: water-level}", "rule: water-levels}", "no rule is called water-levels"),
    ("rule: water-level}", "rule: reports}", "reports is not about one source"),
    ("rule: water-level}", "rule: agreed}", "agreed is not about one source"),
    ("name: camera, of", "name: gauge, of", "a second input is called gauge"),
    ("{name: gauge, rule: water-level}", "{name: gauge}", "either `rule` or `of`"),
    ("least: 3", "least: 4", "there are 3 inputs"),
    ("least: 2, certainty: likely", "least: 1, certainty: likely", ">= 2"),
    ("least: 3, certainty: observed", "least: 3, certainty: likely", "to what is surer"),
    ("after: 5m, to: supervisor", "after: 5m, to: viewer", "viewer"),
    ("after: 5m, to: supervisor", "after: 0m, to: supervisor", "0 is no time"),
    ("severity: moderate, after: 30m", "severity: severe, after: 5m", "escalates twice"),
    ("of: [reports], same", "of: [report], same", "no rule is called report"),
    ("of: [reports], same", "of: [agreed], same", "agreed would suppress itself"),
    ("of: [reports], same", "of: [reports, reports], same", "named twice"),
    ("    rules: [water-level]\n    same", "    rules: [water]\n    same", "no rule is called water"),
    ("    same: province\n", "", "needs a radius"),
    ("    same: province\n", "    same: province\n    radius_m: 5\n", "has no radius"),
    ("gap: 30h", "gap: 2h", "below gap"),
    ("gap: 30m", "gap: 0m", "0 joins nothing"),
    ("hazard: flood\n    radius_m: 300\n    gap", "hazard: fire\n    radius_m: 300\n    gap", "has the hazard fire"),
    ("hazard: flood\n    radius_m: 300\n    gap",
     "hazard: flood\n    rules: [water-level]\n    radius_m: 300\n    gap", "water-level never comes here"),
    ("id: street-flood", "id: spring-tide", "a second one is called spring-tide"),
    ("id: rising-water", "id: water-level", "a second rule is called water-level"),
    ("escalations:", "escalation:", "unknown field `escalation`"),
    # Examples
    ("{at: 0m, level_m: 1.9}", "{at: soon, level_m: 1.9}", "is no time"),
    ("{at: 0m, level_m: 1.9}", "{at: 2h, level_m: 1.9}", "after `until`"),
    ("{at: 0m, level_m: 1.9}", "{at: 0m, levl_m: 1.9}", "flood has no field levl_m"),
    ("{at: 0m, level_m: 1.9}", "{at: 0m, level_m: high}", "is no number"),
    ("{at: 0m, level_m: 1.9}", "{at: 0m, level_m: yes}", "is no number"),
    ("{at: 0m, level_m: 1.9}", "{at: 0m, level_m: 1.9, lon: 105}", "go together"),
    ("{at: 0m, level_m: 1.9}", "{at: 0m, stream: camera, count: 1}", "an event of camera has a kind"),
    ("{at: 0m, level_m: 1.9}", "{at: 0m, source: source, stream: traffic}", "is a source of flood"),
    ("to: 20m, every: 5m", "to: 20m", "`to` and `every` go together"),
    ("to: 20m, every: 5m", "to: 20m, every: 0m", "not repeated"),
    ("to: 20m, every: 5m", "to: 20m, every: 0.1s", "these are 9001 events"),
    ("until: 1h\n        expect:\n          - {at", "until: 0m\n        expect:\n          - {at", "at once"),
    ("change: raised, severity: severe", "change: risen, severity: severe", "risen"),
    ("at: 23:55, change: raised, source: a", "at: 23:55, change: raised, source: c", "no source is called c"),
    ("source: [a, b], level_m: 2.5", "level_m: 2.5", "not said who sends it"),
    ("interval: 5m, kind", "interval: 0m, kind", "0 is not an interval"),
    ("{level_m: {least", "{level: {least", "flood has no measure level"),
]  # fmt: skip


def refusal(text: str) -> str:
    """All that is said about a bad file."""
    with pytest.raises(UserError) as caught:
        parse_rules(text, "rules.yaml", MEASURES)
    problems = getattr(caught.value, "problems", (caught.value,))
    assert all(problem.remedy for problem in problems)
    return "\n".join(map(str, problems))


def test_the_rules_that_ship_are_good() -> None:
    text = (Path(alerts.__file__).parent / "rules" / "default.yaml").read_text(encoding="utf-8")
    rules = parse_rules(text, "default.yaml", MEASURES).rules
    assert [rule.id for rule in rules] == [
        "water-level",
        "rising-water",
        "street-water",
        "slow-traffic",
        "vehicle-queue",
        "salinity",
        "silent-source",
        "flooded-street-reports",
        "flooded-street-agreed",
        "commune-traffic",
    ]


def test_a_rule_keeps_what_its_author_wrote() -> None:
    """A rule without a kind is a ladder."""
    (rule,) = parse_rules(GOOD, "rules.yaml", MEASURES).rules
    assert isinstance(rule, LadderRule)
    assert rule.hold == timedelta(minutes=5)
    assert [level.raise_at.offset for level in rule.levels] == [0.15, 0.30]


def test_every_kind_becomes_its_record() -> None:
    """Each of the six kinds, and what holds for all rules, arrives as written."""
    file = parse_rules(EVERY_KIND, "every-kind.yaml", MEASURES)
    ladder, rate, silence, count, share, mean, fusion = file.rules
    assert isinstance(ladder, LadderRule)
    assert ladder.limit == Limit(20, timedelta(hours=1))
    assert ladder.levels[0].clear_at == Bound("bd1", -0.05)
    assert ladder.levels[0].label == {"vi": "BĐ1", "en": "BĐ1"}
    assert isinstance(rate, RateRule)
    assert rate.window == timedelta(hours=1)
    assert isinstance(silence, SilenceRule)
    assert silence.kinds == ("water_level", "street_water")
    assert [(level.intervals, level.after) for level in silence.levels] == [
        (3, None),
        (12, None),
        (None, timedelta(days=1)),
    ]
    assert isinstance(count, CountRule)
    assert count.of == Selector(stream="report", where={"category": ("flooded_street", "flooded_house")})
    assert (count.levels[0].raise_at, count.levels[0].certainty) == (Bound(None, 5.0), "possible")
    assert isinstance(share, CommuneRule)
    assert (share.statistic, share.beyond, share.least_sources) == ("share", 15.0, 3)
    assert isinstance(mean, CommuneRule)
    assert (mean.statistic, mean.beyond) == ("mean", None)
    assert isinstance(fusion, FusionRule)
    assert fusion.inputs[0] == FusionInput(name="gauge", rule="water-level")
    assert fusion.inputs[1].of == Selector(stream="camera", where={"kind": ("flooded_road",)})
    # A fusion leaves a level with fewer inputs than entered it.
    assert [(level.raise_at, level.clear_at) for level in fusion.levels] == [
        (Bound(None, 2.0), Bound(None, 2.0)),
        (Bound(None, 3.0), Bound(None, 3.0)),
    ]
    assert [(e.severity, e.after, e.to) for e in file.escalations] == [
        ("severe", timedelta(minutes=5), "supervisor"),
        ("moderate", timedelta(minutes=30), "operator"),
    ]
    assert (file.inhibitions[0].by, file.inhibitions[0].of) == (("agreed",), ("reports",))
    tide, street = file.groupings
    assert (tide.same, tide.gap, tide.peaks) == ("province", timedelta(hours=30), timedelta(hours=3))
    assert (street.radius_m, street.rules) == (300.0, ())


def test_examples_are_read_with_their_times() -> None:
    """Times after the start and on the clock, repetition, a number that goes from one to another, and senders."""
    first, second, reports = read_rules(EVERY_KIND, "every-kind.yaml", MEASURES).examples
    assert [(event.at / timedelta(minutes=1), event.fields["level_m"]) for event in first.given] == [
        (0, 1.9),
        (5, 2.01),
        (10, 2.02),
        (15, 2.03),
        (20, 2.04),
    ]
    assert first.place == "every-kind.yaml:18:9"
    assert first.senders[0].plausible["level_m"]["stuck"] == "6h"
    assert second.until == timedelta(hours=1)
    assert [(event.source, event.at) for event in second.given] == [
        ("a", timedelta(minutes=15)),
        ("b", timedelta(minutes=15)),
        ("a", timedelta(minutes=45)),
    ]
    assert [(event.stream, event.source) for event in reports.given] == [("report", "anybody")] * 5
    assert reports.senders == ()


def test_the_version_follows_from_the_content() -> None:
    """The same rule has the same version wherever it stands and whatever its examples; a changed one has another."""

    def version(text: str, name: str = "rules.yaml") -> str:
        (rule,) = parse_rules(text, name, MEASURES).rules
        return rule.version

    example = "    examples:\n      - {name: nothing, until: 1h}\n"
    assert (
        version(GOOD)
        == version(GOOD.replace("    unit: m\n", "    unit: m  # metres\n"), "other.yaml")
        == version(GOOD + example)
        != version(GOOD.replace("0.30", "0.35"))
    )
    versions = [rule.version for rule in parse_rules(EVERY_KIND, "f", MEASURES).rules]
    assert len(set(versions)) == len(versions)


@pytest.mark.parametrize(("old", "new", "place", "reason"), BAD)
def test_a_bad_file_is_refused_with_its_place_and_reason(old: str, new: str, place: str, reason: str) -> None:
    assert old in GOOD
    message = refusal(GOOD.replace(old, new, 1))
    assert place in message
    assert reason in message


@pytest.mark.parametrize(("old", "new", "reason"), BAD_OF_ANY_KIND)
def test_what_does_not_fit_together_is_refused_at_its_line(old: str, new: str, reason: str) -> None:
    """One slip gives its own reason, at the line of the slip or of the record that it is in."""
    assert EVERY_KIND.count(old) >= 1
    line = EVERY_KIND[: EVERY_KIND.index(old)].count("\n") + 1
    with pytest.raises(FileErrors) as caught:
        parse_rules(EVERY_KIND.replace(old, new, 1), "rules.yaml", MEASURES)
    problems = [problem for problem in caught.value.problems if reason in str(problem)]
    assert problems, [str(problem) for problem in caught.value.problems]
    assert all(problem.remedy for problem in caught.value.problems)
    at = int(problems[0].where.split(":")[1])
    assert line - 16 <= at <= line + 6


def test_all_problems_of_a_file_are_told_in_order() -> None:
    """Whoever mends a file learns of all slips at once; a rule that is wrong is still there to refer to."""
    text = (
        EVERY_KIND.replace("raise: 0.3, clear: 0.2", "raise: 0.2, clear: 0.3")
        .replace("measure: level_m\n    unit: m\n    direction: above\n    hold", "unit: 3\n    hold", 1)
        .replace("to: supervisor", "to: boss")
        .replace("gap: 30h", "gap: soon")
    )
    with pytest.raises(FileErrors) as caught:
        parse_rules(text, "rules.yaml", MEASURES)
    parts = [problem.where.split(": ")[1] for problem in caught.value.problems]
    assert parts == [
        "rules[0]",
        "rules[0]",
        "rules[0].unit",
        "rules[1].levels[0].clear",
        "escalations[0].to",
        "incidents[0].gap",
    ]


@pytest.mark.parametrize(
    "text", ["", "[]", "rules: {}", "version: 1", "version: 1\nrules: [3, [], {id: [1]}]"]
)
def test_not_a_file_of_rules(text: str) -> None:
    """Whatever is not a mapping with version and a list of rules is refused, never with a traceback."""
    refusal(text)


def _parts(data: Any) -> Iterator[tuple[Any, Any]]:
    """Every container of a document, with a key in it."""
    for key, value in data.items() if isinstance(data, dict) else enumerate(data):
        yield data, key
        if isinstance(value, dict | list):
            yield from _parts(value)


WHATEVER = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 10**20),
    st.floats(),
    st.sampled_from(
        ["", " ", "0m", "5m", "23:59", "9d", "flood", "report", "water-level", "agreed", "a", "é"]
    ),
    st.just([]),
    st.just({}),
    st.lists(st.sampled_from(["a", "b", 1, None]), max_size=3),
    st.dictionaries(st.sampled_from(["threshold", "stream", "kind", "at"]), st.sampled_from(["a", 1, []])),
)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_no_file_ends_in_a_traceback(data: st.DataObject) -> None:
    """Whatever stands in whatever place, and whatever is left out: it is good, or refused with place and remedy."""
    document = deepcopy(Document(EVERY_KIND, "f").data)
    for _ in range(data.draw(st.integers(1, 3))):
        container, key = data.draw(st.sampled_from(list(_parts(document))))
        if data.draw(st.booleans()):
            container[key] = data.draw(WHATEVER)
        else:
            del container[key]
    text = yaml.dump(document, Dumper=yaml.CSafeDumper, allow_unicode=True)
    try:
        parse_rules(text, "rules.yaml", MEASURES)
    except UserError as error:
        problems = getattr(error, "problems", (error,))
        assert all(p.what and p.remedy and p.where.startswith("rules.yaml:") for p in problems)


def test_no_rules_are_good() -> None:
    assert parse_rules("version: 1\nrules: []\n", "rules.yaml", MEASURES) == RuleSet()


def test_texts_of_events_are_those_that_they_have() -> None:
    """What `where` may look at is a text that every event of the stream has, beside what all events share."""
    own = {
        stream: {
            field
            for field in kind.__struct_fields__
            if field not in Event.__struct_fields__ and field in ("kind", "category")
        }
        for stream, kind in EVENTS.items()
    }
    assert {stream: set(texts) for stream, texts in TEXTS.items()} == {s: f for s, f in own.items() if f}
