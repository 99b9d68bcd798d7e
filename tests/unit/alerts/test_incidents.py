"""Incidents: which alerts belong together, and what an operator is told of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from alerts.alert import Alert
from alerts.incident import Incident
from alerts.model import Evidence, Where
from alerts.rules.policy import Grouping
from alerts.storms import incidents as incidents_module
from alerts.storms.incidents import KEPT, Incidents, incident_id
from geo.distance import metres
from tests.unit.alerts.alertkit import METRE, MINUTE, Restoring, alert, at, moved

HOUR = timedelta(hours=1)
TIDE = Grouping(
    id="tide",
    title={"vi": "Triều cường", "en": "Spring tide"},
    hazard="flood",
    same="province",
    gap=16 * HOUR,
    peaks=2 * HOUR,
)
STREET = Grouping(
    id="street", title={"vi": "Ngập", "en": "Flooding"}, hazard="flood", radius_m=300, gap=30 * MINUTE
)


class Play:
    """Changes of alerts one after the other, with the passing of time before each, as correlate drives them."""

    def __init__(self, *groupings: Grouping, restarts: bool = False) -> None:
        self.groupings: Sequence[Grouping] = groupings
        self._now = at(0)
        self._held = Restoring(Incidents, self._configured)
        self._restarts = restarts
        self.told: list[Incident] = []
        self.alerts: dict[str, Alert] = {}

    def _configured(self, part: Incidents) -> None:
        assert part.configure(self.groupings, self._now) == []

    @property
    def part(self) -> Incidents:
        if self._restarts:
            self._held.restart()
        return self._held.part

    def until(self, now: datetime) -> None:
        while (due := self.part.next_due()) is not None and due <= now:
            assert due >= self._now, "nothing falls due in the past"
            self._now = due
            self.told += self.part.pass_time(due)
        self._now = now

    def __call__(self, change: Alert, now: datetime | None = None) -> str:
        now = now or change.time
        self.until(now)
        if change.change in ("raised", "reopened"):
            change = replace(change, incident=self.part.join(change, now))
        self.alerts[change.id] = change
        self.told += self.part.changed(change, now)
        return change.incident

    def last(self, incident: str) -> Incident:
        return [record for record in self.told if record.id == incident][-1]

    def change(self, name: str, minute: float, change: str, **other: object) -> None:
        self(moved(self.alerts[name], minute, change, **other))  # type: ignore[arg-type]


def spot(east_m: float, commune: str = "c1") -> Where:
    return Where(lon=105.7 + east_m * METRE, lat=0.0, commune=commune, province="92")


def test_a_spring_tide_is_one_incident_and_each_of_its_tides_a_high_water() -> None:
    """Two peaks a day for four days at three gauges: one incident, eight high waters, three alerts in each."""
    play = Play(TIDE)
    ids = set()
    for tide in range(8):
        first = tide * 12 * 60 + 25 * tide  # a tide comes later each time
        for gauge, offset, peak in (("can-tho", 0, 2.05), ("phung-hiep", 20, 1.42), ("vi-thanh", 45, 0.8)):
            severity = "severe" if gauge == "phung-hiep" and tide == 5 else "moderate"
            ids.add(
                play(
                    alert(
                        f"{gauge}-{tide}",
                        first + offset,
                        severity,
                        subject=gauge,
                        peak=peak,
                        peaked=at(first + 60),
                    )
                )
            )
        for gauge, offset in (("can-tho", 150), ("phung-hiep", 160), ("vi-thanh", 170)):
            play.change(f"{gauge}-{tide}", first + offset, "lowered", severity="minor")
            play.change(f"{gauge}-{tide}", first + offset + 10, "cleared")
    (tide_incident,) = ids
    latest = play.last(tide_incident)
    assert latest.state == "quiet"
    assert len(latest.members) == 24
    assert [len(high.alerts) for high in latest.peaks] == [3] * 8
    assert [high.since for high in latest.peaks] == [at(tide * 745) for tide in range(8)]
    assert [high.until for high in latest.peaks] == [at(tide * 745 + 180) for tide in range(8)]
    # The worst of each: where severities are equal who began first, never the greater number of another gauge.
    assert [high.subject for high in latest.peaks] == ["can-tho"] * 5 + ["phung-hiep"] + ["can-tho"] * 2
    assert latest.peaks[5].severity == "severe"
    assert (latest.peaks[0].value, latest.peaks[0].time) == (2.05, at(60))
    assert (latest.severity, latest.worst) == ("severe", "severe")
    play.until(latest.peaks[-1].until + TIDE.gap)
    assert play.last(tide_incident).state == "closed"
    assert play.last(tide_incident).time == at(7 * 745 + 180) + TIDE.gap


def test_alerts_along_a_street_are_incidents_by_radius() -> None:
    """Twenty alerts 99 m apart, radius 300 m: each incident reaches 300 m from its first alert, and no further."""
    play = Play(STREET)
    ids = [play(alert(f"s{n:02}", n, where=spot(99 * n))) for n in range(20)]
    assert [ids.index(one) for one in ids] == [n - n % 4 for n in range(20)]


def test_a_place_on_the_other_side_of_a_border_is_as_near() -> None:
    """By place a commune's border does not matter, and the incident lists both communes."""
    play = Play(STREET)
    first = play(alert("a", 0, where=spot(0, "c1")))
    assert play(alert("b", 1, where=spot(50, "c2"))) == first
    assert play.last(first).communes == ["c1", "c2"]


