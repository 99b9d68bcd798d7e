"""What became of bad records, for the person who looks at it: `ioc deadletters` on whatever was sent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ioc.commands.deadletter_texts import fault_lines, letter_lines, list_lines, outcome_lines
from streams.deadletters import Outcome
from streams.decoding import RawDecoder
from streams.letters import Fault, Found
from streams.offline import MemoryRecord
from streams.repair import Letter, LetterId, Ready, Unrepairable, fault, verdict, with_fields
from streams.schemas import Clock, DeadLetter
from tests.fuzz import workers
from tests.fuzz.target import Target

NOW = datetime(2026, 10, 28, tzinfo=UTC)
TOLERANCE = timedelta(minutes=5)
CLOCK = Clock(clock=workers.at(5), config="c", run="r")


def _check(data: bytes) -> None:
    topic = workers.TOPICS.raw["flood"]
    read = RawDecoder("flood", topic.name, 0, future_tolerance=TOLERANCE).decode(
        MemoryRecord(data[:40], data, 7), workers.at(1)
    )
    if not isinstance(read, DeadLetter):
        return
    letter = Letter(LetterId("flood", 0, 7), read.reason, read.detail, data[:40], read.value, NOW)
    seen = Fault()
    seen.take(letter)
    found = Found(letters={letter.id: letter}, faults={("flood", read.reason, read.detail): seen})
    lines = [
        *list_lines(found, 1),
        *fault_lines(found),
        *letter_lines(letter, None, topic.name, letter.value, letter.detail or fault("flood", data)),
    ]
    whole = letter.whole()
    assert whole in (None, data), "what the letter calls the whole record is another"
    repaired = data
    try:
        repaired = with_fields(
            "flood", data, [("time", workers.at(4).isoformat()), ("id", "e"), ("source", "s")]
        )
    except Unrepairable as error:
        lines.append(repr(str(error)))
    judged = verdict(
        letter, repaired, topic, {0: CLOCK}, repaired=True, future_tolerance=TOLERANCE, late_bound=TOLERANCE
    )
    lines += outcome_lines(Outcome(letter, judged))
    for line in lines:
        assert line.isprintable(), repr(line)
    if isinstance(judged, Ready):
        again = RawDecoder("flood", topic.name, 0, future_tolerance=TOLERANCE)
        taken = again.decode(MemoryRecord(judged.key, judged.value, 8), CLOCK.clock)
        assert not isinstance(taken, DeadLetter), "what was published again is a dead letter again"


def targets() -> list[Target]:
    """The targets of this file."""
    seeds = [workers.event("flood", 3), workers.event("flood", 30), workers.event("flood", 3, level_m="1,2")]
    return [Target("dead-letter", seeds, _check)]
