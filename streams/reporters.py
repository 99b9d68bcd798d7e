"""What the topics hold of one reporter, whom his keys name: the raw reports, and what was made of them.

Only who has the keys can ask: the hash of a reporter cannot be made of his name or number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiokafka.structs import TopicPartition
from msgspec import Struct

from ioc.settings import Settings
from ioc.undecodable import UNDECODABLE
from streams.identity import Key, opened, sealed_in
from streams.letters import answering, between, bounds, client
from streams.repair import LetterId
from streams.topics import Topics


class _Report(Struct):
    """As it was sent: what makes it a dead letter is shown like the rest."""

    id: Any = ""
    time: Any = ""
    category: Any = ""
    text: Any = ""


class _Located(Struct):
    stream: str = ""
    reporter_hash: str = ""


_report = msgspec.json.Decoder(_Report).decode
_located = msgspec.json.Decoder(_Located).decode


@dataclass(frozen=True)
class Report:
    """A report of the reporter on the raw topic."""

    at: LetterId
    id: str
    time: str
    category: str
    text: str
    #: Who sent it, as it was sealed; None where it cannot be opened: it was changed, or moved from another report.
    identity: dict[str, object] | None


@dataclass
class Holding:
    """What is held of a reporter."""

    reports: list[Report] = field(default_factory=list)
    #: Located events with one of his hashes.
    located: int = 0


def held(settings: Settings, keys: Sequence[Key]) -> Holding:
    """What the topics hold of the reporter with these keys. Raises `UserError` where Kafka does not answer."""
    return answering(settings, _held(settings, keys))


async def _held(settings: Settings, keys: Sequence[Key]) -> Holding:
    topics, found, hashes = Topics.of(settings), Holding(), {key.by for key in keys}
    async with client(settings) as consumer:
        raw = topics.raw["report"]
        for partition in range(raw.partitions):
            tp = TopicPartition(raw.name, partition)
            async for record in between(consumer, tp, *await bounds(consumer, tp)):
                sealed = sealed_in(record.value or b"")
                if sealed is None or sealed.by not in hashes:
                    continue
                try:
                    report = _report(record.value)
                except UNDECODABLE:
                    report = _Report()
                at = LetterId("report", partition, record.offset)
                identity = opened(keys, sealed, str(report.id))
                found.reports.append(
                    Report(
                        at=at,
                        id=str(report.id),
                        time=str(report.time),
                        category=str(report.category),
                        text=str(report.text),
                        identity=identity,
                    )
                )
        for partition in range(topics.located.partitions):
            tp = TopicPartition(topics.located.name, partition)
            async for record in between(consumer, tp, *await bounds(consumer, tp)):
                found.located += _is_of(record.value or b"", hashes)
    return found


def _is_of(value: bytes, hashes: set[str]) -> bool:
    if b'"reporter_hash"' not in value:
        return False
    try:
        return _located(value).reporter_hash in hashes
    except UNDECODABLE:
        return False
