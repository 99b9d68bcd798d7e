"""The transport keeps its promises on a real broker: nothing is lost, doubled, half done or out of order.

The workers here number records (`tests.transportkit`): every way to break a promise breaks a source's numbers.
"""

from __future__ import annotations

import asyncio
import json
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from urllib.request import urlopen

import pytest
from aiokafka.errors import MessageSizeTooLargeError as BatchTooLarge
from aiokafka.structs import TopicPartition
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import CoordinatorLoadInProgressError, MessageSizeTooLargeError
from kafka.structs import OffsetAndMetadata
from kafka.structs import TopicPartition as Tp

from ioc.ports import free_port
from ioc.settings import Settings
from streams.admin import ensure_topics
from streams.topics import Topics
from streams.transactions import Effects, Lease
from streams.worker import EXIT_CRASHED
from tests import transportkit as kit
from tests.conftest import Kafka
from tests.system import read_all, running, until


@pytest.fixture
def settings(kafka: Kafka) -> Settings:
    return kafka.settings(chunk_records=10)


@pytest.fixture
def admin(kafka: Kafka) -> Iterator[KafkaAdminClient]:
    client = KafkaAdminClient(bootstrap_servers=kafka.address)
    yield client
    client.close()


@pytest.fixture
def producer(kafka: Kafka) -> Iterator[KafkaProducer]:
    client = KafkaProducer(bootstrap_servers=kafka.address, acks="all", linger_ms=5)
    yield client
    client.close()


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[kit.Workers]:
    made = kit.Workers(tmp_path)
    yield made
    made.kill()


def fill(settings: Settings, producer: KafkaProducer, partition: int, values: list[bytes]) -> None:
    """Records of one source, in one partition; their offsets are their places in the list."""
    for value in values:
        kit.send(producer, settings, f"source-{partition}", value, partition)
    producer.flush()


def tell_group(settings: Settings, partition: int, offset: int) -> None:
    """Commit an offset for the group, which has no members."""
    tp = Tp(Topics.of(settings).raw["flood"].name, partition)
    consumer = KafkaConsumer(
        bootstrap_servers=settings.bootstrap, group_id=kit.group(settings), enable_auto_commit=False
    )
    with closing(consumer):
        consumer.assign([tp])
        consumer.commit({tp: OffsetAndMetadata(offset, "", -1)})


def assert_all_once(settings: Settings, sent: dict[str, list[str]]) -> None:
    """Every record of every source was numbered once, in its order, from 1 on."""
    found = kit.numbered(settings)
    assert found.keys() == sent.keys()
    for source, values in sent.items():
        assert found[source] == list(enumerate(values, 1)), source


def test_topics_that_are_known_late_are_read_soon(
    kafka: Kafka, admin: KafkaAdminClient, producer: KafkaProducer, workers: kit.Workers
) -> None:
    """A broker that has just come back may not know of its topics when the group meets: for aiokafka's five minutes
    nobody would have a partition."""
    settings = kafka.settings(topics=False)
    workers.start("a", settings)

    def output() -> str:
        return (workers.directory / "a.log").read_text(errors="replace")[-3000:]

    def has_met() -> bool:
        with suppress(CoordinatorLoadInProgressError):  # the first group that a new broker has
            groups = [group for group in admin.list_groups() if group["group_id"] == kit.group(settings)]
            return any(group["group_state"] == "Stable" for group in groups)
        return False

    until(has_met, 60, output)
    ensure_topics(settings)
    fill(settings, producer, 0, [b"1", b"2"])
    until(lambda: len(kit.numbered(settings).get("source-0", [])) == 2, 60, output)
    assert_all_once(settings, {"source-0": ["1", "2"]})


@pytest.mark.parametrize("transport", ["chunks", "records"])
def test_a_commit_never_passes_an_unfinished_chunk(
    settings: Settings, admin: KafkaAdminClient, producer: KafkaProducer, workers: kit.Workers, transport: str
) -> None:
    """While one chunk waits, its partition is committed up to it and no further, and others go on."""
    values = [b"%d" % number for number in range(100)]
    values[35] = kit.WAIT
    fill(settings, producer, 0, values)
    workers.start("worker", settings.model_copy(update={"transport": transport}))
    until(lambda: workers.waits("worker"), 30, workers.logs)
    fill(settings, producer, 1, values[:30])
    until(lambda: kit.committed(settings, admin).get(1) == 30, 30, workers.logs)
    # What came before it is committed by now: no later than the other partition's records, which came later.
    start = kit.committed(settings, admin)[0]
    assert 25 < start <= 35
    assert len(kit.numbered(settings)["source-0"]) == start
    workers.processes["worker"].send_signal(signal.SIGUSR1)
    until(lambda: kit.committed(settings, admin)[0] == 100, 30, workers.logs)
    workers.end("worker")
    texts = [value.decode() for value in values]
    assert_all_once(settings, {"source-0": texts, "source-1": texts[:30]})


