"""Sessions and their ends, and the wait after wrong passwords."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.rules.policy import Operator
from ioc.operators import OperatorEntry, OperatorsFile, hash_password, write_operators
from maps import session as module
from maps.screens import PASS_SECONDS
from maps.session import (
    ABSOLUTE_SECONDS,
    FIRST_WAIT,
    FREE_FAILURES,
    FREE_OF_ADDRESS,
    IDLE_SECONDS,
    LONGEST_WAIT,
    Access,
    Attempts,
    Sessions,
    TooManyAttempts,
    WrongPassword,
)

PASSWORD = "a long password"
HASH = hash_password(PASSWORD)


class Clock:
    """A clock that the test advances."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def entry(id: str = "an", role: str = "operator", password: str = HASH) -> OperatorEntry:
    return OperatorEntry(Operator(id=id, name=id, role=role), password)  # type: ignore[arg-type]


def test_a_session_ends_when_unused_and_after_its_time() -> None:
    """Two hours without use end it; use keeps it, but for no more than twelve hours."""
    clock = Clock()
    sessions = Sessions(clock)
    unused, used = sessions.begin(entry("an")), sessions.begin(entry("binh"))
    began = clock.now
    while clock.now - began < ABSOLUTE_SECONDS - IDLE_SECONDS / 2:
        assert sessions.find(used) == entry("binh")
        clock.now += IDLE_SECONDS / 2
    assert sessions.find(unused) is None
    assert sessions.find(used) == entry("binh")
    clock.now = began + ABSOLUTE_SECONDS
    assert sessions.find(used) is None
    assert len(sessions) == 0


def test_what_a_page_asks_by_itself_keeps_no_session_alive() -> None:
    """A page that stays open is not somebody who is there: its own questions are answered, and count for nothing."""
    clock = Clock()
    sessions = Sessions(clock)
    token = sessions.begin(entry())
    for _ in range(3):
        clock.now += IDLE_SECONDS / 4
        assert sessions.find(token, used=False) == entry()
    clock.now += IDLE_SECONDS / 4
    assert sessions.find(token, used=False) is None
    assert len(sessions) == 0


def test_tokens_are_long_different_and_not_kept() -> None:
    """A token has 256 random bits; what the process holds would not let anybody in."""
    sessions = Sessions()
    tokens = {sessions.begin(entry()) for _ in range(100)}
    assert len(tokens) == 100
    assert all(len(token) >= 43 for token in tokens)
    assert not tokens & set(sessions._sessions)
    for token in tokens:
        sessions.end(token)
        assert sessions.find(token) is None


def test_sessions_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound the one that was unused for longest ends."""
    monkeypatch.setattr(module, "SESSIONS_MAX", 3)
    sessions = Sessions()
    one, two, three = (sessions.begin(entry()) for _ in range(3))
    sessions.find(one)
    four = sessions.begin(entry())
    assert sessions.find(two) is None
    assert all(sessions.find(token) for token in (one, three, four))


def test_five_failures_cost_a_wait_that_doubles() -> None:
    """The first four cost nothing; then 30 s, 60 s and so on, up to a quarter of an hour, for this id alone."""
    clock = Clock()
    attempts = Attempts(clock)
    for _ in range(FREE_FAILURES - 1):
        attempts.begin("an")
        assert attempts.wait("an") == 0
    waits = []
    for _ in range(8):
        attempts.begin("an")
        waits.append(attempts.wait("an"))
        clock.now += waits[-1]
    assert waits == [min(FIRST_WAIT * 2**n, LONGEST_WAIT) for n in range(8)]
    assert attempts.wait("binh") == 0
    attempts.succeeded("an")
    attempts.begin("an")
    assert attempts.wait("an") == 0


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.floats(0, 2000)), max_size=60))
def test_failures_are_bounded_whatever_is_tried(tries: list[tuple[str, float]]) -> None:
    """No number of ids fills the memory; no wait is longer than the longest."""
    clock = Clock()
    attempts = Attempts(clock)
    old, module.IDS_MAX = module.IDS_MAX, 4
    try:
        for id_, pause in tries:
            clock.now += pause
            attempts.begin(id_)
            assert 0 <= attempts.wait(id_) <= LONGEST_WAIT
            assert len(attempts._failures) <= 4
    finally:
        module.IDS_MAX = old


def access_for(tmp_path: Path, *entries: OperatorEntry, clock: Clock | None = None) -> tuple[Access, Path]:
    path = tmp_path / "operators.yaml"
    write_operators(path, entries)
    return Access(OperatorsFile(path), clock or Clock()), path


async def test_whoever_was_removed_or_changed_is_signed_out(tmp_path: Path) -> None:
    """A session counts while the file has the operator with the same password; a new role counts at once."""
    access, path = access_for(tmp_path, entry())
    token, operator = await access.sign_in("an", PASSWORD)
    assert operator.role == "operator"
    assert access.operator(token) == operator
    write_operators(path, [entry(role="supervisor")])
    promoted = access.operator(token)
    assert promoted is not None
    assert promoted.role == "supervisor"
    write_operators(path, [entry(password=hash_password("quite another one"))])
    assert access.operator(token) is None
    write_operators(path, [entry()])
    assert access.operator(token) is None, "what has ended does not come back"
    token, _ = await access.sign_in("an", PASSWORD)
    write_operators(path, [entry("binh")])
    assert access.operator(token) is None


async def test_a_screen_stays_signed_in_as_a_viewer_and_as_nothing_more(tmp_path: Path) -> None:
    """A viewer's pass holds for months, and in a wall that was started again; in no other role, and not with another
    password.
    """
    clock = Clock()
    path = tmp_path / "operators.yaml"
    write_operators(path, [entry(role="viewer")])
    token, _ = await Access(OperatorsFile(path), clock=clock).sign_in("an", PASSWORD)
    clock.now += PASS_SECONDS - 1
    access = Access(OperatorsFile(path), clock=clock)
    seen = access.operator(token, used=False)
    assert seen is not None
    assert seen.role == "viewer"
    for changed in (
        entry(role="operator"),
        entry(role="viewer", password=hash_password("quite another one")),
    ):
        write_operators(path, [changed])
        assert access.operator(token) is None
    write_operators(path, [entry("binh", role="viewer")])
    assert access.operator(token) is None
    write_operators(path, [entry(role="viewer")])
    assert access.operator(token) is not None
    clock.now += 1
    assert access.operator(token) is None


async def test_a_pass_cannot_be_made_up(tmp_path: Path) -> None:
    """Another id, another time, another signature or none: each is nobody's. One that was given up is no pass."""
    clock = Clock()
    path = tmp_path / "operators.yaml"
    write_operators(
        path, [entry(role="viewer"), entry("binh", role="viewer", password=hash_password("another one"))]
    )
    access = Access(OperatorsFile(path), clock=clock)
    token, _ = await access.sign_in("an", PASSWORD)
    id_, time_, signature = token.split("~")
    for forged in (
        f"binh~{time_}~{signature}",
        f"an~{int(time_) + 1}~{signature}",
        f"an~{time_}~",
        f"an~{time_}~{signature[:-2]}",
        f"an~{signature}",
        "~~",
        "an~x~y",
        "\ud800~1~2",
    ):
        assert access.operator(forged) is None, forged
        access.sign_out(forged)
    assert access.operator(token) is not None
    access.sign_out(token)
    assert access.operator(token) is None
    assert id_ == "an"


