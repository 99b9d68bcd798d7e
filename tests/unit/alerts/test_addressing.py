"""Who is told what, and when: first tellings, updates, ends, hours, releases, exercises, changes of subscriptions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from alerts.agencies.addressing import MOST_REFERENCES, Addressing
from alerts.agencies.dues import LOCAL
from alerts.agencies.messages import AgencyAlert, Heartbeat, Message
from alerts.alert import Acknowledgement, Alert, Comment
from alerts.model import SEVERITIES, Where
from alerts.rules.policy import Hours, Subscription
from alerts.state import Tables
from tests.agencykit import START, alert, at, moved, subscription, told

NIGHT = datetime(2026, 10, 28, 22, tzinfo=LOCAL)


class Driver:
    """Calls in the order of time, with all that is due before each: as correlate does. Remembers all messages."""

    def __init__(self, *subscriptions: Subscription, now: datetime = START) -> None:
        self.tables = Tables()
        self.addressing = Addressing(self.tables)
        self.open: dict[str, Alert] = {}
        self.messages: list[Message] = []
        self.state: dict[bytes, bytes] = {}
        self.configure(*subscriptions, now=now)

    def pass_to(self, now: datetime) -> list[Message]:
        messages: list[Message] = []
        while (due := self.addressing.next_due()) is not None and due <= now:
            messages += self.addressing.pass_time(due, self.open.values())
        self.messages += messages
        return messages

    def configure(self, *subscriptions: Subscription, now: datetime) -> list[Message]:
        self.pass_to(now)
        messages = self.addressing.configure(subscriptions, self.open.values(), now)
        self.messages += messages
        return messages

    def change(self, alert: Alert, now: datetime) -> list[Message]:
        self.pass_to(now)
        if alert.open:
            self.open[alert.id] = alert
        else:
            self.open.pop(alert.id, None)
        messages = self.addressing.changed(alert, now)
        self.messages += messages
        return messages

    def release(self, id: str, agency: str, now: datetime) -> list[Message]:
        self.pass_to(now)
        messages = self.addressing.release(self.open[id], agency, now)
        self.messages += messages
        return messages

    def restore(self) -> None:
        """Go on in another process, from what was written."""
        for key, value in self.tables.take_changes():
            if value is None:
                del self.state[key]
            else:
                self.state[key] = value
        self.tables = Tables()
        self.addressing = Addressing(self.tables)
        self.tables.restore(self.state)


def alerts_in(messages: Sequence[Message]) -> list[AgencyAlert]:
    return [message for message in messages if isinstance(message, AgencyAlert)]


def beats_in(messages: Sequence[Message]) -> list[Heartbeat]:
    return [message for message in messages if isinstance(message, Heartbeat)]


def test_a_chain_is_an_alert_then_updates_then_a_cancel_with_references_to_all_before() -> None:
    """Each message has an identifier of its own; updates and the cancel name the earlier ones, oldest first."""
    driver = Driver(subscription())
    one = alert()
    messages = driver.change(one, at(0))
    for minute, change in enumerate(("escalated", "lowered", "updated", "cleared"), 1):
        one = moved(one, change)
        messages += driver.change(one, at(minute / 10))
    chain = alerts_in(messages)
    assert [message.type for message in chain] == ["alert", "update", "update", "update", "cancel"]
    assert [message.identifier for message in chain] == [f"fire.alert-1.{n}" for n in range(1, 6)]
    for number, message in enumerate(chain):
        assert [(ref.identifier, ref.sent) for ref in message.references] == [
            (before.identifier, before.sent) for before in chain[:number]
        ]
    assert driver.change(moved(one, "commented"), at(1)) == []


@pytest.mark.parametrize(
    ("asked", "is_told"),
    [
        ({}, True),
        ({"hazards": ("traffic",)}, False),
        ({"hazards": ("traffic", "flood")}, True),
        ({"communes": ("90002",)}, False),
        ({"communes": ("90002", "90001")}, True),
        ({"provinces": ("93",)}, False),
        ({"provinces": ("92",)}, True),
        ({"severity": "extreme"}, False),
        ({"severity": "severe"}, True),
        ({"exercise": True}, False),
        ({"release": True}, False),
    ],
)
def test_what_fits(asked: dict[str, Any], is_told: bool) -> None:
    """Hazard, commune, province and severity must fit, each where it is asked for."""
    assert bool(Driver(subscription(**asked)).change(alert(), at(0))) is is_told


def test_every_commune_of_an_alert_counts() -> None:
    """An alert in several communes is told to whoever subscribed to one of them; without a place, to nobody."""
    driver = Driver(subscription(communes=("90003",)))
    assert told(driver.change(alert("a", communes=["90001", "90003"]), at(0))) == [("fire", "a", "alert")]
    assert driver.change(alert("b", where=Where()), at(0)) == []


def test_the_severity_matters_for_the_first_telling_alone() -> None:
    """A mild alert is told when it becomes bad enough, and then to its end, however mild it becomes."""
    driver = Driver(subscription(severity="severe"))
    one = alert(severity="minor")
    assert driver.change(one, at(0)) == []
    for change, severity, type in (
        ("escalated", "severe", "alert"),
        ("lowered", "minor", "update"),
        ("cleared", "minor", "cancel"),
    ):
        one = moved(one, change, severity=severity)
        assert told(driver.change(one, at(0.1))) == [("fire", "alert-1", type)]


def test_what_operators_do_is_neither_told_nor_carried_along() -> None:
    """Acknowledging and the like make no message; comments and names are in none."""
    driver = Driver(subscription())
    one = alert(
        comments=[Comment("an", at(0), "gọi ông Ba")], assigned="an", awaiting=["other"], by="an", overdue=1
    )
    messages = driver.change(one, at(0))
    for change in (
        "acknowledged",
        "assigned",
        "commented",
        "shelved",
        "unshelved",
        "overdue",
        "suppressed",
        "resumed",
    ):
        one = moved(one, change, acknowledged=Acknowledgement("an", at(0)))
        assert driver.change(one, at(0.1)) == []
    messages += driver.change(moved(one, "escalated", severity="extreme"), at(0.2))
    for message in alerts_in(messages):
        told_of = message.alert
        assert (told_of.comments, told_of.assigned, told_of.awaiting, told_of.by) == ([], "", [], "")
        assert (told_of.acknowledged, told_of.overdue, told_of.suppressed) == (None, 0, "")


def test_a_suppressed_alert_is_told_once_it_is_resumed() -> None:
    """What is suppressed when raised is not told; ended while suppressed, never."""
    driver = Driver(subscription())
    one = alert("a", suppressed="maintenance:m1")
    assert driver.change(one, at(0)) == []
    assert driver.change(one := moved(one, "escalated", severity="extreme"), at(0.1)) == []
    assert told(driver.change(moved(one, "resumed", suppressed=""), at(0.2))) == [("fire", "a", "alert")]
    two = alert("b", suppressed="maintenance:m1")
    assert driver.change(two, at(0.3)) == []
    assert driver.change(moved(two, "cleared"), at(0.4)) == []


def test_hours_hold_back_the_first_telling_until_they_begin() -> None:
    """At night only what is bad enough is told; when the hours begin, what is still open; told alerts are told on."""
    hours = Hours(since=time(7), until=time(17), always="extreme")
    driver = Driver(subscription(hours=hours, heartbeat=timedelta(hours=1)), now=NIGHT)
    mild, over, bad = alert("mild"), alert("over"), alert("bad", severity="extreme")
    assert driver.change(mild, NIGHT) == []
    assert driver.change(over, NIGHT) == []
    assert told(driver.change(bad, NIGHT)) == [("fire", "bad", "alert")]
    assert told(driver.change(moved(bad, "lowered", severity="minor"), NIGHT)) == [("fire", "bad", "update")]
    assert driver.change(moved(over, "cleared"), NIGHT + timedelta(hours=1)) == []
    morning = datetime(2026, 10, 29, 7, tzinfo=LOCAL)
    messages = driver.pass_to(morning - timedelta(seconds=1))
    assert [(one.alert.id, one.standing) for one in alerts_in(messages)] == [("bad", True)]
    [first] = alerts_in(driver.pass_to(morning))
    assert (first.alert.id, first.type, first.sent, first.standing) == ("mild", "alert", morning, False)


@pytest.mark.parametrize(
    ("since", "until", "inside", "outside"),
    [
        (time(7), time(17), [time(7), time(16, 59)], [time(6, 59), time(17)]),
        (time(22), time(6), [time(22), time(0), time(5, 59)], [time(6), time(21, 59)]),
        (time(0), time(0), [time(0), time(12)], []),
    ],
)
def test_hours_may_go_past_midnight(
    since: time, until: time, inside: list[time], outside: list[time]
) -> None:
    """The hours have their beginning and not their end; those that end where they begin are all day."""
    for clock in inside + outside:
        now = datetime.combine(datetime(2026, 10, 28, tzinfo=LOCAL), clock, LOCAL)
        driver = Driver(subscription(hours=Hours(since=since, until=until)), now=now)
        assert bool(driver.change(alert(), now)) is (clock in inside)


def test_a_release_lets_the_first_message_out() -> None:
    """It waits, and says where; after the release all follows by itself; ended before, nothing is ever sent."""
    driver = Driver(subscription(release=True), subscription("army", release=True, severity="extreme"))
    one, two = alert("a"), alert("b")
    assert driver.addressing.awaiting(one) == ["fire"]
    assert driver.change(one, at(0)) == []
    assert told(driver.release("a", "fire", at(0.1))) == [("fire", "a", "alert")]
    assert driver.release("a", "fire", at(0.1)) == []
    assert driver.addressing.awaiting(one) == []
    assert driver.change(moved(one, "released"), at(0.1)) == []
    one = moved(one, "escalated", severity="extreme")
    assert driver.addressing.awaiting(one) == ["army"]
    assert told(driver.change(one, at(0.2))) == [("fire", "a", "update")]
    assert driver.change(two, at(0.3)) == []
    assert driver.change(moved(two, "cleared"), at(0.4)) == []
    assert driver.addressing.release(two, "nobody", at(0.5)) == []


def test_a_release_outside_the_hours_goes_out_when_they_begin() -> None:
    """The supervisor's word and the agency's hours must both hold."""
    driver = Driver(subscription(release=True, hours=Hours(since=time(7), until=time(17))), now=NIGHT)
    assert driver.change(alert(), NIGHT) == []
    assert driver.release("alert-1", "fire", NIGHT) == []
    assert driver.addressing.awaiting(driver.open["alert-1"]) == []
    messages = driver.pass_to(datetime(2026, 10, 29, 7, tzinfo=LOCAL))
    assert told(messages) == [("fire", "alert-1", "alert")]


def test_exercises_hear_simulated_alerts_and_nothing_else() -> None:
    """A simulated alert reaches no real agency, a real one no exercise; an exercise's identifiers say so."""
    driver = Driver(subscription(), subscription("drill", exercise=True))
    assert told(driver.change(alert("real"), at(0))) == [("fire", "real", "alert")]
    [message] = alerts_in(driver.change(alert("played", simulated=True), at(0)))
    assert (message.agency, message.status) == ("drill", "exercise")
    assert message.identifier == "exercise-drill.played.1"


