"""The present picture: what records make of it, and what of it is told."""

from __future__ import annotations

import json
from datetime import timedelta

import msgspec

from alerts.commands import Command
from maps import picture as module
from maps.picture import Picture
from tests import wallkit as kit


def changes_of(picture: Picture) -> dict:
    taken = picture.take_changes()
    assert taken is not None
    kind, changes = taken
    assert kind == "changes"
    return changes


def test_an_alert_is_open_until_its_record_says_otherwise() -> None:
    """An open alert is counted by severity; once cleared it is among the recently ended instead."""
    picture = Picture()
    picture.apply_alert(kit.alert_record("a1"), "a1")
    assert picture.open_counts() == {"minor": 0, "moderate": 0, "severe": 1, "extreme": 0}
    assert [alert["id"] for alert in changes_of(picture)["alerts"]] == ["a1"]
    picture.apply_alert(kit.alert_record("a1", sequence=2, change="cleared", state="cleared"), "a1")
    changes = changes_of(picture)
    assert [(alert["id"], alert["state"]) for alert in changes["alerts"]] == [("a1", "cleared")]
    assert [alert["id"] for alert in changes["ended"]] == ["a1"]
    assert picture.snapshot()["alerts"] == []


def test_a_tombstone_forgets_an_alert() -> None:
    """A record without value removes the alert of its key, open or ended, and viewers are told once."""
    picture = Picture()
    picture.apply_alert(kit.alert_record("a1"), "a1")
    picture.apply_alert(kit.alert_record("a2", state="cleared", change="cleared"), "a2")
    picture.take_changes()
    picture.apply_alert(None, "a1")
    picture.apply_alert(None, "a2")
    picture.apply_alert(None, "unknown")
    assert changes_of(picture)["gone"] == ["a1", "a2"]
    snapshot = picture.snapshot()
    assert snapshot["alerts"] == []
    assert snapshot["ended"] == []


def test_an_alert_that_opens_again_is_not_among_the_ended() -> None:
    """One alert is shown in one place only, whatever came before."""
    picture = Picture()
    picture.apply_alert(kit.alert_record("a1", state="cleared", change="cleared"), "a1")
    picture.apply_alert(kit.alert_record("a1"), "a1")
    snapshot = picture.snapshot()
    assert [alert["id"] for alert in snapshot["alerts"]] == ["a1"]
    assert snapshot["ended"] == []


def test_only_the_last_few_ended_alerts_are_kept() -> None:
    """The ended alerts are bounded, the newest first."""
    picture = Picture()
    for number in range(12):
        picture.apply_alert(kit.alert_record(f"a{number}", state="cleared", change="cleared"), f"a{number}")
    assert [alert["id"] for alert in picture.snapshot()["ended"]] == ["a11", "a10", "a9", "a8", "a7"]


def followed(alerts: dict[str, dict], changes: dict) -> dict[str, dict]:
    """Open alerts for one who follows the changes."""
    alerts = {**alerts, **{alert["id"]: alert for alert in changes["alerts"]}}
    return {id: alert for id, alert in alerts.items() if alert["state"] == "open"}


def test_snapshot_and_changes_lead_to_the_same_picture() -> None:
    """Who joined first and followed every change knows what one who joins now is given."""
    picture = Picture()
    alerts: dict[str, dict] = {}
    for step in range(30):
        picture.apply_alert(
            kit.alert_record(f"a{step % 7}", severity=["minor", "severe"][step % 2]), f"a{step % 7}"
        )
        if step % 3 == 0:
            ended = kit.alert_record(f"a{step % 4}", state="cleared", change="cleared")
            picture.apply_alert(ended, f"a{step % 4}")
        if step % 4:
            continue  # several records go into one batch
        alerts = followed(alerts, changes_of(picture))
    if (last := picture.take_changes()) is not None:
        alerts = followed(alerts, last[1])
    assert alerts == {alert["id"]: alert for alert in picture.snapshot()["alerts"]}


