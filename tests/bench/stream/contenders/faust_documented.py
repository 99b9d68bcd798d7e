"""Faust as its documentation teaches: an agent on a topic, models, a table for state, `topic.send`.

`python -m tests.bench.stream.contenders.faust_documented worker --without-web`

Table values are the product's own state in bytes, which is quicker than a model of it.
"""

from __future__ import annotations

import logging
import os
from datetime import datetime

import faust
import msgspec

from alerts.conditions.subject import SourceState
from ioc.settings import load_settings
from tests.bench.stream.events import START
from tests.bench.stream.ground import topics_for
from tests.bench.stream.job import Job

settings, prefix = load_settings(), os.environ["BENCH_PREFIX"]
topics = topics_for(settings, prefix)
job = Job(settings, START)

# Faust's worker leaves the loggers of its clients at "debug": lines would be made that nobody reads.
for name in ("aiokafka", "faust", "mode"):
    logging.getLogger(name).setLevel(logging.WARNING)

app = faust.App(
    f"{prefix}faust",
    broker=f"kafka://{settings.bootstrap}",
    store="memory://",
    datadir=os.environ["BENCH_DIRECTORY"],
    topic_partitions=settings.raw_partitions,
    topic_replication_factor=1,
    consumer_auto_offset_reset="earliest",
    version=1,
)


decode_state = msgspec.json.Decoder(SourceState).decode


class Record(faust.Record, abstract=True, serializer="json", isodates=True, include_metadata=False):
    """What all raw records share; a clock record has `clock` and `config` alone."""

    id: str = ""
    source: str = ""
    time: datetime = None
    lon: float = None
    lat: float = None
    simulated: bool = False
    run: str = ""
    clock: datetime = None
    config: str = ""


class Traffic(Record, isodates=True, include_metadata=False):
    speed_kmh: float = None
    flow_vph: float = None
    occupancy: float = None


class Flood(Record, isodates=True, include_metadata=False):
    level_m: float = None
    datum: str = None
    rain_mm: float = None
    road_depth_m: float = None
    salinity_permille: float = None


class Camera(Record, isodates=True, include_metadata=False):
    kind: str = ""
    confidence: float = None
    count: float = None


class Report(Record, isodates=True, include_metadata=False):
    category: str = ""
    text: str = ""


located = app.topic(topics.located.name, key_type=str, value_serializer="json")
signals = app.topic(topics.signals.name, key_type=str, value_serializer="json")
#: Places are few: each is turned into what JSON takes once.
places: dict[int, dict] = {}


def sense(stream: str, model: type[Record]) -> None:
    """An agent for one raw stream, with a table of its sources."""
    raw = app.topic(topics.raw[stream].name, key_type=str, value_type=model)
    sources = app.Table(f"{stream}-sources", key_type=str, value_type=bytes)

    @app.agent(raw, name=f"sense-{stream}")
    async def agent(events: faust.Stream[Record]) -> None:
        async for message in events.events():
            record, partition = message.value, message.message.partition
            if record.clock is not None:
                job.pass_time(stream, partition, record.clock)
                continue
            place = job.place(record.time, record.lon, record.lat)
            found = places.get(id(place))
            if found is None:
                found = places[id(place)] = msgspec.to_builtins(place)
            event = {
                name: value
                for name, value in record.asdict().items()
                if value is not None and name not in ("clock", "config")
            }
            await located.send(
                key=found.get("commune", ""), value={**event, "stream": stream, "place": found}
            )
            held = sources.get(record.source)
            state, told = job.judge(
                stream,
                partition,
                event,
                record.time,
                place,
                None if held is None else decode_state(held),
                int(message.message.timestamp * 1000),
            )
            if state is not None:
                sources[record.source] = msgspec.json.encode(state)
            for signal in told:
                await signals.send(key=signal.where.province or "", value=msgspec.to_builtins(signal))


for name, model in {"traffic": Traffic, "flood": Flood, "camera": Camera, "report": Report}.items():
    sense(name, model)

if __name__ == "__main__":
    app.main()
