"""Access to Kafka on a real broker with TLS, passwords and an authorizer: who may, does; who may not, is refused."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError as AsyncKafkaError
from aiokafka.structs import TopicPartition as AsyncTopicPartition
from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    KafkaAdminClient,
    ResourcePatternFilter,
    ResourceType,
)
from kafka.admin._users import UserScramCredentialUpsertion
from kafka.errors import (
    GroupAuthorizationFailedError,
    KafkaError,
    KafkaTimeoutError,
    TopicAuthorizationFailedError,
)

from alerts.rules.policy import Operator
from ioc.errors import UserError
from ioc.operators import OperatorEntry, hash_password, write_operators
from ioc.ports import free_port
from ioc.settings import Settings, load_settings
from streams.access.cluster import _acl
from streams.access.rights import Right
from streams.admin import require_topics
from streams.clients import client_arguments, local_password_file
from streams.topics import Topics
from streams.transactions import Effects, Lease
from tests.certificates import Authority
from tests.conftest import require_or_skip
from tests.guarded import PARTIES, Guarded, guarded, read, write
from tests.planned import END, FILES, as_planned, planned
from tests.system import System, alert_changes, ioc, read_all, until, wait_until_judged

TOPICS = Topics.of(load_settings(topic_prefix=""))
OPERATOR = "a password of an operator"
FLOOD, CAMERA = TOPICS.raw["flood"].name, TOPICS.raw["camera"].name


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    try:
        with guarded(tmp_path_factory.mktemp("guarded")) as made:
            yield made
    except UserError as error:
        require_or_skip(error)


# What the parties may


def test_a_source_writes_its_topic(broker: Guarded) -> None:
    """The record of a source with the right password stands in the log."""
    write(broker.as_("ioc-gauges"), FLOOD, b"from the gauges")
    assert b"from the gauges" in read(broker.base, FLOOD)


def test_an_agency_reads_its_topic_in_its_group(broker: Guarded) -> None:
    """What it is told reaches the agency once, since its position is kept; another group of its own gets it too."""
    agency, topic = broker.as_("ioc-rescue"), TOPICS.agency("rescue").name
    for told in (b"for rescue", b"more for rescue"):
        write(broker.base, topic, told)
        assert read(agency, topic, "ioc-subscribe-rescue", 10) == [told]
    assert read(agency, topic, "ioc-subscribe-rescue.second-screen", 10)[:1] == [b"for rescue"]


@pytest.mark.parametrize("user", ["sense", "correlate", "clock", "wall", "recorder", "engineer"])
def test_each_process_sees_the_table_of_topics(broker: Guarded, user: str) -> None:
    """What every process checks before it begins is there for its user."""
    require_topics(broker.as_(f"ioc-{user}"))


# What they may not: each beside what they may


@pytest.mark.parametrize(
    ("user", "topic"),
    [
        ("gauges", CAMERA),
        ("gauges", TOPICS.signals.name),
        ("gauges", TOPICS.alerts.name),
        ("gauges", TOPICS.config.name),
        ("rescue", TOPICS.agency("rescue").name),
        ("rescue", FLOOD),
        ("wall", FLOOD),
        ("wall", TOPICS.alerts.name),
        ("wall", TOPICS.audit.name),
        ("wall", TOPICS.config.name),
        ("sense", FLOOD),
        ("sense", TOPICS.alerts.name),
        ("correlate", FLOOD),
        ("correlate", TOPICS.signals.name),
        ("clock", TOPICS.signals.name),
        ("recorder", FLOOD),
    ],
)
def test_nobody_writes_what_is_not_his(broker: Guarded, user: str, topic: str) -> None:
    """The broker refuses the record."""
    with pytest.raises(TopicAuthorizationFailedError):
        write(broker.as_(f"ioc-{user}"), topic)


@pytest.mark.parametrize(
    ("user", "topic"),
    [("gauges", FLOOD), ("wall", FLOOD), ("wall", TOPICS.raw["report"].name), ("correlate", FLOOD)],
)
def test_nobody_reads_what_he_may_only_know_of(broker: Guarded, user: str, topic: str) -> None:
    """Who sees that a topic is there, because he writes it or checks the table, does not read it."""
    write(broker.base, topic, b"not for everybody")
    with pytest.raises(TopicAuthorizationFailedError):
        read(broker.as_(f"ioc-{user}"), topic)


@pytest.mark.parametrize("topic", [TOPICS.agency("fire").name, FLOOD, TOPICS.alerts.name, TOPICS.audit.name])
def test_an_agency_reads_nothing_else(broker: Guarded, topic: str) -> None:
    """To an agency other topics are not there: what stands in them is not given out."""
    write(broker.base, topic, b"for others")
    assert read(broker.base, topic), "it is there for who may read it"
    with contextlib.suppress(TopicAuthorizationFailedError):
        assert read(broker.as_("ioc-rescue"), topic) == []
    told = ioc(broker.as_("ioc-rescue"), "cap", "some.alert.1", "--agency", "fire")
    assert told.returncode == 2
    assert "there is no agency fire here: topic ioc.alerts.fire; known: rescue" in told.stderr


@pytest.mark.parametrize("group", ["ioc-subscribe-fire", "ioc-subscribe-rescue-too", "ioc-sense"])
def test_an_agency_joins_no_other_group(broker: Guarded, group: str) -> None:
    """Whoever joined the group of another would take its messages away."""
    with pytest.raises(GroupAuthorizationFailedError):
        read(broker.as_("ioc-rescue"), TOPICS.agency("rescue").name, group, 5)


@pytest.mark.parametrize(
    ("user", "name"),
    [
        ("correlate", "ioc-sense:0"),
        ("wall", "ioc-correlate:0"),
        ("gauges", "ioc-clock"),
        ("clock", "ioc-deadletters"),
    ],
)
async def test_nobody_takes_the_transactions_of_another(broker: Guarded, user: str, name: str) -> None:
    """A transactional id fences who holds it: another process's is refused."""
    producer = AIOKafkaProducer(
        **client_arguments(broker.as_(f"ioc-{user}")), transactional_id=name, request_timeout_ms=4000
    )
    try:
        with pytest.raises(AsyncKafkaError, match="TransactionalIdAuthorizationFailed"):
            async with asyncio.timeout(8):
                await producer.start()
    finally:
        await producer.stop()


