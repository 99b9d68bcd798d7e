"""`ioc rules ...`: check rules, run their examples, print the schemas of the files that people write."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ioc.errors import UserError
from ioc.textfile import read_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from msgspec import Struct

    from alerts.model import Source
    from alerts.rules.policy import MaintenanceWindow, Subscription
    from alerts.rules.written import Written
    from ioc.settings import Settings

#: Exit codes: an example failed; a file is wrong.
FAILED, WRONG = 1, 2

app = typer.Typer(
    name="rules",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="""Rules that raise alerts: check them, and run the examples beside them.

A rule is a few lines of YAML:

    version: 1
    rules:
      - id: street-water
        title: {vi: Ngập đường, en: Water on the street}
        hazard: flood
        stream: flood
        measure: road_depth_m
        unit: m
        direction: above
        hold: 5m
        levels:
          - {severity: minor, raise: 0.15, clear: 0.10}
        examples:
          - name: water that stays raises an alert after five minutes
            given:
              - {at: 0m, road_depth_m: 0.20}
            until: 10m
            expect:
              - {at: 5m, change: raised, severity: minor}

`kind:` says what else there is: `ladder` (left out), `rate` of change, `silence` of a source, `count` of reports near
a place, mean or share in a `commune`, `fusion` of several streams. All of them are in the file that ships; begin with
a copy of it, whose place `ioc rules check` prints, and name your copy in IOC_RULES_FILE:

    ioc rules check my-rules.yaml
    ioc rules test my-rules.yaml

