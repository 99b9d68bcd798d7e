"""The inventory: what is read, and that each error names file, line and remedy."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from alerts.model import Plausibility, Source, Threshold
from ioc.errors import UserError
from ioc.yamlfile import FileErrors
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


KINDS = """\
version: 1
kinds:
  water_level:
    interval: 5m
    datum: Hon Dau
    plausible:
      level_m: {least: -1, greatest: 4, step: 0.5, stuck: 6h}
      rain_mm: {least: 0}
sources:
  - {id: a, stream: flood, name: {vi: a, en: a}, kind: water_level, lon: 105, lat: 10}
  - id: b
    stream: flood
    name: {vi: b, en: b}
    kind: water_level
    lon: 105
    lat: 10
    interval: 10m
    datum: local zero
    plausible: {level_m: {greatest: 9}}
  - {id: c, stream: flood, name: {vi: c, en: c}, kind: rain, lon: 105, lat: 10}
"""


def test_a_source_has_from_its_kind_what_it_does_not_say_itself() -> None:
    """Interval, datum, and what is plausible measure by measure: a measure's entry is taken whole."""
    found = parse_inventory(KINDS, "sources.yaml")
    rain = Plausibility(least=0)
    assert (found["a"].interval, found["a"].datum) == (300, "Hon Dau")
    assert found["a"].plausible == {
        "level_m": Plausibility(least=-1, greatest=4, step=0.5, stuck=21600),
        "rain_mm": rain,
    }
    assert (found["b"].interval, found["b"].datum) == (600, "local zero")
    assert found["b"].plausible == {"level_m": Plausibility(greatest=9), "rain_mm": rain}
    assert (found["c"].interval, found["c"].datum, found["c"].plausible) == (None, None, {})


@pytest.mark.parametrize(
    ("old", "new", "line", "what", "remedy"),
    [
        ("{least: -1, greatest: 4,", "{least: 4, greatest: 4,", 7, "between least and greatest", "below"),
        ("greatest: 4", "greatest: .inf", 7, "no bound", "without quotes"),
        ("step: 0.5", "step: 0", 7, "no step", "above 0"),
        ("step: 0.5", "step: big", 7, "Expected `float", "above 0"),
        ("stuck: 6h", "stuck: 0h", 7, "stuck for 0", "6h"),
        ("stuck: 6h", "stuck: 6", 7, "not a duration", "6h"),
        ("stuck: 6h", "stuk: 6h", 7, "unknown field `stuk`", "mend its name"),
        ("rain_mm: {least: 0}", "rain_mm: {}", 8, "says nothing", "least, greatest, step and stuck"),
        ("rain_mm: {least: 0}", "rain: {least: 0}", 8, "flood has no measure rain", "rain_mm"),
        ("rain_mm: {least: 0}", "speed_kmh: {least: 0}", 8, "flood has no measure speed_kmh", "level_m"),
        ("interval: 5m", "interval: 0m", 4, "not an interval", "60s, 5m or 1h"),
        ("interval: 10m", "interval: 0m", 17, "not an interval", "60s, 5m or 1h"),
        ("{level_m: {greatest: 9}}", "{speed_kmh: {greatest: 9}}", 19, "no measure speed_kmh", "level_m"),
    ],
)  # fmt: skip
def test_errors_about_kinds_and_what_is_plausible(
    old: str, new: str, line: int, what: str, remedy: str
) -> None:
    """As everywhere: file, line, what is wrong, what to write."""
    assert old in KINDS
    with pytest.raises(UserError) as caught:
        parse_inventory(KINDS.replace(old, new, 1), "sources.yaml")
    assert f"sources.yaml:{line}:" in caught.value.where
    assert what in str(caught.value)
    assert remedy in caught.value.remedy


def test_all_that_is_wrong_is_told_at_once() -> None:
    """Who mends a file should not learn of his slips one by one."""
    text = KINDS.replace("least: -1", "least: 5").replace("interval: 10m", "interval: 0m")
    with pytest.raises(FileErrors) as caught:
        parse_inventory(text.replace("id: c,", "id: a,"), "sources.yaml")
    assert [problem.where.split(":")[1] for problem in caught.value.problems] == ["7", "17", "20"]


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


@pytest.mark.parametrize("value", [".nan", ".inf", "-.inf", "1e300"])
def test_a_threshold_that_nothing_can_pass_is_refused(value: str) -> None:
    """A level that is never reached looks like a quiet river."""
    text = (
        "version: 1\nsources:\n  - id: g\n    stream: flood\n    name: {vi: g, en: g}\n    kind: gauge\n"
        f"    lon: 105\n    lat: 10\n    thresholds: [{{name: bd3, value: {value}}}]\n"
    )
    with pytest.raises(UserError, match=r"sources.yaml:9:\d+: sources\[0\].thresholds\[0\].value"):
        parse_inventory(text, "sources.yaml")