def test_a_real_alert_that_simulated_data_touched_is_taken_back() -> None:
    """A real agency is told that it ended, and nothing simulated after that."""
    driver = Driver(subscription())
    one = alert()
    driver.change(one, at(0))
    one = moved(one, "escalated", severity="extreme", simulated=True)
    [message] = alerts_in(driver.change(one, at(0.1)))
    assert (message.type, message.status) == ("cancel", "actual")
    assert driver.change(moved(one, "lowered", severity="minor"), at(0.2)) == []
    assert alerts_in(driver.pass_to(at(24 * 60))) == []


def test_a_new_subscription_opens_with_what_is_open() -> None:
    """All that fits, each as a standing alert; the same subscriptions again change nothing."""
    driver = Driver()
    for one in (alert("a"), alert("b", severity="minor"), alert("c", hazard="traffic")):
        assert driver.change(one, at(0)) == []
    fire = subscription(hazards=("flood",), severity="moderate")
    [message] = alerts_in(driver.configure(fire, now=at(1)))
    assert (message.alert.id, message.type, message.standing) == ("a", "alert", True)
    assert driver.configure(fire, now=at(1)) == []


def test_what_a_changed_subscription_adds_is_told_and_what_it_drops_is_cancelled() -> None:
    """By hazard, place and severity; what was bad enough once is told on, and an unrelated change cancels nothing."""
    flood, jam = alert("flood"), alert("jam", hazard="traffic")
    eased = moved(alert("eased"), "lowered", severity="minor")
    driver = Driver(subscription(hazards=("flood",)))
    for one in (flood, jam, eased):
        driver.change(one, at(0))
    assert driver.configure(subscription(hazards=("flood",), languages=("en",)), now=at(1)) == []
    assert driver.configure(subscription(hazards=("flood",), severity="severe"), now=at(2)) == []
    messages = driver.configure(subscription(hazards=("traffic",)), now=at(3))
    assert told(messages) == [
        ("fire", "eased", "cancel"),
        ("fire", "flood", "cancel"),
        ("fire", "jam", "alert"),
    ]
    messages = driver.configure(subscription(), now=at(4))
    assert told(messages) == [("fire", "eased", "alert"), ("fire", "flood", "alert")]
    # A new telling: the references begin anew, the identifiers go on.
    assert {one.identifier for one in alerts_in(messages)} == {"fire.eased.3", "fire.flood.3"}
    assert all(one.references == [] for one in alerts_in(messages))


