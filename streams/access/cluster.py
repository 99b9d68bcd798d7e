"""The parties against a real cluster: what it lacks, what it has too much, and making it so.

Only users whose names begin as the file says, and rights on topics, groups and transactions of this installation, are
ever looked at. So nothing else on a shared cluster is touched, and no record must be kept of what was made.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    KafkaAdminClient,
    ResourcePattern,
    ResourcePatternFilter,
    ResourceType,
)
from kafka.admin._users import (
    ScramMechanism,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)
from kafka.errors import (
    ClusterAuthorizationFailedError,
    SecurityDisabledError,
    UnsupportedVersionError,
)

from ioc.errors import UserError
from ioc.settings import Settings
from ioc.wholefile import whole_file
from streams.access.parties import Parties
from streams.access.rights import Right
from streams.admin import admin_client
from streams.clients import read_password

#: How often a password is hashed: twice Kafka's default.
ITERATIONS = 8192
_ANY_HOST = "*"
_PRINCIPAL = "User:"

_OPERATIONS = {
    "Read": ACLOperation.READ,
    "Write": ACLOperation.WRITE,
    "Create": ACLOperation.CREATE,
    "Describe": ACLOperation.DESCRIBE,
    "DescribeConfigs": ACLOperation.DESCRIBE_CONFIGS,
}
_RESOURCES = {
    "topic": ResourceType.TOPIC,
    "group": ResourceType.GROUP,
    "transactional-id": ResourceType.TRANSACTIONAL_ID,
}
_PATTERNS = {"literal": ACLResourcePatternType.LITERAL, "prefixed": ACLResourcePatternType.PREFIXED}


@dataclass(frozen=True)
class Plan:
    """What is to be done so that the cluster has what the file says."""

    #: Users that are new, or whose proof has another form.
    new_users: tuple[str, ...]
    #: Users that the file does not name any more.
    gone_users: tuple[str, ...]
    new_rights: tuple[Right, ...]
    gone: tuple[ACL, ...]
    #: Users whose names begin so, with rights that are not of this installation: they are let be.
    foreign: tuple[str, ...]

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.new_users or self.gone_users or self.new_rights or self.gone)

    def lines(self) -> Iterator[str]:
        """What would change, a line each."""
        for user in self.new_users:
            yield f"+ user {user}"
        for right in self.new_rights:
            yield f"+ {right}"
        for acl in self.gone:
            yield f"- {_told(acl)}"
        for user in self.gone_users:
            yield f"- user {user}"
        for user in self.foreign:
            yield f"  user {user} has rights beyond this installation, and stays"


@dataclass(frozen=True)
class Found:
    """What a cluster has of users that begin so."""

    #: By user the names of the mechanisms.
    users: dict[str, frozenset[str]]
    acls: tuple[ACL, ...]


def compare(parties: Parties, settings: Settings, found: Found, again: Collection[str] = ()) -> Plan:
    """What is missing and what is too much; `again` are users that get another password in any case."""
    wanted = parties.rights(settings)
    by_acl = {_acl(right): right for right in wanted}
    ours = [acl for acl in found.acls if _is_ours(acl, settings)]
    foreign = {_user(acl) for acl in found.acls if not _is_ours(acl, settings)}
    present = set(ours)
    gone_users = [user for user in found.users if user not in parties.users]
    return Plan(
        new_users=tuple(
            user
            for user in parties.users
            if user in again or found.users.get(user) != frozenset({parties.mechanism})
        ),
        gone_users=tuple(sorted(user for user in gone_users if user not in foreign)),
        new_rights=tuple(sorted(right for acl, right in by_acl.items() if acl not in present)),
        gone=tuple(sorted((acl for acl in ours if acl not in by_acl), key=_told)),
        foreign=tuple(sorted(user for user in gone_users if user in foreign)),
    )


def look(parties: Parties, settings: Settings) -> Found:
    """What the cluster has. Raises `UserError` where it does not answer, or this user may not ask."""
    with _asking(settings) as admin:
        return _look(admin, parties)


def apply(
    parties: Parties, settings: Settings, passwords: Path, again: Collection[str] = ()
) -> tuple[Plan, list[str]]:
    """Make the cluster so; returns what was done, and the users whose passwords were made anew.

    The password of a new user is the first line of the file of his name in the directory `passwords`, or one that is
    made and written there. First what is too much is taken away, then what is missing is given.

    Raises `UserError` where the cluster refuses.
    """
    unknown = sorted(set(again) - set(parties.users))
    if unknown:
        raise UserError("no party has such a user", ", ".join(unknown), "see the file of parties")
    with _asking(settings) as admin:
        plan = compare(parties, settings, _look(admin, parties), again)
        if plan.gone:
            _delete(admin, plan.gone)
        changes: list[UserScramCredentialDeletion | UserScramCredentialUpsertion] = []
        found = admin.describe_user_scram_credentials() if plan.new_users or plan.gone_users else {}
        mechanism, made = parties.mechanism, []
        for user in (*plan.gone_users, *plan.new_users):
            for info in found.get(user, {}).get("credential_infos", ()):
                if user in plan.gone_users or info["mechanism"] != _mechanism(mechanism):
                    changes.append(UserScramCredentialDeletion(user, info["mechanism"]))
        for user in plan.new_users:
            password, is_new = _password(passwords, user, user in again)
            made += [user] if is_new else []
            changes.append(
                UserScramCredentialUpsertion(user, _mechanism(mechanism), password, iterations=ITERATIONS)
            )
        # One change of a user's at a time: Kafka refuses two of one user in a request.
        for change in changes:
            for user, error in admin.alter_user_scram_credentials([change]).items():
                if error:
                    raise UserError("the cluster refused a user", f"{user}: {error}", "see its log")
        if plan.new_rights:
            failed = admin.create_acls([_acl(right) for right in plan.new_rights])["failed"]
            if failed:
                raise failed[0]
    return plan, made


def _look(admin: KafkaAdminClient, parties: Parties) -> Found:
    everything = ACLFilter(
        principal=None,
        host=None,
        operation=ACLOperation.ANY,
        permission_type=ACLPermissionType.ANY,
        resource_pattern=ResourcePatternFilter(ResourceType.ANY, None, ACLResourcePatternType.ANY),
    )
    # First of all: to a question for users by whoever may not ask Kafka 4.2 gives no answer at all.
    acls, _ = admin.describe_acls(everything)
    users = {
        user: frozenset(info["mechanism"].name.replace("_", "-") for info in known["credential_infos"])
        for user, known in admin.describe_user_scram_credentials().items()
        if user.startswith(parties.begin)
    }
    return Found(users, tuple(acl for acl in acls if _user(acl).startswith(parties.begin)))


def _delete(admin: KafkaAdminClient, acls: Sequence[ACL]) -> None:
    exactly = [
        ACLFilter(
            acl.principal,
            acl.host,
            acl.operation,
            acl.permission_type,
            ResourcePatternFilter(
                acl.resource_pattern.resource_type,
                acl.resource_pattern.resource_name,
                acl.resource_pattern.pattern_type,
            ),
        )
        for acl in acls
    ]
    for _, _, error in admin.delete_acls(exactly):
        if error.errno:
            raise error()


def _is_ours(acl: ACL, settings: Settings) -> bool:
    """Whether a right is on something of this installation."""
    pattern = acl.resource_pattern
    return pattern.resource_type in _RESOURCES.values() and pattern.resource_name.startswith(
        (f"{settings.topic_prefix}ioc.", f"{settings.topic_prefix}ioc-")
    )


def _acl(right: Right) -> ACL:
    return ACL(
        principal=f"{_PRINCIPAL}{right.user}",
        host=_ANY_HOST,
        operation=_OPERATIONS[right.operation],
        permission_type=ACLPermissionType.ALLOW,
        resource_pattern=ResourcePattern(_RESOURCES[right.resource], right.name, _PATTERNS[right.pattern]),
    )


def _user(acl: ACL) -> str:
    return str(acl.principal).removeprefix(_PRINCIPAL)


def _told(acl: ACL) -> str:
    pattern = acl.resource_pattern
    more = "..." if pattern.pattern_type == ACLResourcePatternType.PREFIXED else ""
    verb = "may" if acl.permission_type == ACLPermissionType.ALLOW else "may not"
    host = "" if acl.host == _ANY_HOST else f" from {acl.host}"
    operation = "".join(word.capitalize() for word in acl.operation.name.split("_"))
    resource = pattern.resource_type.name.lower().replace("_", "-")
    return f"{_user(acl)} {verb} {operation} {resource} {pattern.resource_name}{more}{host}"


def told(found: Found) -> Iterator[str]:
    """What a cluster has, a line each."""
    for user, mechanisms in sorted(found.users.items()):
        yield f"user {user} ({', '.join(sorted(mechanisms))})"
    yield from sorted(map(_told, found.acls))


def _mechanism(name: str) -> ScramMechanism:
    return ScramMechanism[name.replace("-", "_")]


def _password(directory: Path, user: str, anew: bool) -> tuple[str, bool]:
    """The password of a user, and whether it was made just now."""
    path = directory / user
    if path.exists() and not anew:
        return read_password(path, "--passwords"), False
    password = secrets.token_urlsafe(24)
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        with whole_file(path) as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(f"{password}\n".encode())
    except OSError as error:
        raise UserError("cannot write a password", f"{path}: {error.strerror}", "see --passwords") from None
    return password, True


@contextmanager
def _asking(settings: Settings) -> Iterator[KafkaAdminClient]:
    with admin_client(settings) as admin:
        try:
            yield admin
        except SecurityDisabledError:
            raise UserError(
                f"Kafka at {settings.bootstrap} asks nobody what he may do",
                "it has no authorizer",
                "set authorizer.class.name there; the embedded broker has one with IOC_BROKER_OUTSIDE",
            ) from None
        except ClusterAuthorizationFailedError:
            raise UserError(
                "this user may not give rights",
                f"{settings.kafka_user or 'no user'} at {settings.bootstrap}",
                "take a super user, or one that may Alter the cluster; or `ioc access plan --print` for who may",
            ) from None
        except UnsupportedVersionError as error:
            raise UserError(
                f"Kafka at {settings.bootstrap} keeps no users of this kind",
                str(error),
                "version 2.7 or later",
            ) from None
