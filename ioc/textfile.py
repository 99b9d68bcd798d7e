"""Text files that people write: rules, inventories, operators, parties."""

from __future__ import annotations

from pathlib import Path

from ioc.errors import UserError


def read_text(path: Path, what: str = "the file", remedy: str = "check the path") -> str:
    """What stands in a file, `what` as people call it. Raises `UserError` where it cannot be read or is no text."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {what}", f"{path}: {error}", remedy) from None