def test_an_exception_in_the_work_commits_nothing(
    settings: Settings, admin: KafkaAdminClient, producer: KafkaProducer, workers: kit.Workers
) -> None:
    """A mistake in the program ends the process with nothing of the chunk done; the next one finds the record."""
    values = [b"0", kit.RAISE, b"2"]
    fill(settings, producer, 0, values)
    first = workers.start("first", settings, **{kit.RAISES: "1"})
    assert first.wait(40) == EXIT_CRASHED, workers.logs()
    assert "a mistake" in workers.log("first")
    assert kit.committed(settings, admin) == {}
    assert kit.numbered(settings) == {}
    workers.start("second", settings)
    until(lambda: kit.committed(settings, admin) == {0: 3}, 40, workers.logs)
    workers.end("second")
    assert_all_once(settings, {"source-0": [value.decode() for value in values]})


def test_a_worker_that_waits_for_ever_ends_when_it_is_told_to(
    settings: Settings, admin: KafkaAdminClient, producer: KafkaProducer, workers: kit.Workers
) -> None:
    """SIGTERM in mid-chunk: it ends by itself with nothing half done, and the next one does the chunk."""
    values = [b"0", b"1", kit.WAIT, b"3"]
    fill(settings, producer, 0, values)
    workers.start("first", settings.model_copy(update={"chunk_records": 2}))
    until(lambda: workers.waits("first"), 30, workers.logs)
    workers.end("first")
    assert kit.committed(settings, admin) == {0: 2}
    assert kit.numbered(settings) == {"source-0": [(1, "0"), (2, "1")]}
    second = workers.start("second", settings)
    until(lambda: workers.waits("second"), 30, workers.logs)
    second.send_signal(signal.SIGUSR1)
    until(lambda: kit.committed(settings, admin) == {0: 4}, 30, workers.logs)
    workers.end("second")
    assert_all_once(settings, {"source-0": [value.decode() for value in values]})


def test_what_is_at_work_when_the_end_comes_is_committed_whole(
    settings: Settings, admin: KafkaAdminClient, producer: KafkaProducer, workers: kit.Workers
) -> None:
    """SIGTERM under a backlog, again and again: each ends in time, and what is seen is what is committed."""
    values = [b"%d" % number for number in range(6000)]
    for partition in range(4):
        fill(settings, producer, partition, values)
    done = 0
    for name in ("first", "second"):
        workers.start(name, settings, slow=0.01)
        until(lambda: sum(kit.committed(settings, admin).values()) > done, 30, workers.logs)  # noqa: B023
        workers.end(name)
        positions = kit.committed(settings, admin)
        done = sum(positions.values())
        seen = {source: len(found) for source, found in kit.numbered(settings).items()}
        assert seen == {f"source-{number}": offset for number, offset in positions.items() if offset}
    total = 4 * len(values)
    assert done < total, "there was no backlog"
    workers.start("third", settings)
    until(lambda: sum(kit.committed(settings, admin).values()) == total, 60, workers.logs)
    workers.end("third")
    texts = [value.decode() for value in values]
    assert_all_once(settings, {f"source-{partition}": texts for partition in range(4)})


def test_what_was_read_before_anything_was_committed_is_read_again(
    settings: Settings, admin: KafkaAdminClient, producer: KafkaProducer, workers: kit.Workers
) -> None:
    """A second worker comes while the first has read and committed nothing: what that one keeps is read again."""
    values = [kit.WAIT, *(b"%d" % number for number in range(1, 60))]
    for partition in range(4):
        fill(settings, producer, partition, values)
    first = workers.start("first", settings)
    until(lambda: workers.log("first").count(kit.WAITS) == 4, 40, workers.logs)
    second = workers.start("second", settings)
    until(lambda: workers.waits("second"), 40, workers.logs)
    until(lambda: workers.log("first").count(kit.WAITS) > 4, 40, workers.logs)
    assert kit.committed(settings, admin) == {}
    for worker in (first, second):
        worker.send_signal(signal.SIGUSR1)
    until(lambda: sum(kit.committed(settings, admin).values()) == 240, 40, workers.logs)
    for name in ("first", "second"):
        workers.end(name)
    texts = [value.decode() for value in values]
    assert_all_once(settings, {f"source-{partition}": texts for partition in range(4)})


