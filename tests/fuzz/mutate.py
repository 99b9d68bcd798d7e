"""Inputs for a fuzzer: something good, changed in ways that have broken programs.

A text that is JSON is changed in its values as well as in its bytes, or hardly any change would get past the parser.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

#: Values in one another, deeper than any parser that calls itself can follow.
DEEP = 5_000

#: Values as JSON writes them, valid or not.
VALUES: tuple[bytes, ...] = (
    b"null", b"true", b"false", b"0", b"-0", b"-1", b"0.1", b"1e308", b"-1e308", b"1.7976931348623157e308",
    b"5e-324", b"1e999", b"-1e999", b"NaN", b"Infinity", b"-Infinity", b"nan", b"9" * 19, b"9" * 400, b"9" * 5000,
    b"1e-999", b"0x10", b"01", b"+1", b"1.", b"9223372036854775808", b"[]", b"{}", b'""', b'" "', b'"\\u0000"',
    b'"\\ud800"', b'"\\udc00\\ud800"', b'"\xff"', b'"\xc0\x80"', b'"\xed\xa0\x80"', b'"\\u007f"', b'"\\u009b2J"',
    b'"\\u202e"', b'"\\u2028"', b'"\xef\xbb\xbf"', b'"a\nb"', b'"\x1b[31m"', b'"' + b"a" * 201 + b'"',
    b'"' + b"\xc3\xa9" * 5000 + b'"', b'"' + b"\\u0001" * 3000 + b'"', b'"__proto__"', b'"../../etc/passwd"',
    b'"=cmd|1"', b'"<script>"', b"[" * DEEP + b"]" * DEEP, b"[" * DEEP, b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    b'"0001-01-01T00:00:00Z"', b'"0001-01-01T00:00:00+14:00"', b'"0001-01-01T00:00:00-14:00"',
    b'"9999-12-31T23:59:59.999999Z"', b'"9999-12-31T23:59:59-14:00"', b'"9999-12-31T23:59:59+14:00"',
    b'"1969-12-31T23:59:59Z"', b'"2025-02-29T00:00:00Z"', b'"2025-10-08T24:00:00Z"', b'"2025-10-08T23:59:60Z"',
    b'"2025-10-08T05:00:00"', b'"2025-10-08"', b'"2025-10-08T05:00:00.123456789Z"', b'"2025-10-08T05:00:00+23:59"',
    b'"2025-10-08T12:00:30+07:00"', b'"2025-10-08T12:04:00+07:00"', b"1759896000", b"91", b"181", b"-91", b"1e-300",
    b"105.5", b"10.5", b'"clock"', b'"current"', b'"\\u0000clock"',
)  # fmt: skip

#: Pieces of bytes that are put in anywhere.
PIECES: tuple[bytes, ...] = (
    b"\x00", b"\xff", b"\xfe\xff", b"\xef\xbb\xbf", b"\r\n", b"\n", b"\t", b"{", b"}", b"[", b"]", b'"', b"\\", b",",
    b":", b"&a ", b"*a", b"<<: *a", b"- ", b"---\n", b"!!python/object:os.system ", b"!!binary ", b"| ", b"? ",
    b"%YAML 1.1\n", b".nan", b".inf", b"1_000", b"0o7", b"22:00", b"~", b"2025-13-01", b"\x1f\x8b\x08", b"PK\x03\x04",
    b"PK\x01\x02", b"\x85", b"\xe2\x80\xa8", b"Content-Length: 99999999\r\n", b"Transfer-Encoding: chunked\r\n",
    b"Expect: 100-continue\r\n", b"Origin: http://[\r\n", b"Cookie: a=\xff;;\r\n", b"Host: [::1\r\n", b"%00", b"%ff",
    b"%", b"?t=999999999999999", b"0" * 40, b"9" * 40, b"../", b"//",
)  # fmt: skip

#: A JSON text longer than this is changed in its bytes alone.
_JSON_BYTES = 20_000

#: Stands in a JSON text where a value is put in that `json` would not write.
_HERE = "\ue000here\ue000"


def mutated(good: bytes, chance: random.Random, others: tuple[bytes, ...] = ()) -> bytes:
    """One to four changes of `good`; pieces of `others` may get into it."""
    data = good
    for _ in range(chance.choice((1, 1, 1, 2, 2, 3, 4))):
        made = _in_json(data, chance) if chance.random() < 0.6 else None
        data = made if made is not None else chance.choice(_BYTES)(data, chance, others)
    return data


# In values


def _in_json(data: bytes, chance: random.Random) -> bytes | None:
    """The text with one value changed; None where it is no JSON."""
    if len(data) > _JSON_BYTES:
        return None
    try:
        root = json.loads(data)
        places = list(_places(root))
        text = _changed(root, places, chance)
    except (ValueError, RecursionError, ArithmeticError):
        return None
    return (
        text.encode("utf-8", "surrogatepass")
        .replace(json.dumps(_HERE).encode(), chance.choice(VALUES))
        .replace(_HERE.encode(), b"\xf0\x9f\x8c\x8a")
    )


def _places(value: Any, depth: int = 0) -> Any:
    """Each container with each of its keys."""
    if depth < 40 and isinstance(value, dict | list):
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from _places(value[key], depth + 1)


def _changed(root: Any, places: list[tuple[Any, Any]], chance: random.Random) -> str:
    what = chance.random()
    if not places or what < 0.03:
        root = _HERE
    else:
        inside, key = chance.choice(places)
        if what < 0.55:
            inside[key] = _HERE
        elif what < 0.65:
            del inside[key]
        elif what < 0.75 and isinstance(inside, dict):
            inside[chance.choice(("x", "", "kind", "id", "\u0000", "Id", "run", "simulated", _HERE))] = _HERE
        elif what < 0.82:
            other, its = chance.choice(places)
            inside[key] = json.loads(json.dumps(other[its]))
        elif what < 0.9 and isinstance(inside[key], list) and inside[key]:
            inside[key] = inside[key] * chance.choice((2, 30))
        elif isinstance(inside[key], str):
            text = inside[key]
            at = chance.randint(0, len(text))
            inside[key] = (
                text[:at] + chance.choice(("\u0000", "\ud800", "é", " ", "9", "-", "\u202e")) + text[at:]
            )
        elif isinstance(inside[key], int | float):
            inside[key] = inside[key] * chance.choice((-1, 0, 10, 1e9, 1e-9)) + chance.choice((0, 0.001))
        else:
            inside[key] = _HERE
    text = json.dumps(root, ensure_ascii=chance.random() < 0.5)
    if chance.random() < 0.05 and text.startswith("{") and len(text) > 2:
        text = text[:-1] + "," + text[1:]  # every key twice
    return text


# In bytes


def _flip(data: bytes, chance: random.Random, others: tuple[bytes, ...]) -> bytes:
    if not data:
        return bytes([chance.randrange(256)])
    at = chance.randrange(len(data))
    return data[:at] + bytes([data[at] ^ (1 << chance.randrange(8))]) + data[at + 1 :]


def _put(data: bytes, chance: random.Random, others: tuple[bytes, ...]) -> bytes:
    at = chance.randint(0, len(data))
    return data[:at] + chance.choice(PIECES if chance.random() < 0.7 else VALUES) + data[at:]


def _cut(data: bytes, chance: random.Random, others: tuple[bytes, ...]) -> bytes:
    first, last = sorted((chance.randint(0, len(data)), chance.randint(0, len(data))))
    return data[:first] + data[last:]


def _end(data: bytes, chance: random.Random, others: tuple[bytes, ...]) -> bytes:
    return data[: chance.randint(0, len(data))]


def _repeat(data: bytes, chance: random.Random, others: tuple[bytes, ...]) -> bytes:
    first = chance.randint(0, len(data))
    piece = data[first : first + chance.choice((1, 2, 8, 64))]
    return data[:first] + piece * chance.choice((2, 3, 20, 2000)) + data[first:]


def _join(data: bytes, chance: random.Random, others: tuple[bytes, ...]) -> bytes:
    other = chance.choice(others) if others else data
    return data[: chance.randint(0, len(data))] + other[chance.randint(0, len(other)) :]


def _noise(data: bytes, chance: random.Random, others: tuple[bytes, ...]) -> bytes:
    at = chance.randint(0, len(data))
    return data[:at] + chance.randbytes(chance.randint(1, 12)) + data[at:]


_BYTES: tuple[Callable[[bytes, random.Random, tuple[bytes, ...]], bytes], ...] = (
    _flip, _put, _put, _cut, _end, _repeat, _join, _noise,
)  # fmt: skip


def every_value(good: bytes) -> Iterator[bytes]:
    """A JSON text with each of its values in turn replaced by each of `VALUES`, and by nothing."""
    root = json.loads(good)
    for number in range(len(list(_places(root)))):
        copy = json.loads(good)
        inside, key = list(_places(copy))[number]
        inside[key] = _HERE
        text = json.dumps(copy, ensure_ascii=False).encode()
        for value in VALUES:
            yield text.replace(json.dumps(_HERE, ensure_ascii=False).encode(), value)
        del inside[key]
        yield json.dumps(copy, ensure_ascii=False).encode()