def test_a_subscription_that_went_gets_a_cancel_for_all_that_is_open() -> None:
    """And nothing more, neither heartbeats nor changes; when it comes back identifiers do not repeat."""
    driver = Driver(subscription(), subscription("army"))
    one = alert()
    driver.change(one, at(0))
    assert told(driver.configure(subscription("army"), now=at(1))) == [("fire", "alert-1", "cancel")]
    messages = driver.change(moved(one, "escalated", severity="extreme"), at(30))
    assert {message.agency for message in messages + driver.pass_to(at(60))} == {"army"}
    [message] = alerts_in(driver.configure(subscription(), subscription("army"), now=at(90)))
    assert message.identifier == "fire.alert-1.3"


def test_what_an_operator_closed_and_that_reopens_begins_a_new_telling() -> None:
    """Its identifiers go on: no two messages on the topic have the same."""
    driver = Driver(subscription())
    one = alert()
    driver.change(one, at(0))
    closed = replace(moved(one, "closed", reason="operator"), condition_stands=True)
    driver.change(closed, at(1))
    [message] = alerts_in(driver.change(moved(closed, "reopened", severity="extreme"), at(60 * 24 * 3)))
    assert (message.type, message.identifier, message.references) == ("alert", "fire.alert-1.3", [])


def test_heartbeats_are_aligned_and_say_what_is_open() -> None:
    """At multiples of the agency's own interval in event time, with the alerts that it was told of."""
    driver = Driver(
        subscription(severity="severe"), subscription("army", heartbeat=timedelta(minutes=5)), now=at(0.5)
    )
    driver.change(alert("a"), at(0.6))
    driver.change(alert("b", severity="minor"), at(0.6))
    beats = beats_in(driver.pass_to(at(5)))
    assert [beat.time for beat in beats if beat.agency == "fire"] == [at(n) for n in range(1, 6)]
    assert [beat.time for beat in beats if beat.agency == "army"] == [at(5)]
    assert {tuple(beat.open) for beat in beats} == {("a",), ("a", "b")}
    driver.change(moved(alert("a"), "cleared"), at(5))
    assert beats_in(driver.pass_to(at(6)))[0].open == []