def test_a_group_that_is_ahead_of_its_state_is_not_believed(
    settings: Settings, admin: KafkaAdminClient, producer: KafkaProducer, workers: kit.Workers
) -> None:
    """Of a transaction that the broker committed in part the group may know, and the state not: what lies between
    would be read by nobody. The worker ends, and the next one reads it."""
    values = [b"%d" % number for number in range(80)]
    fill(settings, producer, 0, values[:40])
    workers.start("first", settings)
    until(lambda: kit.committed(settings, admin) == {0: 40}, 40, workers.logs)
    workers.end("first")
    fill(settings, producer, 0, values[40:])
    tell_group(settings, 0, 60)
    assert workers.start("second", settings).wait(60) != 0
    assert "the group stands at offset 60, but its state at 40" in workers.log("second")
    assert "a chunk follows offset 60, but the position is 40" in workers.log("second")
    workers.start("third", settings)
    until(lambda: kit.committed(settings, admin) == {0: 80}, 40, workers.logs)
    workers.end("third")
    assert_all_once(settings, {"source-0": [value.decode() for value in values]})


def test_partitions_may_go_while_their_positions_are_asked_for(
    settings: Settings, admin: KafkaAdminClient, producer: KafkaProducer, workers: kit.Workers
) -> None:
    """A seek that the assignment changes under is done again; aiokafka's error would end Faust's fetcher."""
    values = [b"%d" % number for number in range(60)]
    for partition in range(4):
        fill(settings, producer, partition, values)
    workers.start("first", settings, **{kit.SEEK_RACES: "1"})
    until(lambda: sum(kit.committed(settings, admin).values()) == 240, 40, workers.logs)
    assert kit.RACED in workers.log("first")
    workers.end("first")
    texts = [value.decode() for value in values]
    assert_all_once(settings, {f"source-{partition}": texts for partition in range(4)})


def test_a_part_of_faust_that_fails_ends_the_process(
    settings: Settings, producer: KafkaProducer, workers: kit.Workers
) -> None:
    """A worker whose fetcher is gone would keep its partitions, and read none of them."""
    fill(settings, producer, 0, [b"0"])
    first = workers.start("first", settings, **{kit.FETCHER_FAILS: "1"})
    assert first.wait(40) == EXIT_CRASHED, workers.logs()
    assert "the fetcher fails" in workers.log("first")


class Load(threading.Thread):
    """Sends records of 40 sources to the four partitions until it is told to stop."""

    def __init__(self, settings: Settings, producer: KafkaProducer, pause: float) -> None:
        super().__init__(daemon=True)
        self._settings, self._producer, self._pause = settings, producer, pause
        self._stop_asked = threading.Event()
        self.sent: dict[str, list[str]] = {}

    def run(self) -> None:
        number = 0
        while not self._stop_asked.wait(self._pause):
            for source in range(40):
                value = str(number)
                kit.send(self._producer, self._settings, f"s{source}", value.encode(), source % 4)
                self.sent.setdefault(f"s{source}", []).append(value)
                number += 1

    def stop(self) -> int:
        """Stop; returns how many were sent."""
        self._stop_asked.set()
        self.join(20)
        assert not self.is_alive()
        self._producer.flush()
        return sum(len(values) for values in self.sent.values())


@pytest.mark.parametrize(("transport", "pause"), [("chunks", 0.01), ("records", 0.1)])
def test_workers_come_and_go_under_load(
    settings: Settings,
    admin: KafkaAdminClient,
    producer: KafkaProducer,
    workers: kit.Workers,
    transport: str,
    pause: float,
) -> None:
    """1 worker, then 3, then 1, one of them killed: every record once, in order, with the state before it."""
    chosen = settings.model_copy(update={"transport": transport})
    load = Load(chosen, producer, pause)
    load.start()

    def at_work(*names: str) -> Callable[[], bool]:
        """Whether these have each taken a partition since the call."""
        seen = {name: len(workers.log(name)) for name in names}
        return lambda: all("from offset" in workers.log(name)[seen[name] :] for name in names)

    workers.start("first", chosen)
    until(at_work("first"), 30, workers.logs)
    workers.start("second", chosen)
    workers.start("third", chosen)
    until(at_work("first", "second", "third"), 60, workers.logs)
    left = at_work("second", "third")
    workers.end("first")
    until(left, 60, workers.logs)
    left = at_work("third")
    workers.processes["second"].send_signal(signal.SIGKILL)
    workers.processes["second"].wait(10)
    until(left, 60, workers.logs)
    total = load.stop()
    until(lambda: sum(kit.committed(settings, admin).values()) >= total, 60, workers.logs)
    workers.end("third")
    assert_all_once(settings, load.sent)


def is_refused(settings: Settings, topic: str, value: bytes) -> bool:
    """Whether the broker takes no such record."""
    with closing(KafkaProducer(bootstrap_servers=settings.bootstrap, acks="all")) as producer:
        try:
            producer.send(topic, key=b"probe", value=value, partition=0).get(10)
        except MessageSizeTooLargeError:
            return True
    return False


