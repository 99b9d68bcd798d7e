"""What a process writes to its log."""

from __future__ import annotations

import logging

#: The libraries tell of each service, connection and retried request; what fails in the end is an error.
_LEVELS = {
    "faust": logging.WARNING,
    "mode": logging.WARNING,
    "streams.chunks": logging.WARNING,  # Faust logs under the module of its subclasses
    "aiokafka": logging.ERROR,
    "kafka": logging.CRITICAL,  # each attempt to connect; our own message says what came of them
}

#: Logged as errors, but only "try again": a new broker has no group coordinator for its first moment.
_TRANSIENT = ("GroupCoordinatorNotAvailableError", "GroupLoadInProgressError")


def _lasting(record: logging.LogRecord) -> bool:
    return not any(name in record.getMessage() for name in _TRANSIENT)


def configure_logs() -> None:
    """Log to standard error from INFO on, without what libraries say of their everyday work."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for name, level in _LEVELS.items():
        logging.getLogger(name).setLevel(level)
    for handler in logging.getLogger().handlers:
        handler.addFilter(_lasting)