async def test_an_address_that_guesses_waits_whoever_it_tries(tmp_path: Path) -> None:
    """Many ids from one address: it is held up, of IPv6 with its whole network; others are not."""
    clock = Clock()
    access, _ = access_for(tmp_path, entry(), clock=clock)
    for number in range(FREE_OF_ADDRESS):
        with pytest.raises(WrongPassword):
            await access.sign_in(f"nobody-{number}", "wrong password", f"2001:db8::{number}")
    with pytest.raises(TooManyAttempts):
        await access.sign_in("an", PASSWORD, "2001:db8::ffff")
    token, _ = await access.sign_in("an", PASSWORD, "2001:db8:0:1::1")
    assert access.operator(token) is not None
    clock.now += FIRST_WAIT
    assert await access.sign_in("an", PASSWORD, "2001:db8::ffff")


async def test_a_right_password_takes_back_only_its_own_attempt(tmp_path: Path) -> None:
    """A thousand right ones hold up nobody; among wrong ones they clear nothing."""
    attempts = Attempts(Clock(), 3)
    for _ in range(1000):
        attempts.begin("here")
        attempts.was_none("here")
    assert attempts.wait("here") == 0
    for _ in range(3):
        attempts.begin("here")
    assert attempts.wait("here") > 0


async def test_wrong_ids_and_passwords_are_the_same_to_whoever_guesses(tmp_path: Path) -> None:
    """Both fail alike, and after as many failures both make wait: nothing tells which ids exist."""
    access, _ = access_for(tmp_path, entry())
    for id_ in ("an", "nobody"):
        for _ in range(FREE_FAILURES):
            with pytest.raises(WrongPassword):
                await access.sign_in(id_, "wrong password")
        with pytest.raises(TooManyAttempts) as raised:
            await access.sign_in(id_, PASSWORD)
        assert 0 < raised.value.seconds <= FIRST_WAIT


async def test_many_guesses_at_once_get_no_further(tmp_path: Path) -> None:
    """Attempts count before they are judged: of fifty at once no more than the free ones are tried."""
    access, _ = access_for(tmp_path, entry())
    results = await asyncio.gather(
        *(access.sign_in("an", f"wrong password {n}") for n in range(50)), return_exceptions=True
    )
    assert sum(isinstance(result, WrongPassword) for result in results) == FREE_FAILURES
    assert sum(isinstance(result, TooManyAttempts) for result in results) == 50 - FREE_FAILURES


async def test_after_the_wait_the_right_password_is_enough(tmp_path: Path) -> None:
    """Whoever was locked out by somebody else's guesses gets in once the wait is over."""
    clock = Clock()
    access, _ = access_for(tmp_path, entry(), clock=clock)
    for _ in range(FREE_FAILURES):
        with pytest.raises(WrongPassword):
            await access.sign_in("an", "wrong password")
    clock.now += FIRST_WAIT
    token, _ = await access.sign_in("an", PASSWORD)
    assert access.operator(token) is not None


async def test_without_a_file_nobody_gets_in() -> None:
    """No file of operators: no session, whatever is sent."""
    access = Access()
    assert not access.possible
    with pytest.raises(WrongPassword):
        await access.sign_in("an", PASSWORD)
    assert access.operator("anything") is None
