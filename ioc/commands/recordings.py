"""`ioc record`: the raw topics as a recording."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ioc.errors import UserError

if TYPE_CHECKING:
    from streams.recording_index import Index

SUFFIX = ".ndjson.gz"


def record(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The recording to write.", metavar=f"FILE{SUFFIX}")
    ],
    since: Annotated[
        str | None,
        typer.Option(
            "--from", help="First time, such as 2025-10-08T17:00:00+07:00.  [default: as far as it goes]"
        ),
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", help="Last time.  [default: what is there now]")
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on with what comes in, until --to or Ctrl-C.")
    ] = False,
    streams: Annotated[
        str | None, typer.Option(help="Only these, such as flood,report.  [default: all]", metavar="NAME,...")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a recording of that name.")] = False,
) -> None:
    """Record what the raw topics hold, to be replayed or judged again.

    Times are those of the clock records. The recording appears when it is complete; Ctrl-C completes it with what
    is there by then. Judged by the same configuration it gives the same alerts as the log, but for what operators
    did: their commands are not in it.

    Beside FILE lie FILE.index.json, which lets a reader begin at any time at once, and FILE.config.json, the
    rules, inventory and names of boundary sets that held.

    **Who sent a report is left out**: of a citizen's report only the fields that are judged or shown are recorded,
    not `reporter` nor any other. A report that could not be decoded is counted and left out. Texts of reports are
    recorded; keep the file accordingly.

    Examples:

        ioc record -o today.ndjson.gz --from 2025-10-08T00:00:00+07:00

        ioc replay today.ndjson.gz --speed 60 --prefix again.
    """
    from ioc.commands.arguments import time_with_zone
    from ioc.commands.progress import progress_bar
    from ioc.logs import configure_logs
    from ioc.settings import load_settings
    from ioc.shutdown import StopSignals
    from streams.admin import require_topics
    from streams.recorder import Wanted
    from streams.recorder import record as run

    configure_logs()
    wanted = Wanted(
        since=time_with_zone(since, "--from"),
        until=time_with_zone(until, "--to"),
        follow=follow,
        streams=streams_of(streams),
    )
    if wanted.since and wanted.until and wanted.since >= wanted.until:
        raise UserError("--to is not after --from", f"{since}, {until}", "give a later --to")
    check_output(output, overwrite)
    settings = load_settings()
    require_topics(settings)
    stop = StopSignals()
    with progress_bar("recording") as show:

        def progress(at: datetime | None, done: int, total: int) -> None:
            where = f"{at:%Y-%m-%d %H:%M}, {done} records" if at else f"{done} records"
            show(done, None if follow else total, where)

        index = run(settings, output, wanted, stop=stop.asked, progress=progress)
    sys.stderr.write("".join(f"{line}\n" for line in summary(output, wanted.since, index)))


def streams_of(text: str | None) -> tuple[str, ...]:
    """The streams that an option names, in their usual order; all where it was not given.

    Raises `UserError` where one does not exist.
    """
    from streams.topics import STREAMS

    if text is None:
        return STREAMS
    names = {name.strip() for name in text.split(",")}
    if unknown := sorted(names - set(STREAMS)):
        raise UserError(
            f"no stream is called {', '.join(unknown) or text}",
            "--streams",
            f"choose of {', '.join(STREAMS)}",
        )
    return tuple(stream for stream in STREAMS if stream in names)


def check_output(path: Path, overwrite: bool) -> None:
    """Whether a recording can be written there, before hours are spent. Raises `UserError` where it cannot."""
    if not path.name.endswith(SUFFIX):
        raise UserError(
            "a recording has another ending", str(path), f"call it {path.name.split('.')[0]}{SUFFIX}"
        )
    if not path.parent.is_dir():
        raise UserError("there is no such directory", str(path.parent), "make it first")
    if path.exists() and not overwrite:
        raise UserError("the recording is already there", str(path), "take another name, or --overwrite")


def summary(path: Path, since: datetime | None, index: Index) -> list[str]:
    """What was recorded, in words."""
    counts = ", ".join(f"{number} {stream}" for stream, number in index.records.items()) or "no records"
    lines = [
        f"{path}: {counts}, from {index.first:%Y-%m-%d %H:%M:%S %z} to {index.last:%Y-%m-%d %H:%M:%S %z}, "
        f"{index.size / 1000:.0f} kB"
    ]
    if since is not None and (index.first - since).total_seconds() > 60:
        lines.append(
            "it begins later than asked for: before that the log has nothing that all partitions have"
        )
    if index.left_out:
        lines.append(
            f"left out: {index.left_out} reports that could not be decoded; they may say who sent them"
        )
    if index.clocks_lacking:
        lines.append(f"{index.clocks_lacking} clock records were lacking in one partition or another")
    if len(index.configurations) > 1:
        lines.append(f"the configuration changed {len(index.configurations) - 1} times meanwhile")
    return lines
