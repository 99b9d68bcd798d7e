"""Examples beside rules run through the functions that judge, and tell what differs."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from alerts.rules.written import read_rules
from ioc.commands.rule_examples import run_examples, told
from ioc.settings import Settings, load_settings
from streams.examples import Outcome
from streams.schemas import MEASURES

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
    hold: 5m
    levels:
      - {severity: minor, raise: 0.15, clear: 0.10, label: {vi: Ngập, en: Water}}
      - {severity: severe, raise: 0.30, clear: 0.25}
    examples:
EXAMPLES
  - id: many-reports
    kind: count
    title: {vi: Nhiều tin báo, en: Many reports}
    hazard: flood
    of: {stream: report, where: {category: flooded_street}}
    radius_m: 300
    window: 30m
    levels: [{severity: minor, raise: 3, clear: 2, certainty: possible}]
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(state_dir=tmp_path / "state")


def run(settings: Settings, tmp_path: Path, example: str, rules: str = RULES) -> Outcome:
    """The outcome of one example of street-water, given as its keys."""
    path = tmp_path / "rules.yaml"
    body = "".join(f"        {line}\n" for line in f"name: it\n{example}".splitlines())
    path.write_text(rules.replace("EXAMPLES\n", "      -" + body[7:]), encoding="utf-8")
    written = read_rules(path.read_text(encoding="utf-8"), "rules.yaml", MEASURES)
    (outcome,) = run_examples(settings, path, written.examples)
    return outcome


def test_what_comes_is_what_was_expected(settings: Settings, tmp_path: Path) -> None:
    """Every change of the rule's alerts, each at its own second."""
    outcome = run(
        settings,
        tmp_path,
        "given:\n"
        "  - {at: 0m, road_depth_m: 0.2}\n"
        "  - {at: 10m, to: 20m, every: 5m, road_depth_m: 0.35}\n"
        "  - {at: 30m, road_depth_m: 0.05}\n"
        "until: 1h\n"
        "expect:\n"
        "  - {at: 5m, change: raised, severity: minor, label: Water, certainty: observed}\n"
        "  - {at: 15m, change: escalated, severity: severe}\n"
        "  - {at: 30m, change: cleared}",
    )
    assert outcome.good
    assert told(outcome) == ["ok     street-water: it"]


def test_a_difference_is_told_with_both_sides(settings: Settings, tmp_path: Path) -> None:
    """What was expected and did not come, what came and was not expected, and what was as expected."""
    outcome = run(
        settings,
        tmp_path,
        "given: [{at: 0m, road_depth_m: 0.2}, {at: 10m, road_depth_m: 0}]\n"
        "until: 20m\n"
        "expect:\n"
        "  - {at: 5m, change: raised, severity: severe}\n"
        "  - {at: 10m, change: cleared}",
    )
    assert not outcome.good
    lines = told(outcome)
    assert lines[:2] == ["FAILED street-water: it", "       rules.yaml:15:9  (- expected, + came)"]
    assert [line.split() for line in lines[2:]] == [
        ["-", "00:05:00", "(+5m)", "raised", "severe"],
        ["+", "00:05:00", "(+5m)", "raised", "minor", "(Ngập)", "observed", "at", "source"],
        ["00:10:00", "(+10m)", "cleared", "minor", "(Ngập)", "observed", "at", "source"],
    ]


def test_without_expectations_no_alert_may_come(settings: Settings, tmp_path: Path) -> None:
    """Silence is an expectation too."""
    assert run(settings, tmp_path, "given: [{at: 0m, road_depth_m: 0.1}]\nuntil: 1h").good
    assert not run(settings, tmp_path, "given: [{at: 0m, road_depth_m: 0.2}]\nuntil: 1h").good


def test_what_comes_after_the_end_is_not_asked_for(settings: Settings, tmp_path: Path) -> None:
    """A hold that completes at `until` counts; a second later it does not."""
    given = "given: [{at: 0m, road_depth_m: 0.2}]\n"
    at_the_end = f"{given}until: 5m\nexpect: [{{at: 5m, change: raised}}]"
    assert run(settings, tmp_path, at_the_end).good
    assert run(settings, tmp_path, f"{given}until: 299s").good


def test_missing_data_clears_nothing(settings: Settings, tmp_path: Path) -> None:
    """Nothing comes for a day, and the alert stays."""
    outcome = run(
        settings,
        tmp_path,
        "given: [{at: 0m, road_depth_m: 0.2}]\nuntil: 1d\nexpect: [{at: 5m, change: raised}]",
    )
    assert outcome.good


def test_expectations_that_say_little_leave_room_for_those_that_say_more(
    settings: Settings, tmp_path: Path
) -> None:
    """Two alerts at one moment, told in any order."""
    outcome = run(
        settings,
        tmp_path,
        "sources: {a: {}, b: {east: 100}}\n"
        "given: [{at: 0m, source: [a, b], road_depth_m: 0.2}]\n"
        "until: 10m\n"
        "expect: [{at: 5m, change: raised}, {at: 5m, change: raised, source: a}]",
    )
    assert outcome.good


def test_places_are_metres_from_a_point_in_a_commune(settings: Settings, tmp_path: Path) -> None:
    """Three reports within 300 m are one alert; the same 400 m apart are none."""
    rules = RULES.replace("    examples:\nEXAMPLES\n", "") + "    examples:\nEXAMPLES\n"

    def reports(apart: int) -> str:
        places = "".join(f"  - {{at: {n}m, category: flooded_street, east: {n * apart}}}\n" for n in range(3))
        return f"given:\n{places}until: 10m\n"

    near = run(settings, tmp_path, reports(100) + "expect: [{at: 2m, change: raised}]", rules)
    assert near.good
    (line,) = near.lines
    assert line.came is not None
    assert line.came.at == timedelta(minutes=2)
    assert run(settings, tmp_path, reports(400), rules).good
