"""The file of parties, the rights that follow from it, and what would change at a cluster."""

from __future__ import annotations

import re
import shlex
from itertools import pairwise
from pathlib import Path

import pytest
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ResourcePattern,
    ResourceType,
)

from ioc.errors import UserError
from ioc.settings import load_settings
from streams.access.cluster import Found, _acl, compare
from streams.access.parties import Parties, parse_parties, read_parties
from streams.access.rights import Right
from streams.access.tools import commands

EXAMPLE = Path(__file__).resolve().parents[3] / "deploy" / "access" / "parties.example.yaml"
SETTINGS = load_settings(topic_prefix="live.", bootstrap_servers="kafka:9094")
SCRAM = frozenset({"SCRAM-SHA-512"})


def parties(*lines: str) -> Parties:
    return parse_parties("version: 1\nusers: ioc-\n" + "".join(f"{line}\n" for line in lines), "parties.yaml")


def of(user: str, rights: frozenset[Right]) -> set[tuple[str, str, str, str]]:
    return {(one.resource, one.name, one.pattern, one.operation) for one in rights if one.user == user}


def test_a_source_may_write_its_streams_and_no_more() -> None:
    """No reading, no other stream, no state, no signal."""
    made = parties("sources: [{user: ioc-cctv, streams: [camera, traffic]}]").rights(SETTINGS)
    assert of("ioc-cctv", made) == {
        ("topic", "live.ioc.camera", "literal", "Write"),
        ("topic", "live.ioc.traffic", "literal", "Write"),
    }


def test_an_agency_may_read_its_topic_and_no_more() -> None:
    """Its own topic and its own groups: `fire` is not let into those of `fire-service`."""
    made = parties("agencies: [{user: ioc-fire, agency: fire}]").rights(SETTINGS)
    assert of("ioc-fire", made) == {
        ("topic", "live.ioc.alerts.fire", "literal", "Read"),
        ("group", "live.ioc-subscribe-fire", "literal", "Read"),
        ("group", "live.ioc-subscribe-fire.", "prefixed", "Read"),
    }


@pytest.mark.parametrize("task", ["wall", "correlate", "inspect", "record", "command", "configure"])
def test_only_those_who_must_write_raw_events(task: str) -> None:
    """Neither the wall nor whoever looks writes what is judged; the wall writes commands alone."""
    made = of("ioc-x", parties(f"processes: [{{user: ioc-x, does: [{task}]}}]").rights(SETTINGS))
    raw = {f"live.ioc.{stream}" for stream in ("traffic", "flood", "camera", "report")}
    assert not {name for _, name, _, operation in made if operation == "Write"} & raw
    if task == "wall":
        assert {name for _, name, _, operation in made if operation == "Write"} == {"live.ioc.signals"}


@pytest.mark.parametrize("task", ["wall", "command", "inspect", "correlate", "configure"])
def test_who_sent_a_report_is_read_by_few(task: str) -> None:
    """The raw topic of reports has citizens' names: those who show and judge alerts do not read it."""
    made = of("ioc-x", parties(f"processes: [{{user: ioc-x, does: [{task}]}}]").rights(SETTINGS))
    readable = [name for _, name, pattern, operation in made if operation == "Read" and pattern == "prefixed"]
    assert ("topic", "live.ioc.report", "literal", "Read") not in made
    assert all(not "live.ioc.report".startswith(name) for name in readable)


def test_no_right_reaches_beyond_the_installation() -> None:
    """Every right of the example is on something with the topic prefix of this installation."""
    for right in read_parties(EXAMPLE).rights(SETTINGS):
        assert right.name.startswith(("live.ioc.", "live.ioc-")), right


