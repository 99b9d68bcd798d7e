"""The inventory: what is read, and that each error names file, line and remedy."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from alerts.model import Source, Threshold
from ioc.errors import UserError
from streams.inventory import parse_inventory

GOOD = """\
version: 1
sources:
  - id: gauge-1
    stream: flood
    name: {vi: Trạm một, en: Gauge one}
    kind: water_level
    owner: hydromet
    lon: 105.78
    lat: 10.03
    interval: 5m
    datum: local zero
    simulated: true
    thresholds:
      - {name: bd3, value: 1.9, until: "2020-01-31T00:00:00+07:00"}
      - {name: bd3, value: 2, since: "2020-01-31T00:00:00+07:00", citation: Decision 5}
  - id: camera-1
    stream: camera
    name: {vi: Camera một, en: Camera one}
    kind: camera
    lon: 105
    lat: 10
"""


def test_reads_every_field() -> None:
    """All fields arrive with their types, in the file's order; what is left out has its default."""
    found = parse_inventory(GOOD, "sources.yaml")
    turn = datetime(2020, 1, 30, 17, tzinfo=UTC)
    assert list(found) == ["gauge-1", "camera-1"]
    assert found["gauge-1"] == Source(
        id="gauge-1",
        stream="flood",
        name={"vi": "Trạm một", "en": "Gauge one"},
        kind="water_level",
        owner="hydromet",
        lon=105.78,
        lat=10.03,
        interval=300.0,
        datum="local zero",
        simulated=True,
        thresholds=(
            Threshold(name="bd3", value=1.9, until=turn),
            Threshold(name="bd3", value=2.0, since=turn, citation="Decision 5"),
        ),
    )
    assert found["camera-1"].interval is None
    assert found["camera-1"].thresholds == ()


@pytest.mark.parametrize(
    ("old", "new", "line", "what", "remedy"),
    [
        ("    owner: hydromet", "    onwer: hydromet", 7, "unknown field `onwer`", "remove it"),
        ("    kind: water_level\n", "", 3, "missing required field `kind`", "add `kind: ...`"),
        ("stream: flood", "stream: water", 4, "'water'", "traffic, flood, camera, report"),
        ("id: camera-1", "id: gauge-1", 16, "gauge-1 is there twice", "its own id"),
        ("lon: 105.78\n    lat: 10.03", "lon: 10.03\n    lat: 105.78", 9, "no latitude", "swap lon and lat"),
        ("lon: 105.78", "lon: 1057.8", 8, "1057.8 is no longitude", "-180 to 180"),
        ("lat: 10.03", "lat: .nan", 9, "no latitude", "without quotes"),
        ("lat: 10.03", 'lat: "10.03"', 9, "Expected `float`, got `str`", "without quotes"),
        ("interval: 5m", "interval: 5", 10, "not a duration", "60s, 5m or 1h"),
        ("interval: 5m", "interval: 0m", 10, "not an interval", "60s, 5m or 1h"),
        ("simulated: true", "simulated: 1", 12, "Expected `bool`", "true or false"),
        (", en: Gauge one", "", 5, "missing required field `en`", "add `en: ...`"),
        ("value: 1.9", "value: high", 14, "Expected `float`, got `str`", "without quotes"),
        ("value: 1.9, ", "", 14, "missing required field `value`", "add `value: ...`"),
        ('until: "2020-01-31T00:00:00+07:00"', "until: 2020-01-31", 14, "date", "+07:00"),
        (', until: "2020-01-31T00:00:00+07:00"', "", 15, "hold at once", "`until`"),
        ('until: "2020-', 'until: "2021-', 15, "hold at once", "`until`"),
        ("id: gauge-1", "id: gauge 1", 3, "sources[0].id", "without spaces"),
        ("version: 1", "version: 2", 1, "version", "version: 1"),
        ("    stream: flood\n", "    stream: flood\n    stream: flood\n", 5, "twice", "keep one"),
        ("name: {vi: Trạm một, en: Gauge one}", "name: {vi: Trạm một", 6, "not valid YAML", "correct"),
    ],
)  # fmt: skip
def test_errors_name_line_and_remedy(old: str, new: str, line: int, what: str, remedy: str) -> None:
    """A file with one slip is refused with its name, the line of the slip, what it is, and what to write."""
    assert old in GOOD
    with pytest.raises(UserError) as caught:
        parse_inventory(GOOD.replace(old, new, 1), "sources.yaml")
    assert f"sources.yaml:{line}" in caught.value.where
    assert what in str(caught.value)
    assert remedy in caught.value.remedy


@pytest.mark.parametrize("text", ["", "[]", "version: 1\nsources: {}", "sources: []", "version: 1"])
def test_not_an_inventory(text: str) -> None:
    """Whatever is not a mapping with version and a list of sources is refused."""
    with pytest.raises(UserError):
        parse_inventory(text, "sources.yaml")
