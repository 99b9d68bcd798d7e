"""A lost state is noticed, nothing is judged without it, and `ioc rebuild` makes it anew from the log."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition
from kafka import KafkaAdminClient, KafkaProducer
from kafka.structs import TopicPartition as Tp

from ioc.ports import free_port
from ioc.settings import Settings
from streams.admin import ensure_agencies, ensure_topics
from streams.topics import Topics
from streams.transactions import Effects, Lease, PositionLost, standings
from tests.chaos.load import AGENCIES, Load, make_load
from tests.chaos.verdict import judge
from tests.conftest import Kafka
from tests.system import System, ioc, read_all, running, until, wait_until_judged

BEGIN = datetime.fromisoformat("2025-10-08T17:20:00+07:00")
HALF = BEGIN + timedelta(minutes=50)
END = BEGIN + timedelta(minutes=100)


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Load:
    return make_load(tmp_path_factory.mktemp("load"), 1000, begin=BEGIN, end=END)


@pytest.fixture
def settings(kafka: Kafka, load: Load, tmp_path: Path) -> Settings:
    made = kafka.settings(
        raw_partitions=2,
        state_dir=tmp_path / "state",
        sense_health_port=free_port(),
        correlate_health_port=free_port(),
        **load.files,
    )
    ensure_agencies(made, AGENCIES)
    return made


@pytest.fixture
def system(settings: Settings, tmp_path: Path) -> Iterator[System]:
    with running(settings, tmp_path / "processes") as made:
        yield made


def states(settings: Settings) -> dict[tuple[str, int, bytes], bytes]:
    """The latest value of each key of every state."""
    topics, latest = Topics.of(settings), {}
    for topic in (*topics.raw_state.values(), topics.signals_state):
        for record in read_all(settings, topic.name):
            at = (topic.name, record.partition, record.key)
            if record.value is None:
                latest.pop(at, None)
            else:
                latest[at] = record.value
    return latest


def make_anew(settings: Settings, *names: str) -> None:
    """Delete topics and create them again, as somebody might who cleans up."""
    with closing(KafkaAdminClient(bootstrap_servers=settings.bootstrap)) as admin:
        admin.delete_topics(list(names))
        until(lambda: not set(names) & set(admin.list_topics()), 30, lambda: "not deleted")
    ensure_topics(settings)


def readiness(port: int) -> tuple[int, str]:
    """Status and text of /readyz; 0 where nobody answers."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


def replay(system: System, load: Load, speed: str) -> None:
    arguments = ("replay", str(load.recording), "--run", "r", "--speed", speed)
    system.start("replay", *arguments, "--prefix", system.settings.topic_prefix)


def half_judged(system: System, load: Load) -> None:
    """Judge the first half of the load, and end the workers."""
    system.start("sense")
    system.start("correlate")
    replay(system, load, "400")
    wait_until_judged(system, HALF, 60)
    for name in ("replay", "sense", "correlate"):
        system.end(name)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("worker", ["sense", "correlate"])
def test_a_lost_state_is_made_anew_from_the_log(
    settings: Settings, load: Load, system: System, worker: str
) -> None:
    """Not ready, with the reason; after `ioc rebuild` the same processes go on, and nothing is lost or different."""
    half_judged(system, load)
    topics = Topics.of(settings)
    read, state, port = {
        "sense": (topics.raw["flood"], topics.raw_state["flood"], settings.sense_health_port),
        "correlate": (topics.signals, topics.signals_state, settings.correlate_health_port),
    }[worker]
    make_anew(settings, state.name)
    processes = [system.start("sense"), system.start("correlate")]
    replay(system, load, "400")
    said = until(
        lambda: next((text for code, text in [readiness(port)] if "ioc rebuild" in text), None),
        60,
        system.tails,
    )
    assert "NOT OK state of lane 0: " in said or "NOT OK state of lane 1: " in said
    assert f"{read.name}/" in said
    assert "was deleted or made anew" in said
    assert readiness(port)[0] == 503
    looked = ioc(settings, "rebuild", "--dry-run")
    assert looked.returncode == 1, looked.stderr
    assert looked.stdout.count("deleted or made anew") == state.partitions
    done = ioc(settings, "rebuild")
    assert done.returncode == 0, done.stderr
    assert f"{read.name}/0: " in done.stdout
    assert "retention" not in done.stdout
    wait_until_judged(system, END, 60)
    assert [process.poll() for process in processes] == [None, None], system.tails()
    until(lambda: readiness(port)[0] == 200, 30, system.tails)
    until(lambda: system.processes["replay"].poll() is not None, 60, system.tails)
    found = judge(settings, load, AGENCIES)
    assert found.clean, found.told
    assert found.compared["ioc.alert-changes/0"] > 30
    assert ioc(settings, "rebuild").stdout.startswith("no state is lost: 9 partitions")


