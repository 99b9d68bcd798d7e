"""The replayer on a real broker: exactly once, in order, clock records everywhere."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer, TopicPartition

from ioc.errors import UserError
from ioc.settings import Settings
from streams import replay
from streams.rawlog import RawLog, Unanswered
from streams.recording import ClockLine, EventLine, RawLine, read_recording
from streams.replay import Step, Transactions, Writer, run_replay
from streams.scenarios import can_tho_spring_tide
from streams.schemas import CLOCK_KEY
from streams.topics import Topics

SCENARIO = Path(can_tho_spring_tide.__file__).with_name("scenario.ndjson.gz")

#: What a process of its own runs, to be killed.
PROGRAM = """
import sys
from pathlib import Path
from ioc.settings import Settings
from streams.replay import run_replay
settings = Settings.model_validate_json(sys.argv[1])
run_replay(settings, Path(sys.argv[2]), speed=None, run="r", loop="loop" in sys.argv, config="c",
           progress=lambda clock, events: print(events, flush=True))
"""


def published(settings: Settings) -> dict[TopicPartition, list[tuple[bytes, bytes]]]:
    """Key and value of every committed record of the raw partitions, in order."""
    tables = Topics.of(settings).raw.values()
    partitions = [TopicPartition(topic.name, n) for topic in tables for n in range(topic.partitions)]
    consumer = KafkaConsumer(
        bootstrap_servers=settings.bootstrap, isolation_level="read_committed", enable_auto_commit=False
    )
    try:
        consumer.assign(partitions)
        consumer.seek_to_beginning()
        ends = consumer.end_offsets(partitions)
        found: dict[TopicPartition, list[tuple[bytes, bytes]]] = {tp: [] for tp in partitions}
        while any(consumer.position(tp) < ends[tp] for tp in partitions):
            for tp, records in consumer.poll(timeout_ms=200).items():
                found[tp].extend((record.key, record.value) for record in records)
        return found
    finally:
        consumer.close()


def clocks(log: dict[TopicPartition, list[tuple[bytes, bytes]]]) -> list[tuple[datetime, str]]:
    """(time, run) of the clock records, which must be the same in every partition."""
    found = {
        tp: [(datetime.fromisoformat(c["clock"]), c["run"]) for c in map(json.loads, values)]
        for tp, records in log.items()
        if (values := [value for key, value in records if key == CLOCK_KEY]) is not None
    }
    first, *others = found.values()
    assert all(other == first for other in others)
    return first


def by_source(log: dict[TopicPartition, list[tuple[bytes, bytes]]]) -> dict[tuple[str, str], list[str]]:
    """Ids of each source's events, or the text of what is none, in order; a source keeps to one partition."""
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    where: dict[tuple[str, str], TopicPartition] = {}
    for tp, records in log.items():
        for key, value in records:
            if key != CLOCK_KEY:
                source = (tp.topic.rpartition(".")[2], key.decode())
                assert where.setdefault(source, tp) == tp
                found[source].append(_identity(value.decode()))
    return found


def _identity(text: str) -> str:
    try:
        event: Any = json.loads(text)
    except ValueError:
        return text
    return event["id"] if "run" in event else text


def recorded() -> dict[tuple[str, str], list[str]]:
    """What `by_source` must find after one whole replay."""
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for line in read_recording(SCENARIO):
        if isinstance(line, EventLine):
            found[line.stream, line.source].append(json.loads(line.event)["id"])
        elif isinstance(line, RawLine):
            found[line.stream, line.key].append(line.raw.decode())
    return found


def replay_until(settings: Settings, *, transactions: int, **options: Any) -> None:
    """Replay the scenario and stop after so many transactions."""
    stop, seen = threading.Event(), 0

    def progress(clock: datetime, events: int) -> None:
        nonlocal seen
        seen += 1
        if seen >= transactions:
            stop.set()

    run_replay(settings, SCENARIO, **{"speed": None, "config": "c", **options}, progress=progress, stop=stop)


