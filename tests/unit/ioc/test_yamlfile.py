"""YAML files: what is read as what, and that all that is wrong is told, each with its place."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from time import process_time
from typing import Annotated, Literal

import pytest
from msgspec import Meta, Struct

from ioc.errors import UserError
from ioc.yamlfile import MOST_PROBLEMS, Document, Duration, FileErrors, TimeOfDay


class Step(Struct, forbid_unknown_fields=True):
    value: float | list[float]
    after: Duration | None = None


class File(Struct, forbid_unknown_fields=True, kw_only=True):
    version: Literal[1]
    steps: Annotated[list[Step], Meta(min_length=1)]
    names: dict[str, Annotated[str, Meta(min_length=1)]] = {}
    best: Step | None = None


def problems(text: str) -> list[str]:
    with pytest.raises(FileErrors) as caught:
        Document(text, "f.yaml").convert(File)
    return [f"{problem.where} {problem.what}" for problem in caught.value.problems]


def test_every_problem_is_told_in_the_order_of_the_file() -> None:
    """One reading finds all slips: in records, lists, mappings and optional parts."""
    found = problems(
        "version: 2\n"
        "steps:\n"
        "  - {value: high}\n"
        "  - {valu: 1}\n"
        "  - {value: 1, after: soon}\n"
        "names: {a: '', b: good}\n"
        "best: {value: [1, two]}\n"
        "more: 1\n"
    )
    expected = [
        ("f.yaml:1:10: version", "2"),
        ("f.yaml:3:13: steps[0].value", "`str`"),
        ("f.yaml:4:5: steps[1]", "missing required field `value`"),
        ("f.yaml:4:12: steps[1].valu", "unknown field `valu`"),
        ("f.yaml:5:23: steps[2].after", "not a duration"),
        ("f.yaml:6:12: names.a", "length >= 1"),
        ("f.yaml:7:19: best.value[1]", "`str`"),
        ("f.yaml:8:7: more", "unknown field `more`"),
    ]
    assert len(found) == len(expected)
    for line, (place, what) in zip(found, expected, strict=True):
        assert line.startswith(place)
        assert what in line


def test_the_whole_is_judged_where_its_parts_are_good() -> None:
    """A list that is too short has no bad part, and is told all the same."""
    assert problems("version: 1\nsteps: []\n") == ["f.yaml:2:8: steps Expected `array` of length >= 1"]


def test_the_message_counts_what_else_is_wrong() -> None:
    """Where only one line can be printed, it says that there are more."""
    with pytest.raises(UserError, match="and 1 more to mend"):
        Document("version: 2\nsteps: []\n", "f.yaml").convert(File)


@pytest.mark.parametrize(
    "text",
    [
        "version: 1\nsteps:\n" + "- {}\n" * 40_000,
        "version: 1\nsteps: [{value: 1}]\n" + "".join(f"k{number}: 1\n" for number in range(40_000)),
    ],
    ids=["entries", "keys"],
)
def test_a_file_of_another_kind_is_refused_without_looking_at_all_that_is_wrong(text: str) -> None:
    """Forty thousand slips: the first are told, that there are more is said, and no second is spent on the rest."""
    document = Document(text, "f.yaml")
    began = process_time()
    with pytest.raises(FileErrors, match=f"and at least {MOST_PROBLEMS} more to mend") as caught:
        document.convert(File)
    assert process_time() - began < 0.15
    assert len(caught.value.problems) == MOST_PROBLEMS
    assert caught.value.unfinished


def test_as_many_problems_as_are_told_are_all() -> None:
    """Where nothing was left out, nothing is said to be."""
    with pytest.raises(FileErrors, match=rf"and {MOST_PROBLEMS - 1} more to mend") as caught:
        Document("version: 1\nsteps:\n" + "- {}\n" * MOST_PROBLEMS, "f.yaml").convert(File)
    assert not caught.value.unfinished


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("22:00", "22:00"),
        ("1:30:00", "1:30:00"),
        ("01234", "01234"),
        ("-12", -12),
        ("1e3", 1000.0),
        ("0.5", 0.5),
        (".5", 0.5),
        ("10m", "10m"),
        ("2025-10-08T05:30:00+07:00", datetime.fromisoformat("2025-10-08T05:30:00+07:00")),
    ],
)
def test_values_are_what_people_mean(text: str, data: object) -> None:
    """A time of day is no number to the base of 60, and a code with a leading 0 no octal number."""
    assert Document(f"a: {text}", "f.yaml").data == {"a": data}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: 2025-13-01", "month"),
        ("a: &x [*x]", "contains itself"),
        ("[1, 2]: a", "not a word"),
        ("a: {b: 1, b: 2}", "given twice: f.yaml:1:11"),
        ("a: !!python/object:os.system {}", "python/object"),
        ("a: 1\n---\nb: 1", "not valid YAML"),
        ("[" * 1_000_000, "too deeply"),
        ("- " * 100_000, "too deeply"),
        ("{mực nước: 1, x: &a [*a]}", "f.yaml:1:18"),
    ],
)
def test_what_is_no_plain_yaml_is_a_user_error(text: str, reason: str) -> None:
    """No file, however odd, ends in a traceback."""
    with pytest.raises(UserError, match=reason):
        Document(text, "f.yaml")


def laughs(names: int, each: int = 9) -> str:
    """A text whose names repeat names that repeat names."""
    first = f"a0: &a0 [{', '.join(['x'] * each)}]\n"
    return first + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * each)}]\n" for n in range(1, names))


@pytest.mark.parametrize(
    "text",
    [
        laughs(9),
        laughs(60, 1),
        laughs(9).replace("[*", "{<<: [*").replace("]\n", "]}\n").replace("{<<: [x", "[x"),
    ],
    ids=["many", "deep", "merged"],
)
def test_names_cannot_mean_more_than_memory_holds(text: str) -> None:
    """A few lines that stand for milliards of parts, or for parts a thousand deep, are refused at once."""
    with pytest.raises(UserError, match=r"beyond measure|not valid YAML"):
        Document(text, "f.yaml")


def test_names_may_repeat_what_people_repeat() -> None:
    """An anchor that is named a few times is what stands there, also merged."""
    text = "a: &a {x: 1, y: [1, 2]}\nb: *a\nc: {<<: *a, x: 2}\nd: [*a, *a]\n"
    x = {"x": 1, "y": [1, 2]}
    assert Document(text, "f.yaml").data == {"a": x, "b": x, "c": {"x": 2, "y": [1, 2]}, "d": [x, x]}
    assert len(Document(laughs(5), "f.yaml").data) == 5


class Dated(Struct):
    dates: list[Annotated[datetime, Meta(tz=True)]]
    by_name: dict[str, datetime | None] = {}


@pytest.mark.parametrize(
    "time", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "3000-01-01T00:00:00Z"]
)
def test_a_time_at_an_end_of_the_calendar_is_told_with_its_place(time: str) -> None:
    """Written as a time or as a text; reckoning with it in another zone would end the program."""
    text = f"dates: [2025-10-08T00:00:00Z, {time}]\nby_name: {{a: '{time}'}}\n"
    with pytest.raises(FileErrors) as caught:
        Document(text, "f.yaml").convert(Dated)
    places = [problem.where.split(": ") for problem in caught.value.problems]
    assert places == [["f.yaml:1:31", "dates[1]"], ["f.yaml:2:14", "by_name.a"]]


def test_scalars() -> None:
    """Durations and times of day, and what they refuse."""
    assert Duration("1.5h").time == timedelta(minutes=90)
    assert TimeOfDay("07:05").time == time(7, 5)
    for kind, text in (
        (Duration, "5"),
        (Duration, "9" * 20 + "d"),
        (Duration, "10001d"),
        (Duration, "9" * 400 + "s"),
        (TimeOfDay, "24:00"),
        (TimeOfDay, "7:5"),
    ):
        with pytest.raises(ValueError, match=r"not a|longer"):
            kind(text)
