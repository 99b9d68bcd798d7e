"""An explanation says what the log holds of an alert, and calls nothing over that is not."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.agencies.messages import AgencyAlert
from alerts.alert import Acknowledgement, Alert, Comment
from alerts.commands import Command, CommandOutcome
from alerts.conditions.silence import NEVER_HEARD
from alerts.explain.facts import Facts, Reading
from alerts.explain.telling import as_lines, explain
from alerts.explain.words import LANGUAGES, duration
from alerts.model import Evidence, Source, Threshold, Where
from alerts.rules.kinds import (
    Bound,
    CommuneRule,
    CountRule,
    FusionInput,
    FusionRule,
    LadderRule,
    Level,
    RateRule,
    Rule,
    Selector,
    SilenceLevel,
    SilenceRule,
)
from tests.unit.alerts.alertkit import alert, at, moved

BASE: dict[str, Any] = {
    "id": "water",
    "version": "v1",
    "hazard": "flood",
    "title": {"vi": "Nước", "en": "Water"},
}
LEVELS = tuple(
    Level(
        severity=severity,
        raise_at=Bound(name),
        clear_at=Bound(name, -0.05),
        label={"vi": name.upper(), "en": name.upper()},
    )
    for severity, name in (("minor", "bd1"), ("severe", "bd3"))
)
LADDER = LadderRule(
    **BASE,
    stream="flood",
    measure="level_m",
    unit="m",
    direction="above",
    hold=timedelta(minutes=10),
    levels=LEVELS,
)
GAUGE = Source(
    id="gauge-a",
    stream="flood",
    name={"vi": "Trạm A", "en": "Station A"},
    kind="water_level",
    lon=105.7,
    lat=10.0,
    interval=300.0,
    thresholds=(Threshold(name="bd1", value=1.8), Threshold(name="bd3", value=2.0)),
)
COUNTED = (Level(severity="minor", raise_at=Bound(None, 5), clear_at=Bound(None, 3)),)
OTHERS: list[Rule] = [
    RateRule(
        **BASE, stream="flood", measure="level_m", unit="m", direction="above",
        window=timedelta(minutes=30), hold=timedelta(0), levels=COUNTED,
    ),
    SilenceRule(**BASE, stream="flood", levels=(SilenceLevel(severity="minor", after=timedelta(hours=1)),)),
    CountRule(
        **BASE, of=Selector(stream="report"), radius_m=300.0, window=timedelta(minutes=30), levels=COUNTED
    ),
    CommuneRule(
        **BASE, stream="traffic", measure="speed_kmh", unit="km/h", statistic="share", beyond=10.0,
        direction="below", window=timedelta(minutes=5), least_sources=3, hold=timedelta(0), levels=COUNTED,
    ),
    FusionRule(
        **BASE, radius_m=300.0, window=timedelta(minutes=30), levels=COUNTED,
        inputs=(FusionInput(name="gauge", rule="w"), FusionInput(name="report", of=Selector(stream="report"))),
    ),
]  # fmt: skip


def facts(*changes: Alert, **others: Any) -> Facts:
    return Facts(changes=list(changes), **{"rules": {"v1": LADDER}, "source": GAUGE, **others})


def told(facts: Facts, language: str = "en") -> str:
    return "\n".join(as_lines(explain(facts, language)))  # type: ignore[arg-type]


def test_what_would_clear_it_and_how_far_that_is() -> None:
    """The level that it stands at and the one below it, each with its clear bound; and the last reading."""
    one = alert("a", 0, severity="severe", label={"en": "BD3"})
    text = told(facts(one, reading=Reading(value=1.97, observed=at(15)), now=at(16)))
    assert "It leaves BD3 below 1.95 m" in text
    assert "It clears below 1.75 m" in text
    assert "Last reading: 1.97 m, 07:15 08/10/2025" in text
    assert "No data" not in text
    assert "Số đo cuối: 1,97 m" in told(facts(one, reading=Reading(value=1.97, observed=at(15))), "vi")


def test_why_it_was_raised() -> None:
    """The value, the bound and its name, the hold, each observation with its doubts, and the citation."""
    evidence = [
        Evidence(stream="flood", source="gauge-a", event="e1", time=at(0), value=1.85),
        Evidence(stream="flood", source="gauge-a", event="e2", time=at(5), value=9.0, doubts=("spike",)),
    ]
    one = alert("a", 10, started=at(0), citation="Decision 05", evidence=evidence, label={"en": "BD1"})
    text = told(facts(one))
    assert "Water level was 2 m at 07:10 08/10/2025, at or above the bound 1.9 m (BD1, moderate)" in text
    assert "It had to stay so for 10 min: from 07:00 08/10/2025 to 07:10 08/10/2025" in text
    assert "Evidence: gauge-a 07:05 08/10/2025: 9 m (doubted: a jump that is not confirmed) [e2]" in text
    assert "Basis: Decision 05" in text


def test_missing_data_is_said_to_clear_nothing() -> None:
    """Once more than two of the source's intervals have passed without a reading."""
    one = alert("a", 0)
    said = "missing data does not clear it"
    assert said not in told(facts(one, now=at(10)))
    assert "No data from 07:00 08/10/2025 to 07:11 08/10/2025: " + said in told(facts(one, now=at(11)))
    assert said not in told(facts(one, source=None, now=at(14))), "an unknown interval is given longer"
    assert said in told(facts(one, source=None, now=at(16)))