def test_killed_replays_publish_everything_once(kafka: Any) -> None:
    """Killed again and again in the middle, a replay publishes each event once, in order."""
    settings = kafka.settings()
    command = [sys.executable, "-c", PROGRAM, settings.model_dump_json(), str(SCENARIO)]
    for lines in (1, 4, 7):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        for _ in range(lines):
            assert process.stdout.readline()
        # Somewhere in the next transaction.
        time.sleep(0.02 * lines)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=120)
    log = published(settings)
    assert by_source(log) == recorded()
    expected = [(line.clock, "r") for line in read_recording(SCENARIO) if isinstance(line, ClockLine)]
    assert clocks(log) == expected


def test_loop_goes_on_in_its_iteration(kafka: Any) -> None:
    """A stopped loop goes on in the same iteration; the next is a day later with ids of its own."""
    settings = kafka.settings(raw_partitions=1)
    whole = recorded()
    replay_until(settings, transactions=3, run="demo", loop=True)
    assert clocks(published(settings))[-1][1] == "demo-0"
    replay_until(settings, transactions=16, run="demo", loop=True)
    log = published(settings)
    times = clocks(log)
    assert [run for _, run in times[:8641]] == ["demo-0"] * 8641
    assert {run for _, run in times[8641:]} == {"demo-1"}
    assert times == sorted(times)
    assert times[8641][0] == times[0][0] + timedelta(days=1)
    for source, ids in by_source(log).items():
        first = whole[source]
        assert ids[: len(first)] == first
        again = [event if "{" in event or "=" in event else f"1:{event}" for event in first]
        assert ids[len(first) :] == again[: len(ids) - len(first)]


def test_time_does_not_turn_back_for_another_run(kafka: Any) -> None:
    """Another run on the same topics is refused, unless it loops: then it begins on a later day."""
    settings = kafka.settings(raw_partitions=1)
    replay_until(settings, transactions=1, run="one")
    before = clocks(published(settings))
    with pytest.raises(UserError, match="turn back the time"):
        run_replay(settings, SCENARIO, speed=None, run="two", config="c")
    assert clocks(published(settings)) == before
    replay_until(settings, transactions=1, run="two", loop=True)
    times = clocks(published(settings))
    assert times[len(before)][1] == "two-1"
    assert times == sorted(times)


def test_pace_and_stop(kafka: Any) -> None:
    """At speed N, N seconds of the recording pass in one; a stop ends it within two seconds."""
    settings = kafka.settings(raw_partitions=1)
    stop, reached = threading.Event(), threading.Event()
    seen: list[tuple[datetime, float]] = []

    def progress(clock: datetime, events: int) -> None:
        seen.append((clock, time.monotonic()))
        if clock - seen[0][0] >= timedelta(minutes=20):
            reached.set()

    thread = threading.Thread(
        target=run_replay,
        args=(settings, SCENARIO),
        kwargs={"speed": 600.0, "run": "r", "config": "c", "progress": progress, "stop": stop},
        daemon=True,
    )
    thread.start()
    assert reached.wait(20)
    # The first transaction is slow, the schedule makes up for it: measured from five minutes on.
    early, early_at = next(mark for mark in seen if mark[0] - seen[0][0] >= timedelta(minutes=5))
    late, late_at = seen[-1]
    assert late_at - early_at == pytest.approx((late - early).total_seconds() / 600, abs=0.4)
    stop.set()
    thread.join(2.0)
    assert not thread.is_alive()
    assert clocks(published(settings))[-1][0] == seen[-1][0]


def test_without_clock_only_events(kafka: Any) -> None:
    """Asked for events only, it writes no clock record, and again begins at the start."""
    settings = kafka.settings(raw_partitions=1)
    replay_until(settings, transactions=1, run="r", clock=False)
    log = published(settings)
    assert clocks(log) == []
    once = by_source(log)
    replay_until(settings, transactions=1, run="r", clock=False)
    assert by_source(published(settings)) == {source: ids * 2 for source, ids in once.items()}


