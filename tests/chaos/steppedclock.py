"""A machine's clock that can be stepped for one process at a time: see steppedclock.c."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path


def build(directory: Path) -> Path | None:
    """Compile it into a directory; None where that cannot be done here (no Linux, no compiler of C)."""
    compiler = shutil.which("cc")
    if sys.platform != "linux" or compiler is None:
        return None
    library = directory / "steppedclock.so"
    source = Path(__file__).with_suffix(".c")
    command = [compiler, "-shared", "-fPIC", "-O1", "-Wall", "-o", str(library), str(source), "-ldl"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return library


def environment(library: Path, offset: Path) -> dict[str, str]:
    """What to add to a process's environment; `offset` is the file that says how many seconds its clock is off."""
    step(offset, 0.0)
    return {"LD_PRELOAD": str(library), "STEPPED_CLOCK": str(offset)}


def step(offset: Path, seconds: float) -> None:
    """Set by how much the clock is off, from now on and at once."""
    new = offset.with_suffix(".new")
    new.write_text(f"{seconds:+.3f}\n")
    new.rename(offset)
