"""Recordings and scenarios: newline-delimited JSON in log order, optionally gzipped.

A line is one of

    {"clock": "2025-10-08T00:00:00+07:00"}                           a clock record, for every raw partition
    {"stream": "flood", "at": TIME, "event": {...}}                  an event; its key is its source
    {"stream": "flood", "at": TIME, "key": "gauge-x", "raw": "…"}    a record that is not a valid event
    {"stream": "flood", "at": TIME, "key": "gauge-x", "base64": "…"} the same, where it is not even text

The first and the last line are clocks, and clocks go forward. `at` is when the record came in: it explains
the order and is not used otherwise. A clock that a replay wrote has its name in `run`. A gzipped recording may
have many members; `streams.recording_index` says which of them to begin with.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import re
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import msgspec
from msgspec import UNSET, Struct, UnsetType

from alerts.model import AwareTime
from ioc.errors import UserError
from ioc.undecodable import UNDECODABLE, why
from streams.topics import STREAMS


class ClockLine(Struct, frozen=True):
    """What time it is from here on."""

    clock: AwareTime
    #: Names the replay that wrote the clock record; empty where a live clock did.
    run: str = ""


class EventLine(Struct, frozen=True):
    """A valid event: `id`, `source` and `time` are checked to be there."""

    stream: str
    at: AwareTime
    source: str
    time: AwareTime
    #: The event as recorded, JSON.
    event: bytes


class RawLine(Struct, frozen=True):
    """A record to be published as it stands, valid or not."""

    stream: str
    at: AwareTime
    key: str
    raw: bytes


Line = ClockLine | EventLine | RawLine


class _Any(Struct, forbid_unknown_fields=True):
    clock: AwareTime | None = None
    run: str = ""
    stream: str | None = None
    at: AwareTime | None = None
    event: msgspec.Raw = msgspec.Raw(b"")
    key: str | None = None
    raw: str | UnsetType = UNSET
    base64: str | UnsetType = UNSET


class _Head(Struct):
    id: str
    source: str
    time: AwareTime


#: Bytes of a line: a record of Kafka's default size, each of its signs written as a code, and what stands around it.
LINE_MAX = 8 << 20

#: An event has two, and whatever else a device may say a few more.
NESTED_MAX = 100
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"')
_BRACKET = re.compile(rb"[][{}]")

_line = msgspec.json.Decoder(_Any)
_head = msgspec.json.Decoder(_Head)
_encode = msgspec.json.encode


def read_recording(path: Path, *, offset: int = 0) -> Iterator[Line]:
    """The lines of a recording, in order, read as they are asked for.

    `offset` is where to begin in the file: a member's beginning, as the index gives it.

    Raises `UserError` naming file and line where the file cannot be read or a line is not of the format.
    """
    number, last = 0, None
    line: Line | None = None
    where = f"{path}, from byte {offset}, line " if offset else f"{path}:"
    try:
        with ExitStack() as stack:
            lines: BinaryIO | gzip.GzipFile = stack.enter_context(path.open("rb"))
            lines.seek(offset)
            if path.suffix == ".gz":
                lines = stack.enter_context(gzip.GzipFile(fileobj=lines))
            while text := lines.readline(LINE_MAX + 1):
                number += 1
                if len(text) > LINE_MAX:
                    raise _Bad(f"longer than {LINE_MAX} bytes")
                line = _parse(text)
                if isinstance(line, ClockLine):
                    if last is not None and line.clock <= last:
                        raise _Bad(f"the clock goes from {last.isoformat()} to {line.clock.isoformat()}")
                    last = line.clock
                elif last is None:
                    raise _Bad("the first line is not a clock")
                yield line
        if not isinstance(line, ClockLine):
            raise _Bad("the last line is not a clock")
    except _Bad as problem:
        raise UserError(
            "the recording is not usable", f"{where}{number}: {problem}", "record it again"
        ) from None
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(
            "the recording cannot be read", f"{path}: {error}", "name a whole .ndjson or .ndjson.gz"
        ) from None


def first_and_last_clock(path: Path) -> tuple[datetime, datetime]:
    """When a recording begins and ends; reads all of it, so every error of the format shows.

    Raises `UserError` as `read_recording` does.
    """
    clocks = [line.clock for line in read_recording(path) if isinstance(line, ClockLine)]
    return clocks[0], clocks[-1]


def clock_text(clock: datetime, run: str) -> bytes:
    """A clock line as it is written."""
    return _encode({"clock": clock, "run": run} if run else {"clock": clock}) + b"\n"


def event_text(stream: str, at: datetime, event: bytes) -> bytes:
    """An event's line as it is written; `event` is JSON without a line's end in it."""
    return b'{"stream":"%s","at":%s,"event":%s}\n' % (stream.encode(), _encode(at), event)


def raw_text(stream: str, at: datetime, key: str, value: bytes) -> bytes:
    """The line of a record that is no valid event, as it is written: to the byte, for it must stay invalid."""
    content: dict[str, object] = {"stream": stream, "at": at, "key": key}
    try:
        content["raw"] = value.decode()
    except UnicodeDecodeError:
        content["base64"] = base64.b64encode(value).decode()
    return _encode(content) + b"\n"


def is_nested_deeply(value: bytes | msgspec.Raw) -> bool:
    """Whether more than `NESTED_MAX` values of a JSON text lie in one another.

    How many a parser can follow depends on who calls it: what one could read, the next could not.
    """
    text = bytes(value)
    if text.count(b"[") + text.count(b"{") <= NESTED_MAX:
        return False
    depth = 0
    for sign in _BRACKET.findall(_STRING.sub(b"", text)):
        depth += 1 if sign in b"[{" else -1
        if depth > NESTED_MAX:
            return True
    return False


class _Bad(Exception):
    """Why a line is not of the format."""


def _parse(text: bytes) -> Line:
    try:
        found = _line.decode(text)
    except UnicodeDecodeError as error:
        raise _Bad(f"not UTF-8: {error}") from None
    except UNDECODABLE as error:
        raise _Bad(why(error)) from None
    raw = _raw(found)
    if found.clock is not None:
        if found.stream is not None or found.event or raw is not None:
            raise _Bad("a clock line holds nothing else")
        return ClockLine(found.clock, found.run)
    if found.stream not in STREAMS:
        raise _Bad(f"stream is {found.stream!r}, not one of {', '.join(STREAMS)}")
    if found.at is None:
        raise _Bad("`at` is missing")
    if raw is not None:
        if found.key is None or found.event:
            raise _Bad("a raw record has a key and no event")
        return RawLine(found.stream, found.at, found.key, raw)
    if is_nested_deeply(found.event):
        raise _Bad(f"event: more than {NESTED_MAX} values in one another")
    try:
        head = _head.decode(found.event)
    except UNDECODABLE as error:
        raise _Bad(
            f"event: {why(error)}; a record that is no valid event is written as `key` and `raw`"
        ) from None
    return EventLine(found.stream, found.at, head.source, head.time, bytes(found.event))


def _raw(found: _Any) -> bytes | None:
    if isinstance(found.raw, str):
        if isinstance(found.base64, str):
            raise _Bad("a raw record has `raw` or `base64`, not both")
        return found.raw.encode()
    if isinstance(found.base64, str):
        try:
            return base64.b64decode(found.base64, validate=True)
        except binascii.Error as error:
            raise _Bad(f"base64: {error}") from None
    return None
