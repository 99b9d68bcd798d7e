"""Passes for viewers: a screen on a wall is signed in once and stays so, also when the wall is started again.

A pass is kept nowhere. It is signed with the hash of the viewer's password: with another password, in another role,
or removed, he has none any more. It lets nobody command.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

from ioc.operators import OperatorEntry

#: Seconds that a pass holds.
PASS_SECONDS = 90 * 24 * 3600.0
_SEPARATOR = "~"  # in no id, and allowed in a cookie


def make_pass(entry: OperatorEntry, now: float) -> str:
    """A pass for a viewer, from `now` (Unix seconds) on."""
    text = f"{entry.operator.id}{_SEPARATOR}{int(now)}"
    return f"{text}{_SEPARATOR}{_signature(entry, text)}"


def holder(token: str) -> str | None:
    """The id of the viewer that a pass says it is for; None where it is no pass."""
    return token.partition(_SEPARATOR)[0] if _SEPARATOR in token else None


def holds(token: str, entry: OperatorEntry | None, now: float) -> bool:
    """Whether a pass was made for this entry as it is now, and its time is not over."""
    text, _, signature = token.rpartition(_SEPARATOR)
    if entry is None or entry.operator.role != "viewer":
        return False
    if not hmac.compare_digest(signature.encode(errors="replace"), _signature(entry, text).encode()):
        return False
    return 0 <= now - int(text.rpartition(_SEPARATOR)[2]) < PASS_SECONDS


def _signature(entry: OperatorEntry, text: str) -> str:
    key = hashlib.sha256(b"ioc viewer's pass\0" + entry.password.encode()).digest()
    made = hmac.digest(key, text.encode(errors="replace"), "sha256")
    return base64.urlsafe_b64encode(made).decode().rstrip("=")
