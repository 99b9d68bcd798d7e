"""Both READMEs tell the truth: what they name exists, what they show works, and they say the same."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import tomllib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
import typer.main
from prometheus_client import REGISTRY

from alerts.conditions import ladder
from alerts.model import Observation
from alerts.rules.written import parse_rules
from ioc import metrics
from ioc.artifacts import KAFKA
from ioc.cli import DEMONSTRATION_SPEED, app
from ioc.settings import Settings, load_settings
from ioc.up import DEMONSTRATION_PREFIX
from streams.inventory import parse_inventory
from streams.schemas import EVENTS, MEASURES
from streams.topics import DAY_MS, Topics
from tests.planned import SCENARIO

ROOT = Path(__file__).resolve().parents[2]
TEXTS = {name: (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.vi.md")}
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")

both = pytest.mark.parametrize("name", TEXTS)


@pytest.fixture(autouse=True)
def defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    """The READMEs speak of defaults, whatever this machine's environment says."""
    for variable in [f"IOC_{field.upper()}" for field in Settings.model_fields]:
        monkeypatch.delenv(variable, raising=False)
    for variable in ("XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)


def blocks(name: str, language: str) -> list[str]:
    """The fenced blocks of one language."""
    return [body for kind, body in FENCE.findall(TEXTS[name]) if kind == language]


def prose(name: str) -> str:
    """The text without its fenced blocks."""
    return FENCE.sub("", TEXTS[name])


def code(name: str) -> list[str]:
    """Every line of a fenced block and every span of code in the prose."""
    lines = [line for _, body in FENCE.findall(TEXTS[name]) for line in body.splitlines()]
    return [*lines, *INLINE.findall(prose(name))]


def table(name: str, first: str) -> list[list[str]]:
    """The rows of the table whose first row begins with this cell, up to its end."""
    lines = iter(prose(name).splitlines())
    rows = []
    for line in lines:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and (rows or cells[0] == first):
            rows.append(cells)
        elif rows:
            break
    assert rows, f"{name} has no table with a row {first}"
    return rows


#: Commands that have commands of their own.
GROUPS = {group.typer_instance.info.name for group in app.registered_groups if group.typer_instance}


def commands(line: str) -> Iterator[tuple[str, list[str]]]:
    """Each call of the program in a line of code: the command, empty for none, and its options.

    A command of a group is named with it, such as `boundaries import`.
    """
    for call in re.split(r"(?<![\w.-])ioc +", line)[1:]:
        words = call.split()
        command = "" if words[0].startswith("-") else words[0]
        if command in GROUPS and len(words) > 1 and not words[1].startswith("-"):
            command = f"{command} {words[1]}"
        yield command, [word for word in words if word.startswith("--")]


@both
def test_every_command_and_option_exists(name: str) -> None:
    """What a reader types after `ioc` is a command of the program, with options that this command has."""
    program = typer.main.get_command(app)
    known = {"": program}
    for command, of in program.commands.items():
        inner = getattr(of, "commands", None)
        known |= {f"{command} {name}": one for name, one in inner.items()} if inner else {command: of}
    options = {
        command: {option for parameter in of.params for option in parameter.opts} | {"--help"}
        for command, of in known.items()
    }
    options |= {group: {"--help"} for group in ("COMMAND", *GROUPS)}  # COMMAND stands for any
    called = [call for line in code(name) for call in commands(line)]
    assert set(known) - {""} <= {command for command, _ in called}
    wrong = [(command, given) for command, given in called if not set(given) <= options.get(command, set())]
    assert wrong == []
    alone = {span for span in INLINE.findall(prose(name)) if span.startswith("--")}
    assert alone <= set().union(*options.values())


@both
def test_every_make_target_and_module_exists(name: str) -> None:
    """`make X` is a target of the Makefile, and `python -m X` a module."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {target for line in code(name) for target in re.findall(r"\bmake ([a-z-]+)", line)}
    assert {"run", "test"} <= named <= targets
    modules = {module for line in code(name) for module in re.findall(r"python -m ([\w.]+)", line)}
    assert [module for module in modules if importlib.util.find_spec(module) is None] == []


@both
def test_the_two_commands_come_first(name: str) -> None:
    """The first code that a reader sees is `make run` and `make test`, then the line with the address."""
    assert FENCE.findall(TEXTS[name])[0] == ("sh", "make run\nmake test\n")
    settings = load_settings()
    address = f"wall: http://{settings.host}:{settings.wall_port}/\n"
    assert FENCE.findall(TEXTS[name])[1] == ("text", address)
    assert TEXTS[name].index("maps/wall.png") < TEXTS[name].index("ioc.traffic")


def shown(value: object) -> str:
    """A default as the table has it."""
    if value is None or value == "":
        return "–"
    if isinstance(value, Path):
        return f"`{value}`".replace(str(Path.home()), "~")
    if isinstance(value, list):
        return f"`{json.dumps(value)}`"
    return f"`{value:g}`" if isinstance(value, int | float) else f"`{value}`"


@both
def test_the_settings_table_is_the_settings(name: str) -> None:
    """Each setting in its order with its default; in English also with the meaning that the program prints."""
    rows = table(name, "`IOC_BOOTSTRAP_SERVERS`")
    fields = Settings.model_fields
    assert [row[:2] for row in rows] == [
        [f"`IOC_{field.upper()}`", shown(info.get_default(call_default_factory=True))]
        for field, info in fields.items()
    ]
    assert all(row[2] for row in rows)
    if name == "README.md":
        assert [row[2] for row in rows] == [info.description for info in fields.values()]


@both
def test_every_variable_is_a_setting(name: str) -> None:
    """No IOC_ variable is named that the program does not read."""
    named = set(re.findall(r"\bIOC_[A-Z_]+", TEXTS[name]))
    assert named <= {f"IOC_{field.upper()}" for field in Settings.model_fields}


@both
def test_the_topics_table_is_the_table_of_topics(name: str) -> None:
    """Every topic in its order, with its partitions and the days that it keeps; in English with its key too."""
    rows = []
    for cells in table(name, "`ioc.traffic` `ioc.flood` `ioc.camera` `ioc.report`"):
        days = re.search(r"\d+", cells[3])
        for topic in INLINE.findall(cells[0]):
            rows.append((topic, cells[1], int(cells[2]), int(days[0]) * DAY_MS if days else None))
    topics = list(Topics.of(load_settings()))
    assert [(row[0], *row[2:]) for row in rows] == [
        (topic.name, topic.partitions, topic.retention_ms) for topic in topics
    ]
    if name == "README.md":
        assert [row[1] for row in rows] == [topic.key for topic in topics]


@both
def test_every_topic_named_exists(name: str) -> None:
    """No topic is named, in text or drawing, that is not in the table; a prefix is the demonstration's."""
    known = {topic.name for topic in Topics.of(load_settings())}
    named = set(re.findall(r"(?<![\w/])(?:[a-z]+\.)?ioc\.[a-z][a-z.-]*[a-z]", TEXTS[name]))
    assert {topic.removeprefix(DEMONSTRATION_PREFIX) for topic in named} == known


@both
def test_the_ports_are_the_defaults(name: str) -> None:
    """Each process stands with the port of its health, the broker and the wall with theirs."""
    settings = load_settings()
    ports = {row[0]: row for row in table(name, "`ioc up`")}
    health = {re.findall(r"ioc (\w+)", first)[0]: row[2] for first, row in ports.items()}
    assert health == {
        "up": "–",
        "broker": "–",
        "sense": str(settings.sense_health_port),
        "correlate": str(settings.correlate_health_port),
        "clock": str(settings.clock_health_port),
        "wall": str(settings.wall_health_port),
    }
    assert str(settings.broker_port) in ports["`ioc broker`"][1]
    assert str(settings.wall_port) in ports["`ioc wall`"][1]


@both
def test_every_metric_exists(name: str) -> None:
    """Every metric named is one that a process serves, spelt as Prometheus sees it."""
    assert metrics.EVENTS  # imported: the metrics are registered
    families = {
        f"{family.name}_total" if family.type == "counter" else family.name for family in REGISTRY.collect()
    }
    named = set(re.findall(r"`(ioc_[a-z_]+)`", TEXTS[name]))
    assert named
    assert named <= families


@both
def test_the_rule_the_inventory_and_the_event_work_together(name: str) -> None:
    """The three examples are accepted, and the event begins a level of the rule for the inventory's source."""
    rule_text, inventory_text = blocks(name, "yaml")
    [rule] = parse_rules(rule_text, name, MEASURES).rules
    sources = parse_inventory(inventory_text, name)
    [text] = blocks(name, "json")
    event = msgspec.json.decode(text, type=EVENTS[rule.stream])
    source = sources[event.source]
    assert source.stream == rule.stream
    observation = Observation(
        event=event.id, time=event.time, measures={rule.measure: getattr(event, rule.measure)}
    )
    state, _ = ladder.observe(rule, source, None, observation)
    assert ladder.next_due(rule, state) is not None
    _, changes = ladder.pass_time(rule, source, state, event.time + rule.hold + timedelta(seconds=1))
    assert [change.change for change in changes] == ["began"]


@both
def test_thresholds_in_the_example_are_those_of_the_station(name: str) -> None:
    """The example's source and its warning levels are the scenario's: no figure is made up for it."""
    shipped = parse_inventory((SCENARIO / "inventory.yaml").read_text(encoding="utf-8"), "inventory")
    for id_, source in parse_inventory(blocks(name, "yaml")[1], name).items():
        real = shipped[id_]
        assert (source.name, source.lon, source.lat) == (real.name, real.lon, real.lat)
        levels = {threshold.name: threshold.value for threshold in real.thresholds}
        assert all(levels[threshold.name] == threshold.value for threshold in source.thresholds)


@both
def test_the_subscriber_reads_a_topic_of_the_demonstration(name: str) -> None:
    """The Python example is Python, and names broker and topic as `make run` has them."""
    [program] = blocks(name, "python")
    ast.parse(program)
    settings = load_settings(topic_prefix=DEMONSTRATION_PREFIX)
    assert f'"{Topics.of(settings).alert_changes.name}"' in program
    assert f'"{settings.bootstrap}"' in program


@both
def test_figures_are_those_of_the_code(name: str) -> None:
    """Kafka's version, the demonstration's speed, and the number of alerts that the scenario must raise."""
    expected = json.loads((SCENARIO / "expected.json").read_text(encoding="utf-8"))
    text = prose(name)
    assert re.findall(r"Kafka (\d[\d.]+\d)", text) == [KAFKA]
    assert re.findall(r"(\d+) (?:alerts that must|cảnh báo phải)", text) == [str(len(expected["alerts"]))]
    assert re.findall(r"(\d+) (?:times as fast|lần\. Hãy mở)", text) == [f"{DEMONSTRATION_SPEED:g}"]
    assert re.findall(r"--speed (\S+)", TEXTS[name]) == [f"{DEMONSTRATION_SPEED:g}"]


@both
def test_every_path_and_link_leads_somewhere(name: str) -> None:
    """Relative links, the picture of the wall, files and folders in code all exist in the checkout."""
    links = {link for link in LINK.findall(prose(name)) if "://" not in link}
    assert "maps/wall.png" in links
    paths = {span for span in INLINE.findall(prose(name)) if re.fullmatch(r"[\w.-]+/[\w./-]*", span)}
    made = {path for path in paths if path.startswith(".venv/")}
    missing = [path for path in sorted(links | paths - made) if not (ROOT / path).exists()]
    assert missing == []


@both
def test_the_listing_has_every_package(name: str) -> None:
    """Each package that is installed, and the folders beside them, has a line."""
    listed = {INLINE.findall(row[0])[0].rstrip("/") for row in table(name, "`alerts/`")}
    packaging = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    packages = {package.rstrip("*") for package in packaging["packages"]["find"]["include"]}
    assert packages | {"deploy", "tests"} <= listed


@both
def test_licences_name_packages_that_are_installed(name: str) -> None:
    """The list of others' works is about dependencies of ours; our own licence is the package's."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    dependencies = {re.split(r"[<>=]", dependency)[0] for dependency in project["dependencies"]}
    assert {row[1] for row in table(name, "Leaflet")} <= dependencies
    assert project["license"] == "Apache-2.0"
    assert "Version 2.0, January 2004" in (ROOT / "LICENSE").read_text()


def test_both_say_the_same() -> None:
    """Headings of the same levels, the same code, and the same links, tables and names in the same places."""
    english, vietnamese = TEXTS
    for extract in (
        lambda name: re.findall(r"^#+(?= )", prose(name), re.MULTILINE),
        lambda name: FENCE.findall(TEXTS[name]),
        lambda name: re.findall(r"^\|[-|]+\|$", prose(name), re.MULTILINE),
        lambda name: sorted(INLINE.findall(prose(name))),
        lambda name: [link for link in LINK.findall(prose(name)) if not link.startswith("README")],
    ):
        assert extract(english) == extract(vietnamese)
    assert "(README.vi.md)" in TEXTS[english]
    assert "(README.md)" in TEXTS[vietnamese]


def test_the_changelog_has_the_present_version_first() -> None:
    """What is installed is what the changelog's first entry tells of."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (\S+)", text, re.MULTILINE)[0] == version
