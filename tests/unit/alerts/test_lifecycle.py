"""The lifecycle's table, what operators may do in each state, and the identity of alerts."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

import alerts
from alerts import authority, lifecycle
from alerts.alert import Alert
from alerts.commands import Command, Opening
from alerts.lifecycle import STATES, TABLE, TRIGGERS, State, Trigger
from alerts.model import SEVERITIES, Where
from alerts.rules.policy import Operator, Policy
from alerts.signals import Signal
from tests.unit.streams.test_correlating import at, signal

OPERATORS = (
    Operator(id="an", name="An", role="operator"),
    Operator(id="binh", name="Bình", role="supervisor"),
    Operator(id="cuc", name="Cúc", role="viewer"),
)
POLICY = Policy(operators=OPERATORS)


def command(action: str, alert: Alert | None = None, **fields: object) -> Command:
    return Command(
        **{
            "id": "c1",
            "action": action,
            "operator": "an",
            "issued": at(0),
            "alert": alert.id if alert else "",
            "sequence": alert.sequence if alert else None,
            "text": "nói",
            "to": "an",
            "until": at(1000),
            **fields,
        }
    )


def in_state(state: State) -> Alert | None:
    """An alert of severity moderate in a state, reached through the table."""
    if state == "none":
        return None
    new = lifecycle.by_signal(None, signal(0, "moderate"))
    assert new is not None
    match state:
        case "new":
            return replace(new, awaiting=["an"])
        case "acknowledged":
            return lifecycle.by_command(replace(new, awaiting=["an"]), command("acknowledge", new), at(1))
        case "shelved":
            return lifecycle.by_command(replace(new, awaiting=["an"]), command("shelve", new), at(1))
        case "closed":
            return lifecycle.by_command(new, command("close", new), at(1))
    return lifecycle.by_signal(new, signal(1, None))


def pull(alert: Alert | None, trigger: Trigger) -> Alert | None:
    """What a trigger makes of an alert of severity moderate."""
    signals: dict[str, Signal] = {
        "begins": signal(5, "moderate"),
        "worse": signal(5, "severe"),
        "milder": signal(5, "minor"),
        "else": replace(signal(5, "moderate"), certainty="likely"),
        "clears": signal(5, None),
        "stops": signal(5, None, reason="rule-removed"),
    }
    if trigger in signals:
        return lifecycle.by_signal(alert, signals[trigger])
    assert alert is not None
    match trigger:
        case "shelf-ends":
            return lifecycle.shelf_ended(alert, at(5))
        case "overdue":
            return lifecycle.overdue(alert, at(5))
        case "withhold":
            return lifecycle.withheld(alert, ["army"], at(5))
        case "suppress":
            return lifecycle.suppressed(alert, "maintenance:m", at(5))
        case "resume":
            return lifecycle.suppressed(replace(alert, suppressed="maintenance:m"), "", at(5))
    return lifecycle.by_command(alert, command(trigger, alert), at(5))


@pytest.mark.parametrize("state", STATES)
def test_a_state_is_what_it_is_called(state: State) -> None:
    assert lifecycle.state_of(in_state(state)) == state


@pytest.mark.parametrize(("state", "trigger"), TABLE)
def test_each_row_does_what_the_table_says(state: State, trigger: Trigger) -> None:
    """The change that is told, and the state after it."""
    before = in_state(state)
    after = pull(before, trigger)
    assert after is not None
    assert (after.change, lifecycle.state_of(after)) == TABLE[state, trigger]
    assert after.sequence == (before.sequence + 1 if before else 1)


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("trigger", TRIGGERS)
def test_what_has_no_row_changes_nothing_or_is_refused(state: State, trigger: Trigger) -> None:
    """A signal of no row changes nothing (in `none` and `ended` it is the next alert's); a command is refused."""
    if (state, trigger) in TABLE:
        return
    alert = in_state(state)
    if trigger in ("acknowledge", "assign", "shelve", "unshelve", "close", "release"):
        assert lifecycle.refusal(alert, command(trigger, alert)) is not None
    elif state != "none" and not (
        state == "ended" and trigger in ("begins", "worse", "milder", "else", "comment")
    ):
        assert trigger == "begins" or pull(alert, trigger) is None


def test_the_diagram_is_that_of_the_table() -> None:
    """LIFECYCLE.md is made from the table: `python -m alerts.lifecycle > alerts/LIFECYCLE.md`."""
    drawn = (Path(alerts.__file__).parent / "LIFECYCLE.md").read_text(encoding="utf-8")
    assert drawn == lifecycle.diagram()


severities = st.lists(st.sampled_from([None, *SEVERITIES]), max_size=30)


@given(severities, st.data())
def test_whatever_comes_the_history_is_sound(severities: list[str | None], data: st.DataObject) -> None:
    """Signals and commands in any order: every alert starts with raised at 1, numbers have no gap, `worst` never
    falls, time never goes back, and what ended does not open again; a closed one opens only for what is worse."""
    latest: Alert | None = None
    history: list[Alert] = []
    for minute, severity in enumerate(severities):
        following = signal(minute, severity, number=minute)
        following.start_event = f"start{minute}"
        after = lifecycle.by_signal(latest, following)
        if after is None and severity is None and latest is not None and not latest.open:
            latest = lifecycle.condition_ended(latest)
        if after is not None:
            latest = after
            history.append(after)
        action = data.draw(st.sampled_from(["acknowledge", "shelve", "unshelve", "close", "comment", "none"]))
        if latest is not None and action != "none":
            asked = command(action, latest)
            if authority.refusal(asked, latest, POLICY, at(minute)) is None:
                latest = lifecycle.by_command(latest, asked, at(minute))
                history.append(latest)
    for alert in history:
        assert (alert.sequence == 1) == (alert.change == "raised")
    for one, other in pairwise(history):
        if other.change == "raised":
            assert lifecycle.state_of(one) in ("closed", "ended")
            assert other.id != one.id
            continue
        assert (other.id, other.sequence) == (one.id, one.sequence + 1)
        assert other.time >= one.time
        assert SEVERITIES.index(other.worst) >= SEVERITIES.index(one.worst)
        assert one.open or other.change in ("commented", "reopened")
        if other.change == "reopened":
            assert SEVERITIES.index(other.severity) > SEVERITIES.index(one.severity)


def test_what_becomes_worse_asks_for_notice_again() -> None:
    """Neither an acknowledgement nor a shelf nor a closing hides that it has become worse."""
    for state in ("acknowledged", "shelved", "closed"):
        worse = lifecycle.by_signal(in_state(state), signal(5, "severe"))  # type: ignore[arg-type]
        assert worse is not None
        assert (worse.acknowledged, worse.shelved_until, worse.waiting_since) == (None, None, at(5))


def test_what_an_operator_closed_stays_closed_while_nothing_is_worse() -> None:
    """Its condition goes on and ends unseen; the next beginning is another alert."""
    closed = in_state("closed")
    assert closed is not None
    assert lifecycle.by_signal(closed, signal(5, "minor")) is None
    assert lifecycle.by_signal(closed, signal(6, None)) is None
    following = signal(7, "minor")
    following.start_event = "another"
    raised = lifecycle.by_signal(lifecycle.condition_ended(closed), following)
    assert raised is not None
    assert (raised.change, raised.sequence) == ("raised", 1)
    assert raised.id != closed.id


@pytest.mark.parametrize(
    ("state", "fields", "reason"),
    [
        ("new", {"operator": "nobody"}, "unknown-operator"),
        ("new", {"operator": "cuc"}, "not-allowed"),
        ("new", {"action": "release"}, "not-allowed"),
        ("new", {"action": "release", "operator": "binh", "to": "police"}, "not-awaiting"),
        ("new", {"sequence": 7}, "stale"),
        ("none", {}, "unknown-alert"),
        ("acknowledged", {}, "already-so"),
        ("shelved", {}, "shelved"),
        ("ended", {}, "not-open"),
        ("closed", {"action": "close"}, "not-open"),
        ("new", {"action": "unshelve"}, "not-shelved"),
        ("new", {"action": "shelve", "until": at(0)}, "until-is-past"),
        ("new", {"action": "shelve", "until": at(6 + 24 * 60)}, "shelved-too-long"),
        ("new", {"action": "shelve", "until": at(6 + 7 * 24 * 60), "operator": "binh"}, "shelved-too-long"),
        ("new", {"action": "assign", "to": "nobody"}, "unknown-assignee"),
        ("new", {"action": "comment", "text": "  "}, "nothing-said"),
        ("new", {"action": "close", "text": ""}, "nothing-said"),
        ("none", {"action": "open"}, "nothing-opened"),
    ],
)
def test_a_command_that_does_not_fit_is_refused_with_its_reason(
    state: State, fields: dict[str, object], reason: str
) -> None:
    alert = in_state(state)
    asked = command(str(fields.get("action", "acknowledge")), alert)
    asked = replace(asked, **{name: value for name, value in fields.items() if name != "action"})
    assert authority.refusal(asked, alert, POLICY, at(5)) == reason


@pytest.mark.parametrize(("operator", "hours"), [("an", 24), ("binh", 7 * 24)])
def test_how_long_a_role_may_shelve(operator: str, hours: int) -> None:
    """A day for an operator and a week for a supervisor, from the time at which the log judges it."""
    alert = in_state("new")
    asked = replace(command("shelve", alert), operator=operator, until=at(5 + 60 * hours))
    assert authority.refusal(asked, alert, POLICY, at(5)) is None
    assert authority.refusal(asked, alert, POLICY, at(4)) == "shelved-too-long"


def test_a_comment_needs_no_latest_sequence() -> None:
    """What somebody says is not undone by what somebody else did meanwhile."""
    alert = in_state("new")
    asked = replace(command("comment", alert), sequence=99)
    assert authority.refusal(asked, alert, POLICY, at(5)) is None


def test_an_alert_opened_by_hand_ends_when_it_is_closed() -> None:
    """It has no condition that could end: closed, it is over and can be commented on."""
    opening = Opening(hazard="flood", title={"vi": "Vỡ đê", "en": "Dyke"}, severity="severe", where=Where())
    asked = command("open", opening=opening)
    assert authority.refusal(asked, None, POLICY, at(0)) is None
    opened = lifecycle.by_hand(asked, at(0), "")
    closed = lifecycle.by_command(opened, command("close", opened), at(1))
    assert (opened.change, opened.by, closed.change, lifecycle.state_of(closed)) == (
        *("raised", "an", "closed", "ended"),
    )


def test_an_alert_opened_by_hand_in_a_replay_is_simulated() -> None:
    """No real agency is told of what an exercise makes an operator do."""
    opening = Opening(hazard="flood", title={"vi": "Vỡ đê", "en": "Dyke"}, severity="severe", where=Where())
    asked = command("open", opening=opening)
    assert [lifecycle.by_hand(asked, at(0), run).simulated for run in ("", "exercise-1")] == [False, True]


def test_what_is_hidden_waits_for_nobody_though_it_gets_worse() -> None:
    """It begins to wait when it is shown again."""
    hidden = lifecycle.suppressed(in_state("new"), "inhibited:other", at(1))  # type: ignore[arg-type]
    assert hidden is not None
    worse = lifecycle.by_signal(hidden, signal(5, "severe"))
    assert worse is not None
    assert worse.waiting_since is None
    shown = lifecycle.suppressed(worse, "", at(7))
    assert shown is not None
    assert shown.waiting_since == at(7)


def test_a_change_keeps_what_operators_wrote() -> None:
    alert = in_state("new")
    assert alert is not None
    for number in range(30):
        alert = lifecycle.by_command(alert, command("comment", alert, text=f"số {number}"), at(number))
    assert [comment.text for comment in alert.comments] == [f"số {number}" for number in range(10, 30)]
    worse = lifecycle.by_signal(alert, signal(40, "severe"))
    assert worse is not None
    assert worse.comments == alert.comments


def test_time_of_an_alert_never_goes_back() -> None:
    """A signal may be known late: what it changes is stamped no earlier than the change before it."""
    alert = lifecycle.by_signal(None, signal(10, "minor"))
    late = signal(5, "severe", number=2)
    late.order = at(12)
    after = lifecycle.by_signal(alert, late)
    assert after is not None
    assert after.time == at(10)


def test_the_id_follows_from_run_rule_subject_and_start() -> None:
    """The same in every replay of the same run; different as soon as one of them differs, however they are cut."""
    parts = [("", "r", "s", "e"), ("x", "r", "s", "e"), ("", "rs", "", "e"), ("", "r", "se", "")]
    ids = {lifecycle.alert_id(*part, at(minute)) for part in parts for minute in (0, 1)}
    assert len(ids) == 8
    assert lifecycle.alert_id("", "r", "s", "e", at(0)) == lifecycle.alert_id("", "r", "s", "e", at(0))
    # The same moment in another zone is the same moment.
    elsewhere = (at(0) + timedelta()).astimezone(tz=None)
    assert lifecycle.alert_id("", "r", "s", "e", elsewhere) == lifecycle.alert_id("", "r", "s", "e", at(0))


def test_an_alert_survives_being_written_and_read() -> None:
    for state in STATES:
        alert = in_state(state)
        if alert is not None:
            assert msgspec.json.decode(msgspec.json.encode(alert), type=Alert) == alert
