"""How every client reaches Kafka: addresses, TLS and who it is, in one place.

The names of the arguments are those that kafka-python and aiokafka share; Faust has its own form of the same.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

from ioc.errors import UserError
from ioc.settings import Settings

#: The user that the embedded broker lets do everything, where it asks who somebody is. On loopback only.
LOCAL_USER = "ioc-local"
#: Characters of a password that are read at most.
PASSWORD_MAX = 1000


class Secret(str):
    """A password as the clients want it, a text: but one that is not shown when they log their arguments."""

    def __repr__(self) -> str:
        return "'***'"


def client_arguments(settings: Settings) -> dict[str, Any]:
    """Arguments for each client of kafka-python and aiokafka: the addresses, and what security asks for.

    Raises `UserError` where a setting that is needed is missing, or a file cannot be read.
    """
    return {"bootstrap_servers": settings.bootstrap.split(","), **_security(settings)}


def faust_credentials(settings: Settings) -> Any:
    """The same for Faust; None where Kafka asks nobody who he is. Raises what `client_arguments` does."""
    import faust  # half a second: only workers need it

    security = _security(settings)
    if "sasl_mechanism" in security:
        return faust.SASLCredentials(
            username=security["sasl_plain_username"],
            password=security["sasl_plain_password"],
            ssl_context=security.get("ssl_context"),
            mechanism=security["sasl_mechanism"],
        )
    return faust.SSLCredentials(security["ssl_context"]) if security else None


def local_password_file(settings: Settings) -> Path:
    """Where the password of `LOCAL_USER` lies."""
    return settings.state_dir / "kafka.password"


def read_password(path: Path, variable: str) -> Secret:
    """The first line of a file. Raises `UserError` where that is nothing, or the file cannot be read."""
    try:
        with path.open(encoding="utf-8") as file:
            text = file.readline(PASSWORD_MAX).strip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text"
        raise UserError("cannot read a password", f"{path}: {reason}", f"see {variable}") from None
    if not text:
        raise UserError("a file of a password is empty", str(path), f"see {variable}")
    return Secret(text)


def _security(settings: Settings) -> dict[str, Any]:
    if not settings.bootstrap_servers:
        if not settings.broker_outside:
            return {}
        password = read_password(local_password_file(settings), "IOC_STATE_DIR")
        return _sasl("SASL_PLAINTEXT", "PLAIN", LOCAL_USER, password)
    protocol = settings.kafka_security_protocol
    if protocol == "PLAINTEXT":
        if settings.kafka_user:
            # Without this, who believes himself to be known would go about unnamed.
            raise UserError(
                "a user is set, but Kafka is not to be told",
                f"IOC_KAFKA_USER={settings.kafka_user}, IOC_KAFKA_SECURITY_PROTOCOL=PLAINTEXT",
                "set IOC_KAFKA_SECURITY_PROTOCOL=SASL_SSL",
            )
        return {}
    arguments: dict[str, Any] = {"security_protocol": protocol}
    if protocol.startswith("SASL"):
        if not settings.kafka_user:
            raise UserError(
                "nobody is named to Kafka", f"IOC_KAFKA_SECURITY_PROTOCOL={protocol}", "set IOC_KAFKA_USER"
            )
        arguments = _sasl(protocol, settings.kafka_sasl_mechanism, settings.kafka_user, _password(settings))
    if protocol.endswith("SSL"):
        arguments["ssl_context"] = _context(settings.kafka_ca_file)
    return arguments


def _sasl(protocol: str, mechanism: str, user: str, password: Secret) -> dict[str, Any]:
    return {
        "security_protocol": protocol,
        "sasl_mechanism": mechanism,
        "sasl_plain_username": user,
        "sasl_plain_password": password,
    }


def _password(settings: Settings) -> Secret:
    if settings.kafka_password_file is not None:
        return read_password(settings.kafka_password_file, "IOC_KAFKA_PASSWORD_FILE")
    if settings.kafka_password is None or not settings.kafka_password.get_secret_value():
        raise UserError(
            f"there is no password for {settings.kafka_user} at Kafka", "", "set IOC_KAFKA_PASSWORD_FILE"
        )
    return Secret(settings.kafka_password.get_secret_value())


def _context(authorities: Path | None) -> ssl.SSLContext:
    """Checks the broker's certificate and that it is for the host that was asked for."""
    try:
        context = ssl.create_default_context(cafile=str(authorities) if authorities else None)
    except (OSError, ssl.SSLError) as error:
        raise UserError(
            "cannot read the certificates of Kafka's authority",
            f"{authorities}: {error}",
            "see IOC_KAFKA_CA_FILE: a PEM file",
        ) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
