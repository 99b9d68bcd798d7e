"""Why a cluster cannot be used, in words: the clients only say that they have not got in.

They try for seconds and then name no reason, so one more connection is made that does.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from contextlib import suppress

from aiokafka.conn import create_conn
from aiokafka.errors import SaslAuthenticationFailed

from ioc.errors import UserError
from ioc.settings import Settings
from streams.clients import client_arguments

#: Seconds for the connection that is to tell the reason.
PROBE_SECONDS = 3.0


def unreachable(settings: Settings, error: BaseException) -> UserError:
    """What to tell a person after a client has failed with `error`. Asks the cluster once more; blocks meanwhile."""
    return (
        told(settings, error)
        or refusal(settings)
        or UserError(
            f"no Kafka answers at {settings.bootstrap}",
            str(error) or type(error).__name__,
            "see that IOC_BOOTSTRAP_SERVERS is right and the cluster runs"
            if settings.bootstrap_servers
            else "start it with: ioc broker",
        )
    )


def told(settings: Settings, error: BaseException) -> UserError | None:
    """The error where the cluster answered that this user may not; else None."""
    if "AuthorizationFailed" not in type(error).__name__:
        return None
    return UserError(
        f"{settings.kafka_user or 'nobody'} may not do this at Kafka",
        str(error) or type(error).__name__,
        "see the user's tasks in the file of parties, then: ioc access apply",
    )


def refusal(settings: Settings) -> UserError | None:
    """Why the cluster lets this user not in; None where it does, or where nothing answers at all."""
    found: list[BaseException | None] = []
    # A thread of its own: the caller may have a loop that runs.
    thread = threading.Thread(target=lambda: found.append(asyncio.run(_probe(settings))), daemon=True)
    thread.start()
    thread.join(PROBE_SECONDS + 1)
    where = settings.bootstrap
    match found[0] if found else None:
        case SaslAuthenticationFailed():
            return UserError(
                f"Kafka does not know {settings.kafka_user} with this password",
                where,
                "see IOC_KAFKA_USER, IOC_KAFKA_PASSWORD_FILE and IOC_KAFKA_SASL_MECHANISM; another password: "
                "ioc access apply --new-password",
            )
        case ssl.SSLCertVerificationError() as error:
            return UserError(
                "Kafka's certificate is not to be trusted",
                f"{where}: {error.verify_message}",
                "see IOC_KAFKA_CA_FILE, and that IOC_BOOTSTRAP_SERVERS names the hosts that the certificate is for",
            )
        case ssl.SSLError():
            return UserError("no TLS is spoken there", where, "see IOC_KAFKA_SECURITY_PROTOCOL and the port")
        case _SpeaksTls():
            return UserError(
                "Kafka speaks TLS there",
                where,
                "set IOC_KAFKA_SECURITY_PROTOCOL=SASL_SSL, or take another port",
            )
    return None


class _SpeaksTls(Exception):
    """Where no TLS was asked for."""


async def _probe(settings: Settings) -> BaseException | None:
    """What happens at a connection to the first server that answers."""
    arguments = client_arguments(settings)
    for address in arguments.pop("bootstrap_servers"):
        host, _, port = address.rpartition(":")
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                if arguments.get("security_protocol", "PLAINTEXT") == "PLAINTEXT":
                    return await _speaks_tls(host, int(port))
                connection = await create_conn(host, int(port), client_id="ioc-probe", **arguments)
                connection.close()
                return None
        except ssl.SSLError as error:
            return error
        except (OSError, TimeoutError, ValueError):
            continue  # nobody there; the next one may be
        except Exception as error:
            # aiokafka wraps what the handshake raised.
            return error.__cause__ if isinstance(error.__cause__, ssl.SSLError) else error
    return None


async def _speaks_tls(host: str, port: int) -> _SpeaksTls | None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with suppress(OSError):
        _, writer = await asyncio.open_connection(host, port, ssl=context)
        writer.transport.abort()
        return _SpeaksTls()
    return None
