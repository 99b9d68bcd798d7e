"""The boundary sets that were imported: a directory with one file for each `id@version`, and its report."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from geo.boundaries import BoundarySet
from geo.files import read_boundaries, stated, write_boundaries
from geo.report import Report
from ioc.errors import UserError
from ioc.wholefile import whole_file

log = logging.getLogger(__name__)

_SUFFIX = ".geojson.gz"


@dataclass(frozen=True)
class Stored:
    """A set in the store, without its polygons."""

    path: Path
    id: str
    version: str
    approximate: bool
    communes: int
    source: str
    licence: str
    valid_from: datetime | None
    valid_until: datetime | None

    @property
    def ref(self) -> str:
        """`id@version`, as `BoundarySet.ref`."""
        return f"{self.id}@{self.version}"


def store_directory(state_dir: Path) -> Path:
    """Where imported sets lie."""
    return state_dir / "boundaries"


def keep(boundaries: BoundarySet, report: Report, directory: Path) -> Path:
    """Put a set into the store; one of the same id and version is replaced. Returns its file.

    The file appears complete or not at all. Raises `UserError` where the directory cannot be written to.
    """
    path = directory / f"{boundaries.ref}{_SUFFIX}"
    with written_to(directory):
        # First the report: without its set it means nothing, and a later import writes it anew.
        write_report(report, _report_of(path))
        write_boundaries(boundaries, path)
    return path


@contextmanager
def written_to(directory: Path) -> Iterator[None]:
    """Make a directory of the state, to be written to in the block. Raises `UserError` where that is not possible."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise UserError(
            f"cannot write to {directory}",
            str(error),
            "set IOC_STATE_DIR to a directory that you may write to",
        ) from None


def write_report(report: Report, path: Path) -> None:
    """Write a report as JSON, complete or not at all. Raises `OSError`."""
    text = json.dumps(report.as_dict(), ensure_ascii=False, indent=2)
    with whole_file(path) as file:
        file.write(f"{text}\n".encode())


def stored_sets(directory: Path) -> list[Stored]:
    """What is in the store, sorted by id and version; a damaged file is logged and left out."""
    found = []
    for path in sorted(directory.glob(f"*{_SUFFIX}")):
        try:
            said = _stored(path, stated(path))
        except (OSError, KeyError, TypeError, ValueError) as error:
            log.warning("a boundary set in the store is damaged: %s: %s", path, error)
            continue
        found.append(said)
    return found


def find_stored(directory: Path, name: str) -> Stored:
    """The set of an id, or of `id@version`. Raises `UserError` where there is none, or there are several."""
    there = stored_sets(directory)
    found = [one for one in there if name in (one.ref, one.id)]
    if not found:
        known = ", ".join(one.ref for one in there) or "none"
        raise UserError(
            f"no boundaries {name} were imported", f"there are: {known}", "see ioc boundaries list"
        )
    if len(found) > 1:
        versions = ", ".join(one.ref for one in found)
        raise UserError(f"{name} has several versions", versions, "name one as ID@VERSION")
    return found[0]


def load_stored(stored: Stored) -> BoundarySet:
    """The set with its polygons. Raises `UserError` where its content is not what it was."""
    boundaries = read_boundaries(stored.path)
    if boundaries.version != stored.version:
        raise UserError(
            "a boundary set in the store is damaged",
            f"{stored.path}: its content has version {boundaries.version}",
            "import it again",
        )
    return boundaries


def _report_of(path: Path) -> Path:
    return path.with_name(path.name.removesuffix(_SUFFIX) + ".report.json")


def _stored(path: Path, said: dict[str, Any]) -> Stored:
    def moment(name: str) -> datetime | None:
        return None if said[name] is None else datetime.fromisoformat(said[name])

    stored = Stored(
        path=path,
        id=str(said["id"]),
        version=str(said["version"]),
        approximate=bool(said["approximate"]),
        communes=int(said["communes"]),
        source=str(said["source"]),
        licence=str(said["licence"]),
        valid_from=moment("valid_from"),
        valid_until=moment("valid_until"),
    )
    if path.name != f"{stored.ref}{_SUFFIX}":
        raise ValueError(f"it holds {stored.ref}")
    return stored
