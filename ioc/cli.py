"""The command line. Commands import what they need when they run, so that `ioc --help` answers at once."""

from __future__ import annotations

import contextlib
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from ioc.commands.access import app as access_app
from ioc.commands.agencies import cap, subscribe
from ioc.commands.backtest import backtest
from ioc.commands.boundaries import app as boundaries_app
from ioc.commands.command import app as command_app
from ioc.commands.deadletters import app as deadletters_app
from ioc.commands.explain import explain
from ioc.commands.map import app as map_app
from ioc.commands.privacy import app as privacy_app
from ioc.commands.rebuild import rebuild
from ioc.commands.recordings import record
from ioc.commands.rules import app as rules_app
from ioc.commands.staff import app as staff_app
from ioc.errors import UserError

if TYPE_CHECKING:
    from ioc.settings import Settings

#: Exit codes: an error that the user can mend, as the shell's convention for wrong usage; and Ctrl-C.
USER_ERROR, INTERRUPTED = 2, 130

#: A day of recording in six minutes: something new on the wall every few seconds.
DEMONSTRATION_SPEED = 240.0

app = typer.Typer(
    name="ioc",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="""Event processing for a smart-city operations centre.

See it at work on this machine, with a broker, the workers, a wall and a recorded day:

    ioc up --scenario can-tho-spring-tide

The same piece by piece, each in a terminal of its own:

    ioc broker
    ioc topics --create
    ioc sense
    ioc correlate
    ioc wall
    ioc clock

Every choice is a setting, read from the environment as IOC_...: see `ioc settings`.
""",
)
app.add_typer(access_app)
app.add_typer(boundaries_app)
app.add_typer(rules_app)
app.add_typer(command_app)
app.add_typer(privacy_app)
app.add_typer(deadletters_app)
app.add_typer(staff_app)
app.add_typer(map_app)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"ioc {version('ioc')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
def broker() -> None:
    """Run the embedded broker: a real single-node Kafka on loopback.

    Fetches it with Maven the first time. Its data lies under IOC_STATE_DIR. Next, in another terminal:
    `ioc topics --create`.
    """
    from ioc.broker import run_broker
    from ioc.shutdown import StopSignals

    raise typer.Exit(run_broker(_settings(), StopSignals()))


@app.command()
def topics(
    create: Annotated[bool, typer.Option("--create", help="Create the missing ones first.")] = False,
) -> None:
    """Print the table of topics and compare it with the broker's; exit with 2 where they differ.

    Example: `IOC_TOPIC_PREFIX=demo. ioc topics --create`
    """
    from ioc.commands.tables import topic_table
    from streams.admin import ensure_topics, require_topics

    settings = _settings()
    (ensure_topics if create else require_topics)(settings)
    print(topic_table(settings))


@app.command()
def sense() -> None:
    """Run a sense worker: decode and check raw events, attach the commune, judge each source.

    Run several to share the raw partitions. Needs a broker, topics and a clock (or a replay).
    """
    from streams.workers import run_sense

    raise typer.Exit(run_sense(_settings()))


@app.command()
def correlate() -> None:
    """Run a correlate worker: turn signals into alerts.

    Run several to share the provinces.
    """
    from streams.workers import run_correlate

    raise typer.Exit(run_correlate(_settings()))


@app.command()
def clock(
    start: Annotated[
        str | None, typer.Option(help="Time that it shows at --origin, such as 2025-10-08T00:00:00+07:00.")
    ] = None,
    speed: Annotated[float, typer.Option(min=0.01, help="How much faster than real time it runs.")] = 1.0,
    origin: Annotated[
        str | None, typer.Option(help="Real time at which it shows --start.  [default: now]")
    ] = None,
) -> None:
    """Write what time it is into each raw partition, once a second; without it nothing is judged.

    One for each topic prefix. A replay brings its own and needs none.
    """
    from ioc.commands.arguments import time_with_zone
    from ioc.health import Health, serve_health
    from ioc.shutdown import StopSignals
    from streams.admin import require_topics
    from streams.clock import Timebase, run_clock

    settings = _settings()
    began = time_with_zone(origin, "--origin") or datetime.now(UTC)
    timebase = Timebase(origin=began, start=time_with_zone(start, "--start") or began, speed=speed)
    require_topics(settings)
    stop, health = StopSignals(settings.shutdown_grace), Health()
    with serve_health(health, settings.host, settings.clock_health_port, "IOC_CLOCK_HEALTH_PORT"):
        run_clock(settings, stop=stop.asked, timebase=timebase, health=health)