def test_reports_are_bounded(monkeypatch) -> None:
    """However many reports there are, memory has an end; the oldest go first."""
    monkeypatch.setattr(module, "REPORTS_MAX", 10)
    picture = Picture()
    for number in range(25):
        picture.apply_located(kit.report_record(f"r{number}", "text"))
    ids = [report["id"] for report in picture.snapshot()["reports"]]
    assert ids == [f"citizen-app/r{n}" for n in range(15, 25)]


def test_reports_leave_after_half_an_hour_of_event_time() -> None:
    """Age is counted by the clock records, not by this machine's clock."""
    picture = Picture()
    picture.apply_passed(kit.passed_record(kit.NOON), 0)
    picture.apply_located(kit.report_record("r1", "old", kit.NOON - timedelta(minutes=20)))
    picture.apply_located(kit.report_record("r2", "new", kit.NOON))
    assert len(picture.snapshot()["reports"]) == 2
    picture.apply_passed(kit.passed_record(kit.NOON + timedelta(minutes=11)), 0)
    assert [report["text"] for report in picture.snapshot()["reports"]] == ["new"]


def test_the_time_is_that_of_the_slowest_partition() -> None:
    """Alerts are complete only up to the time that every raw partition has passed."""
    picture = Picture()
    assert picture.event_ms is None
    picture.apply_passed(kit.passed_record(kit.NOON, "flood/0"), 1_000)
    picture.apply_passed(kit.passed_record(kit.NOON + timedelta(seconds=5), "flood/1"), 9_000)
    assert picture.event_ms == kit.NOON.timestamp() * 1000
    assert picture.silence(11_000) == 10.0
    picture.apply_passed(kit.passed_record(kit.NOON + timedelta(seconds=6), "flood/0"), 10_000)
    assert picture.event_ms == (kit.NOON + timedelta(seconds=5)).timestamp() * 1000
    assert picture.silence(11_000) == 2.0


def test_workers_that_are_behind_show_as_old() -> None:
    """What was told just now from a clock record of a minute ago is a minute old, whatever the wall's clock says."""
    picture = Picture()
    for wall in (0, 500_000, -500_000):
        told = kit.passed_record(kit.NOON, "flood/0", appended_ms=1_000_000)
        picture.apply_passed(told, 1_060_100 + wall, written_ms=1_060_000)
        assert picture.silence(1_060_100 + wall) == 60.0
    prompt = kit.passed_record(kit.NOON + timedelta(seconds=1), "flood/0", appended_ms=1_061_000)
    picture.apply_passed(prompt, 1_061_100, written_ms=1_061_050)
    assert picture.silence(1_061_100) == 0.05


def test_a_new_run_takes_the_time_back_and_tells_everything() -> None:
    """Once most partitions are in another run its time counts, earlier or not, and all is told anew."""
    picture = Picture()
    for number in range(3):
        picture.apply_passed(kit.passed_record(kit.NOON, f"flood/{number}", "one"), 0)
    picture.apply_located(kit.report_record("r1", "of the first run"))
    picture.take_changes()
    earlier = kit.NOON - timedelta(hours=12)
    picture.apply_passed(kit.passed_record(earlier, "flood/0", "two"), 0)
    assert picture.event_ms == kit.NOON.timestamp() * 1000
    picture.apply_passed(kit.passed_record(earlier, "flood/1", "two"), 0)
    taken = picture.take_changes()
    assert taken is not None
    assert taken[0] == "snapshot"
    assert taken[1]["event_ms"] == earlier.timestamp() * 1000
    assert taken[1]["reports"] == []


