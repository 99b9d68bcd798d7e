"""The table of topics against a real broker."""

from __future__ import annotations

import time

import pytest
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient

from ioc.errors import UserError
from ioc.ports import free_port
from ioc.settings import load_settings
from streams import admin
from streams.admin import ensure_topics, require_topics, verify_topics
from streams.topics import DAY_MS, Topics


def test_ensure_makes_the_whole_table_quickly_and_only_once(kafka) -> None:
    """All topics are made within seconds as declared; doing it again changes nothing."""
    settings = kafka.settings(topics=False)
    assert len(verify_topics(settings)) == len(list(Topics.of(settings)))
    began = time.monotonic()
    ensure_topics(settings)
    assert time.monotonic() - began < 5
    assert verify_topics(settings) == []
    ensure_topics(settings)
    require_topics(settings)


def test_other_partitions_are_refused_by_name(kafka) -> None:
    """A worker refuses topics with another number of partitions, and says which, found and expected."""
    settings = kafka.settings(raw_partitions=2)
    other = settings.model_copy(update={"raw_partitions": 3})
    with pytest.raises(UserError) as caught:
        require_topics(other)
    assert f"{settings.topic_prefix}ioc.flood: partitions is 2, expected 3" in caught.value.where
    assert "ioc.alerts" not in caught.value.where


@pytest.mark.parametrize(
    ("name", "key", "value", "expected"),
    [
        ("alerts", "cleanup.policy", "delete", "cleanup.policy is delete, expected compact"),
        ("located", "retention.ms", "1000", f"retention.ms is 1000, expected {7 * DAY_MS}"),
        (
            "signals",
            "message.timestamp.type",
            "CreateTime",
            "message.timestamp.type is CreateTime, expected LogAppendTime",
        ),
    ],
)
def test_other_settings_are_refused_by_name(kafka, name: str, key: str, value: str, expected: str) -> None:
    """What a topic keeps, and whose time stamps it, must be as declared."""
    settings = kafka.settings()
    topic = getattr(Topics.of(settings), name).name
    client = KafkaAdminClient(bootstrap_servers=kafka.address)
    client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {key: value})])
    client.close()
    until = time.monotonic() + 10
    while not (found := verify_topics(settings)):  # the broker takes a moment to follow its controller
        assert time.monotonic() < until
        time.sleep(0.02)
    assert found == [f"{topic}: {expected}"]


def test_fewer_copies_than_asked_are_refused(kafka) -> None:
    """An installation that asks for three copies does not run on one."""
    settings = kafka.settings()
    wanting = settings.model_copy(update={"replication_factor": 3})
    assert f"{settings.topic_prefix}ioc.config: copies is 1, expected 3 or more" in verify_topics(wanting)


def test_more_copies_than_brokers_cannot_be_made(kafka) -> None:
    """The broker's own reason for refusing a topic reaches the user."""
    with pytest.raises(UserError, match="refused to create") as caught:
        kafka.settings(replication_factor=3)
    assert "IOC_REPLICATION_FACTOR" in caught.value.remedy


def test_nobody_there_is_said_with_address_and_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unreachable broker ends in a message after a bounded time, not in waiting for ever."""
    monkeypatch.setattr(admin, "REACH_SECONDS", 1.5)
    port = free_port()
    began = time.monotonic()
    with pytest.raises(UserError) as caught:
        require_topics(load_settings(broker_port=port))
    assert time.monotonic() - began < 5
    assert f"127.0.0.1:{port}" in caught.value.what
    assert "ioc broker" in caught.value.remedy
