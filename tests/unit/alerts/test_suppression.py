"""Suppression: which alerts others or maintenance hide, and that none is hidden without one that is shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from alerts.alert import Alert
from alerts.model import SEVERITIES, Where
from alerts.rules.policy import Inhibition, MaintenanceWindow
from alerts.storms.suppression import Suppression
from tests.unit.alerts.alertkit import alert, at

POWER = Inhibition(id="power", by=("power",), of=("silence",))
WORK = MaintenanceWindow(id="m1", since=at(10), until=at(20), reason={"vi": "Sửa", "en": "Repair"})


def suppression(*inhibitions: Inhibition, windows: tuple[MaintenanceWindow, ...] = ()) -> Suppression:
    made = Suppression()
    made.configure(inhibitions, windows)
    return made


def reasons(made: Suppression, *alerts: Alert, minute: float = 0) -> dict[str, str]:
    return made.reasons(alerts, at(minute))


def test_an_alert_in_the_same_commune_is_inhibited() -> None:
    """Whichever came first: a cause may be noticed after what follows from it."""
    power, silence = alert("p", 5, rule="power"), alert("s", 0, rule="silence")
    elsewhere = alert("t", 0, rule="silence", where=Where(commune="c2"))
    assert reasons(suppression(POWER), silence, power, elsewhere) == {"p": "", "s": "inhibited:p", "t": ""}


def test_an_ended_alert_inhibits_nothing() -> None:
    power = alert("p", 0, rule="power", state="cleared")
    assert reasons(suppression(POWER), power, alert("s", rule="silence"))["s"] == ""


@pytest.mark.parametrize(
    ("same", "other", "hidden"),
    [
        ("commune", {"where": Where(commune="c9"), "communes": ["c9", "c1"]}, True),
        ("commune", {"where": Where(province="92")}, False),
        ("province", {"where": Where(commune="c9", province="92")}, True),
        ("province", {"where": Where(commune="c1")}, False),
        ("subject", {"subject": "gauge-s", "where": Where()}, True),
        ("subject", {}, False),
    ],
)
def test_same_means(same: str, other: dict[str, object], hidden: bool) -> None:
    """Any shared commune, the same province or the same subject; what has no place shares none."""
    made = suppression(replace(POWER, same=same))
    found = reasons(made, alert("p", rule="power", **other), alert("s", rule="silence"))
    assert found["s"] == ("inhibited:p" if hidden else "")


def test_nowhere_is_no_place_to_share() -> None:
    """Two alerts of which no province is known are not in the same one."""
    made = suppression(replace(POWER, same="province"))
    there = {"where": Where()}
    assert reasons(made, alert("p", rule="power", **there), alert("s", rule="silence", **there))["s"] == ""


def test_a_worse_alert_is_never_hidden() -> None:
    """Not by a milder one, however the rules read; as soon as it is as mild itself, it may be."""
    made, power = suppression(POWER), alert("p", rule="power")
    assert reasons(made, power, alert("s", 0, "severe", rule="silence"))["s"] == ""
    assert reasons(made, power, alert("s", 0, "moderate", rule="silence"))["s"] == "inhibited:p"


def test_an_inhibition_may_ask_for_a_severity() -> None:
    made = suppression(replace(POWER, severity="severe"))
    silence = alert("s", 0, "minor", rule="silence")
    assert reasons(made, alert("p", 0, "moderate", rule="power"), silence)["s"] == ""
    assert reasons(made, alert("p", 0, "severe", rule="power"), silence)["s"] == "inhibited:p"


@pytest.mark.parametrize("other", [{"simulated": True}, {"run": "r1"}])
def test_an_exercise_hides_nothing_real(other: dict[str, object]) -> None:
    assert (
        reasons(suppression(POWER), alert("p", rule="power", **other), alert("s", rule="silence"))["s"] == ""
    )


def test_there_are_no_chains() -> None:
    """What is inhibited, in maintenance or behind a limit does not inhibit."""
    made = suppression(Inhibition(id="a", by=("a",), of=("b",)), Inhibition(id="b", by=("b",), of=("c",)))
    a, b, c = (alert(name, rule=name) for name in "abc")
    assert reasons(made, a, b, c) == {"a": "", "b": "inhibited:a", "c": ""}
    assert reasons(made, b, c) == {"b": "", "c": "inhibited:b"}
    assert reasons(made, replace(b, suppressed="limit:b"), c) == {"b": "limit:b", "c": ""}
    made.configure([Inhibition(id="b", by=("b",), of=("c",))], [replace(WORK, rules=("b",))])
    assert reasons(made, b, c, minute=10) == {"b": "maintenance:m1", "c": ""}


def test_of_two_that_inhibit_each_other_the_earlier_is_shown() -> None:
    """The worse one before that; where both are equal the id decides."""
    made = suppression(Inhibition(id="x", by=("a",), of=("b",)), Inhibition(id="y", by=("b", "a"), of=("a",)))
    a, b = alert("1", 5, rule="a"), alert("2", 0, rule="b")
    assert reasons(made, a, b) == {"1": "inhibited:2", "2": ""}
    assert reasons(made, replace(a, started=at(0)), b) == {"1": "", "2": "inhibited:1"}
    assert reasons(made, replace(a, severity="severe"), b) == {"1": "", "2": "inhibited:1"}
    assert reasons(made, alert("1", rule="a"), alert("3", rule="a")) == {"1": "", "3": "inhibited:1"}


def test_a_circle_of_rules_leaves_one() -> None:
    """Three rules around a circle: the earliest is shown and inhibits the next; the third is not hidden by that."""
    made = suppression(*(Inhibition(id=by, by=(by,), of=(of,)) for by, of in ("ab", "bc", "ca")))
    found = reasons(made, alert("a", 0, rule="a"), alert("b", 1, rule="b"), alert("c", 2, rule="c"))
    assert found == {"a": "", "b": "inhibited:a", "c": ""}


def test_the_reason_that_was_given_stays_while_it_holds() -> None:
    """A second inhibiting alert, a worse one even, or a second window is no news for what is hidden already."""
    made = suppression(POWER, windows=(WORK, replace(WORK, id="m2", until=at(30))))
    first, second = alert("p", 3, rule="power"), alert("q", 0, "severe", rule="power")
    silence = alert("s", rule="silence")
    assert reasons(made, first, second, silence)["s"] == "inhibited:q"
    assert reasons(made, first, second, replace(silence, suppressed="inhibited:p"))["s"] == "inhibited:p"
    assert reasons(made, second, replace(silence, suppressed="inhibited:p"))["s"] == "inhibited:q"
    assert reasons(made, silence, minute=15)["s"] == "maintenance:m2", (
        "the last to end, so that it need not change"
    )
    assert reasons(made, replace(silence, suppressed="maintenance:m1"), minute=15)["s"] == "maintenance:m1"


@pytest.mark.parametrize(
    ("named", "hidden"),
    [
        ({}, True),
        ({"sources": ("gauge-a",)}, True),
        ({"sources": ("gauge-b",)}, False),
        ({"rules": ("water",), "sources": ("gauge-a",)}, True),
        ({"rules": ("other",), "sources": ("gauge-a",)}, False),
        ({"communes": ("c3", "c2")}, True),
        ({"communes": ("c1",)}, False),
        ({"hazards": ("traffic",)}, False),
    ],
)
def test_a_window_fits_where_all_that_it_names_fits(named: dict[str, tuple[str, ...]], hidden: bool) -> None:
    made = suppression(windows=(replace(WORK, **named),))
    found = reasons(made, alert("a", communes=["c2"]), minute=15)
    assert found["a"] == ("maintenance:m1" if hidden else "")


def test_a_window_holds_from_its_beginning_until_before_its_end() -> None:
    """And both moments fall due."""
    made = suppression(windows=(WORK, replace(WORK, id="m2", since=at(30), until=at(40), rules=("no",))))
    assert [bool(reasons(made, alert("a"), minute=minute)["a"]) for minute in (9, 10, 19, 20)] == [
        False,
        True,
        True,
        False,
    ]
    assert [made.next_due(at(minute)) for minute in (0, 10, 20, 39, 40)] == [
        at(10),
        at(20),
        at(30),
        at(40),
        None,
    ]


def test_whoever_inhibits_or_is_inhibited_is_a_concern() -> None:
    """The inhibited one too: when it gets worse than what hid it, it must be looked at anew."""
    made = suppression(POWER)
    assert made.concerns(alert("p", rule="power"))
    assert made.concerns(alert("s", rule="silence"))
    assert not made.concerns(alert("w", rule="water"))


def test_one_alert_is_asked_about_without_its_own_limit() -> None:
    """Once a limit is over its alerts are asked about again, and may have another reason."""
    made, power = suppression(POWER), alert("p", rule="power")
    silence = alert("s", rule="silence", suppressed="limit:silence")
    assert made.reason(silence, [power, silence], at(0)) == "inhibited:p"
    assert made.reason(silence, [silence], at(0)) == ""
    assert made.reason(silence, [replace(power, suppressed="limit:power")], at(0)) == ""


RULES = ["a", "b", "c", "d", "e"]
rules_of = st.lists(st.sampled_from(RULES), min_size=1, max_size=3, unique=True).map(tuple)


@st.composite
def inhibitions(draw: st.DrawFn) -> list[Inhibition]:
    return [
        Inhibition(
            id=f"i{number}",
            by=draw(rules_of),
            of=draw(rules_of),
            severity=draw(st.sampled_from(["minor", "minor", "moderate"])),
            same=draw(st.sampled_from(["commune", "province", "subject"])),
        )
        for number in range(draw(st.integers(0, 5)))
    ]


@st.composite
def open_alerts(draw: st.DrawFn) -> list[Alert]:
    return [
        alert(
            f"n{number}",
            draw(st.integers(0, 3)),
            draw(st.sampled_from(["minor", "moderate", "severe"])),
            rule=draw(st.sampled_from(RULES)),
            subject=draw(st.sampled_from(["s1", "s2"])),
            where=Where(commune=draw(st.sampled_from(["c1", "c2"])), province="92"),
            suppressed=draw(st.sampled_from(["", "", "", "limit:x", "inhibited:n0", "inhibited:n1"])),
            simulated=draw(st.sampled_from([False, False, False, True])),
        )
        for number in range(draw(st.integers(1, 10)))
    ]


def may_hide(inhibition: Inhibition, by: Alert, of: Alert) -> bool:
    """One inhibition as it reads, for two alerts."""
    shared = {
        "commune": by.where.commune == of.where.commune,
        "province": True,
        "subject": by.subject == of.subject,
    }
    return (
        by.rule in inhibition.by
        and of.rule in inhibition.of
        and shared[inhibition.same]
        and by.id != of.id
        and by.simulated == of.simulated
        and SEVERITIES.index(by.severity) >= SEVERITIES.index(inhibition.severity)
        and SEVERITIES.index(by.severity) >= SEVERITIES.index(of.severity)
    )


def circles(given_: list[Inhibition]) -> set[tuple[str, str]]:
    """Pairs of rules that inhibit each other, directly or around a circle."""
    leads = {(by, of) for one in given_ for by in one.by for of in one.of}
    for middle in RULES:
        leads |= {(a, b) for a in RULES for b in RULES if (a, middle) in leads and (middle, b) in leads}
    return {(a, b) for a, b in leads if (b, a) in leads} | {(rule, rule) for rule in RULES}


@given(inhibitions(), open_alerts(), st.randoms())
def test_each_hidden_alert_names_a_shown_one_and_each_shown_one_has_nobody_to_hide_it(
    given_: list[Inhibition], alerts: list[Alert], chance: object
) -> None:
    """No cycles, no chains, nothing forgotten, and the order in which alerts are looked at means nothing."""
    made = suppression(*given_)
    found = made.reasons(alerts, at(0))
    by_id = {one.id: one for one in alerts}
    mutual = circles(given_)
    for one in alerts:
        reason = found[one.id]
        if one.suppressed.startswith("limit:"):
            assert reason == one.suppressed
        elif reason:
            other = by_id[reason.removeprefix("inhibited:")]
            assert found[other.id] == "", "who hides is shown"
            assert any(may_hide(inhibition, other, one) for inhibition in given_)
        else:
            for other in alerts:
                if found[other.id] or not any(may_hide(inhibition, other, one) for inhibition in given_):
                    continue
                # Only because the two rules may hide each other, and this one comes first.
                assert (other.rule, one.rule) in mutual
                assert one.severity == other.severity
                assert (one.started, one.id) < (other.started, other.id)
    if not any(one.suppressed.startswith("limit:") for one in alerts):
        assert "" in found.values(), "at least one alert is shown"
    shuffled = list(alerts)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert made.reasons(shuffled, at(0)) == found
    # Told and asked again, nothing moves.
    told = [replace(one, suppressed=found[one.id]) for one in shuffled]
    assert made.reasons(told, at(0)) == found
    for one in alerts:
        if not one.suppressed.startswith("limit:"):
            assert made.reason(one, shuffled, at(0)) == found[one.id]