async def test_a_refused_batch_takes_the_whole_chunk_with_it(
    settings: Settings, admin: KafkaAdminClient
) -> None:
    """The broker takes one batch and refuses another: nothing of the chunk is seen, and the position stays."""
    topics = Topics.of(settings)
    tp, group = TopicPartition(topics.signals.name, 0), f"{settings.topic_prefix}group"
    await asyncio.to_thread(
        admin.alter_configs,
        [ConfigResource(ConfigResourceType.TOPIC, topics.alerts.name, configs={"max.message.bytes": "1000"})],
    )
    # The broker goes by it a little later.
    await asyncio.to_thread(
        until, lambda: is_refused(settings, topics.alerts.name, b"x" * 5000), 30, lambda: "not refused"
    )

    async def take() -> Lease:
        states = {topics.signals.name: topics.signals_state.name}
        return await Lease.take(settings, group, 0, states)

    lease = await take()
    effects = Effects()
    effects.add(topics.alert_changes.name, 0, b"small", b"x")
    effects.add(topics.signals_state.name, 0, b"small", b"x")
    effects.add(topics.alerts.name, 0, b"large", b"x" * 5000)
    with pytest.raises(BatchTooLarge):
        await lease.commit(effects, {tp: 7})
    await lease.release()
    again = await take()
    assert (again.positions, again.states) == ({tp: 0}, {tp: {}})
    await again.release()
    assert await asyncio.to_thread(read_all, settings, topics.alert_changes.name) == []


def test_a_bad_record_harms_nobody_else_in_its_chunk(kafka: Kafka, tmp_path: Path) -> None:
    """sense: each bad record becomes a dead letter with its place; its neighbours are located, in their order."""
    settings = kafka.settings()
    topics = Topics.of(settings)
    good = {
        "source": "street",
        "time": "2025-10-08T17:20:00+07:00",
        "lon": 105.78,
        "lat": 10.03,
        "road_depth_m": 0.1,
    }
    values = [json.dumps({"id": f"e{number}", **good}).encode() for number in range(60)]
    bad = {3: b"", 17: b"{", 18: b"\xff\xfe", 40: b'{"id": 1}', 59: b"[]"}
    values = [bad.get(number, value) for number, value in enumerate(values)]
    client = KafkaProducer(bootstrap_servers=settings.bootstrap, acks="all", linger_ms=50)
    for value in values:
        client.send(topics.raw["flood"].name, key=b"street", value=value, partition=2)
    client.close()
    with running(settings, tmp_path) as system:
        system.start("sense")
        located = until(lambda: read_all(settings, topics.located.name), 40, system.tails)
    letters = [json.loads(record.value) for record in read_all(settings, topics.dead_letters.name)]
    assert [(letter["partition"], letter["offset"], letter["reason"]) for letter in letters] == [
        (2, number, "undecodable") for number in bad
    ]
    ids = [json.loads(record.value)["id"] for record in located]
    assert ids == [f"e{number}" for number in range(60) if number not in bad]


@pytest.mark.parametrize("when", ["at work", "not running"])
def test_records_that_retention_deleted_unread_are_told(
    settings: Settings, admin: KafkaAdminClient, producer: KafkaProducer, workers: kit.Workers, when: str
) -> None:
    """An alarm with the offsets, in the log and as a metric, instead of a silent jump; then it goes on."""
    watched = settings.model_copy(update={"sense_health_port": free_port()})
    fill(settings, producer, 0, [b"0"])
    worker = workers.start("worker", watched)
    until(lambda: kit.committed(settings, admin) == {0: 1}, 40, workers.logs)
    if when == "at work":
        worker.send_signal(signal.SIGSTOP)
        # The broker answers what was asked before: in FETCH_WAIT_MS, and nothing shows from outside that it has.
        time.sleep(1.0)
    else:
        workers.end("worker")
    fill(settings, producer, 0, [b"%d" % number for number in range(1, 500)])
    admin.delete_records({TopicPartition(Topics.of(settings).raw["flood"].name, 0): 300})
    if when == "at work":
        worker.send_signal(signal.SIGCONT)
    else:
        workers.start("worker", watched)
    until(lambda: kit.committed(settings, admin) == {0: 500}, 40, workers.logs)
    deleted = re.compile(r"/0: retention deleted offsets (\d+) to 299")
    told = until(lambda: deleted.search(workers.log("worker")), 20, workers.logs)
    with urlopen(f"http://127.0.0.1:{watched.sense_health_port}/metrics", timeout=5) as answer:
        assert re.search(
            r'^ioc_log_trimmed_total\{topic="\S+ioc.flood"\} 1', answer.read().decode(), re.MULTILINE
        )
    workers.end("worker")
    numbers = [int(value) for _, value in kit.numbered(settings)["source-0"]]
    assert numbers == [*range(int(told[1])), *range(300, 500)]
