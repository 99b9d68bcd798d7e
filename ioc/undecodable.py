"""What decoding JSON that others wrote can raise."""

from __future__ import annotations

import msgspec

#: Also where the bytes are no text, and where values lie too deep in one another.
UNDECODABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
