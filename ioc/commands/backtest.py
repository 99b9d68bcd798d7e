"""`ioc backtest`: what other rules would have made of recorded events."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ioc.errors import UserError
from ioc.textfile import read_text

if TYPE_CHECKING:
    from alerts.alert import Alert
    from alerts.comparison import Comparison, Course, Difference
    from ioc.settings import Settings
    from streams.configuration import Configuration, ConfigurationRecord

#: Asia/Ho_Chi_Minh, which knows no daylight saving.
LOCAL = timezone(timedelta(hours=7))


def backtest(
    rules: Annotated[
        Path | None, typer.Option(help="The rules to try.  [default: those in force]", metavar="FILE")
    ] = None,
    inventory: Annotated[
        Path | None, typer.Option(help="The inventory to try.  [default: the one in force]", metavar="FILE")
    ] = None,
    recording: Annotated[
        str | None,
        typer.Option(
            help="A recording, or a scenario that ships.  [default: what the raw topics hold]",
            metavar="FILE|NAME",
        ),
    ] = None,
    since: Annotated[
        str | None, typer.Option("--from", help="First time, such as 2025-10-08T17:00:00+07:00.")
    ] = None,
    until: Annotated[str | None, typer.Option("--to", help="Last time.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For a machine.")] = False,
) -> None:
    """Judge recorded events by the present rules and by others, and tell which alerts come, go or change.

    Uses the same functions as the workers. A recording needs no Kafka; without one the raw topics are read, as far
    back as they go. The present rules are those that held last in the recording, where it has its FILE.config.json
    beside it; else this installation's.

    Each judgement begins without any state: a hold or an alert that began before --from is not known. Operators'
    commands are not in recordings, so nothing is acknowledged, shelved or closed by hand.

    `added` and `removed` are alerts under one of the two only; `changed` have other changes or times; `moved` are
    begun by another event, so that their id differs, and are otherwise the same alert, earlier or later.

    Example: `ioc backtest --rules tried.yaml --recording can-tho-spring-tide`
    """
    from alerts.comparison import compare
    from ioc.commands.arguments import time_with_zone
    from ioc.logs import configure_logs
    from ioc.settings import load_settings

    configure_logs()
    if rules is None and inventory is None:
        raise UserError("there is nothing to try", "neither --rules nor --inventory", "name a file of rules")
    began, ended = time_with_zone(since, "--from"), time_with_zone(until, "--to")
    settings = load_settings()
    with ExitStack() as stack:
        events = _events(settings, recording, began, ended, stack)
        before, after = _configurations(settings, events, rules, inventory)
        old, first, last = _judged(settings, before, events, began, ended, "the present rules")
        new, first, last = _judged(settings, after, events, began, ended, "the rules to try")
    comparison = compare(old, new, first, last)
    typer.echo(_json(comparison) if as_json else "\n".join(report(comparison, events.present)))


@dataclass(frozen=True)
class _Events:
    """What is judged, the configuration that is the present one for it, and its name."""

    recording: Path
    record: ConfigurationRecord
    present: str


def _events(
    settings: Settings, name: str | None, since: datetime | None, until: datetime | None, stack: ExitStack
) -> _Events:
    from ioc.scenarios import find_scenario
    from streams.rehearsal import recorded_configuration

    scenario = None
    if name is None:
        path = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ioc-"))) / "topics.ndjson.gz"
        _record(settings, path, since, until)
    else:
        scenario = find_scenario(name)
        path = scenario.recording
    record = recorded_configuration(path)
    if record is not None:
        return _Events(path, record, f"configuration {record.hash}, the last that held")
    from streams.configuration import local_record
    from streams.shelf import installed_registry

    if scenario is not None:
        settings = settings.model_copy(update=scenario.over(settings))
    record = local_record(settings, installed_registry(settings))
    return _Events(path, record, f"configuration {record.hash}, this installation's")


def _record(settings: Settings, path: Path, since: datetime | None, until: datetime | None) -> None:
    from ioc.commands.progress import progress_bar
    from streams.admin import require_topics
    from streams.recorder import Wanted, record

    require_topics(settings)
    with progress_bar("reading the raw topics") as show:
        record(
            settings,
            path,
            Wanted(since, until),
            progress=lambda at, done, total: show(done, total, f"{at:%Y-%m-%d %H:%M}" if at else ""),
        )


def _configurations(
    settings: Settings, events: _Events, rules: Path | None, inventory: Path | None
) -> tuple[Configuration, Configuration]:
    """The present configuration and the one to try."""
    import msgspec

    from streams.configuration import with_maps
    from streams.shelf import Shelf

    changes = {
        name: read_text(path, "the file to try")
        for name, path in (("rules", rules), ("inventory", inventory))
        if path
    }
    shelf = Shelf(settings)
    present = f"of {events.present}"
    before = with_maps(
        events.record, shelf, rules_name=f"rules {present}", inventory_name=f"inventory {present}"
    )
    after = with_maps(
        msgspec.structs.replace(events.record, **changes),
        shelf,
        rules_name=str(rules or f"rules {present}"),
        inventory_name=str(inventory or f"inventory {present}"),
    )
    return before, after


def _judged(
    settings: Settings,
    configuration: Configuration,
    events: _Events,
    since: datetime | None,
    until: datetime | None,
    title: str,
) -> tuple[list[Alert], datetime, datetime]:
    """The alert changes, and the first and the last time."""
    from ioc.commands.progress import progress_bar
    from streams.recording_index import load_index
    from streams.rehearsal import judge_recording

    index = load_index(events.recording)
    end = until or (index.last if index else None)
    clocks: list[datetime] = []
    with progress_bar(f"judging by {title}") as show:

        def heard(clock: datetime) -> None:
            clocks[1:] = [clock]
            begin = clocks[0]
            total = (end - begin).total_seconds() if end else None
            show((clock - begin).total_seconds(), total, f"{clock:%Y-%m-%d %H:%M}")

        found = judge_recording(
            settings, configuration, events.recording, since=since, until=until, heard=heard
        )
    return found.changes, clocks[0], clocks[-1]


def _json(comparison: Comparison) -> str:
    import msgspec

    return msgspec.json.format(msgspec.json.encode(comparison), indent=2).decode()


def report(comparison: Comparison, present: str) -> list[str]:
    """A comparison as lines of text; `present` says what it was compared with."""
    from ioc.commands.tables import columns

    before, after = comparison.before, comparison.after
    lines = [
        f"from {comparison.since.astimezone(LOCAL):%Y-%m-%d %H:%M} to "
        f"{comparison.until.astimezone(LOCAL):%Y-%m-%d %H:%M}, compared with {present}",
        "",
        columns(
            [
                ("alarm rate", "before", "after"),
                ("alarms (raised or escalated)", str(before.alarms), str(after.alarms)),
                ("per hour, mean", f"{before.per_hour:.2f}", f"{after.per_hour:.2f}"),
                ("worst hour", str(before.worst_hour), str(after.worst_hour)),
                ("worst 10 minutes", str(before.worst_ten_minutes), str(after.worst_ten_minutes)),
            ]
        ),
    ]
    if comparison.rules:
        rows = [
            (
                row.rule,
                f"{row.alerts_before} → {row.alerts_after}",
                f"{row.alarms_before} → {row.alarms_after}",
            )
            for row in comparison.rules
        ]
        lines += ["", columns([("rule", "alerts", "alarms"), *rows])]
    counts = ", ".join(
        f"{comparison.count(kind)} {kind}" for kind in ("added", "removed", "changed", "moved")
    )
    lines += ["", f"alerts: {comparison.unchanged} the same, {counts}"]
    if comparison.differences:
        different = [_row(difference) for difference in comparison.differences]
        lines += ["", columns([("", "alert", "rule", "subject", "before", "after", "differs"), *different])]
    return lines


def _row(difference: Difference) -> tuple[str, ...]:
    course = difference.after or difference.before
    assert course is not None
    return (
        difference.kind,
        course.id,
        course.rule,
        course.subject,
        _course(difference.before),
        _course(difference.after),
        ", ".join(difference.differs),
    )


def _course(course: Course | None) -> str:
    if course is None:
        return "–"
    since, until = _local(course.since), _local(course.until) if course.until else "open"
    return f"{course.severity} {since} – {until}"


def _local(time: datetime) -> str:
    return f"{time.astimezone(LOCAL):%d/%m %H:%M}"