def test_an_alert_without_a_point_joins_where_no_point_is_asked_for() -> None:
    """It skips groupings by place, and is taken by one of the province."""
    nowhere = alert("a", where=Where(province="92"))
    assert Play(STREET)(nowhere) == ""
    play = Play(STREET, TIDE)
    assert play(nowhere) == incident_id(TIDE, nowhere)
    by_commune = replace(STREET, same="commune", radius_m=None)
    assert Play(by_commune)(nowhere) == ""
    assert Play(by_commune)(alert("a", where=Where(commune="c1"))) != ""


def test_by_commune_a_shared_commune_is_enough() -> None:
    """An alert over two communes joins an incident of either."""
    play = Play(replace(STREET, same="commune", radius_m=None))
    first = play(alert("a", 0, where=spot(0, "c1")))
    other = play(alert("b", 1, where=spot(0, "c2")))
    assert play(alert("c", 2, where=spot(9999, "c3"), communes=["c2", "c3"])) == other != first
    assert play(alert("d", 3, where=spot(9999, "c3"))) == other, "c3 is one of the incident's communes now"


def test_the_first_grouping_that_fits_takes_an_alert() -> None:
    """Rules that a grouping names are meant whatever their hazard; an empty list means all of the hazard."""
    named = replace(STREET, id="named", rules=("siren",))
    play = Play(named, STREET)
    siren = alert("a", rule="siren", hazard="other")
    assert play(siren) == incident_id(named, siren)
    water = alert("b", 1)
    assert play(water) == incident_id(STREET, water)
    assert play(alert("c", 2, hazard="traffic")) == ""


def test_runs_and_exercises_keep_their_own_incidents() -> None:
    """A simulated alert never joins a real incident, nor one of another run."""
    play = Play(TIDE)
    ids = {
        play(alert("a", 0)),
        play(alert("b", 1, simulated=True)),
        play(alert("c", 2, simulated=True, run="r1")),
        play(alert("d", 3, simulated=True, run="r2")),
    }
    assert len(ids) == 4
    assert incident_id(TIDE, alert("a", run="r1")) != incident_id(TIDE, alert("a", run="r2"))


def test_the_states_of_an_incident() -> None:
    """Open, quiet from the end of its last alert, open again within the gap, closed at the end plus the gap."""
    play = Play(STREET)
    first = play(alert("a", 0, "severe"))
    play.change("a", 10, "cleared")
    assert play(alert("b", 39, "minor")) == first
    assert (play.last(first).state, play.last(first).severity, play.last(first).worst) == (
        "open",
        "minor",
        "severe",
    )
    play.change("b", 50, "closed")
    assert play(alert("c", 80, "minor")) != first, "at the end of the gap it is closed"
    states = [(record.state, record.time, record.ended) for record in play.told if record.id == first]
    assert states == [
        ("open", at(0), None),
        ("quiet", at(10), at(10)),
        ("open", at(39), None),
        ("quiet", at(50), at(50)),
        ("closed", at(80), at(50)),
    ]
    sequences = [record.sequence for record in play.told if record.id == first]
    assert sequences == [1, 2, 3, 4, 5]


