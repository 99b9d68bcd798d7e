"""Errors that a person can act on."""

from __future__ import annotations


class UserError(Exception):
    """Something the person at the keyboard can mend: what is wrong, where or why, and the remedy.

    The command line prints it in that order, without a traceback, and exits with 2.
    """

    def __init__(self, what: str, where: str = "", remedy: str = "") -> None:
        self.what, self.where, self.remedy = what, where, remedy
        super().__init__(
            ": ".join(part for part in (what, where) if part) + (f" -> {remedy}" if remedy else "")
        )
