"""The Faust app as it is made: nothing of what loses records, or answers for us, is left on (streams/FAUST.md)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import faust
import pytest
from aiokafka.structs import TopicPartition

from ioc.health import Health
from ioc.settings import load_settings
from streams.chunks import ChunkTransport, RecordTransport
from streams.pipeline import Processor
from streams.topics import Topics
from streams.worker import Worker


def none_made(tp: TopicPartition, state: Mapping[bytes, bytes]) -> Processor:
    raise AssertionError("nothing is assigned")


def made(tmp_path: Path, **settings: object) -> Worker:
    given = load_settings(bootstrap_servers="127.0.0.1:1", state_dir=tmp_path, **settings)
    topics = Topics.of(given)
    pairs = [(topics.raw[stream], topics.raw_state[stream]) for stream in topics.raw]
    return Worker("sense", given, Health(), pairs, none_made, in_step=True)


async def test_an_agent_for_each_topic_that_works_alone(tmp_path: Path) -> None:
    """Two agents on a topic, or one that works on two records at once, commit past records at work."""
    worker = made(tmp_path)
    topics = [topic for agent in worker.app.agents.values() for topic in agent.get_topic_names()]
    assert sorted(topics) == sorted(topic.name for topic in Topics.of(worker.settings).raw.values())
    assert {agent.concurrency for agent in worker.app.agents.values()} == {1}


def test_no_tables_no_web_and_no_topics_of_its_own(tmp_path: Path) -> None:
    """State is in changelogs of our own, health is served by us, and topics are made beforehand."""

    async def make() -> faust.App:
        return made(tmp_path).app

    app = asyncio.run(make())
    assert not app.tables
    conf = app.conf
    assert (conf.web_enabled, conf.topic_allow_declare, conf.topic_disable_leader) == (False, False, True)
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


@pytest.mark.parametrize(("transport", "kind"), [("chunks", ChunkTransport), ("records", RecordTransport)])
async def test_what_decides_is_said(tmp_path: Path, transport: str, kind: type) -> None:
    """Nothing of what guarantees rest on is left to a default: what is read first, and who waits how long."""
    app = made(tmp_path, session_timeout=40.0, transport=transport).app
    conf = app.conf
    assert conf.consumer_auto_offset_reset == "earliest"
    assert (conf.stream_wait_empty, conf.table_standby_replicas, conf.producer_acks) == (False, 0, -1)
    assert conf.broker_session_timeout == 40 <= conf.broker_request_timeout
    assert conf.broker_heartbeat_interval * 3 <= conf.broker_session_timeout
    assert type(app.transport) is kind
    for agent in app.agents.values():
        # Faust keeps no account of acknowledgements then, so it has nothing that it could commit.
        assert agent.channel.acks is False
        assert (agent.channel.key_type, agent.channel.value_type) == (bytes, bytes)