def test_missing_data_keeps_an_incident_open() -> None:
    """Time alone ends nothing while one of its alerts is open."""
    play = Play(STREET)
    first = play(alert("a", 0))
    assert play.part.next_due() is None
    play.until(at(10**6))
    assert play.last(first).state == "open"


def test_what_no_operator_sees_is_not_told() -> None:
    """An acknowledgement is the alert's own; a higher peak is the incident's too."""
    play = Play(TIDE)
    play(alert("a", 0, peak=1.0, peaked=at(0)))
    play.change("a", 1, "acknowledged")
    play.change("a", 2, "assigned", assigned="lan")
    assert len(play.told) == 1
    play.change("a", 3, "updated", peak=2.0, peaked=at(3))
    assert play.told[-1].peaks[0].value == 2.0
    play.change("a", 5, "cleared")
    play.change("a", 6, "commented")
    assert [record.time for record in play.told] == [at(0), at(3), at(5)]
    assert play.told[-1].ended == at(5), "a comment after the end does not move it"


def test_events_that_two_alerts_rest_on_count_once() -> None:
    """Evidence is counted by stream, over all alerts."""

    def seen(*events: tuple[str, str]) -> list[Evidence]:
        return [Evidence(stream=stream, source="s", event=event, time=at(0)) for stream, event in events]

    play = Play(TIDE)
    play(alert("a", 0, evidence=seen(("report", "1"), ("report", "2"))))
    first = play(alert("b", 1, evidence=seen(("report", "2"), ("flood", "2"))))
    assert play.last(first).evidence == {"flood": 1, "report": 2}


def test_what_an_alert_once_rested_on_counts_on() -> None:
    """A count of reports that falls has lost its first ones; the incident was still of all of them."""

    def seen(*events: str) -> list[Evidence]:
        return [Evidence(stream="report", source="app", event=event, time=at(0)) for event in events]

    play = Play(TIDE)
    first = play(alert("a", 0, evidence=seen("1", "2", "3")))
    play.change("a", 5, "lowered", severity="minor", evidence=seen("3", "4"))
    assert play.last(first).evidence == {"report": 4}


def test_an_alert_that_reopens_opens_its_incident_again() -> None:
    """It stays in its incident, closed or not; once that is forgotten it gets another, never the same id again."""
    play = Play(STREET)
    first = play(alert("a", 0))
    play.change("a", 10, "closed")
    play.until(at(40))
    assert play.last(first).state == "closed"
    play.change("a", 50, "reopened", severity="severe")
    assert play.alerts["a"].incident == first
    assert (play.last(first).state, play.last(first).sequence) == ("open", 4)
    play.change("a", 60, "closed")
    play.until(at(90) + KEPT)
    assert play.part.take_forgotten() == [first]
    assert play._held.records == 0, "nothing is left of what is forgotten"
    play.change("a", 10_000, "reopened")
    assert play.alerts["a"].incident not in (first, "")
    assert play.last(play.alerts["a"].incident).sequence == 1


def test_a_change_of_an_alert_whose_incident_is_forgotten_is_no_incident() -> None:
    play = Play(STREET)
    play(alert("a", 0))
    play.change("a", 10, "closed")
    play.until(at(10) + STREET.gap + KEPT)
    told = len(play.told)
    play.change("a", 10_000, "commented")
    assert len(play.told) == told


def test_an_end_that_becomes_known_late_closes_no_incident_in_the_past() -> None:
    """The incident ends when its alert did; it is told, and closed, when that is known."""
    play = Play(STREET)
    first = play(alert("a", 0))
    play(moved(play.alerts["a"], 10, "cleared"), at(200))
    assert play.part.next_due() == at(200)
    play.until(at(200))
    assert [(one.state, one.time, one.ended) for one in play.told if one.id == first][1:] == [
        ("quiet", at(200), at(10)),
        ("closed", at(200), at(10)),
    ]


