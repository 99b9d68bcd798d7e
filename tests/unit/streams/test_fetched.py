"""What was fetched is handed out as aiokafka hands it out, a batch at a time."""

from __future__ import annotations

import struct
from collections import OrderedDict
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.consumer.fetcher import READ_COMMITTED, FetchResult, PartitionRecords
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from streams.fetched import FetchedRuns, records_of

TP = TopicPartition("ioc.flood", 3)
#: Where the format of a batch has its first offset, its attributes, and the id of its producer.
BASE_OFFSET, ATTRIBUTES, PRODUCER = 0, 21, 43
CONTROL = 0x20


def batch(offset: int, gaps: list[int], producer: int | None, marker: int | None = None) -> bytes:
    """A batch as a broker sends it. `gaps` are the offsets that are missing before each of its records, as compaction
    leaves them; `marker` is what a batch of a transaction's end says: 0 aborted, 1 committed."""
    builder = DefaultRecordBatchBuilder(2, 0, producer is not None, -1, -1, -1, 10_000)
    relative = -1
    for gap in gaps:
        relative += 1 + gap
        key = struct.pack(">hh", 0, marker) if marker is not None else b"%d" % (offset + relative)
        builder.append(relative, 1_700_000_000_000 + relative, key, b"value", [])
    made = bytearray(builder.build())
    struct.pack_into(">q", made, BASE_OFFSET, offset)
    if producer is not None:
        struct.pack_into(">q", made, PRODUCER, producer)
    if marker is not None:
        made[ATTRIBUTES + 1] |= CONTROL
    return bytes(made)


class Log:
    """A part of a log, and what the broker says of aborted transactions in it."""

    def __init__(self) -> None:
        self.offset, self.bytes = 0, b""
        self.aborted: list[tuple[int, int]] = []

    def append(self, gaps: list[int], producer: int | None, end: int | None) -> None:
        """A batch; of a producer, with the marker that ends its transaction behind it."""
        if producer is not None and end == 0:
            self.aborted.append((producer, self.offset))
        self.bytes += batch(self.offset, gaps, producer)
        self.offset += len(gaps) + sum(gaps)
        if producer is not None and end is not None:
            self.bytes += batch(self.offset, [0], producer, marker=end)
            self.offset += 1

    def drained(self, results: Any, start: int) -> tuple[Any, int]:
        """What aiokafka's fetcher gets of it from an offset on, and where it goes on; `results` keeps it."""
        fetched = PartitionRecords(
            TP, MemoryRecords(self.bytes), self.aborted, start, None, None, False, READ_COMMITTED
        )
        state = SimpleNamespace(paused=False, position=start)
        state.consumed_to = lambda offset: setattr(state, "position", offset)
        assignment = SimpleNamespace(active=True, state_value=lambda tp: state)
        results[TP] = FetchResult(TP, assignment=assignment, partition_records=fetched, backoff=0)
        drained = results[TP].getall()
        assert not results[TP].has_more()
        return drained, state.position


batches = st.lists(
    st.tuples(
        st.lists(st.integers(0, 2), min_size=1, max_size=5),
        st.none() | st.integers(1, 2),
        st.integers(0, 1),
    ),
    min_size=1,
    max_size=8,
)


@given(batches=batches, start=st.integers(0, 20))
def test_the_same_records_come_as_from_aiokafka(
    batches: list[tuple[list[int], int | None, int]], start: int
) -> None:
    """Without what was aborted, without markers and what lies before the offset that was asked for; and the fetcher
    goes on at the same offset."""
    log = Log()
    for gaps, producer, end in batches:
        log.append(gaps, producer, end)
    # A broker's answer begins with the batch that holds the offset.
    start %= len(batches[0][0]) + sum(batches[0][0])
    theirs, goes_on = log.drained(OrderedDict(), start)
    runs, ours_goes_on = log.drained(FetchedRuns(), start)
    ours = records_of({TP: runs})[TP]
    assert [(one.offset, one.timestamp, one.key, one.value) for one in ours] == [
        (one.offset, one.timestamp, one.key, one.value) for one in theirs
    ]
    assert ours_goes_on == goes_on


def test_an_error_is_handed_on() -> None:
    """What is no result of a fetch is the fetcher's own affair."""
    results = FetchedRuns()
    error = object()
    results[TP] = error
    assert results[TP] is error


@pytest.mark.parametrize("start", [0, 2, 4])
def test_nothing_before_an_offset_in_the_middle_of_a_batch(start: int) -> None:
    """Brokers answer with whole batches."""
    log = Log()
    log.append([0, 0, 0, 0, 0], None, None)
    runs, _ = log.drained(FetchedRuns(), start)
    assert [one.offset for one in records_of({TP: runs})[TP]] == list(range(start, 5))