def test_at_midnight_all_that_is_open_is_told_again() -> None:
    """As standing updates, so that who reads from the beginning of any day knows all that is open."""
    driver = Driver(subscription())
    driver.change(alert("a"), at(0))
    driver.change(two := alert("b"), at(1))
    driver.change(moved(two, "cleared"), at(2))
    [message] = alerts_in(driver.pass_to(datetime(2026, 10, 29, tzinfo=LOCAL)))
    assert (message.alert.id, message.type, message.standing) == ("a", "update", True)
    assert message.identifier == "fire.a.2"
    assert message.sent == datetime(2026, 10, 29, tzinfo=LOCAL)


def test_references_are_bounded_with_the_first_and_the_latest() -> None:
    """An alert that is open for months names its first message and the last ones."""
    driver = Driver(subscription(heartbeat=timedelta(days=1)))
    driver.change(one := alert(), at(0))
    driver.pass_to(at(60 * 24 * 80))
    [message] = alerts_in(driver.change(moved(one, "escalated", severity="extreme"), at(60 * 24 * 80)))
    numbers = [int(reference.identifier.rpartition(".")[2]) for reference in message.references]
    assert len(numbers) == MOST_REFERENCES
    assert numbers[0] == 1
    assert numbers[1:] == list(range(82 - MOST_REFERENCES + 1, 82))