def test_incidents_of_a_grouping_that_went_are_closed() -> None:
    """At the moment of the new configuration, its open alerts notwithstanding."""
    play = Play(STREET)
    first = play(alert("a", 0))
    (closed,) = play.part.configure([TIDE], at(7))
    assert (closed.id, closed.state, closed.time, closed.ended) == (first, "closed", at(7), at(7))
    assert play.part.changed(moved(play.alerts["a"], 8, "escalated"), at(8)) == []


def test_a_grouping_that_changes_changes_its_incidents() -> None:
    """A new title is told at once; under a shorter gap a quiet incident may be closed already."""
    play = Play(STREET)
    play(alert("a", 0))
    renamed = replace(STREET, title={"vi": "Ngập đường", "en": "Street under water"}, gap=5 * MINUTE)
    assert [one.title for one in play.part.configure([renamed], at(1))] == [renamed.title]
    play = Play(STREET)
    play(alert("a", 0))
    play.change("a", 2, "cleared")
    assert play.part.configure([STREET], at(20)) == []
    shorter = replace(STREET, gap=5 * MINUTE)
    assert [(one.state, one.time) for one in play.part.configure([shorter], at(20))] == [("closed", at(20))]


def test_an_alert_between_two_incidents_joins_the_older() -> None:
    """The one that started first, whatever their ids; the two go on side by side."""
    for names in (("a", "b"), ("b", "a"), ("c", "d"), ("d", "c")):
        play = Play(STREET)
        older, younger = play(alert(names[0], 0, where=spot(0))), play(alert(names[1], 1, where=spot(500)))
        assert older != younger
        assert play(alert("z", 2, where=spot(250))) == older
        play.change(names[0], 3, "cleared")
        play.change("z", 4, "cleared")
        play.until(at(60))
        assert (play.last(older).state, play.last(younger).state) == ("closed", "open")


def test_an_incident_reaches_from_its_first_beginning_to_its_last_end() -> None:
    """In whatever order its alerts became known, and whichever of them ended last."""
    play = Play(TIDE)
    first = play(alert("a", 10))
    play(alert("b", 11, started=at(5)))
    play(alert("c", 12))
    play.change("c", 20, "cleared")
    play.change("a", 40, "cleared")
    play.change("b", 30, "cleared")
    latest = play.last(first)
    assert (latest.started, latest.ended) == (at(5), at(40))
    assert (latest.peaks[0].since, latest.peaks[0].until) == (at(5), at(40))


def test_high_waters_are_apart_where_the_pause_is_longer() -> None:
    """A pause of just `peaks` joins; it is counted from the last end before it, not from the last beginning."""
    play = Play(TIDE)
    first = ""
    for name, begins, ends in (("a", 0, 100), ("b", 10, 20), ("c", 220, 230), ("d", 351, 360)):
        first = play(alert(name, begins))
        play.told += play.part.changed(moved(play.alerts[name], ends, "cleared"), at(begins))
    assert [high.alerts for high in play.last(first).peaks] == [["a", "b", "c"], ["d"]]


def test_a_full_incident_takes_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """The record of an incident stays short enough to be a record: the next alert begins another one."""
    monkeypatch.setattr(incidents_module, "MEMBERS_MOST", 3)
    play = Play(TIDE)
    ids = [play(alert(f"a{n}", n)) for n in range(7)]
    assert [ids.count(one) for one in dict.fromkeys(ids)] == [3, 3, 1]


@st.composite
def storms(draw: st.DrawFn) -> list[tuple[Alert, int | None]]:
    """Alerts on a line of 1.2 km within four hours, and the minute when each ends; None: it does not."""
    made = []
    for number in range(draw(st.integers(1, 14))):
        begins = draw(st.integers(0, 240))
        lasts = draw(st.one_of(st.integers(1, 60), st.integers(1, 60), st.none()))
        one = alert(
            f"a{number:02}",
            begins,
            draw(st.sampled_from(["minor", "moderate", "severe"])),
            started=at(begins - draw(st.sampled_from([0, 10]))),
            where=spot(draw(st.integers(0, 12)) * 100, draw(st.sampled_from(["c1", "c2"]))),
            simulated=draw(st.sampled_from([False, False, False, True])),
        )
        made.append((one, None if lasts is None else begins + lasts))
    return made


