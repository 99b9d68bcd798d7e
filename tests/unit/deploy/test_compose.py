"""The compose files and the image's recipe against the program that they run. No container engine is needed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from ioc.cli import app
from ioc.settings import Settings, load_settings
from maps.exposure import require_guarded

ROOT = Path(__file__).resolve().parents[3]
DEPLOY = ROOT / "deploy"
BASE, DEMO = DEPLOY / "compose.yaml", DEPLOY / "compose.demo.yaml"

#: Commands that end by themselves.
ONE_SHOT = {"topics"}
#: An image with a tag of a whole version; no registry's host, no `latest`.
PINNED = re.compile(r"(?:[a-z0-9-]+/)?[a-z0-9-]+:v?\d+\.\d+\.\d+(?:-[a-z0-9.-]+)?")


def interpolated(value: Any) -> Any:
    """Values as compose sees them where its environment is empty: ${NAME:-default} is the default."""
    if isinstance(value, dict):
        return {key: interpolated(item) for key, item in value.items()}
    if isinstance(value, list):
        return [interpolated(item) for item in value]
    if isinstance(value, str):
        value = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value)
        assert "$" not in value, f"an interpolation that has no default: {value}"
    return value


def services(demo: bool = False) -> dict[str, dict]:
    """The services as compose would run them; the demonstration's file laid over the other."""
    merged: dict[str, dict] = interpolated(yaml.safe_load(BASE.read_text())["services"])
    if demo:
        for name, changes in interpolated(yaml.safe_load(DEMO.read_text())["services"]).items():
            environment = merged[name]["environment"] | changes.get("environment", {})
            merged[name] |= changes | {"environment": environment}
    return merged


def ours(demo: bool = False) -> dict[str, dict]:
    """The services that run this program."""
    image = yaml.safe_load(BASE.read_text())["x-ioc"]["image"]
    return {name: service for name, service in services(demo).items() if service["image"] == image}


