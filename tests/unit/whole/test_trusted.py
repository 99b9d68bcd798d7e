"""What an operator may rely on, whatever comes: random observations, silences, duplicates, delays, configurations and
commands against a simple model.

The machine writes raw records and commands into a log in memory and lets the workers judge them. After every step it
looks at the new changes of alerts; at the end it compares what stands with a model that is written out plainly from
the rules' meaning, and has the whole log judged again in random chunks and interleavings with restarts.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from alerts.alert import Alert
from alerts.commands import Command, Opening
from alerts.lifecycle import state_of
from alerts.model import SEVERITIES, Where
from alerts.rules.policy import Operator
from ioc.settings import load_settings
from streams.configuration import Configuration, ConfigurationRecord, Sheet
from streams.offline import MemorySystem
from streams.schemas import CLOCK_KEY
from streams.topics import partition_of
from tests.unit.whole.world import RULES, WorldRules, atlas_with_border_at, inventory

START = datetime.fromisoformat("2025-10-08T12:00:00+07:00")
SETTINGS = load_settings(topic_prefix="", raw_partitions=2, provinces=["92"])
OPERATORS = [
    Operator(id="an", name="An", role="operator"),
    Operator(id="binh", name="Bình", role="supervisor"),
]
SUBSCRIPTIONS = """\
version: 1
agencies:
  - {id: fire, name: {vi: Cứu hỏa, en: Fire brigade}, severity: minor}
  - {id: office, name: {vi: Văn phòng, en: Office}, severity: severe, release: true}
"""
MAINTENANCE = """\
version: 1
windows:
  - id: works
    since: "2025-10-08T12:20:00+07:00"
    until: "2025-10-08T12:50:00+07:00"
    sources: [street-2]
    reason: {vi: Sửa chữa, en: Repairs}
