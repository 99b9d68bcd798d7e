"""Who sent a report: sealed for as long as the key is there, a hash elsewhere, and nothing once the key is erased."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from ioc.cli import app
from ioc.errors import UserError
from streams.decoding import RawDecoder
from streams.identity import LONGEST, SEALS_FOR, Keystore, Sealed, opened, reporter_in, sealed_in
from streams.offline import MemoryRecord
from streams.recorder import Encoder
from streams.schemas import DeadLetter, ReportEvent
from tests import wallkit as kit
from tests.fuzz import workers

NOW = datetime(2026, 10, 28, 10, 30, tzinfo=UTC)
DAY = timedelta(days=1)
AN = {"account": "An.Nguyen", "name": "Nguyễn Văn An", "phone": "0912345678"}
BINH = {"account": "binh", "name": "Trần Thị Bình", "phone": "0987654321"}


@pytest.fixture
def keys(tmp_path: Path) -> Keystore:
    return Keystore(tmp_path / "privacy")


def report(**fields: Any) -> bytes:
    return workers.event("report", 3, "citizen-app", **fields)


def read(value: bytes) -> Sealed:
    found = sealed_in(value)
    assert found is not None
    return found


def contents(folder: Path) -> bytes:
    """All that the folder's files hold, and their names."""
    return b"".join(
        path.name.encode() + path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    )


# Sealing and opening


def test_what_is_sealed_is_opened_with_the_reporters_key_alone(keys: Keystore) -> None:
    """Not by another reporter's, and not in another report."""
    value = report(reporter=keys.seal(AN, "e3", NOW))
    keys.seal(BINH, "e4", NOW)
    assert opened(keys.keys("an.nguyen "), read(value), "e3") == AN
    assert opened(keys.keys("binh"), read(value), "e3") is None
    assert opened(keys.keys("An.Nguyen"), read(value), "e4") is None
    for word in (b"Nguy", b"0912345678", b"An.N", b"an.n"):
        assert word not in value
        assert word not in contents(keys.folder)


def test_a_changed_seal_is_not_opened(keys: Keystore) -> None:
    """Whatever was changed in it."""
    sealed = keys.seal(AN, "e", NOW)
    first = "B" if sealed["sealed"][40] == "A" else "A"
    for text in (sealed["sealed"][:40] + first + sealed["sealed"][41:], "", "AAAA", "no base64"):
        assert opened(keys.keys("an.nguyen"), Sealed(sealed["by"], text), "e") is None


def test_the_length_tells_nothing_of_the_name(keys: Keystore) -> None:
    """Short and long identities are as long, sealed."""
    short, long = ({"account": "a", "name": name} for name in ("An", "Nguyễn Thị Hồng Nhung" * 3))
    assert len(keys.seal(short, "e", NOW)["sealed"]) == len(keys.seal(long, "e", NOW)["sealed"])


def test_the_hash_stays_for_a_week_and_says_nothing(keys: Keystore, tmp_path: Path) -> None:
    """The same for the reports of some days; another installation's, or the next week's, is another."""
    first = keys.seal(AN, "e1", NOW)
    assert keys.seal(AN, "e2", NOW + SEALS_FOR - DAY)["by"] == first["by"]
    assert keys.seal(AN, "e3", NOW + SEALS_FOR)["by"] != first["by"]
    assert keys.seal(AN, "e4", NOW - DAY)["by"] != first["by"], "a clock that went back has no key yet"
    assert Keystore(tmp_path / "other").seal(AN, "e1", NOW)["by"] != first["by"]


def test_the_same_identity_is_sealed_differently_each_time(keys: Keystore) -> None:
    """Or one could see that two reports say the same name."""
    assert keys.seal(AN, "e", NOW)["sealed"] != keys.seal(AN, "e", NOW)["sealed"]


@pytest.mark.parametrize(
    "identity", [{"name": "An"}, {"account": " "}, {"account": "a", "name": "x" * LONGEST}]
)
def test_what_cannot_be_sealed_is_said(keys: Keystore, identity: dict[str, str]) -> None:
    """An identity has an account, and is no novel; the message does not repeat it."""
    with pytest.raises(UserError) as caught:
        keys.seal(identity, "e", NOW)
    assert "xxx" not in str(caught.value)


# Erasing


def test_after_erasing_nothing_leads_to_the_person(keys: Keystore) -> None:
    """Not the folder's files, and not a key that is made when he reports again; others' are as they were."""
    an, binh = (report(reporter=keys.seal(one, "e3", NOW)) for one in (AN, BINH))
    old = keys.keys("an.nguyen")
    path = keys._path("an.nguyen")
    erasure = keys.erase("an.nguyen", NOW, operator="an")
    assert erasure is not None
    assert erasure.hashes == [old[0].by] == [read(an).by]
    assert not path.exists()
    assert path.name.encode() not in contents(keys.folder)
    assert old[0].secret.hex().encode() not in contents(keys.folder)
    assert keys.keys("an.nguyen") == []
    again = keys.seal(AN, "e5", NOW)
    assert again["by"] != read(an).by
    assert opened(keys.keys("an.nguyen"), read(an), "e3") is None
    assert opened(keys.keys("binh"), read(binh), "e3") == BINH
    assert keys.erase("nobody", NOW, operator="an") is None