def test_what_was_told_leaves_no_state_behind() -> None:
    """After its end nothing is kept of an alert; of one that an operator closed, nothing after a month."""
    driver = Driver(subscription(), subscription("army", release=True))
    driver.change(one := alert("a"), at(0))
    driver.release("a", "army", at(0))
    driver.change(two := alert("b"), at(0))
    assert len(driver.addressing._told) == 3
    driver.change(moved(one, "cleared"), at(1))
    driver.change(replace(moved(two, "closed"), condition_stands=True), at(1))
    assert list(driver.addressing._told) == ["fire|b"]
    driver.pass_to(at(60 * 24 * 40))
    assert list(driver.addressing._told) == []


# Properties

SUBSCRIPTIONS = [
    subscription("all"),
    subscription("bad", severity="severe", communes=("90001",)),
    subscription("drill", exercise=True, heartbeat=timedelta(minutes=7)),
    subscription("gate", release=True, hazards=("flood",)),
    subscription("office", hours=Hours(since=time(7), until=time(17), always="extreme")),
]
IDS = ["a", "b", "c", "d"]

Step = tuple[str, Any, int]
steps = st.lists(
    st.one_of(
        st.tuples(
            st.just("change"),
            st.tuples(
                st.sampled_from(IDS),
                st.sampled_from(SEVERITIES),
                st.sampled_from(["worse", "operator", "suppress", "end", "close"]),
            ),
            st.integers(0, 500),
        ),
        st.tuples(
            st.just("configure"), st.sets(st.sampled_from(range(len(SUBSCRIPTIONS)))), st.integers(0, 500)
        ),
        st.tuples(st.just("release"), st.sampled_from(IDS), st.integers(0, 500)),
    ),
    max_size=25,
)


