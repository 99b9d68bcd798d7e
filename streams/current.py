"""Which configuration the writers of clock records are to name: followed in ioc.config while they run."""

from __future__ import annotations

import logging
import threading

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from ioc.settings import Settings
from streams.configuration import CURRENT_KEY, publish_configuration
from streams.topics import Topics

log = logging.getLogger(__name__)

#: Seconds before a broker that failed is asked again.
RETRY_SECONDS = 1.0


class CurrentConfiguration:
    """Publishes this installation's configuration, then follows what is made current after it.

    A new one takes effect at the next clock record, which is one point of the log in every raw partition.
    """

    def __init__(self, settings: Settings, stop: threading.Event) -> None:
        """Raises what `publish_configuration` does. Follows in a thread of its own until `stop` is set."""
        published = publish_configuration(settings)
        #: Hash of the configuration that the next clock record is to name.
        self.hash = published.hash
        self._settings, self._stop, self._next = settings, stop, published.offset + 1
        threading.Thread(target=self._follow, name="ioc-configuration", daemon=True).start()

    def _follow(self) -> None:
        while not self._stop.is_set():
            try:
                self._read()
            except (KafkaError, OSError) as error:
                log.warning("cannot follow the configuration, trying again: %s", error)
                self._stop.wait(RETRY_SECONDS)

    def _read(self) -> None:
        consumer = KafkaConsumer(
            bootstrap_servers=self._settings.bootstrap.split(","),
            enable_auto_commit=False,
            isolation_level="read_committed",
        )
        tp = TopicPartition(Topics.of(self._settings).config.name, 0)
        try:
            consumer.assign([tp])
            consumer.seek(tp, self._next)
            while not self._stop.is_set():
                for record in consumer.poll(timeout_ms=500).get(tp, ()):
                    self._next = record.offset + 1
                    if record.key == CURRENT_KEY and record.value is not None:
                        self._take(record.value.decode())
        finally:
            consumer.close()

    def _take(self, hash_: str) -> None:
        if hash_ != self.hash:
            log.info("configuration %s takes effect with the next clock record", hash_)
            self.hash = hash_