@pytest.mark.timeout(240)
def test_a_state_made_anew_is_what_it_was(settings: Settings, load: Load, system: System) -> None:
    """Nobody works meanwhile: key by key and byte by byte the states of all workers are those before."""
    half_judged(system, load)
    before = states(settings)
    topics = Topics.of(settings)
    make_anew(settings, *(topic.name for topic in topics.raw_state.values()), topics.signals_state.name)
    assert not states(settings)
    done = ioc(settings, "rebuild")
    assert done.returncode == 0, done.stderr
    after = states(settings)
    assert after.keys() == before.keys()
    assert [at for at in before if after[at] != before[at]] == []


@pytest.mark.timeout(240)
def test_what_retention_deleted_is_told(settings: Settings, load: Load, system: System) -> None:
    """The log's beginning is gone, with the switch to the configuration: judged from what is left, and said."""
    half_judged(system, load)
    topics = Topics.of(settings)
    written = read_all(settings, topics.signals.name)
    tp = Tp(topics.signals.name, 0)
    with closing(KafkaAdminClient(bootstrap_servers=settings.bootstrap)) as admin:
        admin.delete_records({tp: written[len(written) // 2].offset})
    make_anew(settings, topics.signals_state.name)
    done = ioc(settings, "rebuild")
    assert done.returncode == 0, done.stderr
    assert "retention has deleted what stood before offset" in done.stdout
    made = {
        key: value
        for (topic, _, key), value in states(settings).items()
        if topic == topics.signals_state.name
    }
    assert b"config" in made, "the configuration that held is found without its switch"
    system.start("sense")
    system.start("correlate")
    replay(system, load, "max")
    wait_until_judged(system, END, 60)


@pytest.mark.timeout(120)
async def test_a_state_made_anew_under_a_lease_is_noticed(settings: Settings) -> None:
    """The rest of it would be lost, and what is there would look whole: neither this lease goes on nor the next."""
    topics, group = Topics.of(settings), f"{settings.topic_prefix}group"
    tp, state = TopicPartition(topics.signals.name, 0), topics.signals_state.name
    lane = (settings, group, 0, {tp.topic: state})

    def send(topic: str) -> None:
        with closing(KafkaProducer(bootstrap_servers=settings.bootstrap, acks="all")) as producer:
            for _ in range(9):
                producer.send(topic, key=b"key", value=b"x", partition=0)
            producer.flush(20)

    await asyncio.to_thread(send, tp.topic)
    lease = await Lease.take(*lane)

    def effects(number: int) -> Effects:
        out = Effects()
        for key in range(20):
            out.add(state, 0, b"%d" % key, b"%d" % number)
        return out

    for number in (1, 2, 3):
        await lease.commit(effects(number), {tp: number})
    await asyncio.to_thread(make_anew, settings, state)
    with pytest.raises((PositionLost, KafkaError)):
        await lease.commit(effects(4), {tp: 4})
    await lease.release()
    with pytest.raises(PositionLost, match="holds no state"):
        await Lease.take(*lane)
    await asyncio.to_thread(send, state)
    with pytest.raises(PositionLost, match="it was made anew"):
        await Lease.take(*lane)


@pytest.mark.timeout(120)
async def test_a_log_made_anew_is_no_log_that_was_read(settings: Settings) -> None:
    """The position lies beyond the log's end: what comes in would be skipped until it is reached."""
    topics, group = Topics.of(settings), f"{settings.topic_prefix}ioc-correlate"
    tp, state = TopicPartition(topics.signals.name, 0), topics.signals_state.name
    lane = (settings, group, 0, {tp.topic: state})
    lease = await Lease.take(*lane)
    out = Effects()
    out.add(state, 0, b"key", b"kept")
    await lease.commit(out, {tp: 7})
    await lease.release()
    with pytest.raises(PositionLost, match="the log ends at 0: it is another"):
        await Lease.take(*lane)
    done = await asyncio.to_thread(ioc, settings, "rebuild")
    assert done.returncode == 0, done.stderr
    [stands] = await standings(*lane)
    assert (stands.lost, stands.committed, stands.state) == ("", 0, {b"key": b"kept"})
