"""Which imported sets are in force: a small file beside the store, written as a whole or not at all."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from geo.store import Stored, stored_sets
from ioc.errors import UserError

FILE = "active.json"


def active_refs(directory: Path) -> list[str]:
    """References of the sets that were activated, in the order of activation.

    Raises `UserError` where the file is damaged.
    """
    path = directory / FILE
    try:
        return [str(ref) for ref in json.loads(path.read_text(encoding="utf-8"))]
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise UserError(
            "cannot read which boundaries are active", f"{path}: {error}", "remove it and activate again"
        ) from None


def active_sets(directory: Path) -> list[Stored]:
    """The stored sets of these references.

    Raises `UserError` as `active_refs` does, or where one is not in the store any more.
    """
    refs = active_refs(directory)
    there = {stored.ref: stored for stored in stored_sets(directory)} if refs else {}
    if lost := [ref for ref in refs if ref not in there]:
        raise UserError(
            "active boundaries are not in the store any more",
            f"{directory}: {', '.join(lost)}",
            f"import them again, or: ioc boundaries deactivate {lost[0]}",
        )
    return [there[ref] for ref in refs]


def write_active(directory: Path, refs: Sequence[str]) -> None:
    """Say which sets are in force from now on. Raises `UserError` where the file cannot be written."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=directory, prefix=f".{FILE}.")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(list(refs), file, indent=2)
        os.replace(name, directory / FILE)
    except OSError as error:
        raise UserError(
            f"cannot write to {directory}",
            str(error),
            "set IOC_STATE_DIR to a directory that you may write to",
        ) from None
