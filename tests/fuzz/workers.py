"""Records that anybody may write into the raw topics and ioc.signals, through the workers' functions.

A bad record among good ones: it must lead to exactly one dead letter (or be counted as unreadable), and all that the
others lead to must be as without it. A record that is good after all must lead to the same whichever way it is
handled, and everything that reads what came of it must be able to.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import msgspec

from alerts.agencies import atom, cap
from alerts.agencies.messages import AgencyAlert
from alerts.believable import GREATEST
from alerts.commands import Command, Opening
from alerts.model import Where
from alerts.rules.policy import Operator
from alerts.signals import Passed, Signal
from ioc.settings import load_settings
from maps.feeds import Channel
from maps.history import History
from maps.live import Live
from maps.picture import Picture
from streams.configuration import Configuration, ConfigurationRecord, Sheet
from streams.correlating import Correlating
from streams.decoding import RawDecoder
from streams.offline import MemoryLog, MemoryRecord
from streams.schemas import CLOCK_KEY, DeadLetter
from streams.sensing import Sensing
from streams.topics import STREAMS, Topics
from streams.transactions import BATCH_BYTES, Effects
from tests.fuzz.target import Target
from tests.unit.whole.world import WorldRules, atlas_with_border_at, inventory

START = datetime.fromisoformat("2025-10-08T12:00:00+07:00")
TOPICS = Topics.of(load_settings(topic_prefix="", raw_partitions=1, provinces=["92"]))
SUBSCRIPTIONS = (
    "version: 1\nagencies:\n  - {id: fire, name: {vi: Cứu hỏa, en: Fire brigade}, severity: minor}\n"
)
MEANS = "".join(
    f"""\
  - id: mean-{stream}
    kind: commune
    title: {{vi: Trung bình, en: Mean}}
    hazard: other
    stream: {stream}
    measure: {measure}
    unit: x
    statistic: mean
    direction: above
    window: 2m
    least_sources: 1
    levels: [{{severity: minor, raise: 1000, clear: 900}}]
