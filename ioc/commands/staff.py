"""`ioc operators ...`: who may sign in to the wall and give commands."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ioc.errors import UserError

if TYPE_CHECKING:
    from ioc.operators import OperatorEntry

app = typer.Typer(
    name="operators",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="""Who may sign in to the wall and give commands, in the file IOC_OPERATORS_FILE.

A viewer sees, an operator handles alerts, a supervisor also releases them to agencies.
""",
)

_Id = Annotated[str, typer.Argument(help="Short name to sign in with, such as an.nguyen.", metavar="ID")]


@app.command()
def add(
    id: _Id,
    name: Annotated[str, typer.Option(help="Name for people, such as 'Nguyễn Văn An'.")],
    role: Annotated[str, typer.Option(help="viewer, operator or supervisor.")] = "operator",
) -> None:
    """Add an operator; asks for the password twice, or takes the first line of standard input.

    The wall knows him at once. His commands are accepted once the system's configuration names him: within
    seconds where a clock runs, else from its next start.
    """
    from alerts.rules.policy import ROLES, Operator
    from ioc.operators import OperatorEntry, hash_password, write_operators

    path, entries = _file(missing_is_empty=True)
    if id in entries:
        raise UserError(f"operator {id} is there already", str(path), f"first: ioc operators remove {id}")
    found = next((known for known in ROLES if known == role), None)
    if found is None:
        raise UserError("--role is not a role", role, f"choose one of {', '.join(ROLES)}")
    entry = OperatorEntry(Operator(id=id, name=name, role=found), hash_password(_ask_password(id)))
    write_operators(path, [*entries.values(), entry])
    typer.echo(f"{id} is {_a(found)} now: {path}")


@app.command()
def password(id: _Id) -> None:
    """Give an operator another password; whoever is signed in with the old one is signed out."""
    from dataclasses import replace

    from ioc.operators import hash_password, write_operators

    path, entries = _file()
    entries[id] = replace(_find(path, entries, id), password=hash_password(_ask_password(id)))
    write_operators(path, list(entries.values()))
    typer.echo(f"{id} has another password: {path}")


@app.command()
def remove(id: _Id) -> None:
    """Remove an operator; he is signed out at once. What he did stays in the alerts and in ioc.audit."""
    from ioc.operators import write_operators

    path, entries = _file()
    _find(path, entries, id)
    write_operators(path, [entry for entry in entries.values() if entry.operator.id != id])
    typer.echo(f"{id} is removed: {path}")


@app.command("list")
def list_() -> None:
    """Print the operators: id, role, name."""
    from geo.report import printable
    from ioc.commands.tables import columns

    path, entries = _file()
    rows = [(entry.operator.id, entry.operator.role, entry.operator.name) for entry in entries.values()]
    for line in columns([("id", "role", "name"), *rows]).split("\n"):
        typer.echo(printable(line))
    typer.echo(f"file: {path}")


def _a(role: str) -> str:
    return f"{'an' if role[0] in 'aeiou' else 'a'} {role}"


def _file(*, missing_is_empty: bool = False) -> tuple[Path, dict[str, OperatorEntry]]:
    """The file and its operators by id. Raises `UserError` where no file is named, or it is wrong."""
    from ioc.logs import configure_logs
    from ioc.operators import read_operators
    from ioc.settings import load_settings

    configure_logs()
    path = load_settings().operators_file
    if path is None:
        raise UserError(
            "no file of operators is named", "IOC_OPERATORS_FILE is empty", "set it to a file's path"
        )
    if missing_is_empty and not path.exists():
        return path, {}
    return path, {entry.operator.id: entry for entry in read_operators(path)}


def _find(path: Path, entries: dict[str, OperatorEntry], id: str) -> OperatorEntry:
    if id not in entries:
        raise UserError(f"no operator is called {id}", str(path), "see ioc operators list")
    return entries[id]


def _ask_password(id: str) -> str:
    if sys.stdin.isatty():
        asked: str = typer.prompt(f"Password of {id}", hide_input=True, confirmation_prompt="Once more")
        return asked
    return sys.stdin.readline().rstrip("\r\n")
