"""A progress bar for long work, where a person looks on."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

#: Called with how much is done, of how much (None: not known), and where the work is.
Show = Callable[[float, float | None, str], None]


@contextmanager
def progress_bar(title: str) -> Iterator[Show]:
    """A bar on standard error for the length of the block; nothing where that is no terminal."""
    if not sys.stderr.isatty():
        yield lambda done, total, where: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[where]}"))
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None, where="")

        def show(done: float, total: float | None, where: str) -> None:
            bar.update(task, completed=done, total=total, where=where)

        yield show
