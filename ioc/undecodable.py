"""What decoding JSON that others wrote can raise, and what is then said."""

from __future__ import annotations

import msgspec

#: Also where the bytes are no text, and where values lie too deep in one another.
UNDECODABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def why(error: BaseException) -> str:
    """What is wrong, for who has to mend it: the decoder's words, but for those about Python."""
    return "values lie too deep in one another" if isinstance(error, RecursionError) else str(error)
