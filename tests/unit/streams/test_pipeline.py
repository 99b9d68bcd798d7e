"""How much a lane puts into one transaction: what has come, or a fill where the broker has more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.structs import TopicPartition
from faust.types import TP
from prometheus_client import REGISTRY

from streams import pipeline as pipelines
from streams.chunks import Chunk
from streams.decoding import RawRecord
from streams.pace import Pace
from streams.pipeline import Done, Pipeline, Processor
from streams.transactions import Effects, Lease

FLOOD = TP("flood", 0)
FILL = 100


class Counting:
    """A processor whose state is how many records it has seen."""

    clock = None

    def __init__(self) -> None:
        self.seen = 0

    def ready(self, records: Sequence[RawRecord]) -> bool:
        return True

    async def prepare(self, records: Sequence[RawRecord]) -> None: ...

    def work(self, records: Sequence[RawRecord]) -> Done:
        self.seen += len(records)
        return Done(Effects(), lambda: None)

    def write_state(self, effects: Effects) -> None:
        effects.add("state", 0, b"seen", b"%d" % self.seen)

    def released(self) -> None: ...


@dataclass
class Committed:
    """A lease that notes the states and ends which are committed."""

    positions: dict[TopicPartition, int] = field(default_factory=lambda: {TopicPartition(*FLOOD): 0})
    commits: list[tuple[int, int]] = field(default_factory=list)
    now: asyncio.Event = field(default_factory=asyncio.Event)

    async def commit(self, effects: Effects, ends: Mapping[TopicPartition, int]) -> None:
        await asyncio.sleep(0)
        self.positions.update(ends)
        self.commits.append(
            (int(effects.records["state", 0][-1][1] or b""), self.positions[TopicPartition(*FLOOD)])
        )
        self.now.set()

    async def look_into_gap(self, tp: TopicPartition, position: int) -> None: ...
    async def release(self) -> None: ...

    async def until(self, end: int) -> None:
        """Wait until a position is committed."""
        async with asyncio.timeout(10):
            while self.positions[TopicPartition(*FLOOD)] < end:
                self.now.clear()
                await self.now.wait()


@asynccontextmanager
async def running(
    failed: Callable[[str, BaseException], None] | None = None,
) -> AsyncIterator[tuple[Pipeline, Committed]]:
    """A pipeline whose failure is the test's, or goes to `failed`."""
    lease, processors = Committed(), dict[TP, Processor]({FLOOD: Counting()})

    async def take(number: int) -> tuple[Lease, Mapping[TP, Processor]]:
        return lease, processors  # type: ignore[return-value]

    def fail(where: str, error: BaseException) -> None:
        raise AssertionError(where) from error

    room: Any = SimpleNamespace(on_buffer_full=lambda tp: None, on_buffer_drop=lambda tp: None)
    pipeline = Pipeline(
        0,
        ["flood"],
        take,
        Pace(room),
        asyncio.Lock(),
        failed or fail,
        together=10,
        limit=lambda: 50,
        fill=lambda: FILL,
    )
    try:
        yield pipeline, lease
    finally:
        await pipeline.close()


def chunk(first: int, *, highwater: int, count: int = 10) -> Chunk:
    records: Any = [SimpleNamespace(offset=first + number) for number in range(count)]
    return Chunk(FLOOD, records, first or None, highwater, 0)


async def test_a_lane_that_is_behind_fills_its_transactions() -> None:
    """State is written once for each: of a hundred records at the least, however they come."""
    async with running() as (pipeline, lease):
        for first in range(0, 400, 10):
            pipeline.give(chunk(first, highwater=10_000))
            await asyncio.sleep(0.001)
        await lease.until(400)
    assert lease.commits[-1] == (400, 400)
    sizes = [
        end - before for (_, end), (_, before) in zip(lease.commits, [(0, 0), *lease.commits], strict=False)
    ]
    assert all(FILL <= size < 2 * FILL for size in sizes), sizes


async def test_what_comes_last_is_committed_at_once() -> None:
    """Nobody waits for a fill that does not come: so late would be every event of a quiet night."""
    async with running() as (pipeline, lease):
        began = asyncio.get_running_loop().time()
        for first in (0, 10, 20):
            pipeline.give(chunk(first, highwater=first + 10))
            await lease.until(first + 10)
        assert asyncio.get_running_loop().time() - began < pipelines.FILL_SECONDS
    assert lease.commits == [(10, 10), (20, 20), (30, 30)]


async def test_the_backlog_s_end_is_committed_with_what_was_gathered() -> None:
    """What waits for a fill is not forgotten when the rest is less than one."""
    async with running() as (pipeline, lease):
        pipeline.give(chunk(0, highwater=130))
        for _ in range(50):
            await asyncio.sleep(0)
        assert not lease.commits
        pipeline.give(chunk(10, highwater=30))
        await lease.until(20)
    assert lease.commits[-1] == (20, 20)


async def test_a_broker_that_falls_silent_holds_up_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has more, but does not hand it over: what was worked on is committed all the same."""
    monkeypatch.setattr(pipelines, "FILL_SECONDS", 0.05)
    async with running() as (pipeline, lease):
        pipeline.give(chunk(0, highwater=10_000))
        await lease.until(10)
    assert lease.commits == [(10, 10)]


async def test_a_reader_that_began_beyond_the_position_is_not_followed() -> None:
    """The group told an offset which its next broker does not know, and the state neither: what lies between was not
    handed over, and the first chunk says so."""
    failure: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
    async with running(lambda _, error: failure.set_result(error)) as (pipeline, lease):
        pipeline.give(Chunk(FLOOD, chunk(60, highwater=70).records, 60, 70, 0))
        async with asyncio.timeout(10):
            assert "a chunk follows offset 60, but the position is 0" in str(await failure)
    assert not lease.commits


async def test_a_lane_that_is_given_up_commits_what_was_gathered() -> None:
    """Not waiting for a fill: the next worker waits for the lane."""
    async with running() as (pipeline, lease):
        pipeline.give(chunk(0, highwater=10_000))
        for _ in range(50):
            await asyncio.sleep(0)
        async with asyncio.timeout(pipelines.FILL_SECONDS):
            await pipeline.close()
        assert lease.commits == [(10, 10)]


async def test_what_is_left_and_how_far_time_is_are_told_while_the_lane_is_held() -> None:
    """Of a lane that another worker has from now on, that worker tells."""
    async with running() as (pipeline, lease):
        pipeline.give(chunk(0, highwater=17))
        await lease.until(10)
        for _ in range(5):
            await asyncio.sleep(0)
        assert sample("ioc_consumer_lag_records", topic="flood", partition="0") == 7
        assert pipeline.clocks[FLOOD][0] is None
        assert sample("ioc_clock_seconds", topic="flood", partition="0") == 0
    assert sample("ioc_consumer_lag_records", topic="flood", partition="0") is None


def sample(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(name, labels)
