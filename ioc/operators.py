"""The file of operators: who may sign in to the wall, in which role, and the hash of each one's password.

    version: 1
    operators:
      - {id: an, name: Nguyễn Văn An, role: operator, password: "$argon2id$v=19$..."}

`ioc operators add` writes it. Only ids, names and roles ever reach the log.
"""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import argon2
import yaml
from argon2.exceptions import InvalidHashError, VerificationError
from msgspec import Meta, Struct

from alerts.rules.policy import ROLES, Operator, Role
from ioc.errors import UserError
from ioc.textfile import read_text
from ioc.wholefile import whole_file
from ioc.yamlfile import Document

log = logging.getLogger(__name__)

#: Characters of a password: fewer are guessed, more are only work for the server.
PASSWORD_MIN, PASSWORD_MAX = 10, 500
#: Only the owner may read the hashes.
_MODE = 0o600
_NOTE = "# Written by `ioc operators`; its next writing leaves out comments of your own.\n"
_REMEDIES = {
    "id": "write lower-case letters, digits, dots, hyphens and underscores, beginning with a letter or digit",
    "role": f"choose one of {', '.join(ROLES)}",
    "version": "write version: 1",
}

# RFC 9106's second choice: 64 MiB and three passes for each attempt.
_hasher = argon2.PasswordHasher()


class OperatorSpec(Struct, forbid_unknown_fields=True, kw_only=True):
    """One operator as the file has it."""

    id: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=60)]
    name: Annotated[str, Meta(min_length=1, max_length=100)]
    role: Role
    password: str


class OperatorsSpec(Struct, forbid_unknown_fields=True):
    """The file of operators."""

    version: Literal[1]
    operators: list[OperatorSpec]


@dataclass(frozen=True)
class OperatorEntry:
    """One operator, and the hash of his password."""

    operator: Operator
    password: str = field(repr=False)


def parse_operators(text: str, name: str) -> tuple[OperatorEntry, ...]:
    """The operators in `text`, in their order; `name` is the file's name for messages.

    Raises `UserError` with file, line, column and reason. No message holds a password or its hash.
    """
    document = Document(text, name)
    entries: dict[str, OperatorEntry] = {}
    for index, spec in enumerate(document.convert(OperatorsSpec, _REMEDIES).operators):
        path = ("operators", index)
        if spec.id in entries:
            raise document.error(
                (*path, "id"), f"a second operator is called {spec.id}", "give each an id of his own"
            )
        if not _is_argon2id(spec.password):
            raise document.error(
                (*path, "password"),
                "that is no Argon2id hash",
                "let ioc operators add write it; a password itself never stands in this file",
            )
        entries[spec.id] = OperatorEntry(Operator(id=spec.id, name=spec.name, role=spec.role), spec.password)
    return tuple(entries.values())


def _is_argon2id(text: str) -> bool:
    try:
        return argon2.extract_parameters(text).type is argon2.Type.ID
    except (InvalidHashError, ValueError):
        return False


def read_operators(path: Path) -> tuple[OperatorEntry, ...]:
    """The operators in a file. Raises `UserError` where it cannot be read or is wrong."""
    text = read_text(
        path, "the file of operators", "see IOC_OPERATORS_FILE; ioc operators add makes the file"
    )
    return parse_operators(text, str(path))


def write_operators(path: Path, entries: Sequence[OperatorEntry]) -> None:
    """Write the file whole, readable by its owner only. Raises `UserError` where that cannot be done."""
    content = {
        "version": 1,
        "operators": [
            {
                "id": entry.operator.id,
                "name": entry.operator.name,
                "role": entry.operator.role,
                "password": entry.password,
            }
            for entry in entries
        ],
    }
    text = _NOTE + yaml.safe_dump(content, allow_unicode=True, sort_keys=False)
    parse_operators(text, str(path))
    try:
        with whole_file(path.resolve()) as file:
            os.fchmod(file.fileno(), _MODE)
            file.write(text.encode())
    except OSError as error:
        raise UserError(
            "cannot write the file of operators", f"{path}: {error}", "see IOC_OPERATORS_FILE and its folder"
        ) from None


def hash_password(password: str) -> str:
    """The hash to keep. Raises `UserError` for a password of unusable length."""
    if not PASSWORD_MIN <= len(password) <= PASSWORD_MAX:
        raise UserError(
            "the password is too short" if len(password) < PASSWORD_MIN else "the password is too long",
            f"{len(password)} characters",
            f"take {PASSWORD_MIN} to {PASSWORD_MAX}",
        )
    return _hasher.hash(password)


def proves(entry: OperatorEntry | None, password: str) -> bool:
    """Whether a password is that of an operator. None: of nobody, at the same cost: nothing tells who exists."""
    try:
        return _hasher.verify(entry.password if entry else _nobody(), password) and entry is not None
    except (VerificationError, InvalidHashError, UnicodeEncodeError):
        return False


_NOBODY: list[str] = []


def _nobody() -> str:
    """A hash that no password fits, made as the others are."""
    if not _NOBODY:
        _NOBODY.append(_hasher.hash(secrets.token_bytes(32)))
    return _NOBODY[0]


class OperatorsFile:
    """The operators as the file says now. An error in a changed file leaves what it said before in force."""

    def __init__(self, path: Path) -> None:
        """Raises `UserError` where the file is missing or wrong."""
        self._path = path
        self._stamp = self._look()
        self._entries = self._read()
        _nobody()

    def find(self, id: str) -> OperatorEntry | None:
        """The operator of that id; None where there is none, or no longer."""
        if (stamp := self._look()) != self._stamp:
            self._stamp = stamp
            try:
                self._entries = self._read()
                log.info("operators read again from %s: %d", self._path, len(self._entries))
            except UserError as error:
                log.error("what the file of operators said before stays in force: %s", error)
        return self._entries.get(id)

    def _read(self) -> dict[str, OperatorEntry]:
        return {entry.operator.id: entry for entry in read_operators(self._path)}

    def _look(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino
