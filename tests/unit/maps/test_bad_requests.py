"""Requests that once made the wall fail: each gets an answer that says what is wrong, and the log stays short."""

from __future__ import annotations

import pytest

from tests.fuzz.wall import request, wall

DEEP = b'{"action":' + b"[" * 5000 + b"]" * 5000 + b"}"


@pytest.mark.parametrize("origin", ["http://[", "http://[::1xyz]", "http://[\xc2\x8c]"])
def test_an_origin_that_is_no_address_is_refused(origin: str) -> None:
    """It is not of this server's page."""
    data = request("POST", "/api/sign-out", b"{}", f"Origin: {origin}")
    assert wall().ask(data).startswith(b"HTTP/1.1 403")
    wall().check(data)


@pytest.mark.parametrize("path", ["/api/commands", "/api/sign-in"])
@pytest.mark.parametrize("body", [DEEP, b'{"id":"\xff"}'], ids=["deep", "no-text"])
def test_a_body_that_cannot_be_read_is_not_understood(path: str, body: bytes) -> None:
    """Also one that is no text, or nested deeper than a parser can follow."""
    data = request("POST", path, body, "Cookie: SESSION")
    assert b'{"error":"not-understood"}' in wall().ask(data)
    wall().check(data)


@pytest.mark.parametrize(
    "data",
    [
        b"POST /api/commands HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
        request("POST", "/api/commands", b"{}")[:-1],
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 not HTTP at all\r\n\r\n",
        b"GET / ding: gzip\r\n\r\n",
    ],
    ids=["chunk", "length", "tls", "no-version"],
)
def test_who_hangs_up_in_the_middle_fills_no_log(data: bytes) -> None:
    """It is nobody's error but his: the server logs none."""
    wall().check(data)