def test_a_backup_does_not_bring_back_who_was_erased(keys: Keystore, tmp_path: Path) -> None:
    """The keys of the backup are not believed, and the next expiry removes them."""
    keys.seal(AN, "e", NOW)
    keys.seal(BINH, "e", NOW)
    shutil.copytree(keys.folder / "keys", tmp_path / "backup")
    keys.erase("an.nguyen", NOW, operator="an")
    shutil.copytree(tmp_path / "backup", keys.folder / "keys", dirs_exist_ok=True)
    restored = Keystore(keys.folder)
    assert restored.keys("an.nguyen") == []
    assert len(restored.keys("binh")) == 1
    restored.expire(30, NOW)
    assert restored.count() == 1


def test_a_crash_between_noting_and_removing_erases(keys: Keystore, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is noted as erased is so, though the file is still there."""
    keys.seal(AN, "e", NOW)
    monkeypatch.setattr("streams.identity._destroy", lambda path: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        keys.erase("an.nguyen", NOW, operator="an")
    assert Keystore(keys.folder).keys("an.nguyen") == []


def test_keys_expire_some_days_after_their_last_seal(keys: Keystore) -> None:
    """An identity can be read for the days that the setting says, and a week longer at most."""
    keys.seal(AN, "e1", NOW)
    keys.seal(AN, "e2", NOW + SEALS_FOR)
    keys.seal(BINH, "e3", NOW)
    assert keys.expire(30, NOW + SEALS_FOR + 30 * DAY) is None
    due = NOW + SEALS_FOR + 30 * DAY + timedelta(seconds=1)
    tried = keys.expire(30, due, dry_run=True)
    assert tried is not None
    assert (len(tried.hashes), keys.count()) == (2, 2)
    done = keys.expire(30, due)
    assert done == tried
    assert (len(keys.keys("an.nguyen")), len(keys.keys("binh")), keys.count()) == (1, 0, 1)
    assert [erasure.why for erasure in keys.erasures()] == ["expired"]


def test_the_folder_is_its_owners_and_damage_is_said(keys: Keystore) -> None:
    """Nobody else reads the keys; a lost secret is no reason to make another over them."""
    keys.seal(AN, "e", NOW)
    assert (keys.folder / "keys").stat().st_mode & 0o77 == 0
    assert all(
        path.stat().st_mode & 0o77 == 0
        for path in [*(keys.folder / "keys").iterdir(), keys.folder / "secret"]
    )
    path = keys._path("an.nguyen")
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b'"key":"', b'"key":"AAAA'))
    keys.seal(BINH, "e", NOW)
    with pytest.raises(UserError, match="damaged"):
        keys.keys("an.nguyen")
    with pytest.raises(UserError, match="damaged"):
        keys.expire(1, NOW + 400 * DAY)
    assert keys.keys("binh") == [], "one damaged file keeps nobody else's keys alive"
    path.write_bytes(whole)
    (keys.folder / "secret").write_text("00" * 32)
    with pytest.raises(UserError, match="under another secret"):
        Keystore(keys.folder)._read(path)
    (keys.folder / "secret").unlink()
    with pytest.raises(UserError, match="secret of the reporters' keys is gone"):
        Keystore(keys.folder)


# What the workers make of it


def decoded(value: bytes) -> ReportEvent:
    """Decoded alone and among others, the same."""
    decoder = RawDecoder("report", "ioc.report", 0, future_tolerance=timedelta(minutes=5))
    record = MemoryRecord(b"citizen-app", value, 0)
    alone, (among,) = decoder.decode(record, None), decoder.decode_all([record], None)
    assert alone == among
    assert isinstance(alone, ReportEvent)
    return alone


@pytest.mark.parametrize(
    ("fields", "hashed", "unsealed"),
    [
        ({}, "", False),
        ({"reporter": {"by": "0" * 32, "sealed": "x"}}, "0" * 32, False),
        ({"reporter": {"by": "0" * 32, "sealed": "x"}, "reporter_hash": "Nguyễn Văn An"}, "0" * 32, False),
        ({"reporter_hash": "1" * 32}, "1" * 32, False),
        ({"reporter_hash": "Nguyễn Văn An"}, "", False),
        ({"reporter_hash": "1" * 32, "reporter": "Nguyễn Văn An"}, "", True),
        ({"reporter": "Nguyễn Văn An"}, "", True),
        ({"reporter": AN}, "", True),
        ({"reporter": {"by": "Nguyễn Văn An", "sealed": "x"}}, "", True),
        ({"reporter": None}, "", False),
        ({"reporter": AN, "simulated": True}, "", False),
    ],
)
def test_only_a_hash_goes_on(fields: dict[str, Any], hashed: str, unsealed: bool) -> None:
    """A report is judged whatever its app did, and no word of a person leaves the raw topic."""
    value = report(**fields)
    assert decoded(value).reporter_hash == hashed
    assert reporter_in(value) == (hashed, unsealed)
    out = workers.sensing("report", workers.raw("report").state).run(
        [MemoryRecord(b"citizen-app", value, 102)], workers.known()
    )
    assert (out.unsealed, sum(out.located.values())) == (int(unsealed), 1)
    written = b"".join(
        (key or b"") + (value or b"") for records in out.effects.records.values() for key, value in records
    )
    line = Encoder("report", "ioc.report", 0).line(MemoryRecord(b"citizen-app", value, 0)) or b""
    for word in ("Nguy", "0912345678", "An.Nguyen", "sealed"):
        assert word.encode() not in written + line
    assert hashed.encode() in written
    assert hashed.encode() in line


def test_a_dead_letter_names_nobody_and_is_counted() -> None:
    """Also where the report is so broken that only the word can be seen."""
    for value in (report(reporter=AN, category=1), b'{"reporter":{"name":"Nguyen Van A","id":'):
        out = workers.sensing("report", {}).run([MemoryRecord(b"x", value, 1)], workers.known())
        assert (out.unsealed, dict(out.dead)) == (1, {"undecodable": 1})
        assert b"Nguy" not in b"".join(
            v or b"" for records in out.effects.records.values() for _, v in records
        )
    letter = RawDecoder("report", "r", 0, future_tolerance=DAY).decode(MemoryRecord(None, b"{", 0), None)
    assert isinstance(letter, DeadLetter)


@given(value=st.binary(max_size=200))
def test_any_bytes_have_a_hash_or_none(value: bytes) -> None:
    """Whatever stands there."""
    assert len(reporter_in(value).hash) in (0, 32)


# The command line


def run(tmp_path: Path, *arguments: str, text: str = "") -> Any:
    environment = {
        "IOC_STATE_DIR": str(tmp_path),
        "IOC_OPERATORS_FILE": str(tmp_path / "operators.yaml"),
        "IOC_BOOTSTRAP_SERVERS": "127.0.0.1:1",
    }
    return CliRunner().invoke(app, ["privacy", *arguments], input=text, env=environment)


def test_seal_and_erase_from_a_shell(tmp_path: Path) -> None:
    """Lines go through, sealed; the reporter is erased without a broker; what is not reached is told."""
    kit.operators_file(tmp_path)
    plain = [json.dumps({"id": f"e{n}", "reporter": AN, "text": "Ngập"}, ensure_ascii=False) for n in (1, 2)]
    lines = [*plain, '{"id":"e3","text":"x"}']
    sealed = run(tmp_path, "seal", text="\n".join(lines) + "\n")
    assert sealed.exit_code == 0, sealed.output
    out = sealed.stdout.splitlines()
    assert [json.loads(line).get("id") for line in out] == ["e1", "e2", "e3"]
    assert "Nguy" not in sealed.stdout
    assert out[2] == '{"id":"e3","text":"x"}'
    store = Keystore(tmp_path / "privacy")
    assert opened(store.keys("an.nguyen"), read(out[1].encode()), "e2") == AN
    # Once more: what is sealed stays so.
    assert run(tmp_path, "seal", text=out[0] + "\n").stdout.splitlines() == [out[0]]

    assert isinstance(run(tmp_path, "erase", "-", "--as", "nobody", text="An.Nguyen\n").exception, UserError)
    assert store.keys("an.nguyen")
    erased = run(tmp_path, "erase", "-", "--as", "supervisor", text="An.Nguyen\n")
    assert erased.exit_code == 0, erased.output
    assert "out of reach" in erased.stdout
    assert read(out[0].encode()).by in erased.stdout
    assert [erasure.operator for erasure in store.erasures()] == ["supervisor"]
    assert run(tmp_path, "erase", "An.Nguyen", "--as", "supervisor").exit_code == 1
    assert run(tmp_path, "show", "An.Nguyen").exit_code == 1
    assert "0 reporters" in run(tmp_path, "expire").stdout


@pytest.mark.parametrize(
    "line", ["no json", '{"reporter":{"account":"a"}}', '{"id":"e","reporter":"Nguyen Van A"}', "[" * 9000]
)
def test_a_line_that_cannot_be_sealed_does_not_come_out(tmp_path: Path, line: str) -> None:
    """Nor is it repeated in the message."""
    done = run(tmp_path, "seal", text=f"{line}\n")
    assert isinstance(done.exception, UserError)
    assert "line 1" in str(done.exception)
    assert "Nguyen" not in str(done.exception) + done.stdout
