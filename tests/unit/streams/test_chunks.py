"""The chunked transport: what it is proven with, and how it cuts what was fetched."""

from __future__ import annotations

import asyncio
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.consumer.fetcher import Fetcher, FetchResult
from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from streams.chunks import PROVEN_WITH, ConsumerThread, Only, even_parts

FLOOD, TRAFFIC = TP("flood", 0), TP("traffic", 0)


@pytest.mark.parametrize("package", sorted(PROVEN_WITH))
def test_the_installed_versions_are_those_it_is_proven_with(package: str) -> None:
    """streams/chunks.py and streams/transactions.py reach into internals.

    After a change of version run tests/integration/test_transport*.py and tests/chaos, then change the table.
    """
    assert version(package) == PROVEN_WITH[package]


@given(st.integers(0, 10_000), st.integers(1, 3000))
def test_parts_are_whole_ordered_and_of_one_size(count: int, limit: int) -> None:
    """Nothing is lost, doubled or moved, no part is too large, none is a small remainder."""
    parts = list(even_parts(range(count), limit))
    assert [number for part in parts for number in part] == list(range(count))
    sizes = [len(part) for part in parts]
    assert all(0 < size <= limit for size in sizes)
    assert max(sizes, default=0) - min(sizes, default=0) <= 1
    assert len(parts) == -(-count // limit), "no more parts than needed"


class Records:
    """What was fetched of a partition, all of it handed over at once."""

    def __init__(self) -> None:
        self.next_fetch_offset = 0

    def has_more(self) -> bool:
        return not self.next_fetch_offset

    def __iter__(self) -> Records:
        return self

    def __next__(self) -> str:
        if self.next_fetch_offset:
            raise StopIteration
        self.next_fetch_offset = 1
        return "record"


@pytest.fixture
async def fetcher() -> Any:
    """aiokafka's own fetcher, with something fetched of one partition and without a connection."""
    made: Any = Fetcher.__new__(Fetcher)
    made._loop, made._closed, made._fetch_waiters = asyncio.get_running_loop(), False, set()
    made._wait_consume_future = None
    made._subscriptions = SimpleNamespace(reassignment_in_progress=False, is_assigned=lambda tp: True)
    where = SimpleNamespace(paused=False, position=0, consumed_to=lambda offset: None)
    assignment = SimpleNamespace(active=True, state_value=lambda tp: where)
    result = FetchResult(FLOOD, assignment=assignment, partition_records=Records(), backoff=0)
    made._records = {FLOOD: result}
    return made


async def test_where_no_partition_may_be_read_nothing_is(fetcher: Any) -> None:
    """Of an empty set aiokafka takes all for allowed; the set is a live one, and empties while a fetch goes on."""
    active = {TRAFFIC}
    only = Only(active)
    active.clear()
    assert await fetcher.fetched_records(only) == {}
    assert await fetcher.fetched_records(active) == {FLOOD: ["record"]}


async def test_a_fetch_under_way_hands_over_what_may_be_read_again(fetcher: Any) -> None:
    """It would wait for the broker's next answer, or a second."""
    active: set[TP] = set()
    fetching = asyncio.create_task(fetcher.fetched_records(Only(active), timeout=60))
    for _ in range(3):
        await asyncio.sleep(0)
    assert fetcher._fetch_waiters, "it does not wait"
    active.add(FLOOD)
    ConsumerThread.wake(fetcher)
    async with asyncio.timeout(10):
        assert await fetching == {FLOOD: ["record"]}
