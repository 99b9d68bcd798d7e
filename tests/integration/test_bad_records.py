"""What the fuzzer makes, among good records on a real broker: nothing stands still, nobody ends, all are counted."""

from __future__ import annotations

import json
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

from kafka import KafkaProducer

from ioc.settings import Settings
from streams.configuration import CURRENT_KEY
from streams.schemas import CLOCK_KEY
from streams.topics import STREAMS, Topics
from tests import wallkit as kit
from tests.conftest import Kafka
from tests.fuzz import workers
from tests.fuzz.mutate import DEEP, mutated
from tests.system import ioc, read_all, running, until, wait_until_judged

#: Bad records of each stream, and of the signals.
MANY = 1_000


def worst(stream: str, chance: random.Random) -> list[bytes]:
    """Changed events, and such as once ended a worker."""
    seeds = [workers.event(stream, 3), workers.event(stream, 3, "other", id="x", run="r")]
    made = [mutated(chance.choice(seeds), chance, tuple(seeds)) for _ in range(MANY)]
    made += [
        b"[" * DEEP,
        workers.event(stream, 3, time="0001-01-01T00:00:00+14:00"),
        workers.event(stream, 3, lon=1e308, lat=-1e308),
        workers.event(stream, 3, run="x" * 950_000),
        b"\xff" * 950_000,
    ]
    return made


def test_the_worst_records_stop_nobody(kafka: Kafka, tmp_path: Path) -> None:
    """Each raw record is located or a dead letter, each good one is located, time goes on, nobody ended."""
    kit.operators_file(tmp_path)
    settings = kafka.settings(state_dir=tmp_path / "state", operators_file=tmp_path / "operators.yaml")
    topics, chance = Topics.of(settings), random.Random(1)
    sent, good = Counter[str](), set[str]()
    with running(settings, tmp_path / "logs") as system:
        for name in ("clock", "sense", "correlate"):
            system.start(name)
        producer = KafkaProducer(
            bootstrap_servers=settings.bootstrap, acks="all", max_request_size=1_040_000, linger_ms=20
        )
        now = datetime.now(UTC)

        def nice(stream: str, number: int, partition: int) -> None:
            id_ = f"good-{stream}-{number}-{partition}"
            value = workers.event(
                stream, 0, f"nice-{partition}", id=id_, time=now.isoformat(), lon=105.78, lat=10.03
            )
            producer.send(topics.raw[stream].name, key=b"nice", value=value, partition=partition)
            sent[stream] += 1
            good.add(id_)

        for stream in STREAMS:
            topic = topics.raw[stream]
            bad = worst(stream, chance)
            for number, value in enumerate(bad):
                producer.send(topic.name, key=b"bad", value=value, partition=number % topic.partitions)
                sent[stream] += 1
                if number % 50 == 0:
                    nice(stream, number, number % topic.partitions)
            producer.send(topic.name, key=b"k" * 900_000, value=b"no event", partition=0)
            sent[stream] += 1
            for broken in (b"\xff", b"{", b"[" * DEEP, b'{"clock":"9999-12-31T23:59:59-14:00","config":"x"}'):
                producer.send(topic.name, key=CLOCK_KEY, value=broken, partition=0)
            for partition in range(topic.partitions):
                nice(stream, MANY + 100, partition)
        command = workers.command(alert="none")
        for value in [b"\xff", b"[" * DEEP, b"x" * 900_000, *(mutated(command, chance) for _ in range(MANY))]:
            if b'"switch"' not in value and b'"passed"' not in value:
                producer.send(topics.signals.name, key=b"92", value=value, partition=0)
        producer.flush()
        after = datetime.now(UTC) + timedelta(seconds=2)

        until(
            lambda: good <= {event["id"] for event in read(settings, topics.located.name)}, 60, system.tails
        )
        wait_until_judged(system, after, 60)
        located, letters = read(settings, topics.located.name), read(settings, topics.dead_letters.name)
        counted = Counter(event["stream"] for event in located)
        counted += Counter(letter["topic"].removeprefix(f"{settings.topic_prefix}ioc.") for letter in letters)
        assert counted == sent
        assert all(letter["reason"] for letter in letters)
        assert len({(one["topic"], one["partition"], one["offset"]) for one in letters}) == len(letters)
        assert len(letters) > MANY

        for name, process in system.processes.items():
            assert process.poll() is None, system.log(name)
            assert "Traceback" not in system.log(name)

        # A name without a configuration is not named by the clock, and everybody goes on with the one before.
        for named in (b"\xff\xfe", b"nothing", b"current"):
            producer.send(topics.config.name, key=CURRENT_KEY, value=named, partition=0)
        producer.flush()
        producer.close()
        until(lambda: system.log("clock").count("cannot be used") == 3, 20, system.tails)
        wait_until_judged(system, datetime.now(UTC) + timedelta(seconds=2), 30)

        # As a person looks at what is left of it.
        listed = ioc(settings, "deadletters", "list")
        assert listed.returncode == 0, listed.stderr
        assert f"{len(letters)} dead letters" in listed.stdout
        assert all(line.isprintable() for line in listed.stdout.split("\n"))
        worst_of_all = max(letters, key=lambda one: len(one.get("value") or ""))
        stream = worst_of_all["topic"].removeprefix(f"{settings.topic_prefix}ioc.")
        id_ = f"{stream}/{worst_of_all['partition']}/{worst_of_all['offset']}"
        shown = ioc(settings, "deadletters", "show", id_)
        assert shown.returncode == 0, shown.stderr
        assert all(line.isprintable() for line in shown.stdout.split("\n"))
        tried = ioc(
            settings, "deadletters", "replay", "--reason", "undecodable", "--dry-run", "--as", "supervisor"
        )
        assert tried.returncode == 1, tried.stderr
        assert "Traceback" not in tried.stderr


def read(settings: Settings, topic: str) -> list[dict]:
    return [json.loads(record.value) for record in read_all(settings, topic)]
