"""All that is tried."""

from __future__ import annotations

from tests.fuzz import files, letters, wall, workers
from tests.fuzz.target import Target


def all_targets() -> list[Target]:
    """Every target, each name once."""
    found = [*workers.targets(), *letters.targets(), *files.targets(), *wall.targets()]
    assert len({target.name for target in found}) == len(found)
    return found


def find(name: str) -> Target:
    """The target of that name."""
    return next(target for target in all_targets() if target.name == name)
