"""The file of operators, the commands that write it, and what they accept."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from alerts.rules.policy import LEAST_ROLE, ROLES, Operator, may
from ioc.errors import UserError
from ioc.operators import (
    OperatorEntry,
    OperatorsFile,
    hash_password,
    parse_operators,
    proves,
    read_operators,
    write_operators,
)

PASSWORD = "mật khẩu dài 1"
HASH = hash_password(PASSWORD)


def entry(id: str = "an", role: str = "operator", password: str = HASH) -> OperatorEntry:
    return OperatorEntry(Operator(id=id, name=f"Người {id}", role=role), password)  # type: ignore[arg-type]


def text_of(*lines: str) -> str:
    return "version: 1\noperators:\n" + "".join(f"  - {line}\n" for line in lines)


def test_a_file_that_is_written_can_be_read(tmp_path: Path) -> None:
    """Ids, names, roles and hashes come back as they were, and only the owner may read them."""
    path = tmp_path / "operators.yaml"
    entries = [entry("an"), entry("binh", "supervisor"), entry("chi", "viewer")]
    old = os.umask(0)
    try:
        write_operators(path, entries)
    finally:
        os.umask(old)
    assert read_operators(path) == tuple(entries)
    assert path.stat().st_mode & 0o777 == 0o600
    write_operators(path, entries[:1])
    assert read_operators(path) == (entries[0],)
    assert [file.name for file in tmp_path.iterdir()] == ["operators.yaml"], "nothing half written is left"


#: What stands in the file, and what is said of it: place, part and reason.
BAD = {
    "not yaml": ("version: [}", r"not valid YAML: staff\.yaml:1:\d+"),
    "no version": ("operators: []", r"missing required field `version`"),
    "another version": ("version: 2\noperators: []", r"staff\.yaml:1:10: version"),
    "no operators": ("version: 1", r"missing required field `operators`"),
    "unknown field": (
        text_of(f'{{id: an, name: An, role: operator, password: "{HASH}", phone: 1}}'),
        r"phone",
    ),
    "no such role": (
        text_of(f'{{id: an, name: An, role: admin, password: "{HASH}"}}'),
        r"operators\[0\]\.role.*choose one of viewer, operator, supervisor",
    ),
    "bad id": (
        text_of(f'{{id: "An Nguyễn", name: An, role: viewer, password: "{HASH}"}}'),
        r"staff\.yaml:3:\d+: operators\[0\]\.id.*lower-case",
    ),
    "no name": (text_of(f'{{id: an, name: "", role: viewer, password: "{HASH}"}}'), r"operators\[0\]\.name"),
    "twice": (
        text_of(*[f'{{id: an, name: An, role: viewer, password: "{HASH}"}}'] * 2),
        r"a second operator is called an: staff\.yaml:4:\d+: operators\[1\]\.id",
    ),
    "plain password": (
        text_of("{id: an, name: An, role: viewer, password: hunter2}"),
        r"no Argon2id hash: staff\.yaml:3:\d+: operators\[0\]\.password",
    ),
    "another kind of hash": (
        text_of('{id: an, name: An, role: viewer, password: "$argon2i$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaA"}'),
        r"no Argon2id hash",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_told_with_its_place(name: str) -> None:
    """File, line, part and reason; never a password or its hash."""
    text, expected = BAD[name]
    with pytest.raises(UserError) as raised:
        parse_operators(text, "staff.yaml")
    assert re.search(expected, str(raised.value)), str(raised.value)
    assert "hunter2" not in str(raised.value)
    assert "$argon2" not in str(raised.value)


def test_a_hash_shows_in_no_representation() -> None:
    """What is logged or shown of an entry does not hold its hash."""
    assert "argon2" not in repr(entry())


def test_only_the_right_password_proves() -> None:
    """Another password, an empty one and what is no text prove nothing; nor does anything for nobody."""
    assert proves(entry(), PASSWORD)
    for wrong in (PASSWORD + " ", "", "\ud800", HASH):
        assert not proves(entry(), wrong)
    assert not proves(None, PASSWORD)


def test_nobody_costs_as_much_as_somebody() -> None:
    """An id that does not exist takes about as long as a wrong password: time does not tell who exists."""

    def took(who: OperatorEntry | None) -> float:
        began = time.perf_counter()
        proves(who, "wrong password")
        return time.perf_counter() - began

    proves(None, "first")
    somebody, nobody = min(took(entry()) for _ in range(5)), min(took(None) for _ in range(5))
    assert 0.4 < nobody / somebody < 2.5


@pytest.mark.parametrize("length", [0, 9, 501])
def test_a_password_of_unusable_length_is_refused(length: int) -> None:
    """Too short is guessed, too long is only work; the message does not repeat it."""
    with pytest.raises(UserError) as raised:
        hash_password("x" * length)
    assert "xx" not in str(raised.value)


def test_a_changed_file_counts_at_once_and_a_bad_one_does_not(tmp_path: Path) -> None:
    """Who is added or removed is so with the next question; with an error what held before still holds."""
    path = tmp_path / "operators.yaml"
    write_operators(path, [entry("an")])
    file = OperatorsFile(path)
    assert file.find("an") == entry("an")
    assert file.find("binh") is None
    write_operators(path, [entry("binh", "supervisor")])
    assert file.find("an") is None
    assert file.find("binh") == entry("binh", "supervisor")
    path.write_text("version: 1\noperators: nobody\n")
    assert file.find("binh") == entry("binh", "supervisor")
    path.unlink()
    assert file.find("binh") == entry("binh", "supervisor")
    write_operators(path, [])
    assert file.find("binh") is None


def test_a_missing_file_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    """The wall does not start with a file that is not there."""
    with pytest.raises(UserError) as raised:
        OperatorsFile(tmp_path / "none.yaml")
    assert "IOC_OPERATORS_FILE" in raised.value.remedy


def test_a_viewer_may_nothing_and_only_a_supervisor_releases() -> None:
    """Roles are a ladder: whoever may do more may also do what those below may."""
    allowed = {role: {action for action in LEAST_ROLE if may(role, action)} for role in ROLES}
    assert allowed["viewer"] == set()
    assert allowed["supervisor"] - allowed["operator"] == {"release"}
    assert allowed["operator"] <= allowed["supervisor"] == set(LEAST_ROLE)


# The commands


def operators(*arguments: str, password: str = "", file: Path | None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "100"}
    environment.pop("IOC_OPERATORS_FILE", None)
    if file is not None:
        environment["IOC_OPERATORS_FILE"] = str(file)
    return subprocess.run(
        [sys.executable, "-m", "ioc", "operators", *arguments],
        env=environment,
        input=password,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_operators_come_and_go_by_command(tmp_path: Path) -> None:
    """add, password, list and remove do to the file what they say; a password is printed nowhere."""
    file = tmp_path / "operators.yaml"
    added = operators("add", "an", "--name", "Nguyễn Văn An", password=f"{PASSWORD}\n", file=file)
    assert added.returncode == 0, added.stderr
    [found] = read_operators(file)
    assert found.operator == Operator(id="an", name="Nguyễn Văn An", role="operator")
    assert proves(found, PASSWORD)
    assert operators("add", "an", "--name", "B", password=f"{PASSWORD}\n", file=file).returncode == 2
    changed = operators("password", "an", password="another password\n", file=file)
    assert changed.returncode == 0
    [found] = read_operators(file)
    assert proves(found, "another password")
    listed = operators("list", file=file)
    assert re.search(r"an\s+operator\s+Nguyễn Văn An", listed.stdout)
    assert operators("remove", "binh", file=file).returncode == 2
    assert operators("remove", "an", file=file).returncode == 0
    assert read_operators(file) == ()
    for result in (added, changed, listed):
        assert PASSWORD not in result.stdout + result.stderr
        assert "$argon2" not in result.stdout + result.stderr


def test_wrong_use_changes_nothing(tmp_path: Path) -> None:
    """No file named, no such role, a bad id, a short password: each said with its remedy, and nothing is written."""
    file = tmp_path / "operators.yaml"
    cases = {
        "IOC_OPERATORS_FILE": operators("list", file=None),
        "viewer, operator, supervisor": operators(
            "add", "an", "--name", "An", "--role", "admin", password=f"{PASSWORD}\n", file=file
        ),
        "lower-case": operators("add", "An", "--name", "An", password=f"{PASSWORD}\n", file=file),
        "too short": operators("add", "an", "--name", "An", password="short\n", file=file),
    }
    for said, result in cases.items():
        assert result.returncode == 2, said
        assert said in result.stderr
        assert len(result.stderr.splitlines()) == 2
    assert list(tmp_path.iterdir()) == []