def test_figures_are_of_event_time() -> None:
    """Events of the last minute and reports of the local day, both by the clock records."""
    picture = Picture()
    picture.apply_passed(kit.passed_record(kit.NOON), 0)
    for seconds in (0, 30, 59, 61, 300):
        picture.apply_located(kit.located_record(f"s{seconds}", kit.NOON - timedelta(seconds=seconds)))
    # 17:30 in Cần Thơ: eleven hours back is the same local day, eighteen are the day before.
    picture.apply_located(kit.report_record("r1", "", kit.NOON - timedelta(hours=11)))
    picture.apply_located(kit.report_record("r2", "", kit.NOON - timedelta(hours=18)))
    stats = changes_of_or_snapshot(picture)["stats"]
    assert stats["located_per_minute"] == 3
    assert stats["reports_today"] == 1
    assert stats["reports_today_at_least"] is False


def changes_of_or_snapshot(picture: Picture) -> dict:
    taken = picture.take_changes()
    assert taken is not None
    return taken[1]


def test_a_day_that_was_not_read_whole_is_a_lower_bound() -> None:
    """Where the log was read from after midnight only, the count of the day says that it may be more."""
    picture = Picture()
    picture.truncated = True
    picture.apply_passed(kit.passed_record(kit.NOON), 0)
    picture.apply_located(kit.report_record("r1", ""))
    assert picture.snapshot()["stats"]["reports_today_at_least"] is True
    picture.apply_located(kit.located_record("s1", kit.NOON - timedelta(hours=18)))
    assert picture.snapshot()["stats"]["reports_today_at_least"] is False


def test_simulated_shows_as_long_as_anything_shown_is() -> None:
    """The banner follows what is on the wall: a source that is real again ends it."""
    picture = Picture()
    picture.apply_located(kit.located_record("s1"))
    assert picture.snapshot()["simulated"] is False
    picture.apply_located(kit.located_record("s1", simulated=True))
    assert picture.snapshot()["simulated"] is True
    picture.apply_located(kit.located_record("s1"))
    assert picture.snapshot()["simulated"] is False
    picture.apply_alert(kit.alert_record("a1", simulated=True), "a1")
    assert picture.snapshot()["simulated"] is True


def test_a_record_that_cannot_be_read_changes_nothing() -> None:
    """Nonsense in a topic is counted; the wall goes on with what it has."""
    picture = Picture()
    for value in (b"", b"{", b"[]", b'{"id": 1}', b'{"kind": 5}', b'{"time": "2026-10-28T10:30:00"}'):
        picture.apply_alert(value, "a1")
        picture.apply_located(value)
    picture.apply_passed(b"{", 0)
    picture.apply_passed(b'{"kind": "signal", "time": "2026-10-28T10:30:00Z"}', 0)
    assert picture.bad == 13
    assert picture.take_changes() is None
    assert picture.event_ms is None


def shelved(minutes: float) -> dict:
    return {"change": "shelved", "shelved_until": (kit.NOON + timedelta(minutes=minutes)).isoformat()}


def test_what_is_put_aside_is_counted_apart() -> None:
    """Suppressed and shelved alerts stay open, but not among those that ask for attention."""
    picture = Picture()
    picture.apply_alert(kit.alert_record("a1"), "a1")
    picture.apply_alert(kit.alert_record("a2", **shelved(30)), "a2")
    picture.apply_alert(kit.alert_record("a3", suppressed="maintenance:m1"), "a3")
    picture.apply_alert(kit.alert_record("a4", suppressed="limit:r", **shelved(30)), "a4")
    picture.apply_alert(kit.alert_record("a5", suppressed="limit:r", state="cleared"), "a5")
    changes = changes_of(picture)
    assert changes["counts"]["severe"] == 1
    assert changes["aside"] == {"suppressed": 2, "shelved": 1}
    assert len(picture.snapshot()["alerts"]) == 4


