"""The alarm rate: what was raised lately, in event time."""

from __future__ import annotations

from datetime import timedelta

from maps.picture import Picture
from tests import wallkit as kit


def counts(picture: Picture) -> tuple[int | None, int | None]:
    stats = picture.snapshot()["stats"]
    return stats["alarms_10m"], stats["alarms_1h"]


def raised(picture: Picture, id: str, minutes_ago: float, **fields: object) -> None:
    at = (kit.NOON - timedelta(minutes=minutes_ago)).isoformat()
    picture.apply_alert(kit.alert_record(id, time=at, **fields), id)


def test_no_rate_before_the_time_is_known() -> None:
    """A figure without a clock would be a guess."""
    picture = Picture()
    raised(picture, "a1", 1)
    assert counts(picture) == (None, None)


def test_windows_are_of_event_time() -> None:
    """The clock of the data decides, and an alert counts once however often it changes, ended ones too."""
    picture = Picture()
    picture.apply_passed(kit.passed_record(kit.NOON), 0)
    raised(picture, "a1", 9.9)
    raised(picture, "a2", 10.1)
    raised(picture, "a3", 59.9)
    raised(picture, "a4", 60.1)
    assert counts(picture) == (1, 3)
    raised(picture, "a4", 1, change="escalated", sequence=2)
    raised(picture, "a3", 1, change="cleared", state="cleared", sequence=2)
    assert counts(picture) == (1, 3)
    picture.apply_passed(kit.passed_record(kit.NOON + timedelta(minutes=1)), 0)
    assert counts(picture) == (0, 2)


def test_what_asks_for_no_attention_does_not_count() -> None:
    """A suppressed alert burdens nobody until it is resumed."""
    picture = Picture()
    picture.apply_passed(kit.passed_record(kit.NOON), 0)
    raised(picture, "a1", 5, suppressed="limit:water-level")
    assert counts(picture) == (0, 0)
    raised(picture, "a1", 2, change="resumed", sequence=2, waiting_since=kit.NOON.isoformat())
    assert counts(picture) == (1, 1)


def test_another_run_has_its_own_rate() -> None:
    """A replay that begins anew is not charged with the alerts of the one before."""
    picture = Picture()
    picture.apply_passed(kit.passed_record(kit.NOON), 0)
    raised(picture, "a1", 5)
    picture.apply_passed(kit.passed_record(kit.NOON, run="again"), 0)
    assert counts(picture) == (0, 0)


def test_a_rate_that_is_a_guess_says_so() -> None:
    """After a restart only the latest record of an alert is there: the figure is marked until its hour has passed."""
    picture = Picture()
    picture.apply_passed(kit.passed_record(kit.NOON), 0)
    raised(picture, "a1", 5)
    assert picture.snapshot()["stats"]["alarms_about"] is False
    began = (kit.NOON - timedelta(minutes=50)).isoformat()
    raised(picture, "a2", 1, change="acknowledged", sequence=2, started=began)
    assert picture.snapshot()["stats"]["alarms_about"] is True
    picture.apply_passed(kit.passed_record(kit.NOON + timedelta(minutes=11)), 0)
    assert picture.snapshot()["stats"]["alarms_about"] is False
