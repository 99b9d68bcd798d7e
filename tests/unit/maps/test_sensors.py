"""The sources on the map: what a browser is told of them, in which state they are, who watches a commune."""

from __future__ import annotations

import base64
import random
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from maps import sensors as module
from maps.picture import Picture
from maps.sensors import DOUBTFUL, SILENT, source_view
from tests import wallkit as kit

MINUTE = timedelta(minutes=1)


def at_noon() -> Picture:
    picture = Picture()
    passed(picture, 0)
    return picture


def passed(picture: Picture, minutes: float) -> None:
    picture.apply_passed(kit.passed_record(kit.NOON + minutes * MINUTE), 0)


def heard(picture: Picture, source: str, minutes: float = 0, **fields: Any) -> None:
    picture.apply_located(kit.located_record(source, kit.NOON + minutes * MINUTE, **fields))


def told(picture: Picture) -> dict[str, Any]:
    taken = picture.take_changes()
    assert taken is not None
    return taken[1]["sources"]


def state(picture: Picture, source: str) -> int:
    picture.snapshot()  # looks who is silent
    sensor = picture.sensor(source)
    assert sensor is not None
    return sensor.state


class Browser:
    """Does with what it is told what the page does."""

    def __init__(self) -> None:
        self.rows: dict[int, list[Any]] = {}
        self.coverage: dict[str, list[int]] = {}

    def take(self, sources: dict[str, Any]) -> None:
        for number in sources.get("gone", []):
            self.rows.pop(number, None)
        for number, *rest in sources["rows"]:
            *head, since = rest
            self.rows[number] = [*head, None if since is None else since + sources["base"]]
        states = sources.get("states", [])
        for number, state in zip(states[::2], states[1::2], strict=True):
            self.rows[number][6] = state
        self.coverage |= sources["coverage"]
        self.coverage = {code: counts for code, counts in self.coverage.items() if counts[1]}

    def read(self, readings: dict[str, Any]) -> None:
        read, moved = kit.unpacked(readings)
        for number, value, seconds in read:
            self.rows[number][7:] = [value, seconds]
        for number, lon, lat in moved:
            self.rows[number][3:5] = [round(lon, 5), round(lat, 5)]


