"""Every topic, in one table: name, key, partitions, retention or compaction, schema.

Creation and verification against a broker: `streams.admin`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from aiokafka.partitioner import murmur2

from ioc.settings import Settings

#: The raw streams, in the order in which they are listed everywhere.
STREAMS = ("traffic", "flood", "camera", "report")

DAY_MS = 24 * 60 * 60 * 1000


@dataclass(frozen=True)
class Topic:
    """One topic. `name` already carries the installation's prefix."""

    name: str
    key: str
    schema: str
    partitions: int
    #: How long records are kept, in milliseconds; None where the topic is compacted.
    retention_ms: int | None
    #: Topic settings beyond these, as Kafka names them.
    config: dict[str, str] = field(default_factory=dict)

    @property
    def compacted(self) -> bool:
        return self.retention_ms is None

    def settings(self) -> dict[str, str]:
        """The topic's settings as Kafka names them."""
        # Records are stamped by the broker: a replayed day is kept for its retention from now on, and one
        # device with a wrong clock cannot make the log delete, or keep, the wrong segments.
        common = {"message.timestamp.type": "LogAppendTime"}
        if self.retention_ms is None:
            return {
                **common,
                "cleanup.policy": "compact",
                "min.cleanable.dirty.ratio": "0.2",
                "segment.ms": str(DAY_MS),
                **self.config,
            }
        return {**common, "cleanup.policy": "delete", "retention.ms": str(self.retention_ms), **self.config}


@dataclass(frozen=True)
class Topics:
    """The table of an installation: the same for every process that has the same settings."""

    raw: dict[str, Topic]
    raw_state: dict[str, Topic]
    located: Topic
    signals: Topic
    signals_state: Topic
    alert_changes: Topic
    alerts: Topic
    incidents: Topic
    audit: Topic
    #: What the wall is restored from: `streams.picturing`.
    picture: Topic
    dead_letters: Topic
    config: Topic
    #: Province codes in the order of their partitions in `signals` and all that correlate writes.
    provinces: tuple[str, ...]
    _prefix: str

    @classmethod
    def of(cls, settings: Settings) -> Topics:
        """The table for these settings."""
        prefix, raw, provinces = (
            settings.topic_prefix,
            settings.raw_partitions,
            tuple(sorted(settings.provinces)),
        )

        def topic(
            name: str, key: str, schema: str, partitions: int, days: int | None, **config: str
        ) -> Topic:
            retention = None if days is None else days * DAY_MS
            return Topic(f"{prefix}{name}", key, schema, partitions, retention, config)

        n = len(provinces)
        return cls(
            raw={
                stream: topic(f"ioc.{stream}", "source", f"{stream.capitalize()}Event | Clock", raw, 7)
                for stream in STREAMS
            },
            raw_state={
                stream: topic(f"ioc.{stream}.state", "source", "SourceState", raw, None) for stream in STREAMS
            },
            located=topic("ioc.located", "commune", "Located", raw, 7),
            signals=topic("ioc.signals", "province", "Signal | Passed", n, 30),
            signals_state=topic("ioc.signals.state", "part of the picture", "CorrelateState", n, None),
            alert_changes=topic("ioc.alert-changes", "alert", "Alert", n, 365),
            alerts=topic("ioc.alerts", "alert", "Alert", n, None),
            incidents=topic("ioc.incidents", "incident", "Incident", n, None),
            audit=topic("ioc.audit", "command", "CommandOutcome", n, 365),
            # Small segments: only what is closed is compacted, and a wall that starts reads what is not.
            picture=topic(
                "ioc.picture",
                "part of the picture",
                "Located | Frame",
                raw,
                None,
                **{"segment.ms": str(2 * 60_000), "delete.retention.ms": str(60 * 60_000)},
            ),
            dead_letters=topic("ioc.deadletter", "source", "DeadLetter | Replayed", 1, 30),
            config=topic("ioc.config", "hash", "Configuration", 1, None),
            provinces=provinces,
            _prefix=prefix,
        )

    def __iter__(self) -> Iterator[Topic]:
        yield from self.raw.values()
        yield from self.raw_state.values()
        yield from (self.located, self.signals, self.signals_state, self.alert_changes, self.alerts)
        yield from (self.incidents, self.audit, self.picture, self.dead_letters, self.config)

    def agency(self, name: str) -> Topic:
        """The topic of one agency's alerts; it is made when a configuration names the agency."""
        return Topic(
            f"{self._prefix}ioc.alerts.{name}",
            "alert",
            "AgencyAlert | Heartbeat",
            len(self.provinces),
            30 * DAY_MS,
        )

    def frames_partition(self, partition: int) -> int:
        """The partition of `picture` with the frames of the province that has `partition` in `signals`."""
        return partition % self.picture.partitions

    def province_partition(self, province: str | None) -> int:
        """The partition of `signals` and of all that correlate writes that belongs to a province.

        What lies in no province that is served has the first one's: its operators see it.
        """
        return self.provinces.index(province) if province in self.provinces else 0


@lru_cache(maxsize=200_000)  # in Python it would be much of the work for an event
def partition_of(key: bytes, partitions: int) -> int:
    """The partition that Kafka's default partitioner gives a key."""
    return int((murmur2(key) & 0x7FFFFFFF) % partitions)
