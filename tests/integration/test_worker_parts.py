"""What the workers stand on, on the real broker: restoring, fencing, and a full stream."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from aiokafka.errors import KafkaError, KafkaTimeoutError
from aiokafka.structs import TopicPartition
from kafka import KafkaAdminClient, KafkaProducer

from geo.cache import present_set
from geo.files import write_boundaries
from ioc.settings import Settings
from streams import transactions
from streams.configuration import Configurations, publish_configuration
from streams.shelf import Shelf
from streams.topics import Topics
from streams.transactions import Effects, Lease, PositionLost
from tests.conftest import Kafka
from tests.system import read_all


@pytest.fixture
def settings(kafka: Kafka) -> Settings:
    """With a log that has something to be read: a position beyond its end would be a lost one."""
    made = kafka.settings()
    producer = KafkaProducer(bootstrap_servers=made.bootstrap, acks="all", linger_ms=5)
    topics = Topics.of(made)
    for _ in range(30):
        producer.send(topics.signals.name, key=b"92", value=b"{}", partition=0)
        for stream in ("flood", "traffic"):
            producer.send(topics.raw[stream].name, key=b"source", value=b"{}", partition=1)
    producer.close()
    return made


def signals(settings: Settings) -> TopicPartition:
    return TopicPartition(Topics.of(settings).signals.name, 0)


async def take(settings: Settings) -> Lease:
    topics = Topics.of(settings)
    states = {topics.signals.name: topics.signals_state.name}
    return await Lease.take(settings, f"{settings.topic_prefix}group", 0, states)


def effects(settings: Settings, value: bytes) -> Effects:
    out = Effects()
    out.add(Topics.of(settings).signals_state.name, 0, b"key", value)
    out.add(Topics.of(settings).alert_changes.name, 0, b"alert", value)
    return out


async def test_a_new_lease_finds_position_and_state_of_the_last_commit(settings: Settings) -> None:
    """Twenty times: the state is whole though the log ends in transaction markers, and never the one before."""
    for number in range(20):
        held = await take(settings)
        assert held.positions == {signals(settings): number}
        assert held.states[signals(settings)] == ({b"key": str(number - 1).encode()} if number else {})
        await held.commit(effects(settings, str(number).encode()), {signals(settings): number + 1})
        await held.release()


async def test_a_fenced_holder_writes_nothing(settings: Settings) -> None:
    """A worker that was paused and replaced cannot commit any more, and its half-done chunk does not count."""
    first = await take(settings)
    await first.commit(effects(settings, b"first"), {signals(settings): 1})
    await first._producer.begin_transaction()
    await first._producer.send(Topics.of(settings).alert_changes.name, b"half done", b"alert", partition=0)
    second = await take(settings)
    assert second.positions == {signals(settings): 1}
    assert second.states == {signals(settings): {b"key": b"first"}}
    # Beginning another one after a fatal error is refused by an assertion of aiokafka's.
    with pytest.raises((KafkaError, AssertionError)):
        await first.commit(effects(settings, b"too late"), {signals(settings): 9})
    await second.commit(effects(settings, b"second"), {signals(settings): 2})
    await second.release()
    await first.release()
    written = [record.value for record in read_all(settings, Topics.of(settings).alert_changes.name)]
    assert written == [b"first", b"second"]


async def test_a_state_that_is_gone_is_not_taken_for_an_empty_one(settings: Settings) -> None:
    """A position without any state: the state's log was deleted or made anew, and going on would judge wrongly."""
    held = await take(settings)
    only_an_output = Effects()
    only_an_output.add(Topics.of(settings).alert_changes.name, 0, b"alert", b"x")
    await held.commit(only_an_output, {signals(settings): 5})
    await held.release()
    with pytest.raises(PositionLost, match="holds no state"):
        await take(settings)


async def test_the_position_stands_in_the_log_of_the_state_too(settings: Settings) -> None:
    """A group that does not know it - its broker has just taken it over, or it was away for longer than Kafka keeps
    offsets - is not believed: the same records would be judged again."""
    held = await take(settings)
    await held.commit(effects(settings, b"1"), {signals(settings): 5})
    await held.release()
    admin = KafkaAdminClient(bootstrap_servers=settings.bootstrap)
    admin.delete_groups([f"{settings.topic_prefix}group"])
    admin.close()
    again = await take(settings)
    assert again.positions == {signals(settings): 5}
    assert again.states == {signals(settings): {b"key": b"1"}}
    await again.release()


async def test_a_group_that_is_ahead_of_the_state_is_set_back(settings: Settings) -> None:
    """A broker may have told the group of a transaction, and of the state's part an abort: what the state has not
    seen is judged, and the group is told so."""
    held = await take(settings)
    await held.commit(effects(settings, b"1"), {signals(settings): 5})
    await held._producer.begin_transaction()
    await held._producer.send_offsets_to_transaction({signals(settings): (9, "0")}, held.group)
    await held._producer.commit_transaction()
    await held.release()
    again = await take(settings)
    assert again.positions == {signals(settings): 5}
    [stands] = await transactions.standings(
        settings, held.group, 0, {signals(settings).topic: Topics.of(settings).signals_state.name}
    )
    assert (stands.told, stands.group_is_ahead) == (5, False)
    await again.commit(effects(settings, b"2"), {signals(settings): 7})
    await again.release()


