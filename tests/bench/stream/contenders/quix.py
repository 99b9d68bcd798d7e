"""Quix Streams with state: a StreamingDataFrame for each raw topic, state in RocksDB with its changelog topic."""

from __future__ import annotations

import os
from datetime import datetime
from typing import Any

import msgspec
from quixstreams import Application, State, message_context

from alerts.conditions.subject import SourceState
from ioc.settings import load_settings
from tests.bench.stream.events import START
from tests.bench.stream.ground import topics_for
from tests.bench.stream.job import Job

settings, prefix = load_settings(), os.environ["BENCH_PREFIX"]
topics = topics_for(settings, prefix)
job = Job(settings, START)
decode_state = msgspec.json.Decoder(SourceState).decode

app = Application(
    broker_address=settings.bootstrap,
    consumer_group=f"{prefix}quix",
    auto_offset_reset="earliest",
    state_dir=os.environ["BENCH_DIRECTORY"],
    loglevel="WARNING",
)
located = app.topic(topics.located.name, value_serializer="json", key_serializer="str")
signals = app.topic(topics.signals.name, value_serializer="json", key_serializer="str")
#: Places are few: each is turned into what JSON takes once.
places: dict[int, dict] = {}


def sense(stream: str) -> None:
    """The pipeline of one raw stream."""

    def judge(value: dict, key: Any, timestamp: int, headers: Any, state: State) -> list[dict]:
        partition = message_context().partition
        if "clock" in value:
            job.pass_time(stream, partition, datetime.fromisoformat(value["clock"]))
            return []
        time = datetime.fromisoformat(value["time"])
        place = job.place(time, value["lon"], value["lat"])
        found = places.get(id(place))
        if found is None:
            found = places[id(place)] = msgspec.to_builtins(place)
        held = state.get_bytes("source")
        after, told = job.judge(
            stream, partition, value, time, place, None if held is None else decode_state(held), timestamp
        )
        if after is not None:
            state.set_bytes("source", msgspec.json.encode(after))
        return [
            {
                "located": {**value, "stream": stream, "place": found},
                "signals": [msgspec.to_builtins(signal) for signal in told],
            }
        ]

    raw = app.topic(topics.raw[stream].name, value_deserializer="json", key_deserializer="str")
    sdf = app.dataframe(raw).apply(judge, stateful=True, metadata=True, expand=True)
    sdf.apply(lambda result: result["located"]).to_topic(
        located, key=lambda event: event["place"].get("commune", "")
    )
    sdf.apply(lambda result: result["signals"], expand=True).to_topic(
        signals, key=lambda signal: signal["where"].get("province", "")
    )


for name in topics.raw:
    sense(name)

if __name__ == "__main__":
    app.run()
