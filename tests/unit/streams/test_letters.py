"""Which dead letters are found among the records of their topic."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from ioc.settings import load_settings
from streams.letters import FAULTS_MAX, Found, Search, Wanted
from streams.offline import MemoryRecord
from streams.repair import LetterId
from streams.schemas import DeadLetter, Replayed
from streams.topics import Topics

TOPICS = Topics.of(load_settings(topic_prefix="t.", raw_partitions=4))
NOON = datetime(2025, 10, 8, 5, 0, tzinfo=UTC)


def letter(offset: int, topic: str = "t.ioc.flood", reason: str = "undecodable") -> dict:
    return {"reason": reason, "detail": "", "topic": topic, "partition": 1, "offset": offset, "value": "{"}


def mark(offset: int, by: str = "an") -> dict:
    written = Replayed(
        topic="t.ioc.flood", partition=1, offset=offset, to_partition=0, to_offset=9, by=by, at=NOON, repaired=False
    )  # fmt: skip
    return msgspec.to_builtins(written)


def find(wanted: Wanted, *records: dict | bytes, without: tuple[int, ...] = ()) -> Found:
    search = Search(TOPICS, wanted, [LetterId("flood", 1, offset) for offset in without])
    for number, record in enumerate(records):
        value = record if isinstance(record, bytes) else msgspec.json.encode(record)
        search.take(MemoryRecord(b"street", value, number, 1000 * number))
    return search.found()


def offsets(found: Found) -> list[int]:
    return [id.offset for id in found.letters]


def test_a_limit_keeps_the_latest_or_the_earliest_and_counts_all() -> None:
    """The list shows the latest; a replay of many begins with the earliest."""
    records = [letter(number) for number in range(5)]
    latest, earliest = find(Wanted(limit=2, newest=True), *records), find(Wanted(limit=2), *records)
    assert (offsets(latest), offsets(earliest)) == ([3, 4], [0, 1])
    assert latest.counts == earliest.counts == {("flood", "undecodable"): 5}


def test_a_letter_that_is_told_again_is_one_letter() -> None:
    """As when the log is judged again: counted once, also beyond the limit, and the last telling holds."""
    records = [letter(1), letter(2), letter(3), letter(1), letter(3, reason="future")]
    found = find(Wanted(limit=2, newest=True), *records)
    assert (offsets(found), found.counts.total()) == ([2, 3], 3)
    assert found.letters[LetterId("flood", 1, 3)].reason == "future"


def test_faults_are_told_apart_by_what_is_wrong_and_not_by_numbers() -> None:
    """A thousand letters of one device are one line; of endlessly many kinds the rest are one too."""
    said = [f"JSON is malformed: invalid character (byte {n})" for n in (1, 22, 333)] + ["Expected `str`"]
    records = [{**letter(number), "detail": detail} for number, detail in enumerate(said)]
    future = [
        {**letter(number, reason="future"), "detail": f"2026-10-{number} is after"} for number in (10, 11)
    ]
    found = find(Wanted(limit=1, newest=True), *records, records[0], *future)
    assert {kind: (fault.count, fault.id.offset) for kind, fault in found.faults.items() if fault.id} == {
        ("flood", "undecodable", "JSON is malformed: invalid character (byte N)"): (3, 2),
        ("flood", "undecodable", "Expected `str`"): (1, 3),
        ("flood", "future", ""): (2, 11),
    }
    assert all(list(fault.keys) == [b"street"] for fault in found.faults.values())
    many = find(Wanted(), *({**letter(n), "detail": "x" * n} for n in range(FAULTS_MAX + 5)))
    assert len(many.faults) == FAULTS_MAX + 1
    assert many.faults["–", "–", "others"].count == 5


def test_what_is_wanted_is_found() -> None:
    """By stream, reason and id; without those that are left out."""
    records = [letter(1), letter(2, reason="future"), letter(3, topic="t.ioc.report")]
    assert offsets(find(Wanted(streams=frozenset(["flood"])), *records)) == [1, 2]
    assert offsets(find(Wanted(reasons=frozenset(["future"])), *records)) == [2]
    assert offsets(find(Wanted(ids=frozenset([LetterId("flood", 1, 1)])), *records)) == [1]
    assert offsets(find(Wanted(), *records, without=(1,))) == [2, 3]


def test_marks_are_no_letters() -> None:
    """The last mark of a letter holds; only those of letters that are counted are counted."""
    found = find(Wanted(), letter(1), mark(1), mark(1, by="bình"), mark(7))
    assert offsets(found) == [1]
    assert found.marks[LetterId("flood", 1, 1)].by == "bình"
    assert (found.replayed, found.unreadable) == (1, 0)


def test_what_is_none_of_this_installations_is_counted_and_passed_over() -> None:
    """Nothing is ever published to a topic that is no raw topic, whatever a letter says."""
    other = mark(1) | {"topic": "t.ioc.config"}
    strange = [b"", b"{", b"[" * 5000, letter(1, topic="t.ioc.config"), letter(1, topic="ioc.flood"), other]
    found = find(Wanted(), *strange)
    assert (found.letters, found.marks, found.unreadable) == ({}, {}, len(strange))


def test_marks_and_letters_are_told_apart_by_their_fields() -> None:
    """A reader that knows letters only refuses a mark."""
    assert mark(1)["kind"] == "replayed"
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(mark(1), DeadLetter)