def test_a_doubted_reading_is_said_to_clear_nothing() -> None:
    """Though it lies short of the bound."""
    text = told(facts(alert("a", 0), reading=Reading(value=0.1, observed=at(1), doubts=("stuck",))))
    assert "A doubted reading does not clear it" in text


def test_operators_deeds_are_told_and_end_nothing() -> None:
    """What they did, when, and what was refused; an acknowledgement is not an end."""
    one = alert("a", 0)
    seen = moved(one, 5, "acknowledged", by="an", acknowledged=Acknowledgement("an", at(5)))
    commented = moved(seen, 6, "commented", by="an", comments=[Comment("an", at(6), "On our way")])
    command = Command(id="c", action="close", operator="binh", issued=at(7), alert="a", sequence=1)
    outcome = CommandOutcome(command=command, outcome="refused", reason="stale", time=at(7))
    facts_ = facts(one, seen, commented, outcomes=[outcome])
    text = told(facts_)
    assert "an acknowledged it at 07:05 08/10/2025: that does not end it" in text
    assert "commented, moderate, “On our way” – an" in text
    assert "07:07 08/10/2025 binh: close – refused: stale" in text
    words = {"stale": ("đã đổi", "it has changed")}
    assert "refused: it has changed" in "\n".join(as_lines(explain(facts_, "en", words)))  # type: ignore[arg-type]


def test_agencies_told_and_awaiting() -> None:
    """Each message but the repeated ones, and who still waits for a release."""
    one = alert("a", 0, awaiting=["police"])

    def message(number: int, **more: Any) -> AgencyAlert:
        return AgencyAlert(
            agency="fire", identifier=f"fire.a.{number}", status="actual", sent=at(number), languages=("vi",),
            alert=one, **more,
        )  # fmt: skip

    text = told(facts(one, messages=[message(1, type="alert"), message(2, type="update", standing=True)]))
    assert "07:01 08/10/2025 fire: told [fire.a.1]" in text
    assert "fire.a.2" not in text
    assert "police: waits for a supervisor's release" in text


def test_what_is_suppressed_beside_it() -> None:
    """With the reason in words."""
    other = alert("b", 0, suppressed="inhibited:a", subject_name={"en": "Street B"})
    assert "b Water – Street B: Suppressed because of a" in told(facts(alert("a", 0), siblings=[other]))
    assert "Suppressed by the maintenance works" in told(facts(alert("a", 0, suppressed="maintenance:works")))