An editor that knows JSON Schema completes and checks as you write, with `ioc rules schema > rules.schema.json` and as
the first line of the rules `# yaml-language-server: $schema=rules.schema.json`.
""",
)

_Inventory = Annotated[
    Path | None, typer.Option(help="Inventory of sources.  [default: IOC_INVENTORY_FILE]", metavar="FILE")
]


@app.command()
def check(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Rules, maintenance windows or subscriptions.  [default: those in force]",
            metavar="[FILE]...",
        ),
    ] = None,
    inventory: _Inventory = None,
) -> None:
    """Check files of rules, maintenance windows and subscriptions; exit with 2 where one is wrong.

    Prints every problem with file, line, reason and remedy; then what the rules cannot judge with the inventory:
    a legal threshold that a source does not have is never made up.
    """
    settings, found = _settings(), Found()
    for path in files or _in_force(settings):
        found.take(path)
    listed = inventory or settings.inventory_file
    if listed is not None:
        found.take_inventory(listed)
    if found.wrong:
        raise typer.Exit(WRONG)
    found.tell()


@app.command("test")
def try_examples(
    file: Annotated[
        Path | None, typer.Argument(help="Rules.  [default: those in force]", metavar="[FILE]")
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Print what came of each example.")
    ] = False,
) -> None:
    """Run the examples beside the rules; exit with 1 where something else comes than they expect.

    They run through the functions that judge a live system, with the boundaries of this installation. Each has its
    own sources. Times are after its start (15m) or on the clock (07:30). Without `expect`, no alert of the rule may
    come. What is left out of an expectation is not compared; changes that only other alerts or people cause
    (suppressed, resumed, overdue) and `updated` are compared only where one of that name is expected.

    Example: `ioc rules test my-rules.yaml`
    """
    from alerts.rules.written import read_rules
    from ioc.commands.rule_examples import run_examples, told
    from streams.schemas import MEASURES

    settings = _settings()
    path = file or _in_force(settings)[0]
    try:
        written = read_rules(read_text(path), str(path), MEASURES)
    except UserError as error:
        _tell(error)
        raise typer.Exit(WRONG) from None
    tried, failed = set(), 0
    for outcome in run_examples(settings, path, written.examples):
        tried.add(outcome.example.rule)
        failed += not outcome.good
        typer.echo("\n".join(told(outcome, verbose=verbose)))
    untried = [rule.id for rule in written.ruleset.rules if rule.id not in tried]
    if untried:
        typer.echo(f"without an example: {', '.join(untried)}")
    typer.echo(f"{len(written.examples) - failed} of {len(written.examples)} examples are as expected")
    if failed:
        raise typer.Exit(FAILED)


@app.command()
def schema(
    name: Annotated[
        Literal["rules", "maintenance", "subscriptions", "inventory"], typer.Argument(help="Which file.")
    ] = "rules",
) -> None:
    """Print the JSON Schema of a file that people write, for an editor.

    It holds the form; `ioc rules check` checks what must fit together.

    Example: `ioc rules schema maintenance > maintenance.schema.json`
    """
    import json

    from alerts.agencies.subscriptions import SubscriptionFile
    from alerts.rules.maintenance import MaintenanceFile
    from alerts.rules.schema import file_schema
    from alerts.rules.specs import RuleFile
    from streams.inventory import InventoryFile

    kinds: dict[str, type[Struct]] = {
        "rules": RuleFile,
        "maintenance": MaintenanceFile,
        "subscriptions": SubscriptionFile,
        "inventory": InventoryFile,
    }
    typer.echo(json.dumps(file_schema(kinds[name], f"IOC {name}"), ensure_ascii=False, indent=2))


@dataclass
class Found:
    """What some files say, as far as they are good."""

    written: list[tuple[Path, Written]] = field(default_factory=list)
    maintenance: list[MaintenanceWindow] = field(default_factory=list)
    subscriptions: list[Subscription] = field(default_factory=list)
    inventory: Path | None = None
    sources: dict[str, Source] | None = None
    wrong: bool = False

    def take(self, path: Path) -> None:
        """Read a file: rules, or what it is by the key that only such a file has."""
        from alerts.agencies.subscriptions import parse_subscriptions
        from alerts.rules.maintenance import parse_maintenance
        from alerts.rules.written import read_rules
        from ioc.yamlfile import Document
        from streams.schemas import MEASURES

        try:
            text = read_text(path)
            data = Document(text, str(path)).data
            keys = set(data) if isinstance(data, dict) else set()
            if "windows" in keys:
                windows = parse_maintenance(text, str(path))
                self.maintenance += windows
                what = f"{len(windows)} maintenance windows"
            elif "agencies" in keys:
                subscriptions = parse_subscriptions(text, str(path))
                self.subscriptions += subscriptions
                what = f"{len(subscriptions)} agencies"
            elif "sources" in keys:
                self.take_inventory(path)
                return
            else:
                written = read_rules(text, str(path), MEASURES)
                self.written.append((path, written))
                what = _described(written)
        except UserError as error:
            self._refuse(error)
        else:
            typer.echo(f"{path}: good: {what}")

    def take_inventory(self, path: Path) -> None:
        from streams.inventory import parse_inventory

        try:
            sources = parse_inventory(read_text(path), str(path))
        except UserError as error:
            self._refuse(error)
        else:
            self.inventory, self.sources = path, sources
            typer.echo(f"{path}: good: {len(sources)} sources")

    def _refuse(self, error: UserError) -> None:
        self.wrong = True
        _tell(error)

    def tell(self) -> None:
        """Print what cannot be judged, what lapses, and names that stand for nothing."""
        from alerts.rules.coverage import lapsing, not_judged, not_there

        for path, written in self.written:
            ruleset = written.ruleset
            if self.sources is None:
                typer.echo("no inventory: name one with --inventory to see what the rules cannot judge")
            else:
                where = f"{path} with {self.inventory}"
                now = datetime.now(UTC)
                _list(f"{where} cannot judge:", not_judged(ruleset.rules, self.sources))
                _list(f"{where}: thresholds lapse:", lapsing(ruleset.rules, self.sources, now))
            slips = not_there(ruleset, self.sources, self.maintenance, self.subscriptions)
            _list(f"{path}: perhaps a slip:", slips)


def _in_force(settings: Settings) -> list[Path]:
    """The files that this installation judges by, the rules first."""
    from streams.configuration import DEFAULT_RULES

    files = (settings.rules_file or DEFAULT_RULES, settings.maintenance_file, settings.subscriptions_file)
    return [path for path in files if path is not None]


def _described(written: Written) -> str:
    ruleset = written.ruleset
    kinds = Counter(str(rule.__struct_config__.tag) for rule in ruleset.rules)
    parts = (
        f"{len(ruleset.rules)} rules ({', '.join(f'{n} {kind}' for kind, n in kinds.items()) or 'none'})",
        f"{len(ruleset.groupings)} incidents",
        f"{len(ruleset.inhibitions)} inhibitions",
        f"{len(ruleset.escalations)} escalations",
        f"{len(written.examples)} examples",
    )
    return ", ".join(parts)


def _tell(error: UserError) -> None:
    """All problems of a file, two lines each, as every command tells an error."""
    for problem in getattr(error, "problems", (error,)):
        typer.echo(f"ioc: {problem.what}: {problem.where}\n  -> {problem.remedy}", err=True)
    if getattr(error, "unfinished", False):
        typer.echo("ioc: there is more to mend\n  -> mend these, and check again", err=True)


def _list(head: str, lines: Sequence[str]) -> None:
    if lines:
        typer.echo("\n".join([head, *(f"  {line}" for line in lines)]))


def _settings() -> Settings:
    from ioc.logs import configure_logs
    from ioc.settings import load_settings

    configure_logs()
    return load_settings()
