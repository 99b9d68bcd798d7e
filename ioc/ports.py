"""Which TCP ports of this machine are taken, and by whom."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path

from ioc.errors import UserError

LOOPBACK = "127.0.0.1"
_LISTEN = "0A"  # TCP_LISTEN in /proc/net/tcp


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether a server could listen there now. Connections that are winding down do not count."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A port that was free a moment ago; the kernel hands them out in turn, so it stays so for a while."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def holder(port: int) -> str | None:
    """`name (process 123)` of the process that listens on a port, where this user may see it (Linux)."""
    sockets = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    if not sockets:
        return None
    for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):  # gone meanwhile, or another user's
            if os.readlink(descriptor) in sockets:
                process = descriptor.parent.parent
                return f"{(process / 'comm').read_text().strip()} (process {process.name})"
    return None


def port_taken(port: int, variable: str, use: str) -> UserError:
    """The error for a port that another program holds; `variable` is the setting that chooses it."""
    who = holder(port)
    return UserError(
        f"port {port} for {use} is taken",
        f"by {who}" if who else "by another program",
        f"end that program, or choose another port: {variable}={port + 10}",
    )


def _listening_inodes(port: int) -> set[str]:
    inodes = set()
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        try:
            rows = table.read_text().splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            fields = row.split()
            if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(fields[9])
    return inodes