@pytest.mark.parametrize(
    ("change", "more", "said"),
    [
        ("cleared", {"value": 1.7, "bound": 1.75}, "passed the bound for the end at 07:30 08/10/2025: 1.7 m"),
        ("closed", {"reason": "expired", "condition_stands": False}, "nothing more was reported"),
        (
            "closed",
            {"reason": "boundary-changed", "successor": "c2", "condition_stands": False},
            "goes on in c2",
        ),
        ("closed", {"reason": "operator", "by": "an"}, "The condition goes on: if it gets worse"),
    ],
)
def test_how_it_ended(change: Any, more: dict[str, Any], said: str) -> None:
    """By its measure, or for the reason that it has; an operator's closing leaves the condition as it is."""
    one = alert("a", 0)
    text = told(facts(one, moved(one, 30, change, **more)))
    assert said in text
    assert "How it ended" in text
    assert "not yet cleared" not in text
    if change == "closed":
        assert "passed the bound" not in text, "only a measurement clears"


def test_a_comment_after_the_end_does_not_hide_it() -> None:
    """The end is looked for among all changes."""
    one = alert("a", 0)
    over = moved(one, 30, "cleared", value=1.7)
    later = moved(over, 40, "commented", by="an", comments=[Comment("an", at(40), "ok")])
    assert "for the end at 07:30 08/10/2025" in told(facts(one, over, later))


def test_a_rule_that_is_gone_is_said_to_be() -> None:
    """Nothing is made up about what it asked for; and lost changes are told."""
    text = told(facts(alert("a", 0, sequence=4), rules={}))
    assert "What would clear it is not known: the rule water (v1) is no longer in ioc.config" in text
    assert "The changes before number 4 are no longer in the log" in text
    assert "Rule water v1 (no longer in ioc.config)" in text


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("rule", [LADDER, *OTHERS], ids=lambda rule: type(rule).__name__)
def test_every_kind_of_rule_says_what_it_asked_for_and_what_ends_it(rule: Rule, language: str) -> None:
    """In both languages, also where the source is not known."""
    one = alert("a", 0, value=5.0, bound=5.0)
    for source in (GAUGE, None):
        sections = explain(facts(one, rules={"v1": rule}, source=source, now=at(1)), language)  # type: ignore[arg-type]
        assert len(sections[1].lines) >= 1
        assert len(sections[2].lines) >= 1
    if isinstance(rule, CountRule | FusionRule):
        expiry = {"vi": "không phải báo yên", "en": "no all-clear"}[language]
        assert expiry in sections[2].lines[0]


def test_a_source_that_was_never_heard_has_no_last_time() -> None:
    """It is said to be listed since then, not to have been heard last."""
    silence = next(rule for rule in OTHERS if isinstance(rule, SilenceRule))
    never = alert("a", 0, start_event=f"{NEVER_HEARD}f00", value=3600.0, bound=3600.0, unit="s")
    text = told(facts(never, rules={"v1": silence}, now=at(1)))
    assert "was never heard" in text
    assert "last at" not in text


@pytest.mark.parametrize("name", ["manual", "limit"])
def test_alerts_without_a_rule_of_their_own(name: str) -> None:
    """One opened by hand ends by hand; one that stands for others ends with the storm."""
    text = told(facts(alert("a", 0, rule=name, rule_version="", by="an"), rules={}))
    assert {"manual": "closed by hand", "limit": "within its limit"}[name] in text


@given(st.text(), st.text())
def test_hostile_text_stays_text(name: str, words: str) -> None:
    """No control character of a name or a comment reaches a terminal, and no line is broken by one."""
    one = alert("a", 0, subject_name={"en": name}, where=Where(commune_name=words))
    seen = moved(one, 1, "commented", by=name, comments=[Comment(name, at(1), words)])
    for line in as_lines(explain(facts(one, seen), "en")):
        assert line.isprintable()


def test_the_facts_are_json() -> None:
    """What was found is for machines too."""
    found = facts(alert("a", 0), reading=Reading(value=1.0, observed=at(0)))
    assert msgspec.json.decode(msgspec.json.encode(found), type=Facts) == found


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (59.6, "1 min"), (90, "1 min 30 s"), (5400, "1 h 30 min"), (90061, "1 d 1 h")],
)
def test_lengths_of_time(seconds: float, said: str) -> None:
    """The two greatest units."""
    assert duration(timedelta(seconds=seconds), "en") == said
