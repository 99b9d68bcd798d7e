"""A real broker that asks everybody who he is and what he may, and clients of the parties of a file."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError

from ioc.broker import Broker
from ioc.ports import free_port
from ioc.settings import Settings, load_settings
from streams.admin import ensure_agencies, ensure_topics
from streams.clients import client_arguments
from streams.membership import Membership
from tests.certificates import Authority
from tests.conftest import _broker_settings
from tests.system import ioc

AGENCIES = ("rescue", "fire")
PARTIES = """\
version: 1
users: ioc-
processes:
  - {user: ioc-sense, does: [sense]}
  - {user: ioc-correlate, does: [correlate]}
  - {user: ioc-clock, does: [clock]}
  - {user: ioc-replay, does: [replay, topics]}
  - {user: ioc-wall, does: [wall]}
  - {user: ioc-recorder, does: [record]}
  - {user: ioc-engineer, does: [command, deadletters, configure, inspect]}
sources:
  - {user: ioc-gauges, streams: [flood]}
  - {user: ioc-cameras, streams: [camera]}
agencies:
  - {user: ioc-rescue, agency: rescue}
  - {user: ioc-fire, agency: fire}
"""


@dataclass
class Guarded:
    """The broker, and how the parties reach it."""

    broker: Broker
    #: Of the machine that the broker runs on: its user may do everything.
    base: Settings
    authority: Authority
    directory: Path
    parties: Path

    @property
    def passwords(self) -> Path:
        return self.directory / "passwords"

    def as_(self, user: str, **more: object) -> Settings:
        """The settings of another machine that is this user."""
        return load_settings(
            **{
                **self.base.model_dump(),
                "broker_outside": "",
                "broker_tls_file": None,
                "bootstrap_servers": self.base.broker_outside,
                "kafka_security_protocol": "SASL_SSL",
                "kafka_ca_file": self.authority.file,
                "kafka_user": user,
                "kafka_password_file": self.passwords / user,
                "session_timeout": 3.0,
                **more,
            }
        )

    def apply(self, text: str, *arguments: str) -> str:
        """`ioc access apply` of a file with this text; returns what it prints."""
        self.parties.write_text(text)
        done = ioc(
            self.base, "access", "apply", str(self.parties), "--passwords", str(self.passwords), *arguments
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@contextmanager
def guarded(directory: Path) -> Iterator[Guarded]:
    """The broker with the topics of an installation and the users and rights of `PARTIES`."""
    authority = Authority(directory)
    base = _broker_settings(
        directory / "state",
        broker_outside=f"127.0.0.1:{free_port()}",
        broker_tls_file=authority.server("kafka"),
    )
    broker = Broker(base)
    broker.start()
    try:
        broker.wait_ready()
        ensure_topics(base)
        ensure_agencies(base, AGENCIES)
        made = Guarded(broker, base, authority, directory, directory / "parties.yaml")
        made.apply(PARTIES)
        yield made
    finally:
        broker.stop()


def write(settings: Settings, topic: str, value: bytes = b"x", partition: int = 0) -> None:
    """One record, acknowledged. Raises what the client does where it is refused."""
    producer = KafkaProducer(
        **client_arguments(settings),
        bootstrap_timeout_ms=2000,
        max_block_ms=3000,
        enable_idempotence=False,  # who may write nothing at all would be refused for this already
    )
    try:
        producer.send(topic, value, key=b"key", partition=partition).get(5)
    finally:
        producer.close(timeout=0.5)


def read(settings: Settings, topic: str, group: str | None = None, seconds: float = 2.0) -> list[bytes]:
    """The values of partition 0 that are given out within some seconds; ends with the first ones.

    Raises what the client does where it is refused.
    """
    consumer = KafkaConsumer(
        **client_arguments(settings),
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        bootstrap_timeout_ms=2000,
    )
    until = time.monotonic() + seconds
    try:
        if group is None:
            consumer.assign([TopicPartition(topic, 0)])
        else:
            Membership(consumer, topic)
        while time.monotonic() < until:
            if found := [one.value for records in consumer.poll(timeout_ms=200).values() for one in records]:
                if group is not None:
                    consumer.commit()
                return found
        return []
    finally:
        with contextlib.suppress(KafkaError):
            consumer.close()