def test_a_second_replay_of_the_same_name_takes_over(kafka: Any) -> None:
    """Of two replays with one name the former ends and says why; together they publish all once."""
    settings = kafka.settings(raw_partitions=1)
    failure: list[UserError] = []
    begun = threading.Event()

    def former() -> None:
        try:
            run_replay(
                *(settings, SCENARIO),
                **{"speed": 3600.0, "run": "r", "config": "c"},
                progress=lambda clock, events: begun.set(),
            )
        except UserError as error:
            failure.append(error)

    thread = threading.Thread(target=former, daemon=True)
    thread.start()
    assert begun.wait(20)
    run_replay(settings, SCENARIO, speed=None, run="r", config="c")
    thread.join(20)
    assert "took over" in failure[0].what
    assert by_source(published(settings)) == recorded()


@pytest.mark.parametrize("torn", ["nowhere", "in part", "everywhere"])
def test_a_transaction_that_was_committed_in_part_is_made_whole(
    kafka: Any, monkeypatch: pytest.MonkeyPatch, torn: str
) -> None:
    """After a failure of the broker each partition gets what it lacks, once.

    So a cluster left one of which all brokers were killed at once: flood with the commit, camera with an abort.
    """
    monkeypatch.setattr(replay, "TORN_SECONDS", 0.1)
    settings = kafka.settings(raw_partitions=2)
    flood = Topics.of(settings).raw["flood"].name
    stop = threading.Event()
    raw = RawLog(settings, "ioc-replay-torn", stop)
    step = Step(
        "r",
        datetime(2025, 10, 8, tzinfo=UTC),
        tuple((stream, b"%d" % number, b"{}") for stream in Topics.of(settings).raw for number in range(9)),
    )
    transaction = Transactions(settings, raw.partitions, lambda: "c").of([step])
    raw.open()
    had = [one for one in transaction.records if torn == "nowhere" or (torn == "in part" and one[0] == flood)]
    if had:
        raw.write(had)
    writer = Writer(raw, stop, None, lost_is_known=True)
    writer.again(transaction)
    writer.again(transaction)
    raw.close()
    log = published(settings)
    assert sum(map(len, log.values())) == len(transaction.records)
    assert all(sum(key == CLOCK_KEY for key, _ in records) == 1 for records in log.values())


def test_a_replay_that_is_stopped_does_not_take_a_transaction_for_torn(kafka: Any) -> None:
    """It would write what a broker may only not tell yet; started again it looks once more."""
    settings = kafka.settings(raw_partitions=1)
    stop = threading.Event()
    raw = RawLog(settings, "ioc-replay-stopped", stop)
    transaction = Transactions(settings, raw.partitions, lambda: "c").of(
        [Step("r", datetime(2025, 10, 8, tzinfo=UTC), ())]
    )
    raw.open()
    raw.write(transaction.records[:1])
    stop.set()
    with pytest.raises(Unanswered):
        Writer(raw, stop, None, lost_is_known=True).again(transaction)
    assert sum(map(len, published(settings).values())) == 1


def test_a_transaction_that_the_client_gave_up_is_no_success(kafka: Any) -> None:
    """A refused batch lets kafka-python take a new epoch and commit nothing, without a word.

    So chaos lost a transaction of 238 events while one broker of three was ended. Here the producer's sequence is
    off by one, as towards a broker that lost the end of its log.
    """
    settings = kafka.settings(raw_partitions=1)
    raw = RawLog(settings, "ioc-replay-refused", threading.Event())
    transactions = Transactions(settings, raw.partitions, lambda: "c")
    begin = datetime(2025, 10, 8, tzinfo=UTC)
    first, second = (transactions.of([Step("r", begin + timedelta(minutes=n), ())]) for n in range(2))
    raw.open()
    raw.write(first.records)
    producer: Any = raw._producer
    for topic, number in raw.partitions:
        producer._transaction_manager.increment_sequence_number(TopicPartition(topic, number), 1)
    with pytest.raises(Unanswered, match="not taken: OutOfOrderSequenceNumberError"):
        raw.write(second.records)
    Writer(raw, threading.Event(), None, lost_is_known=True).again(second)
    raw.close()
    assert [time for time, _ in clocks(published(settings))] == [first.clock, second.clock]
