"""The embedded broker: one real Kafka node (KRaft) on loopback, its data under the state directory."""

from __future__ import annotations

import base64
import fcntl
import os
import secrets
import signal
import socket
import ssl
import subprocess
import threading
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError

from ioc.artifacts import Say, class_path, deploy_dir, ensure_artifacts, to_stderr
from ioc.errors import UserError
from ioc.java import find_java
from ioc.ports import LOOPBACK, is_free, port_taken
from ioc.settings import Settings
from ioc.shutdown import StopSignals, child_setup
from ioc.wholefile import whole_file
from streams.clients import LOCAL_USER, client_arguments, local_password_file, read_password

#: Seconds from SIGTERM to SIGKILL. Kafka recovers its log at the next start either way.
STOP_SECONDS = 6.0
#: Seconds in which the broker must answer; a slow disk with a log to recover needs more than the usual five.
READY_SECONDS = 90.0
#: Seconds that a broker of ours that is just ending may keep its data directory and ports.
HANDOVER_SECONDS = 10.0

#: A short-lived server on a shared machine: the first compiler only, which starts in less than half the time.
_JVM = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:+ExitOnOutOfMemoryError", "-Xshare:auto")


class Broker:
    """One Kafka process that belongs to this one and dies with it.

    Start it from a thread that lives as long as the broker shall (see `ioc.shutdown.child_setup`).
    """

    def __init__(
        self,
        settings: Settings,
        say: Say = to_stderr,
        *,
        properties: Mapping[str, str] | None = None,
        cluster: str | None = None,
    ) -> None:
        """`properties` are Kafka's own and win over those that ship; `cluster` is the id of a cluster that the node
        belongs to, as Kafka writes it. Both are for nodes that are more than a single one."""
        self._settings, self._say = settings, say
        self._properties, self._cluster = dict(properties or {}), cluster or new_cluster_id()
        self.data = settings.state_dir / "kafka"
        self.log = settings.state_dir / "kafka.log"
        self._config = settings.state_dir / "kafka.properties"
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: IO[str] | None = None

    @property
    def address(self) -> str:
        """Where clients find it, `host:port`."""
        return f"{LOOPBACK}:{self._settings.broker_port}"

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def poll(self) -> int | None:
        """The process's exit code, or None while it runs."""
        return self._process.poll() if self._process else None

    def start(self) -> None:
        """Start the process; on the first start make its storage. Returns before it answers (`wait_ready`).

        Raises `UserError` for missing Java or artifacts, a taken port, or a data directory in use.
        """
        java, settings = find_java(), self._settings
        ensure_artifacts(settings, self._say)
        try:
            self.data.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"cannot write to {self.data}",
                str(error),
                "set IOC_STATE_DIR to a directory that you may write to",
            ) from None
        self._lock = self._take_lock()
        try:
            self._require_port(settings.broker_port, "IOC_BROKER_PORT", "the embedded broker")
            self._require_port(
                settings.broker_controller_port,
                "IOC_BROKER_CONTROLLER_PORT",
                "the embedded broker's controller",
            )
            self._write_config()
            if not (self.data / "meta.properties").exists():
                self._format(java)
            self._process = self._spawn(java)
        except BaseException:
            self._release()
            raise

    def wait_ready(self, timeout: float = READY_SECONDS) -> float:
        """Wait until the broker answers a request; returns the seconds it took.

        Raises `UserError` with the last errors of its log where it ends or does not answer in time.
        """
        began = time.monotonic()
        pause = threading.Event()
        while time.monotonic() - began < timeout:
            if self.poll() is not None:
                raise UserError(
                    f"the broker ended at its start with exit code {self.poll()}",
                    self._last_errors(),
                    f"see {self.log}; where its data is beyond repair, move {self.data} away",
                )
            if self._answers():
                return time.monotonic() - began
            pause.wait(0.05)
        raise UserError(
            f"the broker did not answer within {timeout:g} s",
            self._last_errors(),
            f"see {self.log}; then start again",
        )

    def wait(self) -> int:
        """Wait until the process ends; returns its exit code."""
        return self._process.wait() if self._process else 0

    def stop(self, grace: float = STOP_SECONDS) -> None:
        """End the process: SIGTERM, and SIGKILL after `grace` seconds. Does nothing where none runs."""
        process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(grace)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._release()

    def kill(self) -> None:
        """SIGKILL, as when the machine fails. For tests of what survives it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._release()

    def _write_config(self) -> None:
        settings, password = self._settings, ""
        if settings.broker_outside:
            _require_tls_file(settings)
            # Made once: processes that run on while the broker is started again keep theirs.
            file = local_password_file(settings)
            if not file.exists():
                _write_secret(file, secrets.token_urlsafe(32) + "\n")
            password = read_password(file, "IOC_STATE_DIR")
        _write_secret(self._config, _properties(settings, self.data, password, self._properties))

    def _spawn(self, java: Path) -> subprocess.Popen[bytes]:
        assert self._lock is not None
        settings, state = self._settings, self._settings.state_dir
        command = [
            str(java),
            f"-Xmx{settings.broker_heap_mb}m",
            *_JVM,
            f"-XX:ErrorFile={state / 'kafka-crash.log'}",
            f"-Dlog4j2.configurationFile={deploy_dir() / 'log4j2.yaml'}",
            f"-Dioc.log={self.log}",
            "-cp",
            class_path(ensure_artifacts(settings, self._say)),
            "kafka.Kafka",
            str(self._config),
        ]
        with self._output.open("wb") as output:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=state,
                # Away from the terminal's Ctrl-C: whoever uses the broker ends first.
                start_new_session=True,
                # The child holds the lock as well, so a broker left over from a killed parent is noticed.
                pass_fds=(self._lock.fileno(),),
                preexec_fn=child_setup(signal.SIGTERM),
            )

    def _format(self, java: Path) -> None:
        result = subprocess.run(
            [
                str(java),
                "-Xmx128m",
                *_JVM,
                "-Dlog4j2.level=OFF",
                "-cp",
                class_path(ensure_artifacts(self._settings, self._say)),
                "kafka.tools.StorageTool",
                "format",
                "--cluster-id",
                self._cluster,
                "--config",
                str(self._config),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if result.returncode:
            raise UserError(
                "the broker's storage could not be made",
                "\n".join(result.stdout.splitlines()[-3:]),
                f"see that {self.data} is empty and has free space, then start again",
            )

    @property
    def _output(self) -> Path:
        """What the JVM itself prints; made anew at each start."""
        return self._settings.state_dir / "kafka.out"

    def _answers(self) -> bool:
        try:
            # Cheap first: most of the time nothing listens yet.
            socket.create_connection((LOOPBACK, self._settings.broker_port), 0.5).close()
            admin = KafkaAdminClient(**client_arguments(self._settings), request_timeout_ms=5000)
        except (OSError, KafkaError):
            return False
        try:
            return bool(admin.describe_cluster()["brokers"])
        except KafkaError:
            return False
        finally:
            admin.close()

    def _take_lock(self) -> IO[str]:
        """The lock on the data directory, free when neither this process nor the broker holds it."""
        file = (self._settings.state_dir / "kafka.lock").open("a+")
        until = time.monotonic() + HANDOVER_SECONDS
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if time.monotonic() < until:
                    threading.Event().wait(0.1)
                    continue
            file.seek(0)
            owner = file.read().strip()
            file.close()
            raise UserError(
                f"another broker uses {self.data}",
                f"started by process {owner}" if owner else "",
                "use that one (set IOC_BOOTSTRAP_SERVERS), end it, or set another IOC_STATE_DIR and "
                "IOC_BROKER_PORT",
            )
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()))
        file.flush()
        return file

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    @staticmethod
    def _require_port(port: int, variable: str, use: str) -> None:
        if not is_free(port):
            raise port_taken(port, variable, use)

    def _last_errors(self) -> str:
        """The last lines of the log that say what went wrong, or what the JVM printed instead."""
        lines: list[str] = []
        for path in (self.log, self._output):
            if path.exists():
                lines += path.read_text(errors="replace").splitlines()[-200:]
        errors = [line for line in lines if " ERROR " in line or " FATAL " in line or "rror:" in line]
        return "\n".join((errors or lines)[-3:])


def run_broker(settings: Settings, stop: StopSignals, say: Say = to_stderr) -> int:
    """`ioc broker`: run it in the foreground until asked to `stop` or it ends. Returns the exit code."""
    if settings.bootstrap_servers:
        raise UserError(
            "IOC_BOOTSTRAP_SERVERS names another cluster",
            settings.bootstrap_servers,
            "unset it to use the embedded broker",
        )
    broker = Broker(settings, say)
    began = time.monotonic()
    try:
        with stop.interrupting():
            broker.start()
            broker.wait_ready()
        say(f"broker ready at {broker.address} after {time.monotonic() - began:.1f} s; its log: {broker.log}")
        while not stop.asked.wait(0.5):
            if (code := broker.poll()) is not None:
                say(f"the broker ended with exit code {code}; see {broker.log}")
                return 1
        return 0
    finally:
        broker.stop()


def new_cluster_id() -> str:
    """An id as Kafka makes them for a cluster."""
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "_")


def _properties(settings: Settings, data: Path, password: str, more: Mapping[str, str]) -> str:
    """The broker's configuration, with `more` behind it.

    `password` is that of `LOCAL_USER`, where others are let in.
    """
    controller = settings.broker_controller_port
    fixed = (deploy_dir() / "server.properties").read_text()
    listening = _let_in(settings, password) if settings.broker_outside else _among_ourselves(settings)
    return fixed + "\n".join(
        (
            "",
            "# Written at each start by ioc/broker.py.",
            *listening,
            f"controller.quorum.voters=1@{LOOPBACK}:{controller}",
            "log.dirs=" + _escaped(data),
            *(f"{name}={value}" for name, value in more.items()),
            "",
        )
    )


def _among_ourselves(settings: Settings) -> tuple[str, ...]:
    """Loopback only: whoever is on this machine may do everything."""
    local = f"PLAINTEXT://{LOOPBACK}:{settings.broker_port}"
    return (
        f"listeners={local},CONTROLLER://{LOOPBACK}:{settings.broker_controller_port}",
        f"advertised.listeners={local}",
    )


def _let_in(settings: Settings, password: str) -> tuple[str, ...]:
    """Other machines with TLS and SCRAM; who may do what is asked of everybody, on loopback as well."""
    local, outside = f"LOCAL://{LOOPBACK}:{settings.broker_port}", f"OUTSIDE://{settings.broker_outside}"
    module = "org.apache.kafka.common.security"
    plain = f'{module}.plain.PlainLoginModule required username="{LOCAL_USER}" password="{password}"'
    return (
        "listener.security.protocol.map=LOCAL:SASL_PLAINTEXT,OUTSIDE:SASL_SSL,CONTROLLER:SASL_PLAINTEXT",
        f"listeners={local},{outside},CONTROLLER://{LOOPBACK}:{settings.broker_controller_port}",
        f"advertised.listeners={local},{outside}",
        "inter.broker.listener.name=LOCAL",
        "sasl.mechanism.inter.broker.protocol=PLAIN",
        "sasl.mechanism.controller.protocol=PLAIN",
        "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        f"super.users=User:{LOCAL_USER}",
        *(
            line
            for listener in ("local", "controller")
            for line in (
                f"listener.name.{listener}.sasl.enabled.mechanisms=PLAIN",
                f'listener.name.{listener}.plain.sasl.jaas.config={plain} user_{LOCAL_USER}="{password}";',
            )
        ),
        "listener.name.outside.sasl.enabled.mechanisms=SCRAM-SHA-512,SCRAM-SHA-256",
        *(
            f"listener.name.outside.{mechanism}.sasl.jaas.config={module}.scram.ScramLoginModule required;"
            for mechanism in ("scram-sha-512", "scram-sha-256")
        ),
        "listener.name.outside.ssl.keystore.type=PEM",
        f"listener.name.outside.ssl.keystore.location={_escaped(settings.broker_tls_file)}",
        "listener.name.outside.ssl.client.auth=none",
    )


def _escaped(path: Path | None) -> str:
    # A properties file takes the backslash for its own.
    return str(path).replace("\\", "\\\\")


def _require_tls_file(settings: Settings) -> None:
    """Raises `UserError` where the certificate for other machines is not usable: Kafka's own words hide why."""
    path = settings.broker_tls_file
    remedy = "write the key (PKCS #8, not encrypted) and after it the certificates into one PEM file"
    if path is None:
        raise UserError("a certificate is missing", "IOC_BROKER_OUTSIDE without IOC_BROKER_TLS_FILE", remedy)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(path, password="")
        text = path.read_text(encoding="ascii")
    except (OSError, ssl.SSLError, UnicodeDecodeError) as error:
        raise UserError("the broker's certificate is not usable", f"{path}: {error}", remedy) from None
    if "-----BEGIN PRIVATE KEY-----" not in text:
        raise UserError(
            "the broker's key has a form that Kafka does not read",
            str(path),
            f"openssl pkcs8 -topk8 -nocrypt; {remedy}",
        )


def _write_secret(path: Path, text: str) -> None:
    """Write a file that only its owner may read."""
    with whole_file(path) as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(text.encode())
