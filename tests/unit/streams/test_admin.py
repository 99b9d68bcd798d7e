"""The table of topics against a cluster whose brokers have not all heard of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from ioc.errors import UserError
from ioc.settings import Settings, load_settings
from streams import admin
from streams.topics import Topics


class Cluster:
    """Answers as kafka-python's client does. The broker that is asked knows of the topics, but tells the settings of
    the last one only after some questions: so a broker does that is behind its controller."""

    def __init__(self, settings: Settings, silences: int) -> None:
        self.topics, self.silences = list(Topics.of(settings)), silences

    def list_topics(self) -> list[str]:
        return [topic.name for topic in self.topics]

    def describe_topics(self) -> list[dict[str, Any]]:
        return [
            {"name": topic.name, "partitions": [{"replica_nodes": [1]}] * topic.partitions}
            for topic in self.topics
        ]

    def describe_configs(self, resources: list[Any], config_filter: str) -> dict[str, Any]:
        told = {
            topic.name: {key: {"value": value} for key, value in topic.settings().items()}
            for topic in self.topics
        }
        if self.silences:
            self.silences -= 1
            told[self.topics[-1].name] = {}
        return {"topic": told}


@pytest.fixture
def settings() -> Settings:
    return load_settings(topic_prefix="")


def connect(monkeypatch: pytest.MonkeyPatch, cluster: Cluster) -> None:
    @contextmanager
    def client(settings: Settings) -> Iterator[Cluster]:
        yield cluster

    monkeypatch.setattr(admin, "admin_client", client)


def test_a_broker_that_has_not_heard_of_a_topic_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    """No worker ends, and no installation fails, because a broker of a busy cluster is a moment behind."""
    connect(monkeypatch, cluster := Cluster(settings, silences=3))
    admin.ensure_topics(settings)
    cluster.silences = 2
    admin.require_topics(settings)


def test_a_broker_that_never_tells_is_said_to(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    """Not that each setting differs: this user may lack the right to ask."""
    monkeypatch.setattr(admin, "KNOWN_SECONDS", 0.3)
    connect(monkeypatch, Cluster(settings, silences=1_000_000))
    with pytest.raises(UserError) as caught:
        admin.require_topics(settings)
    assert str(caught.value.where).endswith(admin.UNTOLD)
    assert "right to ask" in str(caught.value.remedy)