@app.command()
def replay(
    file: Annotated[str, typer.Argument(help="A recording (.ndjson, .ndjson.gz), or a scenario that ships.")],
    speed: Annotated[
        str, typer.Option(help="How much faster than it was recorded, or: max.", metavar="N|max")
    ] = "1",
    prefix: Annotated[
        str | None, typer.Option(help="Topic prefix.  [default: IOC_TOPIC_PREFIX, else replay.]")
    ] = None,
    run: Annotated[
        str | None,
        typer.Option(help="Name of the run, carried by its alerts.  [default: the recording's name]"),
    ] = None,
    loop: Annotated[bool, typer.Option("--loop", help="Begin again at the end, a day later.")] = False,
    no_clock: Annotated[
        bool, typer.Option("--no-clock", help="Only events: a clock runs beside it.")
    ] = False,
) -> None:
    """Publish a recording with its own time, marked as simulated, under a topic prefix of its own.

    Interrupted and started again with the same prefix and run it goes on where it stopped. The workers must
    run under the same prefix:

        ioc replay can-tho-spring-tide --speed 120 --prefix demo.

        IOC_TOPIC_PREFIX=demo. ioc sense
    """
    from ioc.commands.arguments import Progress, speed_of
    from ioc.health import Health, serve_health
    from ioc.scenarios import find_scenario
    from ioc.shutdown import StopSignals
    from streams.admin import ensure_topics
    from streams.replay import run_replay

    factor, scenario, settings = speed_of(speed), find_scenario(file), _settings(topic_prefix=prefix)
    changes: dict[str, object] = {
        "topic_prefix": settings.topic_prefix or "replay.",
        **scenario.over(settings),
    }
    settings = settings.model_copy(update=changes)
    ensure_topics(settings)
    stop, health, progress = StopSignals(settings.shutdown_grace), Health(), Progress()
    # A clock that runs beside it has the port.
    served = (
        contextlib.nullcontext()
        if no_clock
        else serve_health(health, settings.host, settings.clock_health_port, "IOC_CLOCK_HEALTH_PORT")
    )
    with served:
        run_replay(
            settings,
            scenario.recording,
            speed=factor,
            run=run or scenario.name,
            loop=loop,
            clock=not no_clock,
            progress=progress,
            stop=stop.asked,
            health=health,
        )
    progress.end(stopped=stop.asked.is_set())


app.command()(record)
app.command()(backtest)
app.command()(explain)
app.command()(rebuild)


@app.command()
def wall() -> None:
    """Serve the wall at http://IOC_HOST:IOC_WALL_PORT/."""
    from maps.server import run_wall

    raise typer.Exit(run_wall(_settings()))


app.command()(subscribe)
app.command()(cap)


@app.command()
def up(
    scenario: Annotated[
        str | None, typer.Option(help="Replay this scenario: the name of one that ships, or a file.")
    ] = None,
    speed: Annotated[
        float | None,
        typer.Option(
            min=0.01, help=f"How much faster than it was recorded.  [default: {DEMONSTRATION_SPEED:g}]"
        ),
    ] = None,
    loop: Annotated[bool, typer.Option(help="Begin the scenario again at its end.")] = True,
) -> None:
    """Run everything on this machine: broker, topics, workers, wall, and a clock or a scenario.

    Ends all of it with Ctrl-C. A second start continues where the first stopped. A scenario runs under the
    topic prefix `demo.` unless IOC_TOPIC_PREFIX names another, so it never mixes with live data.
    """
    from ioc.scenarios import find_scenario
    from ioc.up import run_up

    settings = _settings()
    found = find_scenario(scenario) if scenario else None
    raise typer.Exit(run_up(settings, found, speed=speed or DEMONSTRATION_SPEED, loop=loop))


@app.command("settings")
def settings_command() -> None:
    """Print each setting: its variable, its value now, and what it means."""
    from ioc.commands.tables import settings_table

    print(settings_table(_settings()))


def _settings(**overrides: object) -> Settings:
    from ioc.logs import configure_logs
    from ioc.settings import load_settings

    configure_logs()
    return load_settings(**overrides)


def main() -> NoReturn:
    """Run the command line; what a user can mend is told in two lines, without a traceback."""
    try:
        app(prog_name="ioc")
    except UserError as error:
        where = f": {error.where}" if error.where else ""
        remedy = f"\n  -> {error.remedy}" if error.remedy else ""
        sys.stderr.write(f"ioc: {error.what}{where}{remedy}\n")
        sys.exit(USER_ERROR)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    sys.exit(0)