@pytest.mark.parametrize("seed", range(8))
def test_who_follows_knows_what_a_newcomer_is_told(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows, states and readings in whatever batches lead to the snapshot, with sources dropped and numbers reused."""
    monkeypatch.setattr(module, "SOURCES_MAX", 12)
    rng = random.Random(seed)
    picture, browser = at_noon(), Browser()
    browser.take(picture.snapshot()["sources"])
    picture.take_changes()
    for step in range(400):
        minutes = step / 4
        match rng.randrange(8):
            case 0:
                passed(picture, minutes)
            case 1:
                severity = rng.choice(["minor", "extreme"])
                ended = rng.choice([{}, {"state": "cleared", "change": "cleared"}])
                subject = f"s{rng.randrange(20)}"
                picture.apply_alert(
                    kit.alert_record(subject, subject=subject, severity=severity, **ended), subject
                )
            case 2 if rng.random() < 0.2:
                picture.know([kit.listed(f"s{n}", lon=105.5 + n / 100) for n in rng.sample(range(20), 4)])
            case 3:
                if (taken := picture.take_changes()) is not None:
                    browser.take(taken[1]["sources"])
                browser.read(picture.take_readings())
            case 4 if (taken := picture.take_changes()) is not None:
                browser.take(taken[1]["sources"])
            case _:
                place = {
                    "outcome": "inside",
                    "commune": f"9000{rng.randrange(1, 4)}",
                    "boundaries": "squares@1",
                }
                heard(
                    picture,
                    f"s{rng.randrange(20)}",
                    minutes - rng.choice([0, 0, 5]),
                    lon=105.5 + rng.randrange(5) / 100,
                    level_m=rng.choice([None, 1.25, 2.5]),
                    doubts=rng.choice([{}, {"level_m": ["spike"]}]),
                    place=place,
                )
    if (taken := picture.take_changes()) is not None:
        browser.take(taken[1]["sources"])
    browser.read(picture.take_readings())
    newcomer = Browser()
    newcomer.take(picture.snapshot()["sources"])
    assert browser.rows == newcomer.rows
    assert browser.coverage == newcomer.coverage
    assert len(browser.rows) <= 12


def test_readings_are_numbers_only() -> None:
    """A source that is known costs ten bytes a reading, and as many where it moved."""
    picture = at_noon()
    heard(picture, "s1")
    row = told(picture)["rows"][0]
    assert row == [0, "s1", 1, module.MEASURES.index("level_m"), 105.55, 9.95, "90001", 0, 1.5, 0]
    heard(picture, "s1", 1, level_m=1.75001, lon=105.6)
    assert told(picture)["rows"] == []
    readings = picture.take_readings()
    assert readings["base"] == kit.NOON.timestamp()
    assert [len(base64.b64decode(readings[name])) for name in ("read", "moved")] == [10, 10]
    read, [(number, lon, lat)] = kit.unpacked(readings)
    assert read == [(0, 1.75, kit.NOON.timestamp() + 60)]
    assert (number, lon, lat) == (0, pytest.approx(105.6, abs=1e-7), pytest.approx(9.95, abs=1e-7))
    assert kit.unpacked(picture.take_readings()) == ([], [])


def test_an_older_reading_says_nothing_but_one_of_another_run_does() -> None:
    """Partitions come in any order; a replay that begins anew is earlier and holds all the same."""
    picture = at_noon()
    heard(picture, "s1", level_m=2.0)
    heard(picture, "s1", -1, level_m=1.0)
    assert picture.sensor("s1").value == 2.0
    heard(picture, "s1", -60, level_m=3.0, run="again")
    assert picture.sensor("s1").value == 3.0


def test_a_source_is_silent_after_three_of_its_intervals() -> None:
    """By event time, and by five minutes where no inventory says the interval; its next reading ends it."""
    picture = at_noon()
    picture.know([kit.listed("s1", interval=60)])
    heard(picture, "s1")
    heard(picture, "s2")
    passed(picture, 3)
    assert (state(picture, "s1"), state(picture, "s2")) == (0, 0)
    passed(picture, 3.1)
    assert (state(picture, "s1"), state(picture, "s2")) == (SILENT, 0)
    told(picture)
    passed(picture, 15.1)
    assert told(picture)["states"] == [picture.sensor("s2").number, SILENT]
    heard(picture, "s1", 15)
    assert (state(picture, "s1"), state(picture, "s2")) == (0, SILENT)


def test_a_source_that_was_never_heard_is_silent_and_shown() -> None:
    """The inventory's sources are on the map before they speak, and leave it with the inventory."""
    picture = at_noon()
    picture.know([kit.listed("s1"), kit.listed("s2")])
    heard(picture, "s2")
    assert {row[1]: row[7:] for row in told(picture)["rows"]} == {
        "s1": [SILENT, None, None],
        "s2": [0, 1.5, 0],
    }
    picture.know([])
    changes = told(picture)
    assert changes["gone"] == [0]
    assert picture.sensor("s1") is None
    assert picture.sensor("s2") is not None


def test_a_commune_with_nobody_to_watch_it_is_told() -> None:
    """How many of its sources live: none of them while they are silent, however many there are."""
    picture = at_noon()
    picture.know([kit.listed("s1"), kit.listed("s2"), kit.listed("s3", commune="90002")])
    assert picture.snapshot()["sources"]["coverage"] == {"90001": [0, 2], "90002": [0, 1]}
    heard(picture, "s1")
    assert told(picture)["coverage"]["90001"] == [1, 2]
    passed(picture, 4)
    assert told(picture)["coverage"] == {"90001": [0, 2]}
    passed(picture, 4.01)
    assert told(picture)["coverage"] == {}


def test_a_doubtful_reading_marks_its_source() -> None:
    """Until the next reading that is believed."""
    picture = at_noon()
    heard(picture, "s1", doubts={"level_m": ["stuck"]})
    assert state(picture, "s1") == DOUBTFUL
    heard(picture, "s1", 1)
    assert state(picture, "s1") == 0


def test_sources_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are, memory has an end; the longest silent go first, those of the inventory never."""
    monkeypatch.setattr(module, "SOURCES_MAX", 10)
    picture = at_noon()
    picture.know([kit.listed("mine")])
    for number in range(25):
        heard(picture, f"s{number}")
        heard(picture, "s0")
    names = {row[1] for row in picture.snapshot()["sources"]["rows"]}
    assert names == {"mine", "s0", *(f"s{n}" for n in range(17, 25))}
    numbers = [row[0] for row in picture.snapshot()["sources"]["rows"]]
    assert len(set(numbers)) == 10
    assert max(numbers) <= 10


def test_a_source_is_told_with_its_event_as_it_came() -> None:
    """And with what the inventory says of it."""
    picture = at_noon()
    picture.know([kit.listed("s1", owner="Đài khí tượng")])
    record = kit.located_record("s1", odd=[1])
    picture.apply_located(record)
    view = msgspec.json.decode(msgspec.json.encode(source_view(picture.sensor("s1"))))
    assert view["event"]["odd"] == [1]
    assert (view["owner"], view["interval"], view["time"]) == (
        "Đài khí tượng",
        60,
        kit.NOON.timestamp() * 1000,
    )
