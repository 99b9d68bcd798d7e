"""What stands still, and a recovery that lasts, make a worker not ready, with the partition and a metric."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from kafka import KafkaAdminClient, KafkaProducer
from prometheus_client.parser import text_string_to_metric_families

from ioc.ports import free_port
from ioc.settings import Settings
from streams.topics import Topics
from tests import transportkit as kit
from tests.conftest import Kafka
from tests.system import until

#: Seconds after which a chunk counts as stalled here.
STALLED = "2"


@pytest.fixture
def settings(kafka: Kafka) -> Settings:
    return kafka.settings(sense_health_port=free_port())


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[kit.Workers]:
    made = kit.Workers(tmp_path)
    yield made
    made.kill()


def conditions(settings: Settings) -> dict[str, str]:
    """The lines of /readyz by condition, with how the line begins."""
    try:
        with urlopen(f"http://127.0.0.1:{settings.sense_health_port}/readyz", timeout=2) as answer:
            text = answer.read().decode()
    except HTTPError as error:
        text = error.read().decode()
    except OSError:
        return {}
    found = {}
    for line in text.splitlines():
        state, _, rest = line.partition("NOT OK ") if line.startswith("NOT OK ") else line.partition("ok ")
        name, _, detail = rest.partition(": ")
        found[name] = f"{'NOT OK' if line.startswith('NOT OK') else 'ok'} {detail}{state}"
    return found


def gauges(settings: Settings) -> dict[tuple[str, str], float]:
    """The metrics of the worker by name and partition."""
    with urlopen(f"http://127.0.0.1:{settings.sense_health_port}/metrics", timeout=2) as answer:
        text = answer.read().decode()
    return {
        (sample.name, sample.labels.get("partition", "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.mark.timeout(60)
@pytest.mark.parametrize("why", ["stalled", "restoring"])
def test_what_stands_still_is_said_with_its_partition(
    settings: Settings, workers: kit.Workers, why: str
) -> None:
    """Not ready while one partition waits, though others go on; ready for it again once it goes on."""
    topic = Topics.of(settings).raw["flood"].name
    producer = KafkaProducer(bootstrap_servers=settings.bootstrap, acks="all")
    kit.send(producer, settings, "source", kit.WAIT if why == "stalled" else b"x", 2)
    kit.send(producer, settings, "other", b"x", 1)
    producer.close()
    more = {kit.STALLED: STALLED} | ({kit.SLOW_RESTORE: "1"} if why == "restoring" else {})
    worker = workers.start("worker", settings, **more)
    said = until(
        lambda: next(
            (text for name, text in conditions(settings).items() if name == "chunks" and "NOT OK" in text),
            None,
        ),
        40,
        workers.logs,
    )
    assert f"stalled: {topic}/2" in said or (why == "restoring" and f"{topic}/2" in said)
    if why == "stalled":
        assert f"{topic}/1" not in said, "the other partition goes on"
    now = gauges(settings)
    assert now["ioc_ready", ""] == 0
    assert ("ioc_consumer_lag_records", "2") not in now, "nothing of it was committed"
    assert now["ioc_oldest_chunk_seconds", ""] >= 2
    worker.send_signal(signal.SIGUSR1)
    until(lambda: conditions(settings).get("chunks", "").startswith("ok"), 20, workers.logs)
    until(lambda: gauges(settings)["ioc_oldest_chunk_seconds", ""] == 0, 10, workers.logs)
    admin = KafkaAdminClient(bootstrap_servers=settings.bootstrap)
    until(lambda: kit.committed(settings, admin).get(2) == 1, 20, workers.logs)
    admin.close()
    workers.end("worker")
