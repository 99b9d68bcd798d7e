"""Which imported sets are in force: a small file beside the store, written as a whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from geo.store import Stored, stored_sets, written_to
from ioc.errors import UserError
from ioc.wholefile import whole_file

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
    except (OSError, ValueError, TypeError, RecursionError) as error:
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
    with written_to(directory), whole_file(directory / FILE) as file:
        file.write(json.dumps(list(refs), indent=2).encode())
