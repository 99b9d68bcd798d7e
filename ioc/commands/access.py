"""`ioc access ...`: who may do what at Kafka, from one file of parties."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ioc.settings import Settings
    from streams.access.parties import Parties

app = typer.Typer(
    name="access",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="""Who may do what at Kafka: sources, agencies, and the processes of this program.

A file names the parties (begin with deploy/access/parties.example.yaml); each gets a user, a password and the rights
that it needs. Run as a user who may give rights. Step by step: deploy/README.md, "Access".
""",
)

_File = Annotated[Path, typer.Argument(help="The file of parties.", metavar="FILE")]


@app.command()
def plan(
    file: _File,
    print_: Annotated[
        bool,
        typer.Option("--print", help="Print commands of Kafka's own tools instead; asks no cluster."),
    ] = False,
) -> None:
    """Print what `apply` would change. Exits with 1 where that is something.

    Example: `ioc access plan parties.yaml`
    """
    from streams.access.cluster import compare, look
    from streams.access.tools import commands

    settings, parties = _read(file)
    if print_:
        _print_lines(commands(parties, settings))
        return
    planned = compare(parties, settings, look(parties, settings))
    _print_lines(planned.lines())
    if not planned.empty:
        raise typer.Exit(1)
    typer.echo("nothing to change")


@app.command()
def apply(
    file: _File,
    passwords: Annotated[
        Path, typer.Option(help="Directory with a file for each user, whose first line is the password.")
    ] = Path("passwords"),
    new_password: Annotated[
        list[str] | None,
        typer.Option(help="Give this user another password; may be repeated.", metavar="USER"),
    ] = None,
) -> None:
    """Give the cluster the users and rights of the file, and take away what the file no longer names.

    A new user's password is taken from his file in the directory, or made and written there. Doing it again changes
    nothing. What does not begin as the file's `users` says is never touched.

    Example: `ioc access apply parties.yaml --passwords /etc/ioc/passwords`
    """
    from streams.access.cluster import apply as apply_

    settings, parties = _read(file)
    done, made = apply_(parties, settings, passwords, new_password or [])
    _print_lines(done.lines())
    for user in made:
        typer.echo(f"password of {user}: {passwords / user}")
    typer.echo("nothing to change" if done.empty else "done")


@app.command()
def show(file: _File) -> None:
    """Print the users and rights that the cluster has of this file's parties."""
    from streams.access.cluster import look, told

    settings, parties = _read(file)
    _print_lines(told(look(parties, settings)))


def _read(file: Path) -> tuple[Settings, Parties]:
    """Raises `FileErrors`; all that is wrong is told."""
    from ioc.logs import configure_logs
    from ioc.settings import load_settings
    from streams.access.parties import read_parties

    configure_logs()
    return load_settings(), read_parties(file)


def _print_lines(lines: Iterable[str]) -> None:
    from geo.report import printable

    for line in lines:
        typer.echo(printable(line))
