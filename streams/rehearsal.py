"""A recording as the raw records that it was made from, judged in memory by one configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import msgspec

from ioc.errors import UserError
from ioc.settings import Settings
from ioc.undecodable import UNDECODABLE
from streams.configuration import Configuration, ConfigurationRecord
from streams.offline import Result, judge
from streams.recording import ClockLine, RawLine
from streams.recording_index import load_configurations, load_index, read_between
from streams.schemas import CLOCK_KEY, Clock
from streams.topics import Topics, partition_of

#: Topic, partition, key and value.
RawRecord = tuple[str, int, bytes | None, bytes | None]

#: Called with each clock of the recording.
Heard = Callable[[datetime], None]


def raw_records(
    settings: Settings,
    recording: Path,
    config: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    heard: Heard | None = None,
) -> Iterator[RawRecord]:
    """The raw records between two times, in log order: each source in the partition of its key, and each clock in
    every partition, naming `config`.

    What events say of themselves stays: a replay's run, and whether they are simulated. Raises `UserError` as
    `read_between` does.
    """
    topics = {stream: topic.name for stream, topic in Topics.of(settings).raw.items()}
    clocks = [(name, number) for name in topics.values() for number in range(settings.raw_partitions)]
    for line in read_between(recording, since, until):
        if isinstance(line, ClockLine):
            value = msgspec.json.encode(Clock(clock=line.clock, config=config, run=line.run))
            for name, number in clocks:
                yield name, number, CLOCK_KEY, value
            if heard is not None:
                heard(line.clock)
        elif isinstance(line, RawLine):
            key = line.key.encode()
            yield topics[line.stream], partition_of(key, settings.raw_partitions), key, line.raw
        else:
            key = line.source.encode()
            yield topics[line.stream], partition_of(key, settings.raw_partitions), key, line.event


def judge_recording(
    settings: Settings,
    configuration: Configuration,
    recording: Path,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    heard: Heard | None = None,
) -> Result:
    """Judge a recording by one configuration throughout, beginning without any state. Raises what `raw_records`
    does."""
    raw = raw_records(settings, recording, configuration.hash, since=since, until=until, heard=heard)
    return judge(settings, configuration, raw)


def recorded_configuration(recording: Path) -> ConfigurationRecord | None:
    """The last configuration that held in a recording; None where nothing beside it says so.

    Raises `UserError` where the file of configurations is not usable.
    """
    index, found = load_index(recording), load_configurations(recording)
    if index is None or not found:
        return None
    content = found.get(index.configurations[-1].config)
    if content is None:
        return None
    try:
        return msgspec.json.decode(content, type=ConfigurationRecord)
    except UNDECODABLE as error:
        raise UserError(
            "the configuration of the recording cannot be used",
            str(error),
            "judge by the installation's instead",
        ) from None
