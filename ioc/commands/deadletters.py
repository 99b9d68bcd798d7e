"""`ioc deadletters ...`: records that could not be used are looked at, repaired and published again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ioc.errors import UserError

if TYPE_CHECKING:
    from ioc.settings import Settings
    from streams.deadletters import Change
    from streams.repair import LetterId

#: Exit code where a letter was refused.
REFUSED = 1
#: Bytes of a record that is written anew: less than Kafka takes.
RECORD_MAX = 900_000

app = typer.Typer(
    name="deadletters",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="""Records that could not be used: see them, repair them, publish them again.

    ioc deadletters list --stream flood

    ioc deadletters show flood/2/17

    ioc deadletters replay flood/2/17 --set level_m=1.2 --as an

A letter is called by where its record stands: stream, partition, offset.
""",
)

_Stream = Annotated[
    Literal["traffic", "flood", "camera", "report"] | None, typer.Option(help="Only of this stream.")
]
_Reason = Literal["undecodable", "future"]
_Since = Annotated[
    str | None,
    typer.Option(help="Only those that became so at or after it, such as 2025-10-08T00:00:00+07:00."),
]


@app.command("list")
def list_(
    stream: _Stream = None,
    reason: Annotated[_Reason | None, typer.Option(help="Only with this reason.")] = None,
    since: _Since = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the latest.")] = 50,
    faults: Annotated[
        bool, typer.Option("--faults", help="Count all by what is wrong instead, with an example of each.")
    ] = False,
) -> None:
    """List dead letters, the latest last, with what is wrong and when they were replayed; and count them.

    They are kept for 30 days.
    """
    from ioc.commands.arguments import time_with_zone
    from ioc.commands.deadletter_texts import fault_lines, list_lines
    from ioc.commands.progress import progress_bar
    from streams.letters import Wanted, find

    wanted = Wanted(
        streams=frozenset([stream] if stream else ()),
        reasons=frozenset([reason] if reason else ()),
        since=time_with_zone(since, "--since"),
        limit=limit,
        newest=True,
    )
    with progress_bar("reading") as show:
        found = find(_settings(), wanted, lambda done, total: show(done, total, f"{done} records"))
    typer.echo("\n".join(fault_lines(found) if faults else list_lines(found, limit)))


@app.command("show")
def show_(
    id: Annotated[str, typer.Argument(help="The letter's id, as the list has it.", metavar="ID")],
    raw: Annotated[
        bool,
        typer.Option("--raw", help="Show the raw record; a citizen's report may hold personal data."),
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write the raw record here, to be edited.", metavar="FILE"),
    ] = None,
) -> None:
    """Show a dead letter: the record, what is wrong with it and where, and how to mend it.

    Signs that cannot be printed stand as their codes, such as ‹U+202E›. A letter holds the first 4096 characters
    of its record; of a citizen's report it holds none. --raw and -o read the raw topic, which keeps 7 days.
    """
    from ioc.commands.deadletter_texts import letter_lines
    from streams.letters import Wanted, find, raw_record
    from streams.repair import fault
    from streams.topics import Topics

    settings, wanted = _settings(), letter_id(id)
    found = find(settings, Wanted(ids=frozenset([wanted])))
    if wanted not in found.letters:
        raise UserError(f"no dead letter is called {wanted}", "ioc.deadletter", "see ioc deadletters list")
    letter = found.letters[wanted]
    record, detail = letter.value, letter.detail
    if raw or output is not None:
        value = letter.whole()
        if value is None:
            value = raw_record(settings, wanted)
        if value is None:
            raise UserError(
                "the raw record is deleted",
                f"{wanted}: raw topics keep 7 days",
                "show it without --raw and -o",
            )
        if output is not None:
            _write(output, value)
        if raw:
            record, detail = value.decode(errors="replace"), detail or fault(wanted.stream, value)
    topic = Topics.of(settings).raw[wanted.stream].name
    lines = letter_lines(letter, found.marks.get(wanted), topic, record, detail)
    typer.echo("\n".join(lines))


@app.command()
def replay(
    ids: Annotated[list[str] | None, typer.Argument(help="Ids of letters.", metavar="[ID]...")] = None,
    operator: Annotated[
        str | None, typer.Option("--as", help="Id of the operator who asks.", metavar="OPERATOR")
    ] = None,
    reason: Annotated[
        _Reason | None, typer.Option(help="All with this reason that were not replayed, instead of ids.")
    ] = None,
    stream: _Stream = None,
    since: _Since = None,
    limit: Annotated[int, typer.Option(min=1, help="With --reason: at most so many, the earliest.")] = 1000,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", help="Set a field first; may be given again.", metavar="FIELD=VALUE"),
    ] = None,
    edit: Annotated[
        Path | None,
        typer.Option("--edit", help="Publish what this file holds instead of the record.", metavar="FILE"),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Also what was replayed before.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would happen, and do nothing.")
    ] = False,
) -> None:
    """Publish records again, repaired or as they were; exit with 1 where one is refused.

    Each is decoded first as sense does it: what would be a dead letter again is refused. It goes to its raw topic,
    behind all that came meanwhile, and is judged by the log's time like any late event: what is more than
    IOC_LATE_BOUND behind the clock, or older than the latest of its source, is kept and not judged.

    ioc.deadletter keeps for 30 days that a letter was replayed, by whom and to where. A second time needs --again;
    sense passes over an event whose id is that of its source's last one.

    Examples:

        ioc deadletters replay flood/2/17 --set level_m=1.2 --as an

        ioc deadletters replay --reason future --dry-run
    """
    from datetime import UTC, datetime

    from ioc.commands.arguments import time_with_zone
    from ioc.commands.deadletter_texts import outcome_lines
    from ioc.commands.progress import progress_bar
    from streams.deadletters import replay as run
    from streams.letters import Wanted
    from streams.repair import Refused

    if bool(ids) == (reason is not None):
        raise UserError("which letters is not said", "give ids or --reason", "see ioc deadletters list")
    if ids and (stream or since):
        raise UserError("--stream and --since go with --reason", "ids were given", "leave them out")
    wanted = Wanted(
        streams=frozenset([stream] if stream else ()),
        reasons=frozenset([reason] if reason else ()),
        ids=frozenset(letter_id(id) for id in ids or ()),
        since=time_with_zone(since, "--since"),
        limit=None if ids else limit,
    )
    change = change_of(sets or [], edit, len(wanted.ids))
    settings = _settings()
    if not dry_run:
        _allowed(settings, operator)
    with progress_bar("reading") as show:
        outcomes = run(
            settings,
            wanted,
            change,
            by=None if dry_run else operator,
            now=datetime.now(UTC),
            again=again,
            progress=lambda done, total: show(done, total, f"{done} records"),
        )
    for outcome in outcomes:
        typer.echo("\n".join(outcome_lines(outcome)))
    if not outcomes:
        typer.echo("không có gì để phát lại / nothing is to be replayed")
    if any(isinstance(outcome.verdict, Refused) for outcome in outcomes):
        raise typer.Exit(REFUSED)


def letter_id(text: str) -> LetterId:
    """The id that a text is. Raises `UserError` where it is none."""
    from streams.repair import LetterId

    try:
        return LetterId.parse(text)
    except ValueError:
        raise UserError("not the id of a dead letter", repr(text), "write it as flood/2/17") from None


def change_of(sets: list[str], edit: Path | None, ids: int) -> Change:
    """The repair that the options ask for; `ids` is how many letters were named.

    Raises `UserError` where they do not fit together or the file cannot be read.
    """
    from streams.deadletters import Change

    if edit is not None and sets:
        raise UserError("--edit and --set were given", "one record, two repairs", "give one of them")
    fields = []
    for text in sets:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise UserError("--set is not usable", repr(text), "write it as FIELD=VALUE")
        fields.append((name, value))
    if edit is None:
        return Change(fields=tuple(fields))
    if ids != 1:
        raise UserError("--edit is for one letter", str(edit), "name one id")
    try:
        record = edit.read_bytes()
    except OSError as error:
        raise UserError("the record cannot be read", f"{edit}: {error.strerror}", "see --edit") from None
    if len(record) > RECORD_MAX:
        raise UserError("the record is too large", f"{edit}: {len(record)} bytes", f"at most {RECORD_MAX}")
    # An editor ends the last line.
    return Change(record=record.removesuffix(b"\n"))


def _allowed(settings: Settings, operator: str | None) -> None:
    """Raises `UserError` unless this operator may publish."""
    from ioc.commands.command import known_operator

    if operator is None:
        raise UserError("who asks is not said", "--as is missing", "give --as OPERATOR, or --dry-run")
    if known_operator(settings, operator).role == "viewer":
        raise UserError(f"{operator} is a viewer", "who sees and changes nothing", "ask an operator")


def _write(path: Path, value: bytes) -> None:
    try:
        # It may hold personal data: for nobody else to read.
        path.touch(mode=0o600)
        path.write_bytes(value)
    except OSError as error:
        raise UserError("the record cannot be written", f"{path}: {error.strerror}", "see --output") from None


def _settings() -> Settings:
    from ioc.logs import configure_logs
    from ioc.settings import load_settings
    from streams.admin import require_topics

    configure_logs()
    settings = load_settings()
    require_topics(settings)
    return settings
