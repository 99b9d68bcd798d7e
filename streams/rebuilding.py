"""Make the lost state of a partition anew: its log is judged again, and nothing is written but the state.

What the log led to was written when it was judged first, so located events, alerts and messages are not written
again. Where the broker still has all of the log the state is what it was (`tests/integration/test_rebuild.py`); where
retention has deleted its beginning, what began before is not known any more, and that is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec
from aiokafka.structs import TopicPartition

from alerts.signals import Passed, Switch
from ioc.errors import UserError
from ioc.settings import Settings
from streams.configuration import Configuration, Configurations
from streams.correlating import Correlating
from streams.decoding import RawRecord
from streams.offline import MemoryRecord
from streams.sensing import Sensing
from streams.shelf import Shelf, installed_registry
from streams.topics import Topics
from streams.transactions import Effects, Lease, Standing, reader, standings

#: Called with a partition, the records judged so far and how many offsets there are.
Progress = Callable[[TopicPartition, int, int], None]


class _Outcome(Protocol):
    effects: Effects


class _Judge(Protocol):
    """Sense or correlate on one partition."""

    def configurations_needed(self, records: Sequence[RawRecord]) -> list[str]: ...
    def run(self, records: Sequence[RawRecord], configurations: Mapping[str, Configuration]) -> _Outcome: ...


@dataclass(frozen=True)
class Lane:
    """The partitions of one number that a group consumes, and the topic of the state of each."""

    worker: str
    group: str
    number: int
    topics: Mapping[str, str]


@dataclass(frozen=True)
class Rebuilt:
    """What became of a partition."""

    tp: TopicPartition
    #: Why its state was lost; empty where it was not.
    lost: str
    #: Whether the state was made anew. If so: from how many records and into how many states.
    done: bool = False
    records: int = 0
    states: int = 0
    #: The first offset that was judged: above 0 where retention has deleted what came before.
    beginning: int = 0
    #: The next offset to process.
    position: int = 0


def lanes(settings: Settings) -> Iterator[Lane]:
    """Every lane of an installation."""
    topics, prefix = Topics.of(settings), settings.topic_prefix
    raw = {topic.name: topics.raw_state[stream].name for stream, topic in topics.raw.items()}
    for number in range(settings.raw_partitions):
        yield Lane("sense", f"{prefix}ioc-sense", number, raw)
    for number in range(topics.signals.partitions):
        of = {topics.signals.name: topics.signals_state.name}
        yield Lane("correlate", f"{prefix}ioc-correlate", number, of)


async def rebuild(
    settings: Settings, *, every: bool = False, only_look: bool = False, progress: Progress | None = None
) -> list[Rebuilt]:
    """Make each lost state anew, or with `every` each at all; with `only_look` tell which are lost.

    A running worker that waits for such a state goes on by itself. One that has the lane is fenced: it ends, and
    begins with the new state when it is started again. Raises `UserError` where a configuration or a map that the log
    names is not to be had, and what aiokafka raises where the broker does not answer.
    """
    configurations = Configurations(settings, Shelf(settings))
    done: list[Rebuilt] = []
    for lane in lanes(settings):
        stands = await standings(settings, lane.group, lane.number, lane.topics)
        wanted = {one.tp: one.lost for one in stands if one.lost or (every and one.committed)}
        done += [Rebuilt(one.tp, one.lost) for one in stands if only_look or one.tp not in wanted]
        if wanted and not only_look:
            done += await _rebuild(settings, lane, wanted, configurations, progress)
    return done


async def _rebuild(
    settings: Settings,
    lane: Lane,
    wanted: Mapping[TopicPartition, str],
    configurations: Configurations,
    progress: Progress | None,
) -> list[Rebuilt]:
    stood: dict[TopicPartition, Standing] = {}

    def mend(stands: Standing) -> int:
        stood[stands.tp] = stands
        # A log that was made anew has nothing of what was committed: all of it is still to be judged.
        return (
            stands.beginning if (stands.committed or 0) > stands.end else stands.committed or stands.beginning
        )

    done: list[Rebuilt] = []
    effects, ends = Effects(), dict[TopicPartition, int]()
    lease = await Lease.take(settings, lane.group, lane.number, lane.topics, mend=mend)
    try:
        for tp, lost in wanted.items():
            stands, position = stood[tp], lease.positions[tp]
            if position <= stands.beginning and stands.state:
                # Nothing of this log was judged: the state is what came of the one before it, and still holds.
                latest, records = dict(stands.state), 0
            else:
                latest, records = await _judge(settings, lane, stands, position, configurations, progress)
            for key in sorted(stands.state.keys() - latest.keys()):
                effects.add(stands.state_tp.topic, lane.number, key, None)
            for key, value in latest.items():
                effects.add(stands.state_tp.topic, lane.number, key, value)
            ends[tp] = position
            done.append(Rebuilt(tp, lost, True, records, len(latest), stands.beginning, position))
        await lease.commit(effects, ends)
    finally:
        await lease.release()
    return done


async def _judge(
    settings: Settings,
    lane: Lane,
    stands: Standing,
    position: int,
    configurations: Configurations,
    progress: Progress | None,
) -> tuple[dict[bytes, bytes], int]:
    """The state that the log up to a position leads to, and how many records it was."""
    tp, judge = stands.tp, _judge_of(settings, lane, stands.tp)
    latest: dict[bytes, bytes] = {}
    count = 0

    async def judged(records: Sequence[RawRecord]) -> None:
        for name in judge.configurations_needed(records):
            if missing := await configurations.fetch(name):
                raise UserError(
                    f"{tp.topic}/{tp.partition} cannot be judged again",
                    missing,
                    "bring back what is missing, then ask again",
                )
        effects = judge.run(records, configurations.known).effects
        for key, value in effects.records.get(tuple(stands.state_tp), ()):
            assert key is not None, "a state has a key"
            if value is None:
                latest.pop(key, None)
            else:
                latest[key] = value

    if lane.worker == "correlate" and stands.beginning:
        await judged(await _configuration_at(settings, tp, position))
    # A state with nothing in it would be taken for a lost one.
    await judged([])
    async with reader(settings, tp) as consumer:
        while await consumer.position(tp) < position:
            found = (await consumer.getmany(tp, timeout_ms=200, max_records=settings.chunk_records)).get(
                tp, []
            )
            records = [record for record in found if record.offset < position]
            if records:
                await judged(records)
                count += len(records)
            if progress is not None:
                progress(tp, min(position, await consumer.position(tp)), position)
    return latest, count


def _judge_of(settings: Settings, lane: Lane, tp: TopicPartition) -> _Judge:
    topics = Topics.of(settings)
    if lane.worker == "correlate":
        return Correlating(tp.partition, topics, {}, history_hours=settings.history_hours)
    [stream] = [stream for stream, topic in topics.raw.items() if topic.name == tp.topic]
    return Sensing(
        stream,
        tp.partition,
        topics,
        Shelf(settings).atlas(installed_registry(settings)),
        {},
        late_bound=settings.late_bound,
        future_tolerance=settings.future_tolerance,
        source_quota=settings.source_quota,
    )


async def _configuration_at(settings: Settings, tp: TopicPartition, position: int) -> list[MemoryRecord]:
    """The switch to the configuration that held when a log begins whose beginning, with that switch, is gone."""
    async with reader(settings, tp) as consumer:
        while await consumer.position(tp) < position:
            for record in (await consumer.getmany(tp, timeout_ms=200)).get(tp, ()):
                if b'"kind":"passed"' in (record.value or b""):
                    passed = msgspec.json.decode(record.value, type=Passed)
                    switch = Switch(
                        source=passed.source, order=passed.time, config=passed.config, run=passed.run
                    )
                    return [MemoryRecord(record.key, msgspec.json.encode(switch), record.offset)]
    return []
