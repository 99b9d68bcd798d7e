"""The parts of correlate together: what one alert means for others, for operators and for agencies."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from alerts import correlation
from alerts.agencies.messages import AgencyAlert
from alerts.alert import Alert
from alerts.commands import Command, Opening
from alerts.correlation import COMMANDS_KEPT, KEPT_AFTER_END, Correlation, Effects
from alerts.model import Where
from alerts.rules.policy import Policy
from alerts.rules.written import parse_rules
from alerts.signals import Signal
from streams.schemas import MEASURES
from tests.unit.streams.test_correlating import START, signal
from tests.unit.whole.policies import OPERATORS, maintenance, subscriptions

RULES = """\
version: 1
rules:
  - id: water
    title: {vi: Nước, en: Water}
    hazard: flood
    stream: flood
    measure: level_m
    unit: m
    direction: above
    limit: {alerts: 3, window: 10m}
    levels:
      - {severity: minor, raise: 1, clear: 0.5}
      - {severity: severe, raise: 2, clear: 1.5}
  - id: dyke
    title: {vi: Đê, en: Dyke}
    hazard: flood
    stream: flood
    measure: level_m
    unit: m
    direction: above
    levels:
      - {severity: severe, raise: 5, clear: 4}
escalations:
  - {severity: minor, after: 10m, to: operator}
  - {severity: severe, after: 5m, to: supervisor}
inhibitions:
  - {id: dyke-hides-water, by: [dyke], of: [water], same: commune}
incidents:
  - {id: flood, title: {vi: Ngập, en: Flood}, hazard: flood, same: province, gap: 1h}
