"""What `ioc deadletters` says and asks for."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ioc.commands.deadletter_texts import (
    fault_lines,
    hints,
    letter_lines,
    list_lines,
    outcome_lines,
    place,
    shown,
)
from ioc.commands.deadletters import change_of, letter_id
from ioc.errors import UserError
from streams.deadletters import Change, Outcome
from streams.letters import Fault, Found
from streams.repair import Letter, LetterId, Ready, Refused, fault
from streams.schemas import Replayed

NOON = datetime(2025, 10, 8, 5, 0, tzinfo=UTC)
ID = LetterId("flood", 2, 17)
MARK = Replayed(
    topic="ioc.flood", partition=2, offset=17, to_partition=1, to_offset=40, by="an", at=NOON, repaired=True
)
HOSTILE = "\x1b[2J\x1b]0;x\x07\u202eđảo\u2066\r\n\x9b31m\u2028\u200b\ud800"


def letter(
    value: str | None = "{", detail: str = "", key: bytes = b"street", stream: str = "flood"
) -> Letter:
    return Letter(LetterId(stream, 2, 17), "undecodable", detail, key, value, NOON)


@given(st.text())
def test_no_text_moves_the_terminal(text: str) -> None:
    """Control, bidi and unseen signs stand as codes; what can be read stays."""
    assert shown(text).isprintable()
    assert text == shown(text) or not text.isprintable()


def test_nothing_of_a_record_reaches_the_terminal_as_it_is() -> None:
    """Neither of its content, key and error, nor of an operator's name; a new line of it begins with a bar."""
    found = letter(HOSTILE, HOSTILE, HOSTILE.encode(errors="replace"))
    mark = Replayed(**{name: getattr(MARK, name) for name in MARK.__struct_fields__} | {"by": HOSTILE})
    all_ = Found(letters={ID: found}, counts=Counter({("flood", "undecodable"): 1}), marks={ID: mark})
    lines = [
        *letter_lines(found, mark, "ioc.flood", found.value, found.detail),
        *list_lines(all_, 50),
        *outcome_lines(Outcome(found, Refused("undecodable", HOSTILE))),
        *outcome_lines(Outcome(found, Refused("replayed"), mark=mark)),
    ]
    assert [line for line in lines if not line.isprintable()] == []
    assert "‹U+202E›đảo" in "\n".join(lines)


@pytest.mark.parametrize(
    ("record", "hint", "where"),
    [
        (b'{"id":1,"source":"s"}', "--set id=", "id: 1"),
        (b'{"id":"a"}', "--set source=", None),
        (b'{"id":"a","source":"s","time":"8/10/2025"}', "--set time=2025-", 'time: "8/10/2025"'),
        (b'{"id":"a","source":"s","time":"2025-10-08T12:00:00"}', "--set time=2025-", "time: "),
        (
            b'{"id":"a","source":"s","time":"2025-10-08T12:00:00Z","level_m":"1,2"}',
            "--set level_m=1.2",
            'level_m: "1,2"',
        ),
        (b'{"id":"a\\u0007","source":"s","time":"2025-10-08T12:00:00Z"}', "--set id=", "id: "),
        (b'{"id":"a" "b":1}', "--edit FILE", '{"id":"a" ▶"b":1}'),
        (b'{"id":"a\xff"}', "--edit FILE", '{"id":"a▶\N{REPLACEMENT CHARACTER}"}'),
        (b"[]", "-o FILE", None),
        (b"", "-o FILE", None),
        (b'{"a":' * 3000, "-o FILE", None),
    ],
)
def test_what_is_wrong_is_shown_with_its_repair(record: bytes, hint: str, where: str | None) -> None:
    """For each kind of error that the decoder knows: what to type, in both languages, and the piece that is wrong."""
    detail = fault("flood", record)
    assert detail
    text = record.decode(errors="replace")
    for said in hints(letter(text, detail), detail):
        assert hint in said
        assert "{" not in said
    found = place(detail, text)
    assert found == where or (where is not None and found is not None and found.startswith(where))


def test_a_report_is_shown_without_its_content() -> None:
    """And where it can be seen."""
    text = "\n".join(letter_lines(letter(None, stream="report"), None, "ioc.report", None, ""))
    assert "--raw" in text
    assert "record:" not in text