def test_an_alert_shows_what_operators_did() -> None:
    """Who acknowledged and when, to whom it is assigned, how many comments; what was written stays in the record."""
    picture = Picture()
    at = kit.NOON.isoformat()
    record = kit.alert_record(
        "a1",
        sequence=7,
        acknowledged={"by": "an", "time": at},
        assigned="binh",
        comments=[{"by": "an", "time": at, "text": "không nói ra"}] * 2,
        overdue=1,
        incident="i1",
        certainty="likely",
        doubts=["stuck"],
        awaiting=["fire"],
    )
    picture.apply_alert(record, "a1")
    [view] = picture.snapshot()["alerts"]
    assert view["acknowledged"] == {"by": "an", "time": kit.NOON.timestamp() * 1000}
    expected = {
        "sequence": 7,
        "assigned": "binh",
        "comments": 2,
        "overdue": 1,
        "incident": "i1",
        "certainty": "likely",
        "doubts": ["stuck"],
        "awaiting": ["fire"],
        "shelved_until": None,
        "suppressed": "",
    }
    assert {key: view[key] for key in expected} == expected
    assert "không nói ra" not in str(view)


def test_an_alert_opened_by_hand_shows_no_measurement() -> None:
    """Where nothing was measured there is no value and no threshold, rather than 0."""
    picture = Picture()
    picture.apply_alert(
        kit.alert_record("a1", rule="manual", measure="", unit="", value=0.0, bound=0.0), "a1"
    )
    [view] = picture.snapshot()["alerts"]
    assert view["value"] is None
    assert view["bound"] is None


def test_outcomes_are_told_once_and_kept_for_late_comers() -> None:
    """Changes hold the new ones, the snapshot the last of them; nothing of what an operator wrote."""
    picture = Picture()
    command = Command(
        id="c1", action="comment", operator="an", issued=kit.NOON, alert="a1", text="chỉ trong sổ"
    )
    picture.apply_outcome(kit.outcome_record(command, sequence=5))
    told = changes_of(picture)["outcomes"]
    assert told == [
        {
            "id": "c1",
            "action": "comment",
            "operator": "an",
            "alert": "a1",
            "outcome": "done",
            "reason": None,
            "sequence": 5,
        }
    ]
    assert picture.take_changes() is None
    assert picture.snapshot()["outcomes"] == told
    for number in range(module.OUTCOMES_MAX + 5):
        again = Command(id=f"d{number}", action="open", operator="an", issued=kit.NOON)
        picture.apply_outcome(kit.outcome_record(again, outcome="refused", reason="not-allowed"))
    assert len(picture.snapshot()["outcomes"]) == module.OUTCOMES_MAX
    picture.apply_outcome(b"{")
    assert picture.bad == 1


def test_a_configuration_error_shows_until_it_is_mended() -> None:
    """The record's tombstone takes it away."""
    picture = Picture()
    fault = {
        "time": kit.NOON.isoformat(),
        "what": "no such stream",
        "where": "rules.yaml:3:5",
        "remedy": "mend it",
    }
    picture.apply_configuration_error(json.dumps(fault).encode())
    shown = msgspec.to_builtins(changes_of(picture)["configuration_error"])
    assert (shown["what"], shown["where"]) == ("no such stream", "rules.yaml:3:5")
    picture.apply_configuration_error(None)
    assert changes_of(picture)["configuration_error"] is None


def test_the_partition_of_an_alert_is_known_as_long_as_its_record() -> None:
    """Ended alerts can still be commented on; what ioc.alerts has forgotten cannot."""
    picture = Picture()
    picture.apply_alert(kit.alert_record("a1"), "a1", 3)
    picture.apply_alert(kit.alert_record("a1", state="closed", change="closed"), "a1", 3)
    assert picture.partition("a1") == 3
    picture.apply_alert(None, "a1", 3)
    assert picture.partition("a1") is None


