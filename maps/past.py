"""The past for a page that is made once: looked up in the topics, or judged anew from a recording."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import msgspec
from aiokafka.errors import KafkaError

from alerts.commands import CommandOutcome
from alerts.incident import Incident
from geo.boundaries import BoundarySet
from ioc.errors import UserError
from ioc.scenarios import find_scenario
from ioc.settings import Settings
from ioc.undecodable import UNDECODABLE
from maps.history import History, Moment, past_picture
from maps.history_feed import HistoryFeed, latest_events, read_values
from maps.picture import LOCAL, Picture
from maps.sensors import Listed
from maps.server import InForce, listed
from streams.admin import require_topics
from streams.configuration import Configuration, local_record, with_maps
from streams.offline import MemoryRecord, MemorySystem
from streams.picturing import FRAME_PREFIX, REPORT_PREFIX, SOURCE_PREFIX
from streams.rehearsal import raw_records, recorded_configuration
from streams.shelf import Shelf, installed_registry

#: Raw records of a recording that are judged at once.
STEP_RECORDS = 50_000

T = TypeVar("T")

#: Called with what is being read.
Reading = Callable[[str], None]


@dataclass
class Past:
    """The last days: alerts by minute, events, incidents, commands, and what they are shown on."""

    history: History
    boundaries: BoundarySet
    inventory: tuple[Listed, ...]
    incidents: list[Incident] = field(default_factory=list)
    outcomes: list[CommandOutcome] = field(default_factory=list)
    #: Records as in ioc.located, in no order.
    located: list[bytes] = field(default_factory=list)
    #: Where it comes from, for people.
    origin: str = ""

    def moment(self, time: datetime | None) -> Moment:
        """The alerts at a time, by default the last. Raises `UserError` where nothing is known of that time."""
        span = self.history.span
        if span is None:
            raise UserError(
                "there is no history yet",
                self.origin,
                "run sense and correlate for some minutes, or see IOC_TOPIC_PREFIX",
            )
        first, last = span
        time_ms = last if time is None else round(time.timestamp() * 1000)
        moment = self.history.at(time_ms)
        if moment is None:
            raise UserError(
                f"nothing is known of {local(time_ms)}",
                f"the history goes from {local(first)} to {local(last)}",
                "name a time in between; IOC_HISTORY_HOURS says how long it is kept",
            )
        return moment

    def picture(self, moment: Moment) -> Picture:
        """What the wall showed at a moment."""
        picture = past_picture(moment, self.located)
        picture.know(self.inventory)
        return picture


def local(time_ms: int) -> str:
    """A time as it is said in errors."""
    return datetime.fromtimestamp(time_ms / 1000, LOCAL).isoformat(timespec="minutes")


async def from_topics(settings: Settings, time: datetime | None, reading: Reading | None = None) -> Past:
    """Look the past up in the topics; events are those up to a time, by default up to the last.

    Raises `UserError` where the broker does not answer or nothing is known of that time.
    """
    say = reading or _nothing
    require_topics(settings)
    try:
        in_force, feed = InForce(settings), HistoryFeed(settings)
        await in_force.look()
        say("ioc.picture, ioc.alert-changes")
        await feed.fill()
        past = Past(feed.history, in_force.boundaries, in_force.inventory(), origin=settings.bootstrap)
        moment = past.moment(time)
        topics = feed.topics
        say(topics.located.name)
        # The last of each source, if it is not later; else what it said last before that time.
        past.located = await latest_events(settings) + await feed.located(moment.appended_ms)
        say(topics.incidents.name)
        _decode_into(await read_values(settings, topics.incidents), Incident, past.incidents)
        say(topics.audit.name)
        _decode_into(await read_values(settings, topics.audit), CommandOutcome, past.outcomes)
        return past
    except (KafkaError, OSError, TimeoutError) as error:
        raise UserError(
            f"Kafka at {settings.bootstrap} does not answer",
            str(error) or type(error).__name__,
            "see that it runs, and try again",
        ) from None


def from_recording(
    settings: Settings, name: str, until: datetime | None, reading: Reading | None = None
) -> Past:
    """Judge a recording, up to a time, as the workers would have done it. Needs no broker.

    Operators' commands are not in recordings. Raises `UserError` where there is none, or it cannot be used.
    """
    say = reading or _nothing
    scenario = find_scenario(name)
    configuration = _configuration(settings.model_copy(update=scenario.over(settings)), scenario.recording)
    system = MemorySystem(settings, [configuration])
    past = Past(
        History(settings.history_hours),
        configuration.atlas.registry.sets[-1],
        listed(configuration),
        origin=scenario.recording.name,
    )
    collected = _Collected(system, past)
    records = raw_records(
        settings,
        scenario.recording,
        configuration.hash,
        until=until,
        heard=lambda clock: say(f"{clock.astimezone(LOCAL):%Y-%m-%d %H:%M}"),
    )
    for number, record in enumerate(records, 1):
        system.log.append(*record)
        if number % STEP_RECORDS == 0:
            collected.step()
    collected.step()
    collected.end()
    return past


class _Collected:
    """What comes of a recording, as the topics would hold it."""

    def __init__(self, system: MemorySystem, past: Past) -> None:
        self._system, self._past = system, past
        self._latest: dict[bytes, bytes | None] = {}
        self._incidents: dict[bytes, bytes | None] = {}

    def step(self) -> None:
        system, topics, past = self._system, self._system.topics, self._past
        system.run()
        for record in _of(system, topics.alert_changes.name):
            past.history.take_alert(record.value or b"")
        for record in _of(system, topics.picture.name):
            key = record.key or b""
            if key.startswith(FRAME_PREFIX):
                past.history.take_frame(record.value or b"")
            elif key.startswith((SOURCE_PREFIX, REPORT_PREFIX)):
                self._latest[key] = record.value
        for record in _of(system, topics.incidents.name):
            self._incidents[record.key or b""] = record.value
            if record.value is not None:
                past.history.take_incident(record.value)
        system.log.drop()

    def end(self) -> None:
        past = self._past
        past.located = [value for value in self._latest.values() if value is not None]
        _decode_into([value for value in self._incidents.values() if value], Incident, past.incidents)


def _of(system: MemorySystem, topic: str) -> list[MemoryRecord]:
    return [
        record
        for (name, _), records in sorted(system.log.partitions.items())
        if name == topic
        for record in records
    ]


def _configuration(settings: Settings, recording: Path) -> Configuration:
    """The last that held in a recording; where nothing beside it says so, this installation's."""
    record = recorded_configuration(recording)
    if record is None:
        record = local_record(settings, installed_registry(settings))
    return with_maps(
        record, Shelf(settings), rules_name="rules of the recording", inventory_name="its inventory"
    )


def _decode_into(values: list[bytes], kind: type[T], into: list[T]) -> None:
    decode = msgspec.json.Decoder(kind).decode
    for value in values:
        try:
            into.append(decode(value))
        except UNDECODABLE:
            continue  # of another version of this program


def _nothing(what: str) -> None:
    """Nobody wants to know."""