"""


def at(minute: float) -> datetime:
    return START + timedelta(minutes=minute)


class Here:
    """A province, driven by hand."""

    def __init__(self, **policy: object) -> None:
        self.correlation = Correlation()
        self.policy = Policy(ruleset=parse_rules(RULES, "rules", MEASURES), operators=OPERATORS, **policy)  # type: ignore[arg-type]
        self.correlation.configure(self.policy, frozenset({"31120", "31121"}), at(0), "")
        self.correlation.take_effects()
        self.number = 0

    def signal(
        self, minute: float, severity: str | None, subject: str = "gauge", rule: str = "water", **more: object
    ) -> Effects:
        self.number += 1
        item: Signal = signal(minute, severity, subject=subject, number=self.number)
        item.rule, item.start_event = rule, f"start-{subject}"
        for name, value in more.items():
            setattr(item, name, value)
        self.correlation.take(item, item.order)
        return self.correlation.take_effects()

    def command(self, minute: float, action: str, alert: Alert | None = None, **fields: object) -> Effects:
        self.number += 1
        given = {"alert": alert.id, "sequence": alert.sequence} if alert else {}
        command = Command(
            **{
                **{"id": f"c{self.number}", "action": action, "operator": "binh", "issued": at(minute)},
                **{"until": at(minute + 15), "to": "an", "text": "đã gọi", **given, **fields},
            }
        )
        self.correlation.take(command, at(minute))
        return self.correlation.take_effects()

    def passed(self, minute: float) -> Effects:
        self.correlation.pass_time(at(minute))
        return self.correlation.take_effects()

    def open(self) -> dict[str, Alert]:
        return {alert.subject: alert for alert in self.correlation.open()}


def told(effects: Effects) -> list[tuple[str, str, str]]:
    return [(alert.subject, alert.change, alert.suppressed) for alert, _ in effects.changes]


def messages(effects: Effects) -> list[AgencyAlert]:
    """What agencies were told of alerts, heartbeats aside."""
    return [message for message in effects.messages if isinstance(message, AgencyAlert)]


def test_nobody_acknowledging_makes_an_alert_overdue_step_by_step() -> None:
    """At the moment when each escalation is due; an acknowledgement stops it, worse begins it again."""
    here = Here()
    here.signal(0, "severe")
    effects = here.passed(30)
    assert [(alert.change, alert.overdue, alert.time) for alert, _ in effects.changes] == [
        ("overdue", 1, at(5)),
        ("overdue", 2, at(10)),
    ]
    here.signal(31, "minor", "other")
    here.command(32, "acknowledge", here.open()["other"])
    assert told(here.passed(60)) == []
    here.signal(61, "severe", "other")
    assert told(here.passed(66)) == [("other", "overdue", "")]


def test_a_shelf_ends_at_its_time_and_asks_for_notice_again() -> None:
    here = Here()
    here.signal(0, "minor")
    here.command(1, "shelve", here.open()["gauge"], until=at(8))
    effects = here.passed(17.9)
    assert [(alert.change, alert.time, alert.waiting_since) for alert, _ in effects.changes] == [
        ("unshelved", at(8), at(8))
    ]
    assert told(here.passed(18)) == [("gauge", "overdue", "")]


def test_an_alert_that_was_closed_by_hand_rises_again_after_its_condition_has_ended() -> None:
    """While it lasts the closing stands; what begins after that is another alert."""
    here = Here()
    here.signal(0, "minor")
    first = here.open()["gauge"]
    assert told(here.command(1, "close", first)) == [("gauge", "closed", "")]
    assert told(here.signal(2, "minor")) == []
    assert told(here.signal(3, None)) == []
    assert told(here.signal(4, "minor")) == [("gauge", "raised", "")]
    assert here.open()["gauge"].id != first.id


def test_an_event_id_used_again_makes_no_second_alert_of_that_id() -> None:
    """A source may count its events anew: the ids of its alerts stay apart."""
    here = Here()
    ids = []
    for minute in (0, 2, 4):
        here.signal(minute, "minor", start_time=at(0))
        ids.append(here.open()["gauge"].id)
        here.signal(minute + 1, None)
    assert len(set(ids)) == 3


def test_what_inhibits_hides_the_milder_in_its_commune_until_it_ends() -> None:
    here = Here()
    here.signal(0, "minor", "street")
    dyke = here.signal(1, "severe", "dyke-1", "dyke")
    id_ = here.open()["dyke-1"].id
    assert told(dyke) == [("dyke-1", "raised", ""), ("street", "suppressed", f"inhibited:{id_}")]
    assert told(here.signal(2, "minor", "street-2")) == [("street-2", "raised", f"inhibited:{id_}")]
    assert told(here.passed(5.9)) == [], "what is hidden asks nobody, and is not overdue"
    assert ("street", "resumed", "") in told(here.signal(60, None, "dyke-1", "dyke"))


def test_maintenance_suppresses_from_its_beginning_to_its_end() -> None:
    here = Here(maintenance=maintenance(at(10), at(20), sources=["gauge"]))
    here.signal(0, "minor")
    here.command(1, "acknowledge", here.open()["gauge"])
    here.signal(2, "minor", "other")
    assert [
        (alert.change, alert.time) for alert, _ in here.passed(30).changes if alert.subject == "gauge"
    ] == [
        ("suppressed", at(10)),
        ("resumed", at(20)),
    ]


def test_a_storm_of_one_rule_is_three_alerts_and_one_that_says_so() -> None:
    """What is beyond the limit waits behind it, and is shown once the storm is over."""
    here = Here()
    changes = [
        change for number in range(6) for change in told(here.signal(number / 10, "minor", f"g{number}"))
    ]
    shown = [subject for subject, change, suppressed in changes if change == "raised" and not suppressed]
    assert shown == ["g0", "g1", "g2", "water"]
    assert here.open()["g5"].suppressed == "limit:water"
    effects = here.passed(30)
    assert sorted(subject for subject, change, _ in told(effects) if change == "resumed") == [
        "g3",
        "g4",
        "g5",
    ]
    assert ("water", "cleared", "") in told(effects)


def test_an_incident_holds_all_alerts_that_are_near_with_those_that_are_hidden() -> None:
    here = Here()
    here.signal(0, "minor", "street")
    here.signal(1, "severe", "dyke-1", "dyke")
    (incident,) = here.signal(2, "minor", "street-2").incidents
    assert [member.subject for member in incident.members] == ["street", "dyke-1", "street-2"]
    assert {alert.incident for alert in here.correlation.open()} == {incident.id}


def test_a_command_is_answered_once_however_often_it_is_sent() -> None:
    here = Here()
    here.signal(0, "minor")
    alert = here.open()["gauge"]
    first = here.command(1, "acknowledge", alert, id="same")
    again = here.command(2, "acknowledge", alert, id="same")
    assert [outcome.outcome for outcome in first.outcomes] == ["done"]
    assert (again.outcomes, again.changes) == ([], [])
    here.passed(1 + COMMANDS_KEPT / timedelta(minutes=1))
    assert "same" not in here.correlation._commands


def test_a_refused_command_is_recorded_and_changes_nothing() -> None:
    here = Here()
    here.signal(0, "minor")
    alert = here.open()["gauge"]
    refused = here.command(1, "acknowledge", alert, sequence=7)
    (outcome,) = refused.outcomes
    assert (outcome.outcome, outcome.reason, outcome.sequence) == ("refused", "stale", 1)
    assert refused.changes == []


def test_an_alert_by_hand_joins_its_incident_and_is_told_to_agencies() -> None:
    here = Here(subscriptions=subscriptions("fire"))
    here.signal(0, "minor")
    opening = Opening(
        hazard="flood",
        title={"vi": "Vỡ đê", "en": "Dyke"},
        severity="severe",
        where=Where(lon=105.7, lat=10, commune="31120", province="92"),
    )
    effects = here.command(3, "open", opening=opening)
    ((alert, _),) = effects.changes
    assert (alert.rule, alert.by, alert.incident) == ("manual", "binh", here.open()["gauge"].incident)
    (message,) = messages(effects)
    assert (message.agency, message.type, message.alert.id) == ("fire", "alert", alert.id)
    assert effects.outcomes[0].alert == alert.id


def test_a_supervisor_releases_what_an_agency_waits_for() -> None:
    """Until then the alert says who waits; from then on the agency hears all of it."""
    here = Here(subscriptions=subscriptions("army", release=True))
    assert messages(here.signal(0, "severe")) == []
    alert = here.open()["gauge"]
    assert alert.awaiting == ["army"]
    refused = here.command(1, "release", alert, operator="an", to="army")
    assert refused.outcomes[0].reason == "not-allowed"
    released = here.command(2, "release", alert, to="army")
    assert [(m.agency, m.type) for m in messages(released)] == [("army", "alert")]
    assert here.open()["gauge"].awaiting == []
    ended = here.signal(3, None)
    assert [m.type for m in messages(ended)] == ["cancel"]


def test_a_new_subscription_is_told_of_what_is_open_and_shown_to_wait() -> None:
    here = Here()
    here.signal(0, "severe")
    policy = Policy(
        ruleset=here.policy.ruleset,
        operators=OPERATORS,
        subscriptions=(*subscriptions("fire"), *subscriptions("army", release=True)),
    )
    here.correlation.configure(policy, frozenset({"31120"}), at(2), "")
    effects = here.correlation.take_effects()
    assert [(m.agency, m.standing) for m in messages(effects)] == [("fire", True)]
    assert [(alert.change, alert.awaiting) for alert, _ in effects.changes] == [("withheld", ["army"])]


def test_suppressed_alerts_are_not_told_to_agencies_until_they_are_shown() -> None:
    here = Here(subscriptions=subscriptions("fire"))
    here.signal(0, "severe", "dyke-1", "dyke")
    assert messages(here.signal(1, "minor", "street")) == []
    told_now = messages(here.signal(2, None, "dyke-1", "dyke"))
    assert [(m.alert.subject, m.type) for m in told_now] == [
        ("dyke-1", "cancel"),
        ("street", "alert"),
    ]


@pytest.mark.parametrize("later", [0.5, 3.0])
def test_an_ended_alert_can_be_commented_on_and_is_forgotten_later(later: float) -> None:
    here = Here()
    here.signal(0, "minor")
    ended = here.signal(1, None).changes[0][0]
    commented = here.command(2, "comment", ended)
    assert [(alert.change, alert.state) for alert, _ in commented.changes] == [("commented", "cleared")]
    kept = KEPT_AFTER_END / timedelta(minutes=1)
    assert here.passed(2 + kept - later).forgotten == []
    assert here.passed(2 + kept).forgotten == [ended.id]


@pytest.mark.parametrize("is_restored", [False, True])
def test_of_too_many_ended_alerts_those_that_ended_first_are_forgotten(
    monkeypatch: pytest.MonkeyPatch, is_restored: bool
) -> None:
    """With the next record, however often the state is restored; those that stand open are kept."""
    monkeypatch.setattr(correlation, "ENDED_MOST", 3)
    here = Here()
    written: dict[bytes, bytes] = {}
    ids = [here.signal(number / 10, "severe", f"g-{number}", "dyke").changes[0][0].id for number in range(6)]
    forgotten = []
    for minute, number in ((1, 4), (2, 2), (3, 0), (4, 3), (5, 1)):
        forgotten += here.signal(minute, None, f"g-{number}", "dyke").forgotten
        if is_restored:
            keep_state(here, written)
            here.correlation = Correlation()
            here.correlation.restore(written, here.policy, "")
    assert forgotten == [ids[4]]
    assert here.signal(6, "severe", "g-5", "dyke").forgotten == [ids[2]]
    assert set(here.correlation.alerts) == {ids[0], ids[3], ids[1], ids[5]}
    assert here.passed(5 + KEPT_AFTER_END / timedelta(minutes=1)).forgotten == [ids[0], ids[3], ids[1]]


def keep_state(here: Here, written: dict[bytes, bytes]) -> None:
    """Write what has changed of the state, as the log of the state would have it."""
    for key, value in here.correlation.tables.take_changes():
        if value is None:
            written.pop(key, None)
        else:
            written[key] = value


def test_the_state_restored_goes_on_as_if_nothing_had_happened() -> None:
    """The tables hold all: what falls due after a restart is what would have fallen due without one."""
    one, other = Here(maintenance=maintenance(at(7), at(9))), Here(maintenance=maintenance(at(7), at(9)))
    written: dict[bytes, bytes] = {}
    keep_state(other, written)
    for step in range(12):
        for here in (one, other):
            if step < 5:
                here.signal(step, "severe" if step % 2 else "minor", f"g{step}")
            effects = here.passed(step + 0.9)
            if here is one:
                expected = told(effects)
        assert told(effects) == expected
        keep_state(other, written)
        fresh = Correlation()
        fresh.restore(written, other.policy, "")
        assert list(fresh.tables.take_changes()) == [], "a restoration changes nothing"
        other.correlation = fresh