"""


@dataclass(frozen=True)
class Variant:
    """A configuration as the model knows it."""

    rules: WorldRules
    sources: tuple[str, ...]
    border: float
    maintenance: str = ""


VARIANTS = (
    Variant(WorldRules(street=(0.2, 0.1)), ("gauge-1", "street-1", "street-2", "street-3"), 106.0),
    Variant(
        WorldRules(street=(0.2, 0.1)), ("gauge-1", "street-1", "street-2", "street-3"), 106.0, MAINTENANCE
    ),
    Variant(WorldRules(street=None), ("gauge-1", "street-1", "street-2"), 106.0),
    Variant(WorldRules(street=(0.2, 0.1)), ("gauge-1", "street-1", "street-3"), 106.002),
)


def configuration(variant: Variant) -> Configuration:
    maps = atlas_with_border_at(variant.border)
    record = ConfigurationRecord(
        rules=variant.rules.text(),
        inventory=inventory(variant.sources),
        boundaries=[Sheet(ref=sheet.ref) for sheet in maps.registry.sets],
        maintenance=variant.maintenance,
        subscriptions=SUBSCRIPTIONS,
        operators=OPERATORS,
    )
    return Configuration.of(record, maps, rules_name="rules", inventory_name="inventory")


CONFIGURATIONS = tuple(configuration(variant) for variant in VARIANTS)

#: The measure of each source, and values on all sides of the bounds.
MEASURES = {
    "gauge-1": ("level_m", (1.5, 1.94, 1.96, 2.01, 2.2)),
    "street-1": ("road_depth_m", (0.0, 0.12, 0.25, 0.6)),
    "street-2": ("road_depth_m", (0.0, 0.12, 0.25, 0.6)),
    "street-3": ("road_depth_m", (0.0, 0.12, 0.25, 0.6)),
}
#: Raise and clear of each rung, and the hold: what the model knows of the ladders.
GAUGE = ("water-level", ((1.9, 1.85), (2.0, 1.95)), timedelta(minutes=2))


@dataclass
class Rung:
    pending: datetime | None = None
    on: bool = False


@dataclass
class Ladder:
    """A ladder written out plainly: what stands after what came."""

    bounds: tuple[tuple[float, float], ...]
    hold: timedelta
    rungs: list[Rung] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rungs = [Rung() for _ in self.bounds]

    def pass_time(self, now: datetime) -> None:
        for rung in self.rungs:
            if rung.pending is not None and rung.pending + self.hold <= now:
                rung.pending, rung.on = None, True

    def observe(self, time: datetime, value: float) -> None:
        self.pass_time(time)
        for rung, (raised, cleared) in zip(self.rungs, self.bounds, strict=True):
            if rung.on:
                rung.on = value >= cleared
            elif value < raised:
                rung.pending = None
            elif rung.pending is None:
                rung.pending = time
        self.pass_time(time)

    @property
    def stands(self) -> int | None:
        return max((index for index, rung in enumerate(self.rungs) if rung.on), default=None)


@dataclass
class Model:
    """What the rules about single sources mean, for the records of the log in their order."""

    variant: Variant | None = None
    clock: datetime | None = None
    heard: dict[str, tuple[datetime, str]] = field(default_factory=dict)
    listed: datetime | None = None
    ladders: dict[tuple[str, str], Ladder] = field(default_factory=dict)
    #: Events that were judged: time and value by source and id.
    judged: dict[tuple[str, str], tuple[datetime, float]] = field(default_factory=dict)

    def tick(self, time: datetime, variant: Variant) -> None:
        for ladder in self.ladders.values():
            ladder.pass_time(time)
        self.clock = time
        if variant != self.variant:
            # Of a source that leaves the inventory nothing is remembered, whether or not a ladder of it stands.
            gone = set(self.variant.sources if self.variant else ()) - set(variant.sources)
            self.variant = variant
            for source in gone:
                self.heard.pop(source, None)
            for rule, source in list(self.ladders):
                if source in gone or (rule == "street-water" and variant.rules.street is None):
                    del self.ladders[rule, source]

    def event(self, source: str, id_: str, time: datetime, value: float) -> None:
        assert self.clock is not None
        before = self.heard.get(source)
        if self.clock - time > timedelta(hours=1) or time - self.clock > timedelta(minutes=5):
            return
        if before is not None and (before[1] == id_ or time < before[0]):
            return
        self.heard[source] = (time, id_)
        self.judged[source, id_] = (time, value)
        assert self.variant is not None
        street = self.variant.rules.street
        if source.startswith("street") and street is not None:
            ladder = self.ladders.setdefault(("street-water", source), Ladder((street,), timedelta()))
            ladder.observe(time, value)
        if source == "gauge-1" and source in self.variant.sources:
            rule, bounds, hold = GAUGE
            self.ladders.setdefault((rule, source), Ladder(bounds, hold)).observe(time, value)


SEVERITY = {"street-water": ("minor",), "water-level": ("minor", "severe")}


class Trusted(RuleBasedStateMachine):
    """Drives the workers and the model with the same records."""

    @initialize()
    def begin(self) -> None:
        self.system = MemorySystem(SETTINGS, CONFIGURATIONS)
        self.model = Model()
        self.now = START
        self.variant = self.told_variant = 0
        #: Everything that was written, for judging it again: raw records, and commands.
        self.written: list[tuple[str, int, bytes, bytes]] = []
        self.numbers: dict[str, int] = {}
        self.seen = 0
        self.commands = 0
        self.contents: dict[tuple[str, int], bytes] = {}
        self.latest: dict[str, Alert] = {}
        self.open: dict[tuple[str, str], str] = {}
        self.raw: list[tuple[str, str, str, datetime, float, dict[str, Any]]] = []
        self._tick(timedelta())

    # What comes

    @rule(steps=st.integers(1, 12))
    def time_passes(self, steps: int) -> None:
        for _ in range(steps):
            self._tick(timedelta(seconds=20))
        self._judge()

    @rule(
        source=st.sampled_from(sorted(MEASURES)),
        pick=st.integers(0, 4),
        delay=st.sampled_from([0, 0, 0, 7, 45, 130, 4000, -30, -400]),
    )
    def a_source_reports(self, source: str, pick: int, delay: int) -> None:
        self._report(source, pick, delay)

    @rule(
        source=st.sampled_from(sorted(MEASURES)),
        picks=st.lists(st.sampled_from([0, 1, 2, 3, 4, 4]), min_size=2, max_size=8),
        steps=st.integers(1, 4),
    )
    def a_source_goes_on(self, source: str, picks: list[int], steps: int) -> None:
        """A source reports again and again while time passes."""
        for pick in picks:
            self._report(source, pick, 5)
            for _ in range(steps):
                self._tick(timedelta(seconds=20))
        self._judge()

    def _report(self, source: str, pick: int, delay: int) -> None:
        measure, values = MEASURES[source]
        value = values[pick % len(values)]
        number = self.numbers[source] = self.numbers.get(source, 0) + 1
        event = {
            "id": f"{source}-{number}",
            "source": source,
            "time": (self.now - timedelta(seconds=delay)).isoformat(),
            measure: value,
        }
        self._event("flood", source, value, event)

    @rule(data=st.data())
    @precondition(lambda self: self.raw)
    def a_record_comes_twice(self, data: st.DataObject) -> None:
        stream, source, _, _, value, event = data.draw(st.sampled_from(self.raw[-6:]))
        self._event(stream, source, value, event)

    @rule(places=st.lists(st.integers(-400, 400), min_size=1, max_size=5), delay=st.integers(0, 60))
    def citizens_report(self, places: list[int], delay: int) -> None:
        for metres in places:
            self._citizen(metres, delay)

    def _citizen(self, metres: int, delay: int) -> None:
        number = self.numbers["app"] = self.numbers.get("app", 0) + 1
        event = {
            "id": f"r-{number}",
            "source": "app",
            "time": (self.now - timedelta(seconds=delay)).isoformat(),
            "lon": 106 + metres / 109_000,
            "lat": 10.5,
            "category": "flooded_street",
        }
        self._event("report", "app", 0.0, event)

    @rule(variant=st.integers(0, len(VARIANTS) - 1))
    def a_configuration_is_published(self, variant: int) -> None:
        """It holds from the next clock record on."""
        self.variant = variant

    @rule(source=st.sampled_from(["street-1", "street-2", "street-3"]), variant=st.integers(0, 3))
    def a_configuration_meets_a_clock_that_runs_ahead(self, source: str, variant: int) -> None:
        """What ends at a clock record may have begun later, by the source's own clock."""
        self._report(source, 3, -30)
        self.variant = variant
        self._tick(timedelta(seconds=20))

    @rule(data=st.data(), pick=st.sampled_from([0, 3]))
    def an_operator_closes_what_goes_on(self, data: st.DataObject, pick: int) -> None:
        known = [alert for alert in self.latest.values() if alert.open and alert.rule in SEVERITY]
        if known:
            alert = data.draw(st.sampled_from(known))
            self._command("close", "binh", alert, alert.sequence)
            self._tick(timedelta(seconds=20))
            self._report(alert.subject, pick, 0)
            self._tick(timedelta(seconds=20))
            self._report(alert.subject, 4, 0)

    @rule(
        action=st.sampled_from(
            ["acknowledge", "assign", "shelve", "unshelve", "comment", "close", "open", "release"]
        ),
        operator=st.sampled_from(["binh", "an", "binh", "binh", "nobody"]),
        stale=st.sampled_from([False, False, False, True]),
        data=st.data(),
    )
    def an_operator_commands(self, action: str, operator: str, stale: bool, data: st.DataObject) -> None:
        known = [alert for alert in self.latest.values() if state_of(alert) != "ended"]
        alert = data.draw(st.sampled_from(known)) if known else None
        self._command(action, operator, alert, (alert.sequence - stale) if alert else None)

    def _command(self, action: str, operator: str, alert: Alert | None, sequence: int | None) -> None:
        self.commands += 1
        command = Command(
            id=f"command-{self.commands}",
            action=action,  # type: ignore[arg-type]
            operator=operator,
            issued=self.now,
            # After the clock record that is the last now: its place is the same however streams interleave.
            time=self.now + timedelta(microseconds=1),
            alert=alert.id if alert else "alert-none",
            sequence=sequence,
            until=self.now + timedelta(minutes=3),
            to="office" if action == "release" else "binh",
            text="nói",
            opening=Opening(
                hazard="flood",
                title={"vi": "Điện thoại", "en": "Call"},
                severity="severe",
                where=Where(lon=105.9, lat=10.5, commune="1", province="92"),
            ),
        )
        self._append(self.system.topics.signals.name, 0, b"92", msgspec.json.encode(command))

    # How it is written

    def _tick(self, step: timedelta, *, told: bool = True) -> None:
        self.now += step
        value = {"clock": self.now.isoformat(), "config": CONFIGURATIONS[self.variant].hash}
        for topic in self.system.topics.raw.values():
            for partition in range(topic.partitions):
                self._append(topic.name, partition, CLOCK_KEY, json.dumps(value).encode())
        if told:
            self.told_variant = self.variant
            self.model.tick(self.now, VARIANTS[self.variant])

    def _event(self, stream: str, source: str, value: float, event: dict[str, Any]) -> None:
        topic = self.system.topics.raw[stream]
        key = source.encode()
        time = datetime.fromisoformat(event["time"])
        self._append(topic.name, partition_of(key, topic.partitions), key, json.dumps(event).encode())
        self.raw.append((stream, source, event["id"], time, value, event))
        self.model.event(source, event["id"], time, value)

    def _append(self, topic: str, partition: int, key: bytes, value: bytes) -> None:
        self.written.append((topic, partition, key, value))
        self.system.log.append(topic, partition, key, value)

    def _judge(self) -> None:
        self.system.run()

    # What must hold

    @invariant()
    def the_history_is_sound(self) -> None:
        changes = self.system.result.changes
        for alert in changes[self.seen :]:
            self._follow(alert)
        self.seen = len(changes)

    def _follow(self, alert: Alert) -> None:
        content = msgspec.json.encode(alert)
        said = self.contents.setdefault((alert.id, alert.sequence), content)
        assert said == content, "one (id, sequence) with two contents"
        before = self.latest.get(alert.id)
        if before is None:
            assert (alert.change, alert.sequence) == ("raised", 1), "an alert without a start"
        else:
            assert alert.sequence == before.sequence + 1, "a change is missing"
            assert alert.time >= before.time, "time went back"
        self.latest[alert.id] = alert
        subject = (alert.rule, alert.subject)
        if alert.open:
            assert self.open.setdefault(subject, alert.id) == alert.id, (
                "two open alerts for one subject and rule"
            )
        elif self.open.get(subject) == alert.id:
            del self.open[subject]
        if alert.change == "cleared":
            self._cleared_by_what_was_seen(alert)

    def _cleared_by_what_was_seen(self, alert: Alert) -> None:
        """An alert clears by an observation on the good side of its bound, never because nothing came."""
        if alert.rule in SEVERITY:
            time, value = self.model.judged[alert.subject, alert.event]
            lowest = 0.1 if alert.rule == "street-water" else 1.85
            assert value < lowest
            assert time <= alert.time
        elif alert.rule == "silent":
            assert any(source == alert.subject and id_ == alert.event for _, source, id_, *_ in self.raw), (
                "silence ended without an event"
            )
        else:
            assert alert.rule not in ("reports",), "no further report is no all-clear"

    def teardown(self) -> None:
        if not hasattr(self, "system"):
            return
        self._tick(timedelta(seconds=20))
        # A source whose clock runs ahead, within the tolerance, is told that much later.
        self._tick(timedelta(minutes=5))
        # What happens at the very last clock record is not passed yet.
        self._tick(timedelta(seconds=20), told=False)
        for ladder in self.model.ladders.values():
            ladder.pass_time(self.now - timedelta(microseconds=1))
        self._judge()
        self.the_history_is_sound()
        self._compare_with_the_model()
        self._suppressed_for_a_reason_that_holds()
        self._judge_again()

    def _suppressed_for_a_reason_that_holds(self) -> None:
        """Who is hidden is hidden by an alert that is shown, a window that holds, or a limit that says so itself."""
        alerts = {alert.id: alert for alert in self.system.correlating().correlation.open()}
        over = {alert.subject for alert in alerts.values() if alert.rule == "limit"}
        # What happens at the last clock record itself is not passed yet: a window that ends there still holds.
        works = VARIANTS[self.told_variant].maintenance and self.now <= datetime.fromisoformat(
            "2025-10-08T12:50:00+07:00"
        )
        works = works and self.now > datetime.fromisoformat("2025-10-08T12:20:00+07:00")
        for alert in alerts.values():
            kind, _, by = alert.suppressed.partition(":")
            match kind:
                case "inhibited":
                    assert not alerts[by].suppressed
                    assert SEVERITIES.index(alerts[by].severity) >= SEVERITIES.index(alert.severity)
                case "limit":
                    assert by in over
                case "maintenance":
                    assert works
            if works and alert.subject == "street-2":
                assert kind in ("maintenance", "limit")
            hidden = alert.rule == "street-water" and any(
                other.rule == "communal" and not other.suppressed and set(other.area) & set(alert.area)
                for other in alerts.values()
            )
            assert bool(kind) or not hidden

    def _compare_with_the_model(self) -> None:
        """What stands is what the model says, to the severity."""
        stands = {
            (alert.rule, alert.subject): alert.severity
            for alert in self.latest.values()
            if alert.rule in SEVERITY and alert.open
        }
        expected = {
            key: SEVERITY[key[0]][ladder.stands]
            for key, ladder in self.model.ladders.items()
            if ladder.stands is not None
        }
        known = self.system.correlating().correlation.alerts.values()
        by_hand = {
            (alert.rule, alert.subject)
            for alert in known
            if alert.rule in SEVERITY and state_of(alert) == "closed"
        }
        # What an operator closed goes on unseen until it is worse, and no longer than its condition.
        assert by_hand <= set(expected)
        assert {key: value for key, value in expected.items() if key not in by_hand} == {
            key: value for key, value in stands.items() if key not in by_hand
        }
        assert set(stands) <= set(expected)

    def _judge_again(self) -> None:
        """The same log in random chunks, interleaved at random, with restarts: the same changes, all of them."""
        chance = random.Random(len(self.written))
        again = MemorySystem(SETTINGS, CONFIGURATIONS)
        for record in self.written:
            again.log.append(*record)
        result = again.run_at_random(chance, 15, 0.2)
        assert [_brief(alert) for alert in result.changes] == [
            _brief(alert) for alert in self.system.result.changes
        ]
        for one, other in zip(self.system.result.changes, result.changes, strict=True):
            assert msgspec.json.decode(msgspec.json.encode(other)) == msgspec.json.decode(
                msgspec.json.encode(one)
            )
        for name in ("incidents", "messages", "outcomes"):
            one, other = getattr(self.system.result, name), getattr(result, name)
            for first, second in zip(one, other, strict=True):
                assert msgspec.json.decode(msgspec.json.encode(second)) == msgspec.json.decode(
                    msgspec.json.encode(first)
                ), name


