"""What raw bytes are taken for: whatever they hold, the decoder answers and never raises."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streams.decoding import RawDecoder
from streams.offline import MemoryRecord
from streams.schemas import CLOCK_KEY, EVENTS, DeadLetter, Event
from streams.topics import STREAMS

NOW = datetime(2025, 10, 8, 5, 0, tzinfo=UTC)
GOOD = json.dumps({"id": "e", "source": "s", "time": NOW.isoformat(), "kind": "k", "category": "c"}).encode()
#: Values in one another, deeper than the decoder follows, at a field that no schema knows and at the top.
DEEP = (b'{"a":' * 2000, GOOD[:-1] + b',"x":' + b"[" * 2000 + b"]" * 2000 + b"}", b"[" * 100_000)


def decoder(stream: str) -> RawDecoder:
    return RawDecoder(stream, f"ioc.{stream}", 1, future_tolerance=timedelta(minutes=5))


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("value", DEEP, ids=["objects", "unknown-field", "arrays"])
def test_values_nested_too_deep_are_a_dead_letter(stream: str, value: bytes) -> None:
    """One such record among good ones ends nothing: it is undecodable, its neighbours are events."""
    records = [MemoryRecord(b"s", content, offset) for offset, content in enumerate([GOOD, value, GOOD])]
    first, letter, last = decoder(stream).decode_all(records, NOW)
    assert isinstance(first, Event)
    assert isinstance(last, Event)
    assert isinstance(letter, DeadLetter)
    assert (letter.reason, letter.offset) == ("undecodable", 1)


def test_a_clock_record_nested_too_deep_is_not_believed() -> None:
    """It is passed over like any damaged clock record."""
    assert decoder("flood").decode(MemoryRecord(CLOCK_KEY, DEEP[0], 0), NOW) is None


@given(stream=st.sampled_from(STREAMS), value=st.binary(max_size=300), clock=st.booleans())
@example("flood", b'{"id":"\\ud800","source":"s"}', False)
@example("report", b"\xef\xbb\xbf{}", False)
def test_any_bytes_have_an_answer(stream: str, value: bytes, clock: bool) -> None:
    """An event, a clock record or a dead letter; alone and among others the same."""
    record = MemoryRecord(CLOCK_KEY if clock else b"s", value, 7)
    alone = decoder(stream).decode(record, NOW)
    assert alone is None or isinstance(alone, (EVENTS[stream], DeadLetter)) or clock
    assert decoder(stream).decode_all([MemoryRecord(b"s", GOOD, 6), record], NOW)[1] == alone