def test_an_alert_tells_what_it_rests_on() -> None:
    """Rule, boundaries and each observation; an alert that is not shown any more is not told."""
    picture = Picture()
    evidence = {
        "stream": "flood",
        "source": "gauge-1",
        "event": "e2",
        "time": kit.NOON.isoformat(),
        "value": 2.04,
    }
    record = kit.alert_record(
        "a1",
        evidence=[{**evidence, "doubts": ["spike"]}],
        where={"commune": "90001", "boundaries": "squares@1"},
        comments=[{"by": "an", "time": kit.NOON.isoformat(), "text": "không nói ra"}],
    )
    picture.apply_alert(record, "a1")
    told = picture.alert("a1")
    assert told is not None
    assert (told["rule"], told["rule_version"], told["boundaries"]) == ("water-level", "1", "squares@1")
    assert told["evidence"] == [{**evidence, "time": kit.NOON.timestamp() * 1000, "doubts": ["spike"]}]
    assert "không nói ra" not in str(told)
    assert picture.alert("a2") is None
    for number in range(module.ENDED_MAX + 1):
        picture.apply_alert(kit.alert_record(f"b{number}", state="cleared", change="cleared"), f"b{number}")
    assert picture.alert("b0") is None
    assert picture.alert("b1") is not None
    picture.apply_alert(None, "a1")
    assert picture.alert("a1") is None


def test_a_source_has_the_severity_of_its_worst_alert_that_calls() -> None:
    """What is put aside colours nothing, and the less severe one shows once the worst has ended."""
    picture = Picture()
    picture.apply_located(kit.located_record("gauge-1"))
    state = lambda: picture.sensor("gauge-1").severity  # noqa: E731
    picture.apply_alert(kit.alert_record("a1", severity="minor"), "a1")
    picture.apply_alert(kit.alert_record("a2", severity="extreme"), "a2")
    assert state() == 4
    picture.apply_alert(kit.alert_record("a2", severity="extreme", suppressed="limit:r"), "a2")
    assert state() == 1
    picture.apply_alert(kit.alert_record("a2", severity="severe"), "a2")
    assert state() == 3
    picture.apply_alert(kit.alert_record("a2", state="cleared", change="cleared"), "a2")
    assert state() == 1
    picture.apply_alert(None, "a1")
    assert state() == 0


def test_an_incident_is_shown_until_it_is_closed() -> None:
    """Its alerts and high waters come with it; a closed one, or a tombstone, takes it away."""
    picture = Picture()
    picture.apply_incident(kit.incident_record("i1"), "i1")
    picture.apply_incident(kit.incident_record("i2", state="quiet"), "i2")
    [one, two] = changes_of(picture)["incidents"]
    assert (one["id"], one["severity"], [member["alert"] for member in one["members"]]) == (
        "i1",
        "severe",
        ["a1"],
    )
    assert one["peaks"][0]["value"] == 2.04
    assert two["state"] == "quiet"
    picture.apply_incident(kit.incident_record("i1", state="closed"), "i1")
    picture.apply_incident(None, "i2")
    picture.apply_incident(None, "unknown")
    changes = changes_of(picture)
    assert changes["incidents_gone"] == ["i1", "i2"]
    assert [(one["id"], one["state"]) for one in changes["incidents"]] == [("i1", "closed")]
    assert picture.snapshot()["incidents"] == []
    picture.apply_incident(b"{", "i3")
    assert picture.bad == 1


def test_readings_are_told_apart_from_changes() -> None:
    """A change does not swallow readings that wait, and a new run tells them with everything else."""
    picture = Picture()
    picture.apply_passed(kit.passed_record(kit.NOON), 0)
    picture.apply_located(kit.located_record("s1"))
    picture.take_changes()
    picture.apply_located(kit.located_record("s1", kit.NOON + timedelta(seconds=1), level_m=1.7))
    picture.apply_alert(kit.alert_record("a1"), "a1")
    changes_of(picture)
    assert picture.pending_readings == 1
    read, moved = kit.unpacked(picture.take_readings())
    assert (read, moved) == ([(0, 1.7, kit.NOON.timestamp() + 1)], [])
    assert picture.pending_readings == 0
