"""SIGTERM ends every process within ten seconds, whatever it is doing and whether or not the broker answers."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from urllib.request import urlopen

import pytest
from kafka import KafkaProducer

from ioc.ports import LOOPBACK, free_port
from ioc.settings import Settings
from tests import transportkit as kit
from tests.chaos.load import Load, make_load
from tests.conftest import Kafka
from tests.system import System, environment, running, until, wait_until_judged

#: Seconds that everything may take to end.
END_SECONDS = 10.0
#: Every process that an installation runs; the replay and the clock with topics of their own.
PROCESSES = ("sense", "correlate", "wall", "replay", "clock")
VIEWERS = 20


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Load:
    begin, end = "2025-10-08T17:20:00+07:00", "2025-10-08T19:20:00+07:00"
    return make_load(
        tmp_path_factory.mktemp("load"),
        20_000,
        begin=datetime.fromisoformat(begin),
        end=datetime.fromisoformat(end),
    )


@pytest.fixture
def settings(kafka: Kafka, load: Load, tmp_path: Path) -> Settings:
    return kafka.settings(
        state_dir=tmp_path / "state",
        wall_port=free_port(),
        sense_health_port=free_port(),
        correlate_health_port=free_port(),
        **load.files,
    )


@pytest.fixture
def system(settings: Settings, tmp_path: Path) -> Iterator[System]:
    with running(settings, tmp_path / "processes") as made:
        yield made


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[kit.Workers]:
    made = kit.Workers(tmp_path)
    yield made
    made.kill()


def end_all(processes: dict[str, subprocess.Popen[bytes]]) -> dict[str, int]:
    """SIGTERM to all at once; the exit status of each. Fails where one has not ended in time."""
    alive = {name: process for name, process in processes.items() if process.poll() is None}
    assert alive, "nothing was left to end"
    began = time.monotonic()
    for process in alive.values():
        process.terminate()
    while any(process.poll() is None for process in alive.values()):
        left = [name for name, process in alive.items() if process.poll() is None]
        assert time.monotonic() - began < END_SECONDS, f"did not end in time: {', '.join(left)}"
        time.sleep(0.05)
    return {name: process.returncode for name, process in alive.items()}


@contextmanager
def viewers(port: int, number: int) -> Iterator[None]:
    """Browsers that follow the wall; every other one reads nothing more after the first bytes."""
    with ExitStack() as stack:
        for _ in range(number):
            viewer = stack.enter_context(socket.create_connection((LOOPBACK, port), 5))
            viewer.sendall(b"GET /events HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % port)
            assert viewer.recv(12) == b"HTTP/1.1 200"
        yield


def is_up(port: int) -> bool:
    try:
        with urlopen(f"http://{LOOPBACK}:{port}/", timeout=2) as page:
            return bool(page.status == 200)
    except OSError:
        return False


def start_all(system: System, kafka: Kafka, load: Load) -> None:
    """Every process at its usual work: some minutes of the recording are judged, and more come in."""
    other = kafka.settings()
    system.start("sense")
    system.start("correlate")
    system.start("wall")
    arguments = ("replay", str(load.recording), "--run", "r", "--speed", "120")
    system.start("replay", *arguments, "--prefix", system.settings.topic_prefix)
    system.start("clock", topic_prefix=other.topic_prefix)
    wait_until_judged(system, load.first, 60)
    until(lambda: is_up(system.settings.wall_port), 30, system.tails)


@pytest.mark.timeout(120)
def test_at_work_with_viewers(kafka: Kafka, load: Load, system: System) -> None:
    """At work, twenty browsers with an open stream: each process ends by itself, and says that all is well."""
    start_all(system, kafka, load)
    with viewers(system.settings.wall_port, VIEWERS):
        assert end_all(system.processes) == dict.fromkeys(PROCESSES, 0), system.tails()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("gone", ["killed", "silent"])
def test_the_broker_is_gone(kafka: Kafka, load: Load, system: System, gone: str) -> None:
    """The broker was killed, or is there and answers nothing: no process waits for it when it is told to end."""
    start_all(system, kafka, load)
    with viewers(system.settings.wall_port, VIEWERS), without_broker(kafka, gone):
        time.sleep(3.0)  # so that each has seen that it is gone, or waits for an answer
        end_all(system.processes)


@contextmanager
def without_broker(kafka: Kafka, gone: str) -> Iterator[None]:
    pid = kafka.broker.pid
    assert pid is not None
    if gone == "killed":
        kafka.broker.kill()
    else:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        if gone == "killed":
            kafka.broker.start()
        else:
            os.kill(pid, signal.SIGCONT)
        kafka.broker.wait_ready()


@pytest.mark.timeout(120)
def test_under_a_backlog(load: Load, system: System) -> None:
    """All of the load waits to be read: what is at work is committed or given up, and the process ends by itself."""
    arguments = ("replay", str(load.recording), "--run", "r", "--speed", "max")
    replay = system.start("replay", *arguments, "--prefix", system.settings.topic_prefix)
    assert replay.wait(60) == 0, system.tails()
    workers = {name: system.start(name) for name in ("sense", "correlate")}
    until(
        lambda: "from offset" in system.log("sense") and "from offset" in system.log("correlate"),
        40,
        system.tails,
    )
    assert end_all(workers) == {"sense": 0, "correlate": 0}, system.tails()


def fill(settings: Settings, number: int, value: bytes = b"x") -> None:
    """So many records in each of the four partitions."""
    producer = KafkaProducer(bootstrap_servers=settings.bootstrap, acks="all", linger_ms=20)
    for count in range(number):
        kit.send(producer, settings, f"source-{count % 4}", value, count % 4)
    producer.close()


@pytest.mark.timeout(60)
def test_while_a_state_is_restored(settings: Settings, workers: kit.Workers) -> None:
    """A restore that lasts is given up."""
    fill(settings, 4)
    worker = workers.start("worker", settings, **{kit.SLOW_RESTORE: "1"})
    until(lambda: kit.RESTORES in workers.log("worker"), 30, workers.logs)
    assert end_all({"worker": worker}) == {"worker": 0}, workers.logs()


@pytest.mark.timeout(90)
def test_during_a_rebalance_that_does_not_end(settings: Settings, workers: kit.Workers) -> None:
    """A new member waits for one that is paused: neither it nor the one in the middle of its work waits to end."""
    changes = {"session_timeout": 30.0, "sense_health_port": 0, "chunk_records": 10}
    patient = settings.model_copy(update=changes)
    fill(patient, 8000)
    first = workers.start("first", patient, slow=0.05)
    second = workers.start("second", patient, slow=0.05)
    until(lambda: all("from offset" in workers.log(name) for name in ("first", "second")), 60, workers.logs)
    second.send_signal(signal.SIGSTOP)
    third = workers.start("third", patient)
    time.sleep(8.0)  # it asks to join, and the first is told with its next heartbeat
    assert "from offset" not in workers.log("third"), "the rebalance came to its end"
    end_all({"first": first, "third": third})


@pytest.mark.timeout(60)
def test_a_worker_that_does_not_end_is_ended(settings: Settings, workers: kit.Workers) -> None:
    """Work that does not come to an end holds nobody up: the watchdog ends the process, and nothing of it counts."""
    fill(settings, 4)
    worker = workers.start("worker", settings, slow=60.0)
    until(lambda: "from offset" in workers.log("worker"), 30, workers.logs)
    assert end_all({"worker": worker}) == {"worker": 1}, workers.logs()
    assert "did not end within 8 s" in workers.log("worker")
    assert not kit.numbered(settings)


#: A wall whose loop is held up by work that does not come to an end.
HELD_UP = """
import time
import maps.server
from ioc.settings import load_settings

async def held_up(*_):
    print("held up", flush=True)
    time.sleep(60)

maps.server._serve = held_up
maps.server.run_wall(load_settings())
"""


@pytest.mark.timeout(60)
def test_a_wall_that_does_not_end_is_ended(settings: Settings) -> None:
    """As a worker is: what holds its loop up, or a consumer that does not stop, keeps nobody waiting."""
    wall = subprocess.Popen(
        [sys.executable, "-c", HELD_UP],
        env=environment(settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        assert wall.stdout is not None
        assert wall.stdout.readline() == b"held up\n"
        assert end_all({"wall": wall}) == {"wall": 1}
        assert wall.stderr is not None
        assert b"did not end within 8 s" in wall.stderr.read()
    finally:
        wall.kill()