def settings_of(service: dict, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The settings that the program would read in that container."""
    for name in list(os.environ):
        if name.startswith("IOC_"):
            monkeypatch.delenv(name)
    for name, value in service["environment"].items():
        monkeypatch.setenv(name, value)
    return load_settings()


@pytest.mark.parametrize("demo", [False, True], ids=["live", "demo"])
def test_every_command_is_one_of_the_program(demo: bool) -> None:
    """Command and options are parsed by the command line itself, without running them."""
    group = typer.main.get_command(app)
    commands = {service["command"][0] for service in ours(demo).values()}
    assert commands == {"topics", "sense", "correlate", "wall", "replay" if demo else "clock"}
    for service in ours(demo).values():
        with group.make_context("ioc", list(service["command"])) as context:
            name, command, rest = group.resolve_command(context, list(service["command"]))
            command.make_context(name, rest, parent=context).close()


@pytest.mark.parametrize("demo", [False, True], ids=["live", "demo"])
def test_every_variable_is_a_setting(demo: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistyped IOC_... would be ignored; a wrong value would stop the container."""
    known = {f"IOC_{name.upper()}" for name in Settings.model_fields}
    for name, service in ours(demo).items():
        assert set(service["environment"]) <= known, name
        assert settings_of(service, monkeypatch).topic_prefix == ("demo." if demo else "")
    assert set(re.findall(r"IOC_[A-Z_]+", (DEPLOY / "Containerfile").read_text())) <= known


def test_what_the_installation_chooses_reaches_the_setting_of_the_same_name() -> None:
    """IOC_X of compose's environment is IOC_X in the container."""
    environment = yaml.safe_load(BASE.read_text())["x-environment"]
    passed = {name: value for name, value in environment.items() if "$" in value}
    assert {"IOC_PROVINCES", "IOC_INVENTORY_FILE", "IOC_TOPIC_PREFIX"} <= set(passed)
    assert passed == {name: f"${{{name}:-}}" for name in passed}


def test_only_loopback_is_published() -> None:
    """Who reaches a server sees all it has: nothing may from other machines, and Kafka not even from this one."""
    published = {name: service["ports"] for name, service in services().items() if "ports" in service}
    assert set(published) == {"wall", "prometheus"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)
    assert not any(service.get("network_mode") for service in services().values())


def test_images_are_pinned() -> None:
    """An image is named with a whole version and no registry's host; the Containerfile's bases too."""
    images = {service["image"] for service in services().values()}
    bases = re.findall(r"^FROM (\S+)", (DEPLOY / "Containerfile").read_text(), re.MULTILINE)
    assert len(set(bases)) == 1
    assert [image for image in [*images, *bases] if not PINNED.fullmatch(image)] == []


def test_kafka_is_the_embedded_brokers_release() -> None:
    """One release to know, whichever way it is installed."""
    pinned = re.search(r"<kafka\.version>(.*)</kafka\.version>", (DEPLOY / "kafka" / "pom.xml").read_text())
    assert pinned
    assert services()["kafka"]["image"] == f"apache/kafka:{pinned[1]}"


def test_kafka_is_told_what_the_shared_settings_leave_open() -> None:
    """deploy/kafka/server.properties has all but the addresses and the directory, for both installations."""
    kafka = services()["kafka"]
    shared = (DEPLOY / "kafka" / "server.properties").read_text()
    given = {key for key in kafka["environment"] if key != "KAFKA_HEAP_OPTS"}
    names = {key.removeprefix("KAFKA_").lower().replace("_", ".") for key in given}
    assert names == {"listeners", "advertised.listeners", "controller.quorum.voters", "log.dirs"}
    assert [name for name in names if re.search(rf"^{re.escape(name)}\s*=", shared, re.MULTILINE)] == []
    data = kafka["environment"]["KAFKA_LOG_DIRS"]
    assert f"kafka:{data}" in kafka["volumes"], "the log survives the container"


def test_health_is_asked_at_the_port_that_the_process_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every service that runs on has a health check, at the port of its settings, where Prometheus asks too."""
    scraped = yaml.safe_load((DEPLOY / "prometheus" / "targets.compose.yml").read_text())
    addresses = {address for group in scraped for address in group["targets"]}
    running = {name: service for name, service in ours().items() if name not in ONE_SHOT}
    for name, service in running.items():
        port = getattr(settings_of(service, monkeypatch), f"{name}_health_port")
        assert service["healthcheck"]["test"][-1] == str(port)
        assert f"{name}:{port}" in addresses
    assert len(addresses) == len(running)
    assert {name for name, service in services().items() if "healthcheck" not in service} == ONE_SHOT


def test_the_walls_port_is_the_one_that_is_published(monkeypatch: pytest.MonkeyPatch) -> None:
    """What 127.0.0.1 publishes is where the wall listens, at all addresses of its container."""
    wall = services()["wall"]
    settings = settings_of(wall, monkeypatch)
    assert wall["ports"] == [f"127.0.0.1:{settings.wall_port}:{settings.wall_port}"]
    assert settings.host == "0.0.0.0"
    require_guarded(settings, operators=False)


def test_each_service_starts_after_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kafka answers, then the topics are made, then the processes start; they end before compose kills them."""
    every = services()
    assert every["topics"]["depends_on"] == {"kafka": {"condition": "service_healthy"}}
    for name, service in ours().items():
        if name not in ONE_SHOT:
            assert service["depends_on"] == {"topics": {"condition": "service_completed_successfully"}}
            assert service["restart"] == "unless-stopped"
        grace = float(service["stop_grace_period"].removesuffix("s"))
        assert grace > settings_of(service, monkeypatch).shutdown_grace
        assert settings_of(service, monkeypatch).bootstrap == "kafka:9092"


def test_containers_have_few_rights_and_bounds() -> None:
    """No capabilities, no new privileges, bounded memory and processes; ours and Prometheus read-only."""
    for name, service in services().items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["mem_limit"], name
        assert service["pids_limit"], name
        assert service.get("read_only") or name == "kafka"
        assert "privileged" not in service


def test_what_is_mounted_exists_and_is_read_only() -> None:
    """A path that is missing would become an empty folder, made by root."""
    declared = yaml.safe_load(BASE.read_text())["volumes"]
    for service in services().values():
        for volume in service.get("volumes", []):
            source, _, mode = volume.split(":", 2) if volume.count(":") == 2 else (*volume.split(":"), "")
            if source.startswith("."):
                assert (DEPLOY / source).exists(), source
                assert mode == "ro", volume
            else:
                assert source in declared


def test_the_recipe_installs_the_lock_with_hashes_and_drops_root() -> None:
    """The image holds what was locked, every package of the program, and runs as somebody else than root."""
    text = (DEPLOY / "Containerfile").read_text()
    assert "--require-hashes -r /src/deploy/python/run.txt" in text
    assert "--no-deps --no-build-isolation" in text
    assert re.findall(r"^USER (\S+)", text, re.MULTILINE) == ["10001"]
    assert re.findall(r"^ENTRYPOINT (.*)", text, re.MULTILINE) == [json.dumps(["ioc"])]
    copied = {
        source
        for line in re.findall(r"^COPY (?!--from)(.*)", text, re.MULTILINE)
        for source in line.split()[:-1]
    }
    assert [source for source in copied if not (ROOT / source).exists()] == []
    allowed = re.findall(r"^!(.*)", (DEPLOY / "Containerfile.dockerignore").read_text(), re.MULTILINE)
    assert set(allowed) == copied
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = {
        pattern.rstrip("*") for pattern in project["tool"]["setuptools"]["packages"]["find"]["include"]
    }
    assert packages <= copied
    assert project["project"]["readme"] in copied
    assert services()["sense"]["image"] == f"ioc:{project['project']['version']}"


@pytest.mark.parametrize("files", [(BASE,), (BASE, DEMO)], ids=["live", "demo"])
def test_compose_itself_accepts_the_files(files: tuple[Path, ...]) -> None:
    """`docker compose config` needs no engine; it knows the whole specification."""
    docker = shutil.which("docker")
    version = docker and subprocess.run([docker, "compose", "version"], capture_output=True, check=False)
    if not docker or not version or version.returncode:
        pytest.skip("no docker compose here: checked by its structure only")
    chosen = [part for file in files for part in ("-f", str(file))]
    result = subprocess.run(
        [docker, "compose", *chosen, "config", "--quiet"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr


def test_what_must_survive_lies_in_a_volume_that_all_processes_share() -> None:
    """Boundaries that one process imports are found by the others, and both outlive their containers."""
    recipe = (DEPLOY / "Containerfile").read_text()
    for name in ("IOC_STATE_DIR", "IOC_CACHE_DIR"):
        [path] = re.findall(rf"{name}=(\S+)", recipe)
        assert re.search(rf"install -d -o ioc -g ioc (-m \d+ )?{path}\b", recipe), "its user can write there"
        for service in ours().values():
            assert path in [volume.split(":")[1] for volume in service["volumes"]]
    [state] = re.findall(r"IOC_STATE_DIR=(\S+)", recipe)
    assert f"IOC_OPERATORS_FILE={state}/operators.yaml" in (DEPLOY / "README.md").read_text()