groupings = st.sampled_from(
    [
        STREET,
        replace(STREET, same="commune", radius_m=None),
        replace(STREET, same="commune"),
        replace(STREET, same="province", radius_m=None, peaks=10 * MINUTE),
    ]
)


def steps(storm: list[tuple[Alert, int | None]]) -> list[tuple[datetime, int, str, Alert]]:
    """Raises and ends in the order of time; at one moment ends come first."""
    found = [(one.time, 1, one.id, one) for one, _ in storm]
    found += [(at(end), 0, one.id, moved(one, end, "cleared")) for one, end in storm if end is not None]
    return sorted(found, key=lambda step: step[:3])


def play_all(storm: list[tuple[Alert, int | None]], grouping: Grouping, restarts: bool) -> Play:
    play = Play(grouping, restarts=restarts)
    for time, kind, name, change in steps(storm):
        play(replace(change, incident=play.alerts[name].incident) if kind == 0 else change, time)
    play.until(at(600))
    return play


@given(storms(), groupings)
def test_incidents_are_what_a_look_at_all_alerts_says(
    storm: list[tuple[Alert, int | None]], grouping: Grouping
) -> None:
    """Each alert is in exactly one incident: the oldest near one with an alert open or ended less than `gap` ago."""
    ends = {one.id: None if end is None else at(end) for one, end in storm}
    expected: list[list[Alert]] = []
    for one in sorted((one for one, _ in storm), key=lambda one: (one.time, one.id)):
        now, near = one.time, []
        for group in expected:
            first, last = group[0], [ends[member.id] for member in group]
            alive = any(end is None or end > now or now < end + grouping.gap for end in last)
            distance = metres(first.where.lon, first.where.lat, one.where.lon, one.where.lat)  # type: ignore[arg-type]
            communes = {code for member in group for code in member.area}
            fits = (
                first.simulated == one.simulated
                and (grouping.radius_m is None or distance <= grouping.radius_m)
                and (grouping.same != "commune" or communes & set(one.area))
            )
            if alive and fits:
                near.append(group)
        if near:
            min(
                near,
                key=lambda group: (min(member.started for member in group), incident_id(grouping, group[0])),
            ).append(one)
        else:
            expected.append([one])
    play = play_all(storm, grouping, restarts=False)
    found: dict[str, list[str]] = {}
    for name, one in play.alerts.items():
        found.setdefault(one.incident, []).append(name)
    assert sorted(map(sorted, found.values())) == sorted(
        sorted(one.id for one in group) for group in expected
    )
    for incident, names in found.items():
        record = play.last(incident)
        assert [member.alert for member in record.members] == [name for name in play.alerts if name in names]
        reach: datetime | None = min(member.since for member in record.members)
        for member in sorted(record.members, key=lambda member: member.since):
            assert reach is None or member.since < reach + grouping.gap
            reach = None if reach is None or member.until is None else max(reach, member.until)
        assert (record.state == "open") == any(member.until is None for member in record.members)
        covered = [name for high in record.peaks for name in high.alerts]
        assert sorted(covered) == (sorted(names) if grouping.peaks is not None else [])
        for before, after in pairwise(record.peaks):
            assert before.until is not None
            assert after.since > before.until + grouping.peaks


@given(storms(), groupings)
def test_a_restart_between_any_two_calls_changes_nothing(
    storm: list[tuple[Alert, int | None]], grouping: Grouping
) -> None:
    """What is told is the same, number by number, when the state is written and restored before every call."""
    calm, restarted = (play_all(storm, grouping, restarts) for restarts in (False, True))
    assert restarted.told == calm.told
    assert {name: one.incident for name, one in restarted.alerts.items()} == {
        name: one.incident for name, one in calm.alerts.items()
    }
    for incident in {one.id for one in calm.told}:
        records = [one for one in calm.told if one.id == incident]
        assert [one.sequence for one in records] == list(range(1, len(records) + 1))
        assert all(before.time <= after.time for before, after in pairwise(records))
