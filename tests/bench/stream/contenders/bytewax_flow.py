"""Bytewax: Kafka in and out, `stateful_map` by source, snapshots of its state in a recovery directory.

Its recovery keeps state and offsets together on disk: it commits no offsets to Kafka and needs no changelog topic.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path

import bytewax.operators as op
import msgspec
from bytewax.connectors.kafka import KafkaSinkMessage, KafkaSourceMessage
from bytewax.connectors.kafka import operators as kop
from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main

from alerts.conditions.subject import SourceState
from alerts.signals import Signal
from ioc.settings import load_settings
from streams.schemas import CLOCK_KEY, Place
from streams.sensed import known
from tests.bench.stream.events import START
from tests.bench.stream.ground import topics_for
from tests.bench.stream.job import Job

#: Seconds between snapshots, the default of Bytewax where recovery is not configured.
SNAPSHOT = timedelta(seconds=10)

settings, prefix = load_settings(), os.environ["BENCH_PREFIX"]
topics = topics_for(settings, prefix)
job = Job(settings, START)
streams = {topic.name: stream for stream, topic in topics.raw.items()}
brokers = [settings.bootstrap]

Judged = tuple[dict, Place, list[Signal]]


def decode(message: KafkaSourceMessage) -> tuple[KafkaSourceMessage, dict] | None:
    """The event of a message; a clock record is noted and goes no further."""
    value = msgspec.json.decode(message.value)
    if message.key == CLOCK_KEY:
        job.pass_time(streams[message.topic], message.partition, datetime.fromisoformat(value["clock"]))
        return None
    return message, value


def judge(
    state: SourceState | None, item: tuple[KafkaSourceMessage, dict]
) -> tuple[SourceState | None, Judged]:
    message, event = item
    stream, time = streams[message.topic], datetime.fromisoformat(event["time"])
    place = job.place(time, event["lon"], event["lat"])
    appended_ms = message.timestamp[1]
    state, told = job.judge(stream, message.partition, event, time, place, state, appended_ms)
    return state, ({**event, "stream": stream}, place, told)


def located(judged: Judged) -> KafkaSinkMessage:
    event, place, _ = judged
    commune = known(place.commune) or ""
    return KafkaSinkMessage(commune.encode(), msgspec.json.encode({**event, "place": place}))


def signals(judged: Judged) -> list[KafkaSinkMessage]:
    return [
        KafkaSinkMessage((signal.where.province or "").encode(), msgspec.json.encode(signal))
        for signal in judged[2]
    ]


def make() -> Dataflow:
    flow = Dataflow("sense")
    read = kop.input("raw", flow, brokers=brokers, topics=list(streams))
    events = op.filter_map("decode", read.oks, decode)
    keyed = op.key_on("source", events, lambda item: item[1]["source"])
    judged = op.key_rm("judged", op.stateful_map("judge", keyed, judge))
    # Kafka's own partitioner, as the others have it.
    config = {"partitioner": "murmur2"}
    kop.output(
        "located",
        op.map("write-located", judged, located),
        brokers=brokers,
        topic=topics.located.name,
        add_config=config,
    )
    kop.output(
        "signals",
        op.flat_map("write-signals", judged, signals),
        brokers=brokers,
        topic=topics.signals.name,
        add_config=config,
    )
    return flow


if __name__ == "__main__":
    directory = Path(os.environ["BENCH_DIRECTORY"])
    directory.mkdir(parents=True)
    init_db_dir(directory, 1)
    cli_main(make(), epoch_interval=SNAPSHOT, recovery_config=RecoveryConfig(directory, timedelta(seconds=0)))