"""
    for stream, measure in (("traffic", "flow_vph"), ("flood", "rain_mm"), ("camera", "count"))
)
PLACE: dict[str, Any] = {"lon": 105.9, "lat": 10.5}
#: As much as can be measured.
GREAT = {"traffic": {"flow_vph": GREATEST}, "flood": {"rain_mm": GREATEST}, "camera": {"count": GREATEST}}
MEASURES: dict[str, dict[str, Any]] = {
    "traffic": {"speed_kmh": 31.5, "flow_vph": 400, "occupancy": 0.2},
    "flood": {"level_m": 2.1, "datum": "local", "rain_mm": 3, "road_depth_m": 0.3, "salinity_permille": 0.5},
    "camera": {"kind": "flooded_road", "confidence": 0.8, "count": 3},
    "report": {"category": "flooded_street", "text": "Ngập đường", "attachments": ["a/1.jpg"]},
}


def at(minute: float) -> datetime:
    return START + timedelta(minutes=minute)


def event(stream: str, minute: float, source: str = "street-1", **fields: Any) -> bytes:
    written = {
        "id": f"e{minute}",
        "source": source,
        "time": at(minute).isoformat(),
        **PLACE,
        **MEASURES[stream],
    }
    return json.dumps({**written, **fields}).encode()


def clock(minute: float, config: str | None = None) -> bytes:
    return json.dumps({"clock": at(minute).isoformat(), "config": config or configuration().hash}).encode()


@cache
def configuration() -> Configuration:
    """Every kind of rule, a few sources, an agency, an operator."""
    maps = atlas_with_border_at(106.0)
    record = ConfigurationRecord(
        rules=WorldRules(street=(0.2, 0.1)).text().replace("escalations:", f"{MEANS}escalations:"),
        inventory=inventory(("gauge-1", "street-1", "street-2")),
        boundaries=[Sheet(ref=sheet.ref) for sheet in maps.registry.sets],
        subscriptions=SUBSCRIPTIONS,
        operators=[Operator(id="an", name="An", role="supervisor")],
    )
    return Configuration.of(record, maps, rules_name="rules", inventory_name="inventory")


@cache
def known() -> dict[str, Configuration]:
    return {configuration().hash: configuration()}


def records_of(effects: Effects) -> dict[tuple[str, int], list[tuple[bytes | None, bytes | None]]]:
    """What a chunk writes; each record such that the broker takes it."""
    for (topic, _), written in effects.records.items():
        for key, value in written:
            size = len(key or b"") + len(value or b"")
            assert size < BATCH_BYTES, f"a record of {size} bytes for {topic}, which the broker refuses"
    return {where: written for where, written in effects.records.items() if written}


# The raw streams


def sensing(stream: str, state: Mapping[bytes, bytes], *, in_full: bool = False) -> Sensing:
    return Sensing(
        stream,
        0,
        TOPICS,
        configuration().atlas,
        state,
        late_bound=3600,
        future_tolerance=300,
        in_full=in_full,
    )


class Raw:
    """One raw partition in the middle of its life, and what three good records lead to there."""

    def __init__(self, stream: str) -> None:
        self.stream = stream
        self.state = self._begun()
        self.before = [
            self._record(100, b"street-1", event(stream, 2)),
            self._record(101, b"street-2", event(stream, 2, "street-2", **GREAT.get(stream, {}))),
        ]
        self.after = [
            self._record(103, b"street-1", event(stream, 3.5)),
            self._record(104, CLOCK_KEY, clock(4)),
            self._record(105, b"street-2", event(stream, 4, "street-2")),
            self._record(106, CLOCK_KEY, clock(6)),
        ]
        self.alone = self.effects([*self.before, *self.after])

    def _begun(self) -> dict[bytes, bytes]:
        log = MemoryLog()
        begun = [
            self._record(1, CLOCK_KEY, clock(0)),
            self._record(2, b"gauge-1", event(self.stream, 0.5, "gauge-1")),
            self._record(3, b"street-1", event(self.stream, 0.5)),
            self._record(4, CLOCK_KEY, clock(1)),
        ]
        log.apply(sensing(self.stream, {}).run(begun, known()).effects)
        return log.state(TOPICS.raw_state[self.stream].name, 0)

    @staticmethod
    def _record(offset: int, key: bytes | None, value: bytes) -> MemoryRecord:
        return MemoryRecord(key, value, offset)

    def effects(
        self, records: Sequence[MemoryRecord], *, in_full: bool = False
    ) -> dict[tuple[str, int], list[tuple[bytes | None, bytes | None]]]:
        """What a chunk of these leads to; every event in it is located or a dead letter, and so counted."""
        out = sensing(self.stream, self.state, in_full=in_full).run(records, known())
        events = sum(record.key != CLOCK_KEY for record in records)
        assert out.events == events
        assert sum(out.located.values()) + sum(out.dead.values()) == events
        return records_of(out.effects)

    def among(self, bad: MemoryRecord) -> None:
        """Judge a record among good ones."""
        chunk = [*self.before, bad, *self.after]
        needed = sensing(self.stream, self.state).configurations_needed(chunk)
        if not known().keys() >= set(needed):
            return  # a clock record that names another configuration: sense waits for that
        made = self.effects(chunk)
        letters = made.get((TOPICS.dead_letters.name, 0), [])
        if letters:
            assert [key for key, _ in letters] in ([bad.key], [None])
            letter = msgspec.json.decode(letters[0][1] or b"", type=DeadLetter)
            assert letter.reason
            assert (letter.topic, letter.partition, letter.offset) == (TOPICS.raw[self.stream].name, 0, 102)
            del made[TOPICS.dead_letters.name, 0]
            assert made == self.alone, "a dead letter's neighbours are not as without it"
        elif bad.key == CLOCK_KEY and self._decoder().decode(bad, at(1)) is None:
            assert made == self.alone, "the neighbours of a damaged clock record are not as without it"
        else:
            assert made == self.effects(chunk, in_full=True), "routine and full handling differ"
            self._same_one_by_one(chunk, made)
            read_by_others(made)
            told = [value for _, value in made.get((TOPICS.signals.name, 0), []) if value is not None]
            written, unreadable = signals().effects([*told, *_passed(10)])
            assert not unreadable, "correlate cannot read what sense told"
            read_by_others(written)

    def _decoder(self) -> RawDecoder:
        return RawDecoder(self.stream, TOPICS.raw[self.stream].name, 0, future_tolerance=timedelta(minutes=5))

    def _same_one_by_one(
        self,
        chunk: list[MemoryRecord],
        made: dict[tuple[str, int], list[tuple[bytes | None, bytes | None]]],
    ) -> None:
        """After each record the worker ends and another takes up what was written."""
        log, state = MemoryLog(), TOPICS.raw_state[self.stream].name
        for key, standing in self.state.items():
            log.append(state, 0, key, standing)
        located = []
        for record in chunk:
            out = sensing(self.stream, log.state(state, 0)).run([record], known())
            log.apply(out.effects)
            located += records_of(out.effects).get((TOPICS.located.name, 0), [])
        assert located == made.get((TOPICS.located.name, 0), [])
        whole = dict(self.state)
        for name, value in made[state, 0]:
            if value is None:
                whole.pop(name or b"", None)
            else:
                whole[name or b""] = value
        assert log.state(state, 0) == whole


@cache
def raw(stream: str) -> Raw:
    return Raw(stream)


def _raw_target(stream: str) -> Target:
    def check(data: bytes) -> None:
        raw(stream).among(MemoryRecord(b"street-1", data, 102))

    seeds = [event(stream, 3), event(stream, 3, "new", id="x"), event(stream, 2.9, run="r", simulated=True)]
    return Target(f"raw-{stream}", seeds, check)


def _clock_target() -> Target:
    def check(data: bytes) -> None:
        raw("flood").among(MemoryRecord(CLOCK_KEY, data, 102))

    return Target("clock", [clock(3), clock(3.5)], check, share=0.5)


def _key_target() -> Target:
    def check(data: bytes) -> None:
        raw("flood").among(MemoryRecord(data, b"not an event", 102))
        raw("flood").among(MemoryRecord(data, event("flood", 3), 102))

    return Target("key", [b"street-1", b"\x00clock"], check, share=0.03)


# What others read of it


def read_by_others(made: Mapping[tuple[str, int], list[tuple[bytes | None, bytes | None]]]) -> None:
    """Whoever reads what the workers wrote can read it, and draw or send it."""
    picture, history, channel = Picture(), History(2), Channel()
    for (topic, _), written in made.items():
        for key, value in written:
            if value is None:
                continue
            if topic == TOPICS.located.name:
                picture.apply_located(value)
            elif topic == TOPICS.signals.name:
                picture.apply_passed(value, 0)
            elif topic == TOPICS.alerts.name:
                picture.apply_alert(value, (key or b"").decode())
            elif topic == TOPICS.alert_changes.name:
                history.take_alert(value)
            elif topic == TOPICS.incidents.name:
                picture.apply_incident(value, (key or b"").decode())
                history.take_incident(value)
            elif topic == TOPICS.audit.name:
                picture.apply_outcome(value)
            elif topic == TOPICS.agency("fire").name:
                channel.take(value, 0)
    live = Live("")
    live.replace(picture)
    live.snapshot()
    assert picture.bad == 0, "the wall cannot read what the workers wrote"
    assert history.bad == 0, "the history cannot read what the workers wrote"
    messages = list(channel.messages.values())
    atom.atom_xml(configuration().policy.subscriptions[0], messages)
    for message in messages:
        assert isinstance(message, AgencyAlert)
        cap.cap_xml(message, sender="ioc@example.vn")


# ioc.signals


def command(action: str = "comment", **fields: Any) -> bytes:
    written = {"id": f"c-{action}", "action": action, "operator": "an", "issued": at(1), "text": "Đã gọi"}
    return msgspec.json.encode(msgspec.convert({"kind": "command", **written, **fields}, Command))


def signal(minute: float, subject: str = "street-1", **fields: Any) -> bytes:
    rule = next(one for one in configuration().rules if one.id == "street-water")
    return msgspec.json.encode(
        Signal(
            rule=rule.id,
            rule_version=rule.version,
            subject=subject,
            change="began",
            severity="minor",
            hazard="flood",
            title={"vi": "Ngập", "en": "Flood"},
            measure="road_depth_m",
            unit="m",
            time=at(minute),
            order=at(minute),
            number=1,
            start_event="e0",
            start_time=at(minute),
            value=0.4,
            observed=at(minute),
            event="e0",
            bound=0.2,
            where=Where(commune="1", province="92", **PLACE),
            **fields,
        )
    )


def _passed(minute: float) -> list[bytes]:
    return [
        msgspec.json.encode(Passed(source=f"{stream}/0", time=at(minute), config=configuration().hash))
        for stream in STREAMS
    ]


class Signals:
    """One province in the middle of its life."""

    def __init__(self) -> None:
        log = MemoryLog()
        switch = {"kind": "switch", "source": "flood/0", "order": at(0), "config": configuration().hash}
        begun = [msgspec.json.encode(switch), signal(1), *_passed(2)]
        out = Correlating(0, TOPICS, {}).run(self._records(begun), known())
        assert [alert.subject for alert, _ in out.changes] == ["street-1"]
        self.alert = out.changes[0][0]
        log.apply(out.effects)
        self.state = log.state(TOPICS.signals_state.name, 0)
        self.before = [signal(2.5, "street-2"), command(alert=self.alert.id)]
        self.after = [command("acknowledge", alert=self.alert.id), *_passed(4), *_passed(9)]
        self.alone = self.effects([*self.before, *self.after])[0]

    @staticmethod
    def _records(values: Sequence[bytes]) -> list[MemoryRecord]:
        return [MemoryRecord(b"92", value, offset) for offset, value in enumerate(values)]

    def effects(
        self, values: Sequence[bytes]
    ) -> tuple[dict[tuple[str, int], list[tuple[bytes | None, bytes | None]]], int]:
        out = Correlating(0, TOPICS, self.state).run(self._records(values), known())
        return records_of(out.effects), out.unreadable

    def among(self, bad: bytes) -> None:
        chunk = [*self.before, bad, *self.after]
        needed = Correlating(0, TOPICS, self.state).configurations_needed(self._records(chunk))
        if not known().keys() >= set(needed):
            return  # a switch to another configuration: correlate waits for that
        made, unreadable = self.effects(chunk)
        assert unreadable in (0, 1)
        if unreadable:
            assert made == self.alone, "the neighbours of an unreadable record are not as without it"
            return
        read_by_others(made)
        # Whoever takes over can begin with what was written.
        state = dict(self.state)
        for key, value in made.get((TOPICS.signals_state.name, 0), []):
            if value is None:
                state.pop(key or b"", None)
            else:
                state[key or b""] = value
        Correlating(0, TOPICS, state).run(self._records(_passed(30)), known())


@cache
def signals() -> Signals:
    return Signals()


def _signals_target() -> Target:
    begun = signals().alert.id
    opening = Opening(
        hazard="flood",
        title={"vi": "Điện thoại", "en": "A call"},
        severity="severe",
        where=Where(commune="1", province="92", **PLACE),
    )
    seeds = [
        command(alert=begun),
        command("open", opening=opening),
        command("shelve", alert=begun, until=at(20), time=at(3)),
        command("close", alert=begun),
        command("assign", alert=begun, to="an"),
        signal(3, "gauge-1"),
        _passed(3)[0],
    ]
    return Target("signals", seeds, lambda data: signals().among(data))


def targets() -> list[Target]:
    """The targets of this file."""
    return [*(_raw_target(stream) for stream in STREAMS), _clock_target(), _key_target(), _signals_target()]