async def test_a_worker_takes_its_own_lease_and_writes_only_its_outputs(broker: Guarded) -> None:
    """Sense has its transactions; a record for a topic that is not its own makes the whole chunk fail."""
    settings, number = broker.as_("ioc-sense"), 3
    flood, state = AsyncTopicPartition(FLOOD, number), TOPICS.raw_state["flood"].name
    states = {TOPICS.raw[stream].name: TOPICS.raw_state[stream].name for stream in TOPICS.raw}
    await asyncio.to_thread(write, broker.base, FLOOD, b"to be read", number)
    lease = await Lease.take(settings, "ioc-sense", number, states)
    good, bad = Effects(), Effects()
    good.add(state, number, b"key", b"value")
    good.add(TOPICS.located.name, 0, b"key", b"value")
    await lease.commit(good, {flood: 1})
    bad.add(state, number, b"key", b"another")
    bad.add(TOPICS.alerts.name, 0, b"key", b"forged")
    with pytest.raises(AsyncKafkaError):
        await lease.commit(bad, {flood: 2})
    await lease.release()
    again = await Lease.take(settings, "ioc-sense", number, states)
    assert (again.positions[flood], again.states[flood]) == (1, {b"key": b"value"})
    await again.release()


# Who gets in


def outside(broker: Guarded) -> tuple[str, int]:
    host, port = broker.base.broker_outside.split(":")
    return host, int(port)


def wrong(broker: Guarded, **more: object) -> Settings:
    file = broker.directory / "wrong"
    file.write_text("not the password\n")
    return broker.as_("ioc-gauges", **{"kafka_password_file": file, **more})


