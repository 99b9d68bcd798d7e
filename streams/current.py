"""Which configuration the writers of clock records are to name: followed in ioc.config while they run.

The installation's files are watched: a changed one is published and takes effect at the next clock record. One with
an error changes nothing; the error is said in the log, in a metric, and in ioc.config, from where the wall shows it.
"""

from __future__ import annotations

import logging
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError

from ioc.errors import UserError
from ioc.metrics import CONFIGURATION_ERROR
from ioc.settings import Settings
from ioc.undecodable import UNDECODABLE
from streams.clients import client_arguments
from streams.configuration import (
    CURRENT_KEY,
    ERROR_KEY,
    ConfigurationFault,
    ConfigurationRecord,
    configuration_files,
    policy_of,
    publish_configuration,
)
from streams.topics import Topics

log = logging.getLogger(__name__)

#: Seconds before a broker that failed is asked again.
RETRY_SECONDS = 1.0
#: Seconds between looks at the installation's files.
LOOK_SECONDS = 2.0


class CurrentConfiguration:
    """Publishes this installation's configuration, then follows what is made current after it.

    A new one takes effect at the next clock record, which is one point of the log in every raw partition.
    """

    def __init__(self, settings: Settings, stop: threading.Event) -> None:
        """Follows in a thread of its own until `stop` is set.

        Raises what `publish_configuration` does where there is no configuration in force that could stay.
        """
        self._settings, self._stop = settings, stop
        #: Where the next record of ioc.config is; None: read it from its beginning.
        self._next: int | None = None
        self._files = _stamps(settings)
        self._looked = time.monotonic()
        #: Hash of the configuration that the next clock record is to name.
        self.hash = self._first()
        threading.Thread(target=self._follow, name="ioc-configuration", daemon=True).start()

    def _first(self) -> str:
        try:
            published = publish_configuration(self._settings)
        except UserError as error:
            in_force = _in_force(self._settings)
            if in_force is None:
                raise
            self._tell(error)
            return in_force
        self._next = published.offset + 1
        self._tell(None)
        return published.hash

    def _follow(self) -> None:
        while not self._stop.is_set():
            try:
                self._read()
            except (KafkaError, OSError) as error:
                log.warning("cannot follow the configuration, trying again: %s", error)
                self._stop.wait(RETRY_SECONDS)

    def _read(self) -> None:
        consumer = _reader(self._settings)
        tp = TopicPartition(Topics.of(self._settings).config.name, 0)
        try:
            consumer.assign([tp])
            if self._next is not None:
                consumer.seek(tp, self._next)
            while not self._stop.is_set():
                for record in consumer.poll(timeout_ms=500).get(tp, ()):
                    self._next = record.offset + 1
                    if record.key == CURRENT_KEY and record.value is not None:
                        self._take(record.value)
                if time.monotonic() - self._looked >= LOOK_SECONDS:
                    self._look()
        finally:
            consumer.close()

    def _take(self, named: bytes) -> None:
        """Name another configuration from now on, if it is there: else every worker would wait for it."""
        hash_ = named.decode(errors="replace")
        if hash_ == self.hash:
            return
        if fault := _fault(hash_, _latest(self._settings, named)):
            self._tell(
                UserError(
                    "what ioc.config calls the current configuration cannot be used",
                    f"{hash_[:40]!r}: {fault}",
                    "change one of the configuration's files, which publishes them anew",
                )
            )
            return
        log.info("configuration %s takes effect with the next clock record", hash_)
        self.hash = hash_

    def _look(self) -> None:
        """Publish the files anew where one of them has changed."""
        self._looked = time.monotonic()
        files = _stamps(self._settings)
        if files == self._files:
            return
        try:
            published = publish_configuration(self._settings)
        except UserError as error:
            self._tell(error)
        else:
            log.info("the configuration's files have changed: %s is published", published.hash)
            self._tell(None)
        # Only now: where the broker failed, they are looked at again.
        self._files = files

    def _tell(self, error: UserError | None) -> None:
        """Say that the files have an error and the configuration in force stays; None: that they have none."""
        CONFIGURATION_ERROR.set(0 if error is None else 1)
        fault = None
        if error is not None:
            log.error("the configuration has an error, the one in force stays: %s", error)
            fault = ConfigurationFault(
                time=datetime.now(UTC), what=error.what, where=error.where, remedy=error.remedy
            )
        producer = KafkaProducer(**client_arguments(self._settings), acks="all")
        try:
            topic = Topics.of(self._settings).config.name
            value = msgspec.json.encode(fault) if fault else None
            producer.send(topic, key=ERROR_KEY, value=value).get(timeout=30)
        finally:
            producer.close()


def _stamps(settings: Settings) -> dict[str, tuple[int, int] | None]:
    """What tells whether a file has changed: its time and size; None for one that is not there."""

    def stamp(path: Path) -> tuple[int, int] | None:
        try:
            found = path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size

    return {str(path): stamp(path) for path in configuration_files(settings)}


def _in_force(settings: Settings) -> str | None:
    """Hash of the configuration that ioc.config calls the current one; None where there is none."""
    named = _latest(settings, CURRENT_KEY)
    if named is None or _fault(hash_ := named.decode(errors="replace"), _latest(settings, named)):
        return None
    return hash_


def _fault(hash_: str, content: bytes | None) -> str:
    """Why what ioc.config holds under a name is no configuration; empty where it is one."""
    if content is None:
        return "ioc.config holds nothing under that name"
    try:
        policy_of(msgspec.json.decode(content, type=ConfigurationRecord), f"rules of {hash_}")
    except (*UNDECODABLE, UserError) as error:
        return str(error)
    return ""


def _latest(settings: Settings, key: bytes) -> bytes | None:
    """What ioc.config holds under a key now; None where that is nothing."""
    consumer = _reader(settings)
    tp = TopicPartition(Topics.of(settings).config.name, 0)
    found: bytes | None = None
    try:
        consumer.assign([tp])
        end = consumer.end_offsets([tp])[tp]
        while consumer.position(tp) < end:
            for record in consumer.poll(timeout_ms=200).get(tp, ()):
                if record.key == key:
                    found = record.value
        return found
    finally:
        consumer.close()


def _reader(settings: Settings) -> KafkaConsumer:
    return KafkaConsumer(
        **client_arguments(settings),
        enable_auto_commit=False,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
    )
