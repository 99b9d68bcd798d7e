"""Rule files: what is accepted, and that every refusal names file, line, column and reason."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

import alerts
from alerts.rules.written import parse_rules
from ioc.errors import UserError
from streams.schemas import MEASURES

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
    (", en: Water on the street", "", "rules.yaml:4:12", "lacks en"),
    ("id: street-water", "id: 7", "rules.yaml:3:9", "str"),
    ("version: 1", "version: 2", "rules.yaml:1:10", "2"),
    ("rules:", "rules: [", "rules.yaml", "not valid YAML"),
    ("direction: above", "direction: below", "rules.yaml:12:47", "clear must lie above raise"),
]


def test_the_rules_that_ship_are_good() -> None:
    text = (Path(alerts.__file__).parent / "rules" / "default.yaml").read_text(encoding="utf-8")
    rules = parse_rules(text, "default.yaml", MEASURES)
    assert [rule.id for rule in rules] == [
        "water-level",
        "street-water",
        "slow-traffic",
        "vehicle-queue",
        "salinity",
    ]


def test_a_rule_keeps_what_its_author_wrote() -> None:
    (rule,) = parse_rules(GOOD, "rules.yaml", MEASURES)
    assert rule.hold == timedelta(minutes=5)
    assert [level.raise_at.offset for level in rule.levels] == [0.15, 0.30]


def test_the_version_follows_from_the_content() -> None:
    """The same rule has the same version wherever it stands in a file; a changed one has another."""
    (rule,) = parse_rules(GOOD, "rules.yaml", MEASURES)
    (again,) = parse_rules(GOOD.replace("    unit: m\n", "    unit: m  # metres\n"), "other.yaml", MEASURES)
    (changed,) = parse_rules(GOOD.replace("0.30", "0.35"), "rules.yaml", MEASURES)
    assert rule.version == again.version != changed.version


@pytest.mark.parametrize(("old", "new", "place", "reason"), BAD)
def test_a_bad_file_is_refused_with_its_place_and_reason(old: str, new: str, place: str, reason: str) -> None:
    assert old in GOOD
    with pytest.raises(UserError) as caught:
        parse_rules(GOOD.replace(old, new, 1), "rules.yaml", MEASURES)
    message = str(caught.value)
    assert place in message
    assert reason in message


def test_two_rules_of_one_id_are_refused() -> None:
    body = GOOD.split("rules:\n")[1]
    with pytest.raises(UserError, match="a second rule is called street-water"):
        parse_rules(GOOD + body, "rules.yaml", MEASURES)
