"""Values as people read them, in both languages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import alerts
from alerts.agencies.wording import number
from alerts.explain.words import Words

#: Units that are written alike in every language.
SIGNS = {"m", "km/h", "‰", '""'}


@pytest.mark.parametrize(
    ("value", "unit", "vi", "en"),
    [
        (2.04, "m", "2,04 m", "2.04 m"),
        (12, "vehicles", "12 xe", "12 vehicles"),
        (3, "alerts", "3 cảnh báo", "3 alerts"),
        (0.63, "", "0,63", "0.63"),
        (7, "‰", "7 ‰", "7 ‰"),
    ],
)
def test_a_unit_that_is_a_word_is_in_the_language(value: float, unit: str, vi: str, en: str) -> None:
    """Signs are the same everywhere, words are not."""
    assert (number(value, unit, "vi"), number(value, unit, "en")) == (vi, en)
    assert (Words("vi").value(value, unit), Words("en").value(value, unit)) == (vi, en)


def test_the_units_of_the_shipped_rules_are_signs_or_have_words() -> None:
    """A rule with another unit shows an English word in Vietnamese, until it is given one."""
    rules = (Path(alerts.__file__).parent / "rules" / "default.yaml").read_text(encoding="utf-8")
    units = set(re.findall(r"^ +unit: (\S+)", rules, re.M))
    assert units > SIGNS
    for unit in units - SIGNS:
        assert number(1, unit, "vi") != number(1, unit, "en"), unit
