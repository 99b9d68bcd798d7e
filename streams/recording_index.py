"""What lies beside a recording: its index by time, and the configurations that held.

    FILE               the recording, whole gzip members one after the other, each beginning with a clock line
    FILE.index.json    at which byte each member begins, and what the recording holds
    FILE.config.json   rules, inventory and maps' names as ioc.config held them, by hash

A recording is complete without them. An index that was not made of the very recording is not believed: then
reading begins at the first line.
"""

from __future__ import annotations

import hashlib
import logging
from bisect import bisect_right
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from alerts.model import AwareTime
from ioc.errors import UserError
from ioc.undecodable import UNDECODABLE
from ioc.wholefile import whole_file
from streams.recording import ClockLine, Line, read_recording

log = logging.getLogger(__name__)

#: So many bytes at the beginning and at the end of a recording are hashed: its end holds the checksums of all that
#: is in the last member, and no two recordings end alike. Hashing all of it would cost what the index saves.
_HASHED = 64 * 1024


class Member(Struct, frozen=True):
    """One gzip member: the clock line that it begins with, and the byte where it does."""

    clock: AwareTime
    offset: int


class Held(Struct, frozen=True):
    """A configuration, and the clock record from which it held."""

    since: AwareTime
    config: str


class Index(Struct, frozen=True, kw_only=True):
    """The index of a recording."""

    version: int = 1
    #: The recording's size in bytes, and the hash of its beginning and end.
    size: int
    hash: str
    #: Its first and its last clock.
    first: AwareTime
    last: AwareTime
    members: list[Member]
    #: In the order of time; the first held from before the beginning on.
    configurations: list[Held]
    #: Records by stream.
    records: dict[str, int]
    #: Records that were left out, for they may hold personal data: citizens' reports that could not be decoded.
    left_out: int = 0
    #: Clock records that some partition lacked.
    clocks_lacking: int = 0


class Configurations(Struct, frozen=True):
    """The file of configurations: each as the record of ioc.config, by its hash."""

    configurations: dict[str, msgspec.Raw]


def index_path(recording: Path) -> Path:
    return recording.with_name(f"{recording.name}.index.json")


def configurations_path(recording: Path) -> Path:
    return recording.with_name(f"{recording.name}.config.json")


def fingerprint(recording: Path) -> tuple[int, str]:
    """A recording's size in bytes, and a hash of its size, beginning and end. Raises `OSError`."""
    size = recording.stat().st_size
    with recording.open("rb") as file:
        digest = hashlib.sha256(b"%d " % size + file.read(_HASHED))
        file.seek(max(0, size - _HASHED))
        digest.update(file.read())
    return size, digest.hexdigest()


def write_json(path: Path, content: Struct) -> None:
    """Write a record as a file, whole or not at all. Raises `OSError`."""
    with whole_file(path) as file:
        file.write(msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n")


def load_index(recording: Path) -> Index | None:
    """The index beside a recording; None where there is none that was made of it, which is logged."""
    path = index_path(recording)
    try:
        index = msgspec.json.decode(path.read_bytes(), type=Index)
        same = fingerprint(recording) == (index.size, index.hash)
    except FileNotFoundError:
        return None
    except (OSError, *UNDECODABLE) as error:
        log.warning("%s is not usable, and is left alone: %s", path, error)
        return None
    if not same:
        log.warning("%s belongs to another recording than %s, and is left alone", path, recording)
        return None
    return index


def load_configurations(recording: Path) -> dict[str, bytes]:
    """The configurations beside a recording, by hash, as ioc.config held them; empty where there are none.

    Raises `UserError` where the file is not of the format.
    """
    path = configurations_path(recording)
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Configurations)
    except FileNotFoundError:
        return {}
    except (OSError, *UNDECODABLE) as error:
        raise UserError(
            "the configurations of the recording cannot be read",
            f"{path}: {error}",
            "remove it, or record again",
        ) from None
    return {hash_: bytes(record) for hash_, record in found.configurations.items()}


def read_between(
    recording: Path, since: datetime | None = None, until: datetime | None = None
) -> Iterator[Line]:
    """The lines from the first clock at or after `since` to the last one at or before `until`.

    Begins at the right member where the recording has its index, else reads up to there. Raises `UserError` as
    `read_recording` does, and where no clock lies between the two.
    """
    index = load_index(recording) if since is not None else None
    offset = _offset(index, since) if index is not None and since is not None else 0
    held: list[Line] = []
    begun = False
    for line in read_recording(recording, offset=offset):
        if isinstance(line, ClockLine):
            if until is not None and line.clock > until:
                break
            # What stands before a clock is only given once that clock is known to be within.
            yield from held
            held = []
            if begun or since is None or line.clock >= since:
                begun = True
                yield line
        elif begun:
            held.append(line)
    if not begun:
        raise UserError(
            "the recording has nothing of that time",
            f"{recording}: no clock from {since or 'its beginning'} to {until or 'its end'}",
            "give other --from and --to",
        )


def _offset(index: Index, since: datetime) -> int:
    number = bisect_right(index.members, since, key=lambda member: member.clock)
    return index.members[max(0, number - 1)].offset
