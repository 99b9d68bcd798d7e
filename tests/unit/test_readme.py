"""Both READMEs tell the truth: what they name exists, what they show works, and they say the same."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import tomllib
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from alerts import lifecycle
from alerts.agencies.subscriptions import parse_subscriptions
from alerts.conditions import ladder
from alerts.model import Observation
from alerts.rules.policy import LEAST_ROLE, ROLES
from alerts.rules.written import parse_rules
from ioc.artifacts import KAFKA
from ioc.cli import DEMONSTRATION_SPEED
from ioc.settings import Settings, load_settings
from ioc.up import DEMONSTRATION_PREFIX
from streams.identity import reporter_in
from streams.inventory import parse_inventory
from streams.schemas import EVENTS, MEASURES
from streams.topics import DAY_MS, Topics
from tests.planned import SCENARIO
from tests.prose import INLINE, ROOT, Document, calls, families, options, wrong_calls

ENGLISH, VIETNAMESE = Document("README.md"), Document("README.vi.md")
#: What is written for people beside them.
OTHERS = (
    "alerts/README.md",
    "alerts/README.vi.md",
    "alerts/LIFECYCLE.md",
    "deploy/README.md",
    "deploy/FAILURES.md",
    "deploy/FAILURES.vi.md",
    "streams/FAUST.md",
)

both = pytest.mark.parametrize("readme", [ENGLISH, VIETNAMESE], ids=lambda one: one.name)
every = pytest.mark.parametrize("name", ["README.md", "README.vi.md", *OTHERS])


@pytest.fixture(autouse=True)
def defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    """The READMEs speak of defaults, whatever this machine's environment says."""
    for variable in [f"IOC_{field.upper()}" for field in Settings.model_fields]:
        monkeypatch.delenv(variable, raising=False)
    for variable in ("XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)


@every
def test_what_is_called_exists(name: str) -> None:
    """What a reader types after `ioc` has options that this command has."""
    assert wrong_calls(Document(name)) == []


@both
def test_every_command_is_told_of(readme: Document) -> None:
    """A reader of the README has seen each command of the program, and no option that no command has."""
    told = {command for line in readme.code for command, _ in calls(line)}
    assert set(options()) - {""} <= told
    assert {span for span in readme.spans if span.startswith("--")} <= set().union(*options().values())


@both
def test_every_make_target_and_module_exists(readme: Document) -> None:
    """`make X` is a target of the Makefile, and `python -m X` a module."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {target for line in readme.code for target in re.findall(r"\bmake ([a-z-]+)", line)}
    assert {"run", "test"} <= named <= targets
    modules = {module for line in readme.code for module in re.findall(r"python -m ([\w.]+)", line)}
    assert [module for module in modules if importlib.util.find_spec(module) is None] == []


@both
def test_the_two_commands_come_first(readme: Document) -> None:
    """The first code that a reader sees is `make run` and `make test`, then the line with the address."""
    assert readme.fences[0] == ("sh", "make run\nmake test\n")
    settings = load_settings()
    address = f"wall: http://{settings.host}:{settings.wall_port}/\n"
    assert readme.fences[1] == ("text", address)
    assert readme.text.index("maps/wall.png") < readme.text.index("ioc.traffic")


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
def test_the_settings_table_is_the_settings(readme: Document) -> None:
    """Each setting in its order with its default; in English also with the meaning that the program prints."""
    rows = readme.table("`IOC_BOOTSTRAP_SERVERS`")
    fields = Settings.model_fields
    assert [row[:2] for row in rows] == [
        [f"`IOC_{field.upper()}`", shown(info.get_default(call_default_factory=True))]
        for field, info in fields.items()
    ]
    assert all(row[2] for row in rows)
    if readme == ENGLISH:
        assert [row[2] for row in rows] == [info.description for info in fields.values()]


@both
def test_the_topics_table_is_the_table_of_topics(readme: Document) -> None:
    """Every topic in its order, with its partitions and the days that it keeps; in English with its key too."""
    rows = []
    for cells in readme.table("`ioc.traffic` `ioc.flood` `ioc.camera` `ioc.report`"):
        days = re.search(r"\d+", cells[3])
        for topic in INLINE.findall(cells[0]):
            rows.append((topic, cells[1], int(cells[2]), int(days[0]) * DAY_MS if days else None))
    topics = list(Topics.of(load_settings()))
    assert [(row[0], *row[2:]) for row in rows] == [
        (topic.name, topic.partitions, topic.retention_ms) for topic in topics
    ]
    if readme == ENGLISH:
        assert [row[1] for row in rows] == [topic.key for topic in topics]


@both
def test_every_topic_named_exists(readme: Document) -> None:
    """No topic is named, in text or drawing, that is not in the table; a prefix is the demonstration's."""
    known = {topic.name for topic in Topics.of(load_settings())}
    named = set(re.findall(r"(?<![\w/])(?:[a-z]+\.)?ioc\.[a-z][a-z.-]*[a-z]", readme.text))
    assert {topic.removeprefix(DEMONSTRATION_PREFIX) for topic in named} == known


@both
def test_the_ports_are_the_defaults(readme: Document) -> None:
    """Each process stands with the port of its health, the broker and the wall with theirs."""
    settings = load_settings()
    ports = {row[0]: row for row in readme.table("`ioc up`")}
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
def test_the_rule_the_inventory_and_the_event_work_together(readme: Document) -> None:
    """The three examples are accepted, and the event begins a level of the rule for the inventory's source."""
    rule_text, inventory_text = readme.blocks("yaml")
    [rule] = parse_rules(rule_text, readme.name, MEASURES).rules
    sources = parse_inventory(inventory_text, readme.name)
    text, report = readme.blocks("json")
    reporter = reporter_in(report.encode())
    assert reporter.hash in report
    assert not reporter.unsealed
    msgspec.json.decode(report, type=EVENTS["report"])
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
def test_thresholds_in_the_example_are_those_of_the_station(readme: Document) -> None:
    """The example's source and its warning levels are the scenario's: no figure is made up for it."""
    shipped = parse_inventory((SCENARIO / "inventory.yaml").read_text(encoding="utf-8"), "inventory")
    for id_, source in parse_inventory(readme.blocks("yaml")[1], readme.name).items():
        real = shipped[id_]
        assert (source.name, source.lon, source.lat) == (real.name, real.lon, real.lat)
        levels = {threshold.name: threshold.value for threshold in real.thresholds}
        assert all(levels[threshold.name] == threshold.value for threshold in source.thresholds)


@both
def test_the_subscriber_reads_a_topic_of_the_demonstration(readme: Document) -> None:
    """The Python example is Python, and names broker and topic as `make run` has them."""
    [program] = readme.blocks("python")
    ast.parse(program)
    settings = load_settings(topic_prefix=DEMONSTRATION_PREFIX)
    assert f'"{Topics.of(settings).alert_changes.name}"' in program
    assert f'"{settings.bootstrap}"' in program


@both
def test_the_agency_of_the_demonstration_is_told_there(readme: Document) -> None:
    """The agency that a reader is to listen to in the demonstration is one of the scenario's, and for exercises."""
    agencies = parse_subscriptions((SCENARIO / "subscriptions.yaml").read_text(encoding="utf-8"), "agencies")
    named = re.findall(rf"{re.escape(DEMONSTRATION_PREFIX)} ioc subscribe (\S+)`", readme.prose)
    assert named
    assert set(named) <= {agency.agency for agency in agencies if agency.exercise}


@both
def test_figures_are_those_of_the_code(readme: Document) -> None:
    """Kafka's version, the demonstration's speed, and the number of alerts that the scenario must raise."""
    expected = json.loads((SCENARIO / "expected.json").read_text(encoding="utf-8"))
    text = readme.prose
    assert re.findall(r"Kafka (\d[\d.]+\d)", text) == [KAFKA]
    assert re.findall(r"(\d+) (?:alerts that must|cảnh báo phải)", text) == [str(len(expected["alerts"]))]
    assert re.findall(r"(\d+) (?:times as fast|lần\. Hãy mở)", text) == [f"{DEMONSTRATION_SPEED:g}"]
    assert re.findall(r"--speed (\S+)", readme.text) == [f"{DEMONSTRATION_SPEED:g}"]


@both
def test_the_listing_has_every_package(readme: Document) -> None:
    """Each package that is installed, and the folders beside them, has a line."""
    listed = {INLINE.findall(row[0])[0].rstrip("/") for row in readme.table("`alerts/`")}
    packaging = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    packages = {package.rstrip("*") for package in packaging["packages"]["find"]["include"]}
    assert packages | {"deploy", "tests"} <= listed


@both
def test_licences_name_packages_that_are_installed(readme: Document) -> None:
    """The list of others' works is about packages that are locked, or that ours are made of; our licence is ours."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    locked = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    dependencies = {re.split(r"[<>=]", dependency)[0] for dependency in locked}
    assert {row[1] for row in readme.table("Leaflet")} <= dependencies
    assert project["license"] == "Apache-2.0"
    assert "Version 2.0, January 2004" in (ROOT / "LICENSE").read_text()


@every
def test_every_variable_is_a_setting(name: str) -> None:
    """No IOC_ variable is named that the program does not read."""
    named = set(re.findall(r"\bIOC_[A-Z_]*[A-Z]", Document(name).text))
    assert named <= {f"IOC_{field.upper()}" for field in Settings.model_fields}


@every
def test_every_metric_exists(name: str) -> None:
    """Every metric named is one that a process serves, spelt as Prometheus sees it."""
    named = set(re.findall(r"`(ioc_[a-z_]+)`", Document(name).text)) - {"ioc_inner"}
    assert named <= families()


@every
def test_every_path_and_link_leads_somewhere(name: str) -> None:
    """Relative links, the picture of the wall, files and folders in code all exist in the checkout."""
    assert Document(name).missing() == []


@both
def test_what_matters_is_linked(readme: Document) -> None:
    """Who reads only the README finds the picture of the wall, the guide to rules, the lifecycle, the deployment."""
    linked = {"maps/wall.png", "alerts/README.md", "alerts/LIFECYCLE.md", "deploy/README.md"}
    assert linked <= set(readme.links)


@both
def test_the_states_are_those_of_the_lifecycle(readme: Document) -> None:
    """Each state stands with the commands that the table of transitions lets through in it, and no other."""
    rows = readme.table("`new`")
    assert [INLINE.findall(row[0]) for row in rows] == [
        [state] for state in lifecycle.STATES if state != "none"
    ]
    for row in rows:
        [state] = INLINE.findall(row[0])
        allowed = {action for action in LEAST_ROLE if (state, action) in lifecycle.TABLE}
        assert set(INLINE.findall(row[2])) == allowed, state


@both
def test_the_roles_are_named(readme: Document) -> None:
    """Who may do what is said with the names that the file of operators has."""
    assert set(ROLES) <= set(readme.spans)


@pytest.mark.parametrize("one", ["README", "alerts/README"])
def test_both_say_the_same(one: str) -> None:
    """Headings of the same levels, the same code, and the same links, tables and names in the same places."""
    english, vietnamese = Document(f"{one}.md"), Document(f"{one}.vi.md")
    for extract in (
        lambda text: text.headings,
        lambda text: text.fences,
        lambda text: re.findall(r"^\|[-|]+\|$", text.prose, re.MULTILINE),
        lambda text: sorted(text.spans),
        lambda text: [link for link in text.links if not link.startswith("README")],
    ):
        assert extract(english) == extract(vietnamese)
    assert "README.vi.md" in english.links
    assert "README.md" in vietnamese.links


def test_the_changelog_has_the_present_version_first() -> None:
    """What is installed is what the changelog's first entry tells of."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (\S+)", text, re.MULTILINE)[0] == version
