"""A reader's place in its consumer group, on a real broker."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from kafka import KafkaConsumer, KafkaProducer
from kafka.admin import KafkaAdminClient, NewTopic

from ioc.settings import Settings
from streams import membership
from streams.membership import JOIN_SECONDS, Membership

_NUMBERS = itertools.count()


@pytest.fixture
def settings(kafka: Any) -> Settings:
    return kafka.settings()


@contextmanager
def topic(settings: Settings) -> Iterator[tuple[str, KafkaAdminClient]]:
    """A topic of one partition with one record, and who may change it."""
    name = f"{settings.topic_prefix}membership"
    admin = KafkaAdminClient(bootstrap_servers=settings.bootstrap)
    try:
        admin.create_topics([NewTopic(name, 1, 1)])
        write(settings, name, 0)
        yield name, admin
    finally:
        admin.close()


def write(settings: Settings, topic: str, partition: int) -> None:
    producer = KafkaProducer(bootstrap_servers=settings.bootstrap)
    producer.send(topic, str(partition).encode(), partition=partition).get(10)
    producer.close()


@contextmanager
def reader(settings: Settings) -> Iterator[KafkaConsumer]:
    """One in a group of its own, that hears of the topic's changes within half a second."""
    consumer = KafkaConsumer(
        bootstrap_servers=settings.bootstrap,
        group_id=f"{settings.topic_prefix}{next(_NUMBERS)}",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        metadata_max_age_ms=500,
    )
    try:
        yield consumer
    finally:
        consumer.close()


def hastily(consumer: KafkaConsumer, keep: Callable[[], None], seconds: float = 20) -> list[bytes]:
    """What is given out first, to one who never waits for longer than 5 ms: so that each join is met in its midst."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        keep()
        if found := [one.value for records in consumer.poll(timeout_ms=5).values() for one in records]:
            consumer.commit()
            return found
    return []


def test_each_new_group_gets_the_topic(settings: Settings) -> None:
    """Each of several, however short a reader's patience is, and before a lost join would be begun again."""
    with topic(settings) as (name, _):
        for _ in range(6):
            with reader(settings) as consumer:
                assert hastily(consumer, Membership(consumer, name).keep, JOIN_SECONDS * 0.8) == [b"0"]


def test_a_join_that_the_client_lost_is_begun_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A topic gets another partition while it is read: what is written there comes too."""
    monkeypatch.setattr(membership, "JOIN_SECONDS", 2.0)
    with topic(settings) as (name, admin), reader(settings) as consumer:
        place = Membership(consumer, name)
        for partition in range(3):
            assert hastily(consumer, place.keep) == [str(partition).encode()]
            admin.create_partitions({name: partition + 2})
            write(settings, name, partition + 1)
