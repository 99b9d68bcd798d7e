"""What becomes of a dead letter that is repaired: decided before anything is published."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ioc.settings import load_settings
from streams.decoding import DEAD_LETTER_CHARACTERS, RawDecoder
from streams.offline import MemoryRecord
from streams.repair import Letter, LetterId, Ready, Refused, Unrepairable, fault, verdict, with_fields
from streams.schemas import CLOCK_KEY, EVENTS, Clock, DeadLetter
from streams.topics import STREAMS, Topics, partition_of

NOW = datetime(2025, 10, 8, 5, 0, tzinfo=UTC)
TOPICS = Topics.of(load_settings(topic_prefix="", raw_partitions=4))
GOOD = {"id": "e1", "source": "street", "time": NOW.isoformat(), "kind": "queue", "category": "flood"}


def letter(value: bytes, stream: str = "flood", key: bytes | None = b"street") -> Letter:
    return Letter(LetterId(stream, 2, 17), "undecodable", "", key, value.decode(errors="replace"), NOW)


def judged(
    value: bytes,
    stream: str = "flood",
    *,
    key: bytes | None = b"street",
    repaired: bool = False,
    clocks: dict[int, Clock] | None = None,
) -> Ready | Refused:
    if clocks is None:
        clocks = dict.fromkeys(range(4), Clock(clock=NOW, config="c"))
    return verdict(
        letter(value, stream, key), value, TOPICS.raw[stream], clocks,
        repaired=repaired, future_tolerance=timedelta(minutes=5), late_bound=timedelta(hours=1),
    )  # fmt: skip


def event(**fields: Any) -> bytes:
    return json.dumps({**GOOD, **fields}).encode()


def test_an_id_is_where_the_record_stands() -> None:
    """STREAM/PARTITION/OFFSET, there and back; nothing else is one."""
    assert LetterId.parse(str(LetterId("flood", 2, 17))) == LetterId("flood", 2, 17)
    for wrong in ("", "flood", "flood/2", "flood/2/17/1", "water/2/17", "flood/-2/17", "flood/2/x"):
        with pytest.raises(ValueError, match=r".*"):
            LetterId.parse(wrong)


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("1.2", "level_m", 1.2),
        ("null", "level_m", None),
        ("007", "source", "007"),
        ("12", "source", "12"),
        ("true", "simulated", True),
        ("true", "id", "true"),
        ('"12"', "id", "12"),
        ("2025-10-08T12:00:00+07:00", "time", "2025-10-08T12:00:00+07:00"),
        ("sâu", "level_m", "sâu"),
        ('{"name":"A"}', "reporter", {"name": "A"}),
    ],
)
def test_a_set_field_has_the_kind_that_its_schema_wants(text: str, field: str, value: object) -> None:
    """A number where numbers stand, a text where texts do, whatever it looks like."""
    assert json.loads(with_fields("flood", event(reporter=None), [(field, text)]))[field] == value


def test_what_is_not_set_stays_as_it_was_written() -> None:
    """Also a number that no float holds, and fields that the schema does not know."""
    value = b'{"id":1,"source":"s","level_m":1.10000000000000000001,"vendor":{"x": [1e400]}}'
    repaired = with_fields("flood", value, [("id", "a")])
    assert repaired == b'{"id":"a","source":"s","level_m":1.10000000000000000001,"vendor":{"x": [1e400]}}'


@pytest.mark.parametrize("value", [b"", b"{", b"[]", b"\xff", b"null", b'{"a":' * 3000])
def test_fields_can_only_be_set_in_an_object(value: bytes) -> None:
    """What is no JSON object has no fields: the whole record is to be written anew."""
    with pytest.raises(Unrepairable, match="--edit"):
        with_fields("flood", value, [("id", "a")])


def test_a_misspelt_field_is_noticed() -> None:
    """A field that neither the schema nor the record knows is refused, with those that there are."""
    with pytest.raises(Unrepairable, match=r"lvel_m.*level_m"):
        with_fields("flood", event(), [("lvel_m", "1")])


def test_what_would_be_a_dead_letter_again_is_refused() -> None:
    """With what is still wrong."""
    said = judged(event(level_m="1,2"), repaired=True)
    assert isinstance(said, Refused)
    assert (said.reason, "level_m" in said.detail) == ("undecodable", True)


def test_a_reports_error_is_not_told() -> None:
    """The decoder may quote what a citizen wrote."""
    said = judged(event(category=1), "report")
    assert said == Refused("undecodable", "")


def test_the_future_waits_for_the_logs_clock() -> None:
    """Refused with how far the clock must come; from then on it is ready."""
    value = event(time=(NOW + timedelta(hours=2)).isoformat())
    said = judged(value)
    due = NOW + timedelta(hours=1, minutes=55)
    assert said == Refused("future", clock=NOW, due=due)
    for clock, kind in ((due - timedelta(seconds=1), Refused), (due, Ready)):
        clocks = dict.fromkeys(range(4), Clock(clock=clock, config="c"))
        assert isinstance(judged(value, clocks=clocks), kind)


@pytest.mark.parametrize(("hours", "late"), [(1.0, None), (1.5, timedelta(hours=1.5))])
def test_late_ones_are_told_to_be_kept_only(hours: float, late: timedelta | None) -> None:
    """Beyond IOC_LATE_BOUND an event is kept and not judged: said before it is published."""
    said = judged(event(time=(NOW - timedelta(hours=hours)).isoformat()))
    assert isinstance(said, Ready)
    assert said.late == late


def test_without_a_clock_record_nothing_is_judged() -> None:
    """A partition whose clock never spoke keeps events without a judgement."""
    said = judged(event(time="2035-01-01T00:00:00Z"), clocks={})
    assert isinstance(said, Ready)
    assert said.no_clock


def test_under_a_replays_clock_a_record_is_marked_as_simulated() -> None:
    """What a repaired record brings about in a demonstration must not look real; what is marked already stays."""
    clocks = dict.fromkeys(range(4), Clock(clock=NOW, config="c", run="007"))
    said = judged(event(), clocks=clocks)
    assert isinstance(said, Ready)
    assert said.marked
    assert json.loads(said.value) == {**GOOD, "simulated": True, "run": "007"}
    own = event(simulated=True, run="earlier")
    again = judged(own, clocks=clocks)
    assert isinstance(again, Ready)
    assert (again.value, again.marked) == (own, False)


def test_what_cannot_be_marked_is_refused() -> None:
    """A name that no schema knows may be no text: an event all the same, but no object that can be written anew."""
    odd = event()[:-1] + b', "\xdd\xdd": 1}'
    assert isinstance(judged(odd), Ready)
    said = judged(odd, clocks=dict.fromkeys(range(4), Clock(clock=NOW, config="c", run="r")))
    assert isinstance(said, Refused)
    assert said.reason == "unrepairable"


@pytest.mark.parametrize(
    ("key", "repaired", "expected"),
    [
        (b"street", False, b"street"),
        (b"other", False, b"other"),
        (b"other", True, b"street"),
        (None, False, b"street"),
        (CLOCK_KEY, False, b"street"),
    ],
)
def test_a_record_keeps_its_key_and_goes_where_the_key_does(
    key: bytes | None, repaired: bool, expected: bytes
) -> None:
    """A repaired one has its source's; the clock's key never comes of a letter."""
    said = judged(event(), key=key, repaired=repaired)
    assert isinstance(said, Ready)
    assert (said.key, said.partition) == (expected, partition_of(expected, 4))


@pytest.mark.parametrize(
    ("value", "whole"),
    [
        (b"", True),
        ("nước".encode(), True),
        (b"a\xff", False),
        ("thật \N{REPLACEMENT CHARACTER}".encode(), False),
        (b"x" * (DEAD_LETTER_CHARACTERS - 1), True),
        (b"x" * DEAD_LETTER_CHARACTERS, False),
    ],
)
def test_a_letter_that_may_have_lost_something_is_not_taken_for_the_record(value: bytes, whole: bool) -> None:
    """Cut or replaced signs: then the raw topic has to be asked."""
    read = RawDecoder("flood", "ioc.flood", 2, future_tolerance=timedelta(0)).decode(
        MemoryRecord(b"k", value, 17), None
    )
    assert isinstance(read, DeadLetter)
    kept = Letter(LetterId("flood", 2, 17), read.reason, read.detail, b"k", read.value, NOW)
    assert kept.whole() == (value if whole else None)


values = st.one_of(
    st.binary(max_size=200),
    st.dictionaries(
        st.sampled_from([*GOOD, "lon", "level_m", "count", "attachments", "text"]),
        st.one_of(st.none(), st.text(), st.floats(), st.integers(), st.just(NOW.isoformat())),
    ).map(lambda fields: json.dumps({**GOOD, **fields}).encode()),
)


@given(stream=st.sampled_from(STREAMS), value=values)
def test_ready_is_what_sense_takes_for_an_event(stream: str, value: bytes) -> None:
    """The oracle is sense's own decoder at the log's clock; what is undecodable has a fault that is told."""
    said = judged(value, stream)
    decoder = RawDecoder(stream, "t", 2, future_tolerance=timedelta(minutes=5))
    read = decoder.decode(MemoryRecord(b"street", value, 17), NOW)
    if isinstance(read, DeadLetter):
        assert isinstance(said, Refused)
        assert said.reason == read.reason
    else:
        assert isinstance(read, EVENTS[stream])
        assert isinstance(said, Ready)
        assert (said.key, said.value) == (b"street", value)
    assert isinstance(said, Ready) or said.reason == "future" or fault(stream, value)