def test_nobody_gets_in_with_a_wrong_password(broker: Guarded) -> None:
    """Known users with a wrong password and unknown ones alike; the right one gets in."""
    write(broker.as_("ioc-gauges"), FLOOD)
    for settings in (
        wrong(broker),
        wrong(broker, kafka_user="nobody"),
        wrong(broker, kafka_user="ioc-local"),
    ):
        with pytest.raises(KafkaTimeoutError):
            write(settings, FLOOD)


def test_nobody_gets_in_without_a_name(broker: Guarded) -> None:
    """TLS without a password, and no TLS at all: at the outer port and at the one on loopback."""
    for settings in (
        broker.as_("", kafka_security_protocol="SSL"),
        broker.as_("", kafka_security_protocol="PLAINTEXT"),
        broker.as_("", kafka_security_protocol="PLAINTEXT", bootstrap_servers=broker.broker.address),
    ):
        with pytest.raises(KafkaError):
            write(settings, FLOOD)


def test_plain_text_gets_no_answer_at_the_tls_port(broker: Guarded) -> None:
    """The port for other machines speaks TLS 1.2 or later, to whoever asks; what comes in the clear is cut off."""
    with socket.create_connection(outside(broker), 5) as plain:
        plain.sendall(bytes.fromhex("0000000d0012000000000001000369")[:15] + b"ioc")
        assert b"\x00\x00\x00\x01" not in plain.recv(100)
    context = ssl.create_default_context(cafile=str(broker.authority.file))
    with (
        socket.create_connection(outside(broker), 5) as raw,
        context.wrap_socket(raw, server_hostname="127.0.0.1") as secure,
    ):
        assert secure.version() in ("TLSv1.2", "TLSv1.3")


def test_each_reason_is_named(broker: Guarded) -> None:
    """A person reads whether it is the password, the certificate, or the protocol, at once, and never a password."""
    other = Authority(broker.directory, "other").file
    began = time.monotonic()
    for settings, said in (
        (wrong(broker), "Kafka does not know ioc-gauges with this password"),
        (wrong(broker, kafka_user="nobody"), "Kafka does not know nobody with this password"),
        (broker.as_("ioc-gauges", kafka_ca_file=other), "IOC_KAFKA_CA_FILE"),
        (
            broker.as_("", kafka_security_protocol="PLAINTEXT"),
            "Kafka speaks TLS there",
        ),
    ):
        done = ioc(settings, "topics")
        assert done.returncode == 2
        assert said in done.stderr, done.stderr
        assert "not the password" not in done.stderr
    assert time.monotonic() - began < 40


def test_a_refused_command_says_who_may_not(broker: Guarded) -> None:
    """A user without the right for it reads that at once, and what to do, not that Kafka does not answer."""
    began = time.monotonic()
    refused = ioc(broker.as_("ioc-sense"), "access", "plan", str(broker.parties))
    assert refused.returncode == 2
    assert "this user may not give rights: ioc-sense" in refused.stderr
    assert time.monotonic() - began < 15


def test_the_local_user_is_for_the_owner_of_the_machine_s_files(broker: Guarded) -> None:
    """What opens everything on loopback lies in files for their owner only, and in no process's arguments."""
    file = local_password_file(broker.base)
    secret = file.read_text().strip()
    assert len(secret) > 30
    for path in broker.base.state_dir.iterdir():
        if path.is_file() and path.stat().st_mode & 0o077:
            assert secret not in path.read_text(errors="replace"), path
    assert secret not in Path(f"/proc/{broker.broker.pid}/cmdline").read_text()


# The file of parties