BAD = {
    "no version": ("users: ioc-\n", r"missing required field `version`"),
    "no users": ("version: 1\n", r"missing required field `users`"),
    "users without an end": ("version: 1\nusers: ioc\n", r"parties\.yaml:2:8: users.*such as ioc-"),
    "everybody": ("version: 1\nusers: '-'\n", r"parties\.yaml:2:8: users"),
    "unknown task": (
        "version: 1\nusers: ioc-\nprocesses: [{user: ioc-a, does: [everything]}]\n",
        r"parties\.yaml:3:\d+: processes\[0\]\.does\[0\].*choose of sense",
    ),
    "no task": ("version: 1\nusers: ioc-\nprocesses: [{user: ioc-a, does: []}]\n", r"processes\[0\]\.does"),
    "unknown stream": (
        "version: 1\nusers: ioc-\nsources: [{user: ioc-a, streams: [sound]}]\n",
        r"sources\[0\]\.streams\[0\].*choose of traffic",
    ),
    "a password": (
        "version: 1\nusers: ioc-\nsources: [{user: ioc-a, streams: [flood], password: x}]\n",
        r"unknown field `password`",
    ),
    "twice": (
        "version: 1\nusers: ioc-\nsources: [{user: ioc-a, streams: [flood]}]\nagencies: [{user: ioc-a, agency: a}]\n",
        r"a second party is called ioc-a: parties\.yaml:4:\d+: agencies\[0\]\.user",
    ),
    "another beginning": (
        "version: 1\nusers: ioc-\nsources: [{user: admin, streams: [flood]}]\n",
        r"does not begin with ioc-: parties\.yaml:3:\d+.*call it ioc-admin",
    ),
    "a star": ("version: 1\nusers: ioc-\nagencies: [{user: ioc-a, agency: '*'}]\n", r"agencies\[0\]\.agency"),
    "a line more": (
        'version: 1\nusers: ioc-\nagencies: [{user: "ioc-a\\n", agency: a}]\n',
        r"agencies\[0\]\.user",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_told_with_its_place(name: str) -> None:
    """File, line, part and what to write instead."""
    text, expected = BAD[name]
    with pytest.raises(UserError) as raised:
        parse_parties(text, "parties.yaml")
    assert re.search(expected, str(raised.value)), str(raised.value)


TWO = parties("sources: [{user: ioc-a, streams: [flood]}, {user: ioc-b, streams: [camera]}]")


def test_a_cluster_that_has_it_all_is_left_alone() -> None:
    """Nothing is planned where users and rights are there."""
    found = Found(dict.fromkeys(TWO.users, SCRAM), tuple(map(_acl, TWO.rights(SETTINGS))))
    assert compare(TWO, SETTINGS, found).empty


def test_what_is_missing_and_what_is_too_much_is_planned() -> None:
    """A new user, a right that is missing, one that nobody named, and a user who is gone with his."""
    rights = sorted(TWO.rights(SETTINGS))
    more = Right("ioc-a", "topic", "live.ioc.signals", "literal", "Write")
    old = Right("ioc-old", "topic", "live.ioc.flood", "literal", "Write")
    found = Found({"ioc-a": SCRAM, "ioc-old": SCRAM}, tuple(map(_acl, (rights[0], more, old))))
    plan = compare(TWO, SETTINGS, found)
    assert plan.new_users == ("ioc-b",)
    assert plan.gone_users == ("ioc-old",)
    assert plan.new_rights == (rights[1],)
    assert plan.gone == (_acl(more), _acl(old))
    assert list(plan.lines()) == [
        "+ user ioc-b",
        "+ ioc-b may Write topic live.ioc.camera",
        "- ioc-a may Write topic live.ioc.signals",
        "- ioc-old may Write topic live.ioc.flood",
        "- user ioc-old",
    ]


def test_a_right_that_somebody_else_gave_stays_with_its_user() -> None:
    """A user who begins so but may do something beyond this installation is not this file's: both stay."""
    foreign = Right("ioc-backup", "topic", "billing", "literal", "Read")
    cluster = ACL(
        "User:ioc-backup",
        "*",
        ACLOperation.ALTER,
        ACLPermissionType.ALLOW,
        ResourcePattern(ResourceType.CLUSTER, "kafka-cluster", ACLResourcePatternType.LITERAL),
    )
    demo = Right("ioc-demo", "topic", "demo.ioc.flood", "literal", "Write")
    found = Found(
        dict.fromkeys((*TWO.users, "ioc-backup", "ioc-demo"), SCRAM),
        (*map(_acl, (*TWO.rights(SETTINGS), foreign, demo)), cluster),
    )
    plan = compare(TWO, SETTINGS, found)
    assert plan.empty
    assert plan.foreign == ("ioc-backup", "ioc-demo")


def test_a_denial_and_a_right_from_one_host_are_not_what_the_file_says() -> None:
    """Only the right itself counts as there; a narrower one or its contrary is taken away."""
    right = sorted(TWO.rights(SETTINGS))[0]
    exact = _acl(right)
    narrow = ACL(exact.principal, "10.0.0.1", exact.operation, exact.permission_type, exact.resource_pattern)
    denied = ACL(exact.principal, "*", exact.operation, ACLPermissionType.DENY, exact.resource_pattern)
    plan = compare(TWO, SETTINGS, Found(dict.fromkeys(TWO.users, SCRAM), (narrow, denied)))
    assert right in plan.new_rights
    assert set(plan.gone) == {narrow, denied}


def test_another_mechanism_and_another_password_make_a_user_new() -> None:
    """A user whose proof has another form gets it anew; so does one for whom it was asked."""
    rights = tuple(map(_acl, TWO.rights(SETTINGS)))
    found = Found({"ioc-a": frozenset({"SCRAM-SHA-256"}), "ioc-b": SCRAM}, rights)
    assert compare(TWO, SETTINGS, found).new_users == ("ioc-a",)
    assert compare(TWO, SETTINGS, found, again=["ioc-b"]).new_users == ("ioc-a", "ioc-b")


def test_the_commands_say_the_same_as_the_rights() -> None:
    """One command for each user and each right, with its names as the shell reads them; no password in it."""
    example = read_parties(EXAMPLE)
    lines = [shlex.split(line) for line in commands(example, SETTINGS)]
    users = [line for line in lines if line[0] == "kafka-configs.sh"]
    assert [line[line.index("--entity-name") + 1] for line in users] == list(example.users)
    assert all(line[-1] == f"SCRAM-SHA-512=[password=$(cat passwords/{user})]"
               for line, user in zip(users, example.users, strict=True))  # fmt: skip
    granted = set()
    for line in lines:
        if line[0] == "kafka-acls.sh":
            resource = next(one for one in ("topic", "group", "transactional-id") if f"--{one}" in line)
            value = dict(pairwise(line))
            user = value["--allow-principal"].removeprefix("User:")
            name, pattern = value[f"--{resource}"], value["--resource-pattern-type"]
            granted.add(Right(user, resource, name, pattern, value["--operation"]))  # type: ignore[arg-type]
    assert granted == example.rights(SETTINGS)
