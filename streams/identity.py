"""Who sent a citizen's report: sealed on the raw topic, a keyed hash elsewhere, and gone once the key is erased.

Whoever feeds ioc.report writes `reporter` as `Keystore.seal` gives it:

    {"by": "8d0c…", "sealed": "…"}

`sealed` is the identity as JSON under AES-256-GCM, with a key of this reporter alone; `by` is a hash with the same
key. The workers have no key: they pass `by` on, as `reporter_hash`, and read nothing else. What stands there unsealed
goes no further than the raw topic, which cannot be changed: it is counted, and warned of.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from fcntl import LOCK_EX, flock
from pathlib import Path
from typing import NamedTuple

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import UNSET, Raw, Struct, UnsetType

from alerts.model import AwareTime
from ioc.errors import UserError
from ioc.undecodable import UNDECODABLE
from ioc.wholefile import whole_file

#: For so long a key seals; then its reporter gets another, and another hash.
SEALS_FOR = timedelta(days=7)
#: The longest identity, bytes of JSON.
LONGEST = 4_000
#: What is sealed is filled up to a multiple of this, bytes: its length tells nothing of a name's.
_BLOCK = 256
_KEY_BYTES, _NONCE_BYTES = 32, 12
_HASH = re.compile(r"[0-9a-f]{32}")

_SECRET, _KEYS, _LOG, _LOCK = "secret", "keys", "erased.ndjson", "lock"


# What the workers read


class Sealed(Struct, frozen=True):
    """`reporter` as it should be."""

    by: str
    sealed: str


class _Reported(Struct):
    reporter: Raw | UnsetType = UNSET
    reporter_hash: str = ""
    simulated: bool = False


_reported = msgspec.json.Decoder(_Reported).decode
_sealed = msgspec.json.Decoder(Sealed).decode


def sealed_in(value: bytes) -> Sealed | None:
    """The sealed identity in a report; None where it has none, or something else."""
    try:
        found = _reported(value).reporter
    except UNDECODABLE:
        return None
    return None if found is UNSET else _sealed_as(found)


def _sealed_as(found: Raw) -> Sealed | None:
    try:
        made = _sealed(found)
    except UNDECODABLE:
        return None
    return made if _HASH.fullmatch(made.by) else None


class Reporter(NamedTuple):
    """What a report says of who sent it."""

    #: The hash of him; empty where that is not known. Never anything but such a hash.
    hash: str
    #: Whether it says in plain words who he is. The people of a simulation are nobody's.
    unsealed: bool


def reporter_in(value: bytes) -> Reporter:
    """Who sent a report, as far as anybody may know. A recording has the hash alone."""
    try:
        said = _reported(value)
    except UNDECODABLE:
        # It says nothing that can be told apart: so it counts as unsealed where the word stands in it.
        return Reporter("", b'"reporter"' in value)
    if said.reporter is UNSET:
        return Reporter(said.reporter_hash if _HASH.fullmatch(said.reporter_hash) else "", False)
    if (sealed := _sealed_as(said.reporter)) is not None:
        return Reporter(sealed.by, False)
    return Reporter("", not said.simulated and bytes(said.reporter) != b"null")


# The keys


@dataclass(frozen=True)
class Key:
    """A reporter's key of some days."""

    since: datetime
    by: str
    secret: bytes

    def expires(self, days: int) -> datetime:
        """When it is due to be erased, if identities are kept for so many days."""
        return self.since + SEALS_FOR + timedelta(days=days)

    @classmethod
    def made(cls, now: datetime) -> Key:
        """A new one."""
        secret = os.urandom(_KEY_BYTES)
        return cls(now, hmac.new(secret, b"ioc reporter 1", hashlib.sha256).hexdigest()[:32], secret)


class _Written(Struct, frozen=True):
    """A key as it stands in its file: under the keystore's secret."""

    since: AwareTime
    by: str
    key: str


class Erasure(Struct, frozen=True, kw_only=True):
    """What erased.ndjson keeps of an erasure: nothing that leads to a person."""

    at: AwareTime
    #: The operator who asked; empty where keys expired.
    operator: str
    why: str
    #: The hashes that nobody can make again.
    hashes: list[str]


_decode_keys = msgspec.json.Decoder(list[_Written]).decode
_decode_erasure = msgspec.json.Decoder(Erasure).decode


