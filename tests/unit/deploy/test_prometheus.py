"""Prometheus' files: valid, about metrics that exist, and rules that fire when they must."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import prometheus_client
import pytest
import yaml
from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.parser import text_string_to_metric_families

import ioc.metrics
from ioc.delays import Delays
from ioc.health import STALE_SECONDS, Health
from ioc.settings import Settings

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "deploy" / "prometheus"

#: What scraping adds to each series (targets.yml), and what no metric of ours is.
TARGET_LABELS = {"job", "instance", "service"}
OF_PROMETHEUS = {"up"}


def rules() -> list[dict]:
    groups = yaml.safe_load((FOLDER / "rules.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def targets(file: str) -> dict[str, str]:
    """Address of each service."""
    groups = yaml.safe_load((FOLDER / file).read_text())
    return {group["labels"]["service"]: address for group in groups for address in group["targets"]}


@pytest.fixture(scope="module")
def promtool() -> str:
    """The program, from PATH or from the environment into which `make tools` puts it."""
    path = os.pathsep.join([os.environ.get("PATH", ""), str(ROOT / ".venv" / "bin")])
    found = shutil.which("promtool", path=path)
    if found is None:
        reason = "no promtool: run make tools, or install Debian's package prometheus"
        pytest.fail(reason, pytrace=False) if os.environ.get("CI") else pytest.skip(reason)
    return found


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "config", "--lint=all", "--lint-fatal", "prometheus.yml"),
        ("check", "rules", "--lint=all", "--lint-fatal", "rules.yml"),
        ("test", "rules", "rules_test.yml"),
    ],
    ids=" ".join,
)
def test_promtool_has_no_objection(promtool: str, arguments: tuple[str, ...]) -> None:
    """The configuration and rules are valid, and each rule fires and stays silent as rules_test.yml says."""
    result = subprocess.run(
        [promtool, *arguments], cwd=FOLDER, capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_rule_is_tested() -> None:
    """No rule without a test that sees it fire."""
    tested = (FOLDER / "rules_test.yml").read_text()
    assert [rule["alert"] for rule in rules() if rule["alert"] not in tested] == []


@pytest.fixture(scope="module")
def exposition() -> dict[str, set[str]]:
    """Name and labels of every series that a process exposes once each of its metrics has a value."""
    registry, made = CollectorRegistry(), []
    for metric in vars(ioc.metrics).values():
        if isinstance(metric, MetricWrapperBase):
            registry.register(metric)
            if metric._labelnames:
                made.append((metric, ["test"] * len(metric._labelnames)))
                metric.labels(*made[-1][1])
        elif isinstance(metric, Delays):
            registry.register(metric)
            metric.observe("test", [])
    text = prometheus_client.generate_latest(registry).decode()
    for metric, labels in made:
        metric.remove(*labels)
    ioc.metrics.LOCATED_DELAY.forget("test")
    return {
        sample.name: set(sample.labels)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_every_metric_of_the_rules_exists(exposition: dict[str, set[str]]) -> None:
    """A renamed metric, or a counter named without its suffix, would silence its rule without a word."""
    used = {name for rule in rules() for name in re.findall(r"\bioc_\w+", rule["expr"])}
    assert used
    assert used - exposition.keys() == set()


def test_the_tested_series_are_those_that_are_exposed(exposition: dict[str, set[str]]) -> None:
    """A rule proven on invented labels proves nothing."""
    groups = yaml.safe_load((FOLDER / "rules_test.yml").read_text())["tests"]
    for series in (series["series"] for group in groups for series in group["input_series"]):
        (family,) = text_string_to_metric_families(f"{series} 0\n")
        name, labels = family.samples[0].name, set(family.samples[0].labels)
        if name not in OF_PROMETHEUS:
            assert labels - TARGET_LABELS == exposition[name], series


def test_rules_group_and_select_by_labels_that_exist(exposition: dict[str, set[str]]) -> None:
    """Each label in `by (...)`, `on (...)` or a selector is one of a metric in the same rule, or of its target."""
    for rule in rules():
        known = TARGET_LABELS.union(*(exposition[name] for name in re.findall(r"\bioc_\w+", rule["expr"])))
        lists = re.findall(r"\b(?:by|on)\s*\(([^)]*)\)", rule["expr"])
        named = {label.strip() for text in lists for label in text.split(",")}
        named |= set(re.findall(r"[{,]\s*(\w+)\s*=~?\s*\"", rule["expr"]))
        assert named <= known, rule["alert"]


def test_every_rule_says_what_is_wrong_in_both_languages_and_what_to_do() -> None:
    """Whoever is called at night reads one of the two, and the remedy with it."""
    for rule in rules():
        assert rule["labels"]["severity"] in {"critical", "warning"}, rule["alert"]
        assert set(rule["annotations"]) == {"summary", "summary_vi", "action", "action_vi"}, rule["alert"]
        assert all(rule["annotations"].values())


def test_the_readme_explains_every_rule_and_no_other() -> None:
    """The table of deploy/README.md is complete, and its severities are those of the rules."""
    text = (ROOT / "deploy" / "README.md").read_text()
    table = re.findall(r"^\| (Ioc\w+) \| (\w+) \|", text, re.MULTILINE)
    assert table == [(rule["alert"], rule["labels"]["severity"]) for rule in rules()]


@pytest.mark.parametrize(("file", "host"), [("targets.yml", "127.0.0.1"), ("targets.compose.yml", None)])
def test_each_process_is_scraped_at_its_default_port(file: str, host: str | None) -> None:
    """On one machine at loopback, in containers by the service's name."""
    suffix = "_health_port"
    ports = {
        name.removesuffix(suffix): field.default
        for name, field in Settings.model_fields.items()
        if name.endswith(suffix)
    }
    assert targets(file) == {service: f"{host or service}:{port}" for service, port in ports.items()}


def test_a_beat_is_seen_by_prometheus() -> None:
    """The rule about a stuck process reads what Health.beat writes, with the same patience as /healthz."""
    ioc.metrics.BEAT.set(0)
    Health().beat()
    (sample,) = next(iter(ioc.metrics.BEAT.collect())).samples
    assert sample.value > 0
    (rule,) = (rule for rule in rules() if rule["alert"] == "IocStalled")
    assert f"> {STALE_SECONDS:g} " in rule["expr"]
