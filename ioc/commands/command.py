"""`ioc command ...`: what an operator asks for, from the command line."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from ioc.errors import UserError

if TYPE_CHECKING:
    from alerts.commands import Action, CommandOutcome
    from alerts.model import Severity
    from alerts.rules.policy import Operator
    from ioc.settings import Settings

#: Exit code where the command was judged and refused.
REFUSED = 1

app = typer.Typer(
    name="command",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="""Ask for a change of an alert, as an operator at the wall does, and tell what became of it.

    ioc command acknowledge alert-3f2a --as an

Exits with 1 where it is refused. Asks for no password: whoever may write to the broker is trusted with a name.
The name must be in the file of operators.
""",
)

_Alert = Annotated[str, typer.Argument(help="The alert's id, or how it begins.", metavar="ALERT")]
_As = Annotated[str, typer.Option("--as", help="Id of the operator who asks.", metavar="OPERATOR")]
_Wait = Annotated[float, typer.Option(min=0.1, help="Seconds to wait for the outcome.")]
_Text = Annotated[str, typer.Option(help="What to say.")]


@app.command()
def acknowledge(alert: _Alert, operator: _As, wait: _Wait = 10.0) -> None:
    """Say that you have taken notice: the alert no longer becomes overdue."""
    _about("acknowledge", alert, operator, wait)


@app.command()
def assign(
    alert: _Alert,
    operator: _As,
    to: Annotated[str | None, typer.Option(help="Operator who handles it.  [default: --as]")] = None,
    wait: _Wait = 10.0,
) -> None:
    """Say who handles it."""
    _about("assign", alert, operator, wait, to=to or operator)


@app.command()
def shelve(
    alert: _Alert,
    operator: _As,
    for_: Annotated[str, typer.Option("--for", help="How long, in event time, such as 30m or 2h.")] = "30m",
    wait: _Wait = 10.0,
) -> None:
    """Put it aside for a time; it comes back then, and at once where it becomes worse."""
    from ioc.yamlfile import Duration

    try:
        time = Duration(for_).time
    except ValueError as error:
        raise UserError("--for is not usable", str(error), "write it as 30m or 2h") from None
    _about("shelve", alert, operator, wait, shelve=time)


@app.command()
def unshelve(alert: _Alert, operator: _As, wait: _Wait = 10.0) -> None:
    """Take it back from where it was put aside."""
    _about("unshelve", alert, operator, wait)


@app.command()
def comment(alert: _Alert, operator: _As, text: _Text, wait: _Wait = 10.0) -> None:
    """Write a comment to it."""
    _about("comment", alert, operator, wait, text=text)


@app.command()
def close(alert: _Alert, operator: _As, text: _Text, wait: _Wait = 10.0) -> None:
    """Close it, with the reason as --text; it opens again where it becomes worse."""
    _about("close", alert, operator, wait, text=text)


@app.command()
def release(
    alert: _Alert,
    operator: _As,
    agency: Annotated[str, typer.Option(help="The agency that is to be told.")],
    wait: _Wait = 10.0,
) -> None:
    """Let an agency be told of it, where its first message waits for a supervisor."""
    _about("release", alert, operator, wait, to=agency)


@app.command("open")
def open_(
    operator: _As,
    hazard: Annotated[str, typer.Option(help="Such as flood or traffic.")],
    title_vi: Annotated[str, typer.Option(help="Title in Vietnamese.")],
    title_en: Annotated[str, typer.Option(help="Title in English.")],
    severity: Annotated[str, typer.Option(help="minor, moderate, severe or extreme.")],
    lon: Annotated[float, typer.Option(min=-180, max=180, help="Longitude, degrees.")],
    lat: Annotated[float, typer.Option(min=-90, max=90, help="Latitude, degrees.")],
    text: _Text = "",
    wait: _Wait = 10.0,
) -> None:
    """Open an alert by hand, after a telephone call for example."""
    import asyncio

    from alerts.commands import Opening
    from streams.commanding import present, where_of
    from streams.configuration import Configurations
    from streams.shelf import Shelf
    from streams.topics import Topics

    settings = _settings()
    known_operator(settings, operator)
    level = _severity(severity)
    now = present(settings, 0)
    configuration = asyncio.run(Configurations(settings, Shelf(settings)).current())
    if configuration is None:
        raise UserError("no configuration is in force", "ioc.config names none", "start ioc clock")
    where = where_of(configuration.atlas, lon, lat, now)
    opening = Opening(hazard=hazard, title={"vi": title_vi, "en": title_en}, severity=level, where=where)
    _ask(
        settings,
        "open",
        operator,
        wait,
        Topics.of(settings).province_partition(where.province),
        text=text,
        opening=opening,
    )


def _severity(text: str) -> Severity:
    from alerts.model import SEVERITIES

    for severity in SEVERITIES:
        if severity == text:
            return severity
    raise UserError("--severity is none", text, f"choose one of {', '.join(SEVERITIES)}")


def _about(
    action: Action,
    alert: str,
    operator: str,
    wait: float,
    *,
    shelve: timedelta | None = None,
    to: str = "",
    text: str = "",
) -> None:
    from streams.commanding import find_alert, present

    settings = _settings()
    known_operator(settings, operator)
    found = find_alert(settings, alert)
    until = present(settings, found.partition) + shelve if shelve is not None else None
    _ask(
        settings,
        action,
        operator,
        wait,
        found.partition,
        alert=found.alert.id,
        sequence=found.alert.sequence,
        until=until,
        to=to,
        text=text,
    )


def _ask(
    settings: Settings, action: Action, operator: str, wait: float, partition: int, **more: object
) -> None:
    """Send a command, tell its outcome, and exit with 1 where it is refused."""
    from datetime import UTC, datetime

    import msgspec

    from alerts.believable import believed
    from alerts.commands import Command
    from streams.commanding import new_command_id, send_and_wait

    written = {
        "kind": "command",
        "id": new_command_id(),
        "action": action,
        "operator": operator,
        "issued": datetime.now(UTC),
        **more,
    }
    try:
        command = believed(msgspec.convert(written, Command))
    except msgspec.ValidationError as error:
        raise UserError("the command is not usable", str(error), "see ioc command --help") from None
    outcome = send_and_wait(settings, command, partition, wait)
    typer.echo(said(outcome))
    if outcome.outcome == "refused":
        raise typer.Exit(REFUSED)


def said(outcome: CommandOutcome) -> str:
    """What became of a command, in Vietnamese and English."""
    command = outcome.command
    alert = outcome.alert or command.alert or "?"
    number = f", sequence {outcome.sequence}" if outcome.sequence is not None else ""
    if outcome.outcome == "done" or outcome.reason is None:
        return f"đã xong / done: {command.action} {alert}{number}"
    from alerts.refusals import REASONS

    vi, en = REASONS[outcome.reason]
    return f"bị từ chối / refused: {command.action} {alert}{number}: {vi} / {en}"


def known_operator(settings: Settings, operator: str) -> Operator:
    """The operator of that id. Raises `UserError` where no file of operators has this one."""
    from ioc.operators import read_operators

    path = settings.operators_file
    if path is None:
        raise UserError(
            "no file of operators is named", "IOC_OPERATORS_FILE is empty", "see ioc operators --help"
        )
    found = {entry.operator.id: entry.operator for entry in read_operators(path)}
    if operator not in found:
        raise UserError(f"no operator is called {operator}", str(path), "see ioc operators list")
    return found[operator]


def _settings() -> Settings:
    from ioc.logs import configure_logs
    from ioc.settings import load_settings

    configure_logs()
    return load_settings()