async def test_a_state_of_which_nobody_knows_the_position_is_lost(settings: Settings) -> None:
    """From the beginning of the log on all would be judged a second time, with a state that has seen it."""
    producer = KafkaProducer(bootstrap_servers=settings.bootstrap, acks="all")
    producer.send(Topics.of(settings).signals_state.name, key=b"key", value=b"1", partition=0)
    producer.close()
    with pytest.raises(PositionLost, match="holds 1 states, but the group has no position"):
        await take(settings)


class Behind:
    """Who leads a partition, and learns only now what is on all brokers."""

    def __init__(self, *ends: int) -> None:
        self.ends = list(ends)

    async def end_offsets(self, tps: list[TopicPartition]) -> dict[TopicPartition, int]:
        return {tps[0]: self.ends.pop(0) if len(self.ends) > 1 else self.ends[0]}


async def test_a_broker_that_is_behind_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a lease reads is no less than what it has written itself; else the process ends, to try again."""
    tp, late = TopicPartition("state", 0), Behind(5, 5, 7, 8, 20)
    await transactions._until_known(late, tp, 7)  # type: ignore[arg-type]
    assert late.ends == [20]
    monkeypatch.setattr(transactions, "CATCH_UP_SECONDS", 0.2)
    with pytest.raises(KafkaTimeoutError, match="still it ends at 5"):
        await transactions._until_known(Behind(5), tp, 7)  # type: ignore[arg-type]


async def test_the_topics_of_a_lane_are_committed_together_and_restored_apart(settings: Settings) -> None:
    """Partition 1 of two topics is one lane: one transaction moves both, and each has its own position and state."""
    topics = Topics.of(settings)
    states = {topics.raw[stream].name: topics.raw_state[stream].name for stream in ("flood", "traffic")}
    flood, traffic = (TopicPartition(topic, 1) for topic in states)

    async def take_lane() -> Lease:
        return await Lease.take(settings, f"{settings.topic_prefix}group", 1, states)

    held = await take_lane()
    assert held.positions == {flood: 0, traffic: 0}
    out = Effects()
    out.add(states[flood.topic], 1, b"gauge", b"high")
    out.add(states[traffic.topic], 1, b"road", b"slow")
    await held.commit(out, {flood: 3, traffic: 5})
    out = Effects()
    out.add(states[flood.topic], 1, b"gauge", b"low")
    await held.commit(out, {flood: 4})
    await held.release()
    again = await take_lane()
    assert again.positions == {flood: 4, traffic: 5}
    assert again.states == {flood: {b"gauge": b"low"}, traffic: {b"road": b"slow"}}
    await again.release()


async def test_a_large_chunk_is_written_whole(settings: Settings) -> None:
    """More than one batch for a partition: every record arrives, in order."""
    held = await take(settings)
    out = Effects()
    for number in range(3000):
        out.add(Topics.of(settings).alert_changes.name, 0, b"%d" % number, b"x" * 500)
    await held.commit(out, {signals(settings): 1})
    await held.release()
    keys = [record.key for record in read_all(settings, Topics.of(settings).alert_changes.name)]
    assert keys == [b"%d" % number for number in range(3000)]


async def test_a_configuration_is_found_by_whoever_asks_first(settings: Settings) -> None:
    """Several partitions ask at once, again and again: none is told that it is not there."""
    name = (await asyncio.to_thread(publish_configuration, settings)).hash
    shelf = Shelf(settings)
    for _ in range(10):
        several = [Configurations(settings, shelf) for _ in range(4)]
        assert await asyncio.gather(*(configurations.fetch(name) for configurations in several)) == [""] * 4
    assert "ioc.config does not hold" in await Configurations(settings, shelf).fetch("0000000000000000")


async def test_a_worker_waits_for_a_boundary_set_that_its_machine_lacks(
    settings: Settings, tmp_path: Path
) -> None:
    """It says which set and what to do, and goes on once it is there."""
    other = tmp_path / "other.geojson"
    present = present_set(settings.provinces, settings.cache_dir)
    write_boundaries(replace(present, id="other"), other)
    elsewhere = settings.model_copy(update={"boundaries_file": other, "state_dir": tmp_path / "elsewhere"})
    name = (await asyncio.to_thread(publish_configuration, elsewhere)).hash
    missing = await Configurations(settings, Shelf(settings)).fetch(name)
    assert "boundary set other@" in missing
    assert "import it on this machine" in missing
    assert await Configurations(elsewhere, Shelf(elsewhere)).fetch(name) == ""


async def test_a_log_may_name_boundaries_that_the_installation_has_no_more(
    settings: Settings, tmp_path: Path
) -> None:
    """From the default to a file and back: what the log names from then is found, and nothing stalls."""
    here = settings.model_copy(update={"state_dir": tmp_path / "state"})
    other = tmp_path / "other.geojson"
    write_boundaries(replace(present_set(["92"], settings.cache_dir), id="other"), other)
    with_file = here.model_copy(update={"boundaries_file": other})
    first = (await asyncio.to_thread(publish_configuration, here)).hash
    second = (await asyncio.to_thread(publish_configuration, with_file)).hash
    assert await Configurations(with_file, Shelf(with_file)).fetch(first) == ""
    other.unlink()
    assert await Configurations(here, Shelf(here)).fetch(second) == ""
