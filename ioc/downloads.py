"""Files from the web, each checked against its SHA-256; what is whole is not fetched again."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from urllib.parse import quote, urlsplit

import aiohttp

from geo.catalogue import RemoteFile
from ioc.errors import UserError
from ioc.wholefile import whole_file

Say = Callable[[str], None]

#: Pauses before the second and later attempts for one file, seconds.
WAITS = (0.5, 1.0, 2.0)
#: Files at once: enough to hide the way there and back, few enough for a public server.
AT_ONCE = 4
#: Answers that may be another a moment later.
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_TIMEOUT = aiohttp.ClientTimeout(total=180, sock_connect=20, sock_read=30)
_CHUNK = 1 << 16
_EVERY = 10


class _Again(Exception):
    """An attempt failed in a way that the next may not."""


def fetch_files(
    files: Sequence[RemoteFile], base: str, directory: Path, say: Say, waits: Sequence[float] = WAITS
) -> int:
    """Bring the files below the address `base` into the directory, under their names; returns how many came.

    A file that is there and whole is left alone, so that an interrupted call goes on where it stopped. Each
    appears complete and checked, or not at all. The proxies of HTTP_PROXY, HTTPS_PROXY and NO_PROXY are used.
    Raises `UserError` for an address that is none, where a file cannot be had or is not what it should be, and
    where the directory cannot be written to.
    """
    if urlsplit(base).scheme not in ("http", "https") or not urlsplit(base).hostname:
        raise UserError("not a web address", base, "give one that begins with https://")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        wanted = [file for file in files if not _whole(directory / file.name, file)]
        if wanted:
            say(f"fetching {len(wanted)} of {len(files)} files from {base}")
            asyncio.run(_fetch(wanted, base if base.endswith("/") else f"{base}/", directory, say, waits))
    except OSError as error:
        raise UserError(
            f"cannot write to {directory}",
            str(error),
            "set IOC_CACHE_DIR to a directory that you may write to",
        ) from None
    return len(wanted)


async def _fetch(
    files: Sequence[RemoteFile], base: str, directory: Path, say: Say, waits: Sequence[float]
) -> None:
    queue, done = iter(files), 0

    async def work(session: aiohttp.ClientSession, queue: Iterator[RemoteFile]) -> None:
        nonlocal done
        for file in queue:
            await _bring(session, file, base + quote(file.path), directory, waits)
            done += 1
            if done % _EVERY == 0 or done == len(files):
                say(f"{done} of {len(files)} files")

    headers = {"User-Agent": f"ioc/{version('ioc')}"}
    async with aiohttp.ClientSession(trust_env=True, timeout=_TIMEOUT, headers=headers) as session:
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(AT_ONCE):
                    group.create_task(work(session, queue))
        except ExceptionGroup as failed:
            # One is enough to tell: the group has ended the others.
            raise failed.exceptions[0] from None


async def _bring(
    session: aiohttp.ClientSession, file: RemoteFile, url: str, directory: Path, waits: Sequence[float]
) -> None:
    """One file, with as many attempts as there are pauses and one more."""
    for pause in [*waits, None]:
        try:
            await _attempt(session, file, url, directory / file.name)
            return
        except _Again as failure:
            if pause is None:
                raise UserError(
                    f"cannot fetch {file.name}",
                    f"{url}: {failure}",
                    "check the network and HTTPS_PROXY, and start again: what has come is kept",
                ) from None
            await asyncio.sleep(pause)


async def _attempt(session: aiohttp.ClientSession, file: RemoteFile, url: str, target: Path) -> None:
    """Raises `_Again` where another attempt may help, `UserError` where it cannot."""
    with whole_file(target) as part:
        digest = await _receive(session, file, url, part.write)
        if digest != file.sha256:
            raise _Again(
                f"its SHA-256 is {digest}, expected {file.sha256}: damaged, or not the file of that name"
            )


async def _receive(
    session: aiohttp.ClientSession, file: RemoteFile, url: str, write: Callable[[bytes], object]
) -> str:
    """The SHA-256 of what came."""
    digest, size = hashlib.sha256(), 0
    try:
        async with session.get(url) as answer:
            if answer.status in _PASSING:
                raise _Again(f"the server answers {answer.status} {answer.reason}")
            if answer.status != 200:
                raise UserError(
                    f"the server does not have {file.name}",
                    f"{url}: {answer.status} {answer.reason}",
                    "see whether the data set has moved; --from URL names another place with the same files",
                )
            async for chunk in answer.content.iter_chunked(_CHUNK):
                size += len(chunk)
                if size > file.bytes:
                    raise _Again(f"it is larger than the {file.bytes} bytes expected")
                digest.update(chunk)
                write(chunk)
    except (aiohttp.ClientError, TimeoutError) as error:
        raise _Again(str(error) or type(error).__name__) from None
    return digest.hexdigest()


def _whole(path: Path, file: RemoteFile) -> bool:
    try:
        with path.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest() == file.sha256
    except FileNotFoundError:
        return False
