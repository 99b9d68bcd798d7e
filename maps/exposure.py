"""Who can reach the wall: beyond its own machine it is encrypted and asks who one is, or it does not listen."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path

from ioc.errors import UserError
from ioc.settings import Settings


def wall_host(settings: Settings) -> str:
    """The address that the wall listens on."""
    return settings.wall_host or settings.host


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address. A name counts as one that others reach, but for `localhost`."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def require_guarded(settings: Settings, operators: bool) -> None:
    """Raise `UserError` where others could reach a wall that asks for nothing, or reads passwords in the clear.

    `operators`: whether there is anybody who can sign in.
    """
    if settings.wall_sign_in == "to-see" and not operators:
        raise UserError(
            "nobody could see the wall",
            "IOC_WALL_SIGN_IN=to-see without IOC_OPERATORS_FILE",
            "set IOC_OPERATORS_FILE; `ioc operators add` makes the file",
        )
    host = wall_host(settings)
    if is_loopback(host) or settings.wall_reach == "anybody":
        return
    missing = []
    if settings.wall_tls_file is None and not settings.wall_proxies:
        missing.append("HTTPS: set IOC_WALL_TLS_FILE, or IOC_WALL_PROXIES where a proxy speaks it")
    if not operators:
        missing.append("operators: set IOC_OPERATORS_FILE")
    if settings.wall_sign_in != "to-see":
        missing.append("signing in to see: set IOC_WALL_SIGN_IN=to-see")
    if missing:
        raise UserError(
            "the wall does not listen beyond this machine unguarded",
            f"IOC_{'WALL_' if settings.wall_host else ''}HOST={host}",
            f"{'; '.join(missing)}. Where the network itself lets nobody else near: IOC_WALL_REACH=anybody",
        )


def server_context(file: Path | None) -> ssl.SSLContext | None:
    """TLS 1.2 or later with a key and certificates of one's own; None where there is no file.

    Raises `UserError` where the file is not usable.
    """
    if file is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # A key with a password would make the wall ask at the terminal, and wait.
        context.load_cert_chain(file, password="")
    except (OSError, ssl.SSLError) as error:
        raise UserError(
            "the wall's certificate is not usable",
            f"{file}: {error}",
            "see IOC_WALL_TLS_FILE: the key, without a password, and after it the certificates, as PEM",
        ) from None
    return context


def networks(texts: Sequence[str], variable: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """Addresses and networks as people write them. Raises `UserError` for what is neither."""
    found = []
    for text in texts:
        try:
            found.append(ip_network(text))
        except ValueError as error:
            raise UserError(
                f"{variable} has what is no address", str(error), "write 10.0.0.5 or 10.0.0.0/24"
            ) from None
    return tuple(found)
