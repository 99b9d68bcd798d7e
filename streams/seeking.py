"""Finding a time in raw partitions: by halving, for their clock records go forward with the offsets.

The broker's own index goes by when records were appended, which says nothing about the time of a replay.
"""

from __future__ import annotations

import threading
from datetime import datetime

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from streams.decoding import clock_of
from streams.schemas import CLOCK_KEY

#: Offsets that are rather read than halved.
NEAR = 4000


async def offsets_before(
    consumer: AIOKafkaConsumer,
    beginnings: dict[TopicPartition, int],
    ends: dict[TopicPartition, int],
    time: datetime,
    stop: threading.Event,
) -> dict[TopicPartition, int]:
    """For each partition an offset from which to read on to come to `time`: its beginning, or a clock record
    before that time.

    Moves the consumer's positions. Ends early, with offsets that lie further back, once `stop` is set.
    """
    low, high = dict(beginnings), dict(ends)
    while not stop.is_set() and (far := [tp for tp in low if high[tp] - low[tp] > NEAR]):
        probes = {tp: (low[tp] + high[tp]) // 2 for tp in far}
        found = await _next_clocks(consumer, probes, high, stop)
        for tp, probe in probes.items():
            clock = found.get(tp)
            if clock is not None and clock[1] < time:
                low[tp] = clock[0]
            else:
                high[tp] = probe
    return low


async def _next_clocks(
    consumer: AIOKafkaConsumer,
    probes: dict[TopicPartition, int],
    ends: dict[TopicPartition, int],
    stop: threading.Event,
) -> dict[TopicPartition, tuple[int, datetime]]:
    """Offset and time of the first clock record at or after each probe; absent where none is before the end."""
    for tp, probe in probes.items():
        consumer.seek(tp, probe)
    found: dict[TopicPartition, tuple[int, datetime]] = {}
    looking = set(probes)
    while looking and not stop.is_set():
        for tp, records in (await consumer.getmany(*looking, timeout_ms=200)).items():
            for record in records:
                if record.key == CLOCK_KEY and record.offset < ends[tp]:
                    clock = clock_of(record.value)
                    if clock is None:
                        continue
                    found[tp] = (record.offset, clock.clock)
                    looking.discard(tp)
                    break
        for tp in list(looking):
            if await consumer.position(tp) >= ends[tp]:
                looking.discard(tp)
    return found
