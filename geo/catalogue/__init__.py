"""Public data sets of official boundaries that can be fetched: where they are, and what each file must be.

The project ships names, sizes and hashes, no geometry. A further set is an `Entry` more and a CSV beside this
file with the columns code, path, bytes, sha256.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from pathlib import PurePosixPath

from geo.reform import REFORM
from ioc.errors import UserError

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class RemoteFile:
    """One file of a data set."""

    #: Where it is below the base address; relative, without dots.
    path: str
    bytes: int
    #: Hexadecimal.
    sha256: str

    @property
    def name(self) -> str:
        """The last part of the path, unique within an entry."""
        return PurePosixPath(self.path).name


@dataclass(frozen=True)
class Entry:
    """A data set, at one commit of a public repository."""

    id: str
    title: str
    repository: str
    commit: str
    licence: str
    #: First instant it holds.
    valid_from: datetime
    #: Code of the province of all its communes.
    province: str
    #: Address of the files, with {repository} and {commit}; the path follows.
    pattern: str = "https://raw.githubusercontent.com/{repository}/{commit}/"

    @property
    def base(self) -> str:
        """Address that the paths are below, with a slash at its end."""
        return self.pattern.format(repository=self.repository, commit=self.commit)

    @property
    def source(self) -> str:
        """What a set made from it cites."""
        return f"{self.title}, github.com/{self.repository} at {self.commit[:12]}"

    def manifest(self) -> tuple[RemoteFile, ...]:
        """The files of the set."""
        text = files(__package__).joinpath(f"{self.id}.csv").read_text(encoding="utf-8")
        return parse_manifest(text)


#: Decision 19/2025/QĐ-TTg: the communes and their codes since 1 July 2025, Vietnamese time.
ENTRIES = (
    Entry(
        id="can-tho-2025",
        title="communes of Cần Thơ city from the official reference map",
        repository="thanglequoc/vietnamese-provinces-database",
        commit="cd58063299585146ded3981f2272946ef19ced54",
        licence="MIT",
        valid_from=REFORM,
        province="92",
    ),
)


def find_entry(id: str) -> Entry:
    """The entry of that id. Raises `UserError` naming those that there are."""
    for entry in ENTRIES:
        if entry.id == id:
            return entry
    known = ", ".join(entry.id for entry in ENTRIES)
    raise UserError(f"no boundaries {id} in the catalogue", f"there are {known}", "import a file of your own")


def parse_manifest(text: str) -> tuple[RemoteFile, ...]:
    """The rows of a manifest. Raises `ValueError` for one that could not be fetched safely."""
    rows = tuple(
        RemoteFile(row["path"], int(row["bytes"]), row["sha256"]) for row in csv.DictReader(text.splitlines())
    )
    for row in rows:
        path = PurePosixPath(row.path)
        if path.is_absolute() or not row.name or any(part.startswith(".") for part in path.parts):
            raise ValueError(f"not a path below the data set: {row.path!r}")
        if row.bytes <= 0 or not _SHA256.fullmatch(row.sha256):
            raise ValueError(f"size or SHA-256 is not usable: {row.path!r}")
    if len({row.name for row in rows}) != len(rows):
        raise ValueError("file names are not unique")
    return rows
