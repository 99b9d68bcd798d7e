"""How clients reach Kafka: what the settings make of it, and that no client goes another way."""

from __future__ import annotations

import ast
import ssl
from pathlib import Path

import pytest

from ioc.errors import UserError
from ioc.settings import Settings, load_settings
from streams.clients import client_arguments, faust_credentials
from tests.certificates import Authority

ROOT = Path(__file__).resolve().parents[3]
CLIENTS = {"KafkaProducer", "KafkaConsumer", "KafkaAdminClient", "AIOKafkaProducer", "AIOKafkaConsumer"}
PASSWORD = "the-password-that-nobody-sees"


def guarded(**more: object) -> Settings:
    given = {
        "bootstrap_servers": "a:9094,b:9094",
        "kafka_security_protocol": "SASL_SSL",
        "kafka_user": "ioc-sense",
        "kafka_password": PASSWORD,
        **more,
    }
    return load_settings(**given)


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"IOC_{name.upper()}", raising=False)


def test_every_client_is_made_with_them() -> None:
    """No client of the program is made without the arguments of `client_arguments`, nor with addresses of its own."""
    made, otherwise = 0, []
    for file in [file for package in ("ioc", "streams", "maps") for file in (ROOT / package).rglob("*.py")]:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CLIENTS:
                made += 1
                given = [ast.unparse(one.value) for one in node.keywords if one.arg is None]
                named = {one.arg for one in node.keywords}
                if not any(one.startswith("client_arguments(") for one in given) or (
                    "bootstrap_servers" in named
                ):
                    otherwise.append(f"{file.relative_to(ROOT)}:{node.lineno}")
    assert otherwise == []
    assert made > 10


def test_a_plain_cluster_is_asked_plainly() -> None:
    """Without settings for it, nothing of TLS or passwords reaches a client."""
    assert client_arguments(load_settings(bootstrap_servers="a:9092,b:9092")) == {
        "bootstrap_servers": ["a:9092", "b:9092"]
    }
    assert faust_credentials(load_settings()) is None


def test_tls_with_a_password(tmp_path: Path) -> None:
    """Protocol, mechanism, user and password reach every client; certificate and host name are checked."""
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\nnot this line\n")
    authority = Authority(tmp_path)
    settings = guarded(kafka_password=None, kafka_password_file=file, kafka_ca_file=authority.file)
    arguments = client_arguments(settings)
    context = arguments.pop("ssl_context")
    assert arguments == {
        "bootstrap_servers": ["a:9094", "b:9094"],
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "ioc-sense",
        "sasl_plain_password": PASSWORD,
    }
    assert context.check_hostname
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert [one["subject"] for one in context.get_ca_certs()] == [((("commonName", "authority"),),)]
    faust = faust_credentials(settings)
    assert (faust.protocol.value, faust.mechanism.value) == ("SASL_SSL", "SCRAM-SHA-512")
    assert (faust.username, faust.password) == ("ioc-sense", PASSWORD)
    assert faust.ssl_context.check_hostname


def test_tls_alone(tmp_path: Path) -> None:
    """TLS without a password: no user is sent, and Faust speaks TLS as well."""
    settings = load_settings(bootstrap_servers="a:9094", kafka_security_protocol="SSL")
    assert set(client_arguments(settings)) == {"bootstrap_servers", "security_protocol", "ssl_context"}
    assert faust_credentials(settings).protocol.value == "SSL"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"kafka_user": ""}, "IOC_KAFKA_USER"),
        ({"kafka_password": None}, "IOC_KAFKA_PASSWORD_FILE"),
        ({"kafka_password": ""}, "IOC_KAFKA_PASSWORD_FILE"),
        ({"kafka_password_file": Path("/nowhere/password")}, "/nowhere/password"),
        ({"kafka_ca_file": Path("/nowhere/ca.pem")}, "IOC_KAFKA_CA_FILE"),
        ({"kafka_ca_file": Path(__file__)}, "IOC_KAFKA_CA_FILE"),
        # Otherwise whoever forgot the protocol would send all of it in the clear, and believe otherwise.
        ({"kafka_security_protocol": "PLAINTEXT"}, "SASL_SSL"),
    ],
)
def test_what_is_missing_is_said(changes: dict[str, object], said: str) -> None:
    """Each setting that does not fit is named, and never the password."""
    with pytest.raises(UserError) as raised:
        client_arguments(guarded(**changes))
    assert said in str(raised.value)
    assert PASSWORD not in str(raised.value)


def test_an_empty_file_is_no_password(tmp_path: Path) -> None:
    """A file whose first line is empty is a mistake, not an empty password."""
    file = tmp_path / "password"
    file.write_text("\nsecret\n")
    with pytest.raises(UserError, match="is empty"):
        client_arguments(guarded(kafka_password_file=file))


def test_the_password_shows_nowhere() -> None:
    """Neither settings nor arguments show it when they are printed; kafka-python logs its arguments."""
    settings = guarded()
    assert client_arguments(settings)["sasl_plain_password"] == PASSWORD
    for shown in (repr(settings), str(settings), settings.model_dump_json(), repr(client_arguments(settings)),
                  repr(faust_credentials(settings))):  # fmt: skip
        assert PASSWORD not in shown