def _brief(alert: Alert) -> tuple[str, ...]:
    """Enough of a change to tell where two histories part."""
    return alert.rule, alert.subject, alert.change, alert.severity, alert.time.isoformat(), alert.suppressed


#: Making a failing history as short as it can be takes minutes: `IOC_TEST_SHRINK=1` asks for it.
PHASES = ("reuse", "generate", *(("shrink",) if os.environ.get("IOC_TEST_SHRINK") else ()))


def _profiles() -> Iterator[Any]:
    checks = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
    for examples, steps, marks in ((40, 40, ()), (200, 60, (pytest.mark.long,))):
        profile = settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=checks,
            phases=[phase for phase in Phase if phase.name in PHASES],
        )
        yield pytest.param(profile, marks=marks, id=f"{examples}-runs")


@pytest.mark.parametrize("profile", list(_profiles()))
def test_whatever_comes_alerts_can_be_trusted(profile: settings) -> None:
    """No alert without a start, no two open ones for a subject and rule, no clearing while data is missing, no (id,
    sequence) with two contents; the same outcome for any chunks and interleaving."""
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(Trusted, settings=profile)


def test_the_rules_of_this_world_are_of_every_kind() -> None:
    """What is driven at random covers the ladder, rate, silence, count, commune and fusion."""
    assert {rule.__struct_config__.tag for rule in CONFIGURATIONS[0].rules} == {
        *("ladder", "rate", "silence", "count", "commune", "fusion")
    }
    assert RULES