def test_applying_again_changes_nothing_and_what_is_not_named_goes(broker: Guarded) -> None:
    """Once more: nothing. A party less: its user cannot get in any more; a party more: it can. Others stay."""
    with broker_admin(broker) as admin:
        admin.alter_user_scram_credentials([_scram("billing"), _scram("ioc-elsewhere")])
        admin.create_acls([_foreign("billing"), _foreign("ioc-elsewhere")])
    stays = "  user ioc-elsewhere has rights beyond this installation, and stays\n"
    assert broker.apply(PARTIES) == f"{stays}nothing to change\n"
    said = broker.apply(
        PARTIES.replace("{user: ioc-cameras, streams: [camera]}", "{user: ioc-radar, streams: [traffic]}")
    )
    assert "- user ioc-cameras" in said
    assert "- ioc-cameras may Write topic ioc.camera" in said
    assert "+ user ioc-radar" in said
    assert said.count("\n") == 7, said
    write(broker.as_("ioc-radar"), TOPICS.raw["traffic"].name)
    with pytest.raises(KafkaTimeoutError):
        write(broker.as_("ioc-cameras"), CAMERA)
    shown = ioc(broker.base, "access", "show", str(broker.parties)).stdout
    assert "ioc-radar may Write topic ioc.traffic" in shown
    assert "ioc-cameras" not in shown
    again = broker.apply(PARTIES)
    assert "password of ioc-cameras" not in again, "its file is still there, and is taken"
    write(broker.as_("ioc-cameras"), CAMERA)
    with broker_admin(broker) as admin:
        assert {"billing", "ioc-elsewhere"} <= set(admin.describe_user_scram_credentials())
        acls = [acl.principal for acl in _all_acls(admin)]
    assert {"User:billing", "User:ioc-elsewhere"} <= set(acls)


def test_another_password_locks_out_the_one_before(broker: Guarded) -> None:
    """After `--new-password` the old one no longer fits; files of passwords are their owner's alone."""
    file = broker.passwords / "ioc-gauges"
    old = broker.directory / "old"
    old.write_text(file.read_text())
    said = broker.apply(PARTIES, "--new-password", "ioc-gauges")
    lines = [line for line in said.splitlines() if "ioc-elsewhere" not in line]
    assert lines == ["+ user ioc-gauges", f"password of ioc-gauges: {file}", "done"]
    assert file.read_text() != old.read_text()
    assert {path.stat().st_mode & 0o777 for path in broker.passwords.iterdir()} == {0o600}
    write(broker.as_("ioc-gauges"), FLOOD)
    with pytest.raises(KafkaTimeoutError):
        write(broker.as_("ioc-gauges", kafka_password_file=old), FLOOD)
    assert file.read_text().strip() not in said


def broker_admin(broker: Guarded) -> KafkaAdminClient:
    return KafkaAdminClient(**client_arguments(broker.base))


def _scram(user: str) -> UserScramCredentialUpsertion:
    return UserScramCredentialUpsertion(user, "SCRAM-SHA-512", "a password")


def _foreign(user: str) -> ACL:
    return _acl(Right(user, "topic", "billing", "literal", "Read"))


def _all_acls(admin: KafkaAdminClient) -> list[ACL]:
    everything = ResourcePatternFilter(ResourceType.ANY, None, ACLResourcePatternType.ANY)
    return admin.describe_acls(ACLFilter(None, None, ACLOperation.ANY, ACLPermissionType.ANY, everything))[0]


# The whole chain, each process as its own user


def test_the_chain_works_with_every_process_as_its_own_user_and_no_secret_is_seen(
    broker: Guarded, tmp_path: Path
) -> None:
    """Replay, sense, correlate and wall, each with its rights and no more: the scenario's alerts come out, the wall
    shows them, and an agency reads what it is told. Meanwhile neither a password nor its hash is in what any process
    writes or answers, nor in its arguments.
    """
    prefix = f"t{next(_NUMBERS)}{os.getpid()}."
    base = broker.base.model_copy(update={"topic_prefix": prefix})
    parties = tmp_path / "parties.yaml"
    parties.write_text(PARTIES.replace("ioc-", "chain-"))
    done = ioc(base, "access", "apply", str(parties), "--passwords", str(broker.passwords))
    assert done.returncode == 0, done.stderr
    operators = tmp_path / "operators.yaml"
    write_operators(
        operators, [OperatorEntry(Operator(id="an", name="An", role="viewer"), hash_password(OPERATOR))]
    )

    def of(user: str, **more: object) -> Settings:
        return broker.as_(f"chain-{user}", topic_prefix=prefix, operators_file=operators, **FILES, **more)

    secrets = [file.read_text().strip() for file in broker.passwords.iterdir()]
    secrets += [local_password_file(broker.base).read_text().strip(), OPERATOR, "$argon2"]
    # One has his password from a file, and one from the environment.
    in_environment = {
        "kafka_password_file": None,
        "kafka_password": (broker.passwords / "chain-wall").read_text().strip(),
    }
    ports = {name: free_port() for name in ("sense", "correlate", "clock", "wall")}
    health = {f"{name}_health_port": port for name, port in ports.items()}
    wall_port = free_port()
    system = System(of("sense", **health), tmp_path / "logs")
    try:
        replay = ("replay", "can-tho-spring-tide", "--speed", "max", "--run", "r")
        system.start("replay", *replay, **_differing(of("replay")))
        # The replay's user may make the topics; the others are started once they are there.
        until(lambda: _has_topics(base), 30, system.tails)
        system.start("sense")
        system.start("correlate", **_differing(of("correlate")))
        system.start("wall", **_differing(of("wall", **in_environment)), wall_port=wall_port)
        judged = System(base, tmp_path / "logs")
        judged.processes = system.processes
        wait_until_judged(judged, END, 200)
        assert as_planned(alert_changes(base)) == planned()
        url = f"http://127.0.0.1:{wall_port}"
        until(lambda: b"street-my-xuyen-1" in _get(f"{url}/api/snapshot"), 30, system.tails)
        assert read(of("rescue"), Topics.of(base).agency("rescue").name, f"{prefix}ioc-subscribe-rescue", 10)

        seen = {name: system.log(name) for name in system.processes}
        seen |= {
            f"arguments of {name}": _arguments(process.pid) for name, process in system.processes.items()
        }
        seen["arguments of the broker"] = _arguments(broker.broker.pid or 0)
        for name in ("sense", "correlate", "wall"):
            for path in ("metrics", "readyz", "nothing"):
                seen[f"{name}/{path}"] = _get(f"http://127.0.0.1:{ports[name]}/{path}").decode()
        for path in ("", "/api/me", "/api/snapshot", "/nothing", "/api/alert?id=%00", "/api/history?to=x"):
            seen[f"wall{path}"] = _get(url + path).decode()
    finally:
        system.stop()
    settings = of("wall", **in_environment)
    for arguments in (["settings"], ["--help"], ["access", "--help"], ["topics"], ["wall", "--help"]):
        told = ioc(settings, *arguments)
        seen[" ".join(arguments)] = told.stdout + told.stderr
    seen["ioc.config"] = "".join(str(one.value) for one in read_all(base, Topics.of(base).config.name))
    assert all(text for text in seen.values()), [name for name, text in seen.items() if not text]
    for secret in secrets:
        assert [name for name, text in seen.items() if secret in text] == []
    assert "IOC_KAFKA_PASSWORD = **********" in seen["settings"], "it was there to be seen"


_NUMBERS = itertools.count(1)


def _differing(settings: Settings) -> dict[str, object]:
    return {name: getattr(settings, name) for name in ("kafka_user", "kafka_password", "kafka_password_file")}


def _arguments(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ") or "ended"
    except OSError:
        return "ended"


def _has_topics(settings: Settings) -> bool:
    try:
        require_topics(settings)
    except UserError:
        return False
    return True


def _get(url: str) -> bytes:
    """What is answered, errors as well; nothing where nobody does."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bytes(answer.read())
    except urllib.error.HTTPError as error:
        return error.read()
    except OSError:
        return b""