def play(steps: list[Step], restore_at: frozenset[int] = frozenset()) -> Driver:
    """Drive one history; before the steps numbered in `restore_at` the state goes through its written form."""
    driver, now = Driver(*SUBSCRIPTIONS), START
    latest: dict[str, Alert] = {}
    for number, (kind, what, minutes) in enumerate(steps):
        if number in restore_at:
            driver.restore()
        now += timedelta(minutes=minutes)
        if kind == "configure":
            driver.configure(*(SUBSCRIPTIONS[index] for index in sorted(what)), now=now)
        elif kind == "release":
            if what in driver.open:
                driver.release(what, "gate", now)
        else:
            name, severity, how = what
            before = latest.get(name)
            if before is None or not (before.open or before.condition_stands):
                new = alert(
                    f"{name}-{number}",
                    severity=severity,
                    hazard="traffic" if name == "b" else "flood",
                    simulated=name == "c",
                    where=Where(commune="90002" if name == "d" else "90001", province="92"),
                    suppressed="maintenance:m" if how == "suppress" else "",
                )
            elif not before.open:
                new = moved(before, "reopened", severity=severity)
            elif how == "worse":
                new = moved(before, "escalated", severity=severity)
            elif how == "suppress":
                new = moved(before, "resumed" if before.suppressed else "suppressed")
                new = replace(new, suppressed="" if before.suppressed else "maintenance:m")
            elif how == "operator":
                new = moved(before, "acknowledged")
            elif how == "end":
                new = moved(before, "cleared")
            else:
                new = replace(moved(before, "closed", reason="operator"), condition_stands=True)
            latest[name] = new
            driver.change(new, now)
    driver.pass_to(now + timedelta(minutes=10))
    return driver


@given(steps, st.frozensets(st.integers(0, 24)))
@settings(max_examples=60, deadline=None)
def test_state_that_was_written_goes_on_where_it_was(steps: list[Step], restore_at: frozenset[int]) -> None:
    """However often the state is restored in between, the messages are the same."""
    assert play(steps, restore_at).messages == play(steps).messages


@given(steps)
@settings(max_examples=100, deadline=None)
def test_every_chain_is_sound(steps: list[Step]) -> None:
    """Whatever happens, in messages to one agency and to all.

    Identifiers are unique; a telling begins with an alert and ends with a cancel; references name all of it so far;
    nothing simulated reaches a real agency, nor the other way round; time does not go back.
    """
    driver = play(steps)
    chains: dict[tuple[str, str], list[AgencyAlert]] = {}
    messages = alerts_in(driver.messages)
    assert len({message.identifier for message in messages}) == len(messages)
    assert [message.sent for message in messages] == sorted(message.sent for message in messages)
    for message in messages:
        chain = chains.setdefault((message.agency, message.alert.id), [])
        assert (message.type == "alert") == (chain == [])
        assert [one.identifier for one in message.references] == [one.identifier for one in chain]
        assert message.alert.simulated == (message.status == "exercise") == (message.agency == "drill")
        chain.append(message)
        if message.type == "cancel":
            chain.clear()


@given(steps)
@settings(max_examples=100, deadline=None)
def test_what_a_reader_believes_to_be_open_is_what_should_be(steps: list[Step]) -> None:
    """Nothing that is over is believed to be open, and what fits without hours or release is known.

    The last heartbeat says the same; and whoever began to read at the last midnight knows it too.
    """
    driver = play(steps)
    beats = {beat.agency: set(beat.open) for beat in beats_in(driver.messages)}
    for agency, wants in driver.addressing._subscriptions.items():
        mine = [one for one in alerts_in(driver.messages) if one.agency == agency]
        known = _known(mine)
        assert beats[agency] == known
        midnight = max((one.sent for one in mine if one.standing and one.type == "update"), default=START)
        assert _known([one for one in mine if one.sent >= midnight]) == known
        assert known <= set(driver.open)
        if agency in ("all", "drill"):
            simulated = wants.exercise
            for id_, one in driver.open.items():
                if not one.suppressed and one.simulated == simulated:
                    assert id_ in known
        if agency == "bad":
            for id_, one in driver.open.items():
                fits = "90001" in one.area and SEVERITIES.index(one.severity) >= 2 and not one.simulated
                if fits and not one.suppressed:
                    assert id_ in known


def _known(messages: list[AgencyAlert]) -> set[str]:
    known: set[str] = set()
    for message in messages:
        (known.discard if message.type == "cancel" else known.add)(message.alert.id)
    return known