def test_the_list_tells_what_it_leaves_out() -> None:
    """All are counted by stream and reason; a replayed one says when."""
    counts = Counter({("flood", "undecodable"): 70, ("report", "future"): 2})
    found = Found(letters={ID: letter()}, counts=counts, marks={ID: MARK}, replayed=3, unreadable=4)
    text = "\n".join(list_lines(found, 1))
    for said in ("flood/2/17", "2025-10-08T05:00:00Z", "72 dead letters (70 flood undecodable, 2 report future)",
                 "3 of them replayed", "--limit", "4 records"):  # fmt: skip
        assert said in text


def test_faults_are_counted_the_most_frequent_first() -> None:
    """Each with an example to look at, and whose they are."""
    few, many = Fault(), Fault()
    few.take(letter(key=HOSTILE.encode(errors="replace")))
    for number in range(9):
        many.take(letter(key=b"gauge-%d" % number))
    kinds = {("flood", "undecodable", "Expected `str`"): few, ("flood", "undecodable", "malformed"): many}
    _, first, second, _, total = fault_lines(
        Found(faults=kinds, counts=Counter({("flood", "undecodable"): 10}))
    )
    assert first.split()[:5] == ["9", "flood", "undecodable", "malformed", "flood/2/17"]
    assert first.endswith("gauge-0, gauge-1, gauge-2, gauge-3")
    assert second.startswith("1 ")
    assert second.isprintable()
    assert total.startswith("10 dead letters")


def test_what_lies_too_deep_is_said_in_plain_words() -> None:
    """And not in those of the decoder's language."""
    assert fault("flood", b'{"x":' + b"[" * 5000) == "values lie too deep in one another"


def test_a_key_without_end_is_cut() -> None:
    """A page of it helps nobody."""
    assert max(map(len, letter_lines(letter(key=b"k" * 90_000), None, "ioc.flood", "{", "x"))) < 400


def test_outcomes_say_what_the_operator_must_know() -> None:
    """Where it went; how long to wait; that it is only kept; who was before."""
    ready = Ready(b"s", b"{}", 1, repaired=True, late=timedelta(hours=2), marked=True)
    done = "\n".join(outcome_lines(Outcome(letter(), ready, to=LetterId("flood", 1, 40))))
    for said in ("replayed: flood/2/17 -> flood/1/40", "kept and not judged: 2:00:00", "simulated"):
        assert said in done
    assert "would be replayed: flood/2/17 -> flood/1" in outcome_lines(Outcome(letter(), ready))[0]
    future = Refused("future", clock=NOON, due=NOON + timedelta(minutes=90, milliseconds=1))
    for refused, told in (
        (future, "wait 1:30:01"),
        (Refused("gone"), "7 days"),
        (Refused("replayed"), "2025-10-08T05:00:00Z, an, flood/1/40"),
        (Refused("unrepairable", "no field x"), "no field x"),
        (Refused("undecodable", ""), "--raw"),
    ):
        [line] = outcome_lines(Outcome(letter(), refused, mark=MARK))
        assert line.startswith("bị từ chối / refused: flood/2/17: ")
        assert told in line


def test_options_are_checked_before_anything_is_read(tmp_path: Path) -> None:
    """What does not fit together, or is no id, is told at once."""
    file = tmp_path / "letter.json"
    file.write_bytes(b'{"id":"a"}\n')
    assert change_of([], file, 1) == Change(record=b'{"id":"a"}')
    assert change_of(["text=a=b", "level_m=1"], None, 3) == Change(fields=(("text", "a=b"), ("level_m", "1")))
    assert not change_of([], None, 0)
    for sets, edit, ids in (
        (["x"], None, 1),
        (["=1"], None, 1),
        (["a=1"], file, 1),
        ([], file, 2),
        ([], tmp_path, 1),
    ):
        with pytest.raises(UserError):
            change_of(sets, edit, ids)
    file.write_bytes(b"x" * 1_000_000)
    with pytest.raises(UserError, match="large"):
        change_of([], file, 1)
    with pytest.raises(UserError, match="flood/2/17"):
        letter_id("17")
