"""`ioc map snapshot` and `ioc map report`: pages that stand for themselves, for mail, archives and handing over."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from ioc.settings import Settings
    from maps.past import Past

app = typer.Typer(
    name="map",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="""Make pages of the wall's history that stand for themselves: one file, no other host, ready to print.

    ioc map snapshot --at 2025-10-08T18:30 -o evening.html

    ioc map report --shift last -o shift.html

Reads the topics of IOC_TOPIC_PREFIX as far back as IOC_HISTORY_HOURS, or a recording, which needs no broker.
""",
)

_Out = Annotated[Path, typer.Option("-o", "--output", help="The page to write.", metavar="FILE.html")]
_Lang = Annotated[Literal["vi", "en"], typer.Option(help="Language of the page.")]
_Recording = Annotated[
    str | None,
    typer.Option(
        help="Judge this recording, or a scenario that ships, instead.  [default: the topics]",
        metavar="FILE|NAME",
    ),
]


@app.command()
def snapshot(
    output: _Out,
    at: Annotated[
        str | None,
        typer.Option(help="Event time, such as 2025-10-08T18:30, local or with a zone.  [default: the last]"),
    ] = None,
    recording: _Recording = None,
    lang: _Lang = "vi",
) -> None:
    """Write the wall of one moment: the map, the open alerts, the reports of half an hour.

    Alerts are those of the whole minute. From the topics, a source that did not speak for long before that time is
    not on the map, or shown as silent.

    Example: `ioc map snapshot --recording can-tho-spring-tide --at 2025-10-08T18:30 -o evening.html`
    """
    from maps.pages import write_page
    from maps.snapshot import snapshot_page

    time, settings = _time(at), _settings()
    past = _past(settings, recording, time)
    write_page(output, snapshot_page(past, settings, time, lang))
    typer.echo(str(output))


@app.command()
def report(
    output: _Out,
    shift: Annotated[
        str,
        typer.Option(
            help="FROM..TO in event time, such as 2025-10-08T14:00..2025-10-08T22:00, local or with a zone; or last: "
            "the last eight hours.",
            metavar="FROM..TO|last",
        ),
    ] = "last",
    recording: _Recording = None,
    lang: _Lang = "vi",
) -> None:
    """Write the report for handing over a shift.

    What is open, overdue, shelved, suppressed and silent at its end; its alarm rate, incidents with their high
    waters, ended alerts and operators' commands. Incidents are told as they stand now.

    Example: `ioc map report --recording can-tho-spring-tide --shift 2025-10-08T14:00..2025-10-08T22:00 -o shift.html`
    """
    from maps.pages import write_page
    from maps.report import report_page, shift_of

    wanted, settings = shift_of(shift), _settings()
    past = _past(settings, recording, wanted.until if wanted else None)
    write_page(output, report_page(past, settings, wanted, lang))
    typer.echo(str(output))


def _time(text: str | None) -> datetime | None:
    """A time as an operator writes it: without a zone it is local. Raises `UserError` where it is none."""
    from ioc.errors import UserError
    from maps.picture import LOCAL

    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise UserError("--at is not a time", text, "write it as 2025-10-08T18:30") from None
    return time.replace(tzinfo=LOCAL) if time.tzinfo is None else time


def _past(settings: Settings, recording: str | None, time: datetime | None) -> Past:
    import asyncio

    from ioc.commands.progress import progress_bar
    from maps.past import from_recording, from_topics

    with progress_bar("reading" if recording is None else "judging") as show:

        def say(what: str) -> None:
            show(0, None, what)

        if recording is None:
            return asyncio.run(from_topics(settings, time, say))
        return from_recording(settings, recording, time, say)


def _settings() -> Settings:
    from ioc.logs import configure_logs
    from ioc.settings import load_settings

    configure_logs()
    return load_settings()