class Keystore:
    """The reporters' keys: a folder with a file for each reporter, and the secret that all of them are under.

    It belongs to whoever seals, not to the workers. Of the secret and the keys neither opens anything without the
    other, so they can lie, and be backed up, in two places (`secret` may be a link).
    """

    def __init__(self, folder: Path) -> None:
        """Raises `UserError` where the folder cannot be used, or its secret is gone while there are keys."""
        self.folder = folder
        self._erased_stamp: tuple[int, int] | None = None
        self._erased_hashes: frozenset[str] = frozenset()
        try:
            (folder / _KEYS).mkdir(parents=True, exist_ok=True, mode=0o700)
            self._secret = self._read_secret()
        except OSError as error:
            raise UserError(
                "the keys of reporters cannot be read", str(error), "see IOC_PRIVACY_DIR, and who may read it"
            ) from None

    def _read_secret(self) -> bytes:
        path = self.folder / _SECRET
        with self._locked():
            if not path.exists():
                if path.is_symlink() or any((self.folder / _KEYS).iterdir()):
                    raise UserError(
                        "the secret of the reporters' keys is gone",
                        str(path),
                        "bring it back; without it no identity can be read, and the keys may be removed",
                    )
                with whole_file(path) as file:
                    file.write(os.urandom(_KEY_BYTES).hex().encode() + b"\n")
            text = path.read_text().strip()
        if not re.fullmatch(f"[0-9a-f]{{{2 * _KEY_BYTES}}}", text):
            raise UserError(
                "the secret of the reporters' keys is damaged",
                str(path),
                "bring it back from where it is kept",
            )
        return bytes.fromhex(text)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Alone among all processes that use the folder."""
        with (self.folder / _LOCK).open("w") as file:
            flock(file, LOCK_EX)
            yield

    def _path(self, account: str) -> Path:
        name = unicodedata.normalize("NFC", account).strip().casefold()
        if not name:
            raise UserError(
                "a reporter has no account", "", "name the account, or the number that stands for one"
            )
        return self.folder / _KEYS / hmac.new(self._secret, name.encode(), hashlib.sha256).hexdigest()

    # Sealing

    def seal(self, identity: Mapping[str, object], report: str, now: datetime) -> dict[str, str]:
        """`reporter` for a report with the id `report`: what `identity` says, under its key.

        `identity` has an `account` by which the person is found again, and whatever else is to be known, such as name
        and phone. Raises `UserError` where it has no account, or is longer than 4 kB.
        """
        key = self._current(str(identity.get("account") or ""), now)
        content = msgspec.json.encode(identity)
        if len(content) > LONGEST:
            raise UserError(
                "an identity is too long", f"{len(content)} bytes", f"{LONGEST} are enough for a person"
            )
        content += b" " * (-len(content) % _BLOCK)
        nonce = os.urandom(_NONCE_BYTES)
        sealed = nonce + AESGCM(key.secret).encrypt(nonce, content, _bound_to(key.by, report))
        return {"by": key.by, "sealed": base64.b64encode(sealed).decode()}

    def _current(self, account: str, now: datetime) -> Key:
        path = self._path(account)
        with self._locked():
            keys = self._read(path)
            if keys and keys[-1].since <= now < keys[-1].since + SEALS_FOR:
                return keys[-1]
            made = Key.made(now)
            self._write(path, [*keys, made])
            return made

    # Reading

    def keys(self, account: str) -> list[Key]:
        """The keys of a reporter, oldest first; none where he is not known, or was erased."""
        with self._locked():
            return self._read(self._path(account))

    def count(self) -> int:
        """How many reporters have keys."""
        return sum(1 for _ in (self.folder / _KEYS).iterdir())

    def _read(self, path: Path) -> list[Key]:
        try:
            written = _decode_keys(path.read_bytes())
            erased = self._erased()
            opened = [Key(one.since, one.by, self._opened(one, path.name)) for one in written]
        except FileNotFoundError:
            return []
        except (*UNDECODABLE, InvalidTag, binascii.Error, ValueError) as error:
            raise UserError(
                "a reporter's keys are damaged, or under another secret",
                f"{path}: {error or type(error).__name__}",
                "bring the file and the secret back from the same time",
            ) from None
        # A backup may bring back what was erased: it stays erased.
        return [key for key in opened if key.by not in erased]

    def _opened(self, one: _Written, name: str) -> bytes:
        content = base64.b64decode(one.key, validate=True)
        nonce, sealed = content[:_NONCE_BYTES], content[_NONCE_BYTES:]
        return AESGCM(self._secret).decrypt(nonce, sealed, f"{name} {one.by}".encode())

    def _write(self, path: Path, keys: Sequence[Key]) -> None:
        written = []
        for key in keys:
            nonce = os.urandom(_NONCE_BYTES)
            sealed = nonce + AESGCM(self._secret).encrypt(nonce, key.secret, f"{path.name} {key.by}".encode())
            written.append(_Written(key.since, key.by, base64.b64encode(sealed).decode()))
        with whole_file(path) as file:
            file.write(msgspec.json.encode(written))
            file.flush()
            os.fsync(file.fileno())

    # Erasing

    def erase(self, account: str, now: datetime, *, operator: str) -> Erasure | None:
        """Erase a reporter's keys: from then on nobody can read who he was. None where he has none."""
        path = self._path(account)
        with self._locked():
            keys = self._read(path)
            if not keys:
                path.unlink(missing_ok=True)
                return None
            erasure = Erasure(at=now, operator=operator, why="asked", hashes=[key.by for key in keys])
            # First what is to be erased: after a crash between the two, the keys are not believed any more.
            self._note(erasure)
            _destroy(path)
            return erasure

    def expire(self, days: int, now: datetime, *, dry_run: bool = False) -> Erasure | None:
        """Erase the keys that ceased to seal more than `days` days ago, and what a backup brought back. None: none.

        An identity can so be read for `days` days at least, and a week longer at most. Raises `UserError` where a
        file is damaged, once all others are done.
        """
        gone: list[str] = []
        damaged: list[UserError] = []
        with self._locked():
            erased = self._erased()
            changes: list[tuple[Path, list[Key]]] = []
            for path in sorted((self.folder / _KEYS).iterdir()):
                if path.name.startswith("."):
                    continue
                try:
                    keys = self._read(path)
                except UserError as error:
                    damaged.append(error)
                    continue
                kept = [key for key in keys if now <= key.expires(days)]
                gone += [key.by for key in keys if key not in kept]
                if len(kept) < len(keys) or not kept:
                    changes.append((path, kept))
            if dry_run:
                return Erasure(at=now, operator="", why="expired", hashes=gone) if gone else None
            erasure = Erasure(
                at=now, operator="", why="expired", hashes=[one for one in gone if one not in erased]
            )
            if gone:
                self._note(erasure)
            for path, kept in changes:
                if kept:
                    self._write(path, kept)
                else:
                    _destroy(path)
        if damaged:
            raise damaged[0]
        return erasure if gone else None

    def erasures(self) -> list[Erasure]:
        """What was erased, oldest first."""
        try:
            lines = (self.folder / _LOG).read_bytes().splitlines()
        except FileNotFoundError:
            return []
        found = []
        for line in lines:
            with suppress(*UNDECODABLE):  # a line that a crash cut off
                found.append(_decode_erasure(line))
        return found

    def _erased(self) -> frozenset[str]:
        try:
            found = (self.folder / _LOG).stat()
        except FileNotFoundError:
            return frozenset()
        stamp = (found.st_mtime_ns, found.st_size)
        if stamp != self._erased_stamp:
            self._erased_stamp = stamp
            self._erased_hashes = frozenset(one for erasure in self.erasures() for one in erasure.hashes)
        return self._erased_hashes

    def _note(self, erasure: Erasure) -> None:
        with (self.folder / _LOG).open("ab") as file:
            file.write(msgspec.json.encode(erasure) + b"\n")
            file.flush()
            os.fsync(file.fileno())


def opened(keys: Sequence[Key], sealed: Sealed, report: str) -> dict[str, object] | None:
    """Who sent the report with the id `report`; None where none of the keys sealed that."""
    for key in keys:
        if key.by == sealed.by:
            try:
                content = base64.b64decode(sealed.sealed, validate=True)
                nonce, hidden = content[:_NONCE_BYTES], content[_NONCE_BYTES:]
                return msgspec.json.decode(
                    AESGCM(key.secret).decrypt(nonce, hidden, _bound_to(key.by, report)),
                    type=dict[str, object],
                )
            except (binascii.Error, InvalidTag, ValueError, *UNDECODABLE):
                return None
    return None


def _bound_to(by: str, report: str) -> bytes:
    """What a sealed identity belongs to: moved into another report it cannot be opened."""
    return f"ioc report 1\0{by}\0{report}".encode()


def _destroy(path: Path) -> None:
    """Write over a file, then remove it. What the disk keeps beside that is not ours to reach."""
    with suppress(FileNotFoundError):
        size = path.stat().st_size
        with path.open("r+b") as file:
            file.write(os.urandom(size))
            file.flush()
            os.fsync(file.fileno())
        path.unlink()
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
