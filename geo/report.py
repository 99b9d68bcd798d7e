"""What the checks of a boundaries file found: for a person as a table, for a machine as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

#: `error`: the file is refused. `warning`: someone should look. `repaired`: was wrong, is right in what is kept.
Severity = Literal["error", "warning", "repaired"]
_SEVERITIES: tuple[Severity, ...] = ("error", "warning", "repaired")

#: Lines of one check that a person gets to see; the rest is counted.
_LINES = 12


@dataclass(frozen=True)
class Finding:
    """One thing that a check found."""

    severity: Severity
    #: The check's name, such as overlap.
    check: str
    #: What is wrong, and what was done or is to be done.
    message: str
    #: Codes of the communes concerned.
    communes: tuple[str, ...] = ()
    #: How much, in `unit`.
    measure: float | None = None
    unit: str = ""


@dataclass(frozen=True)
class Report:
    """The outcome for one file."""

    file: str
    findings: tuple[Finding, ...]
    #: Of what would be kept, 0 where reading came to nothing.
    communes: int = 0
    vertices: int = 0
    area_km2: float = 0.0
    #: `id@version` of the accepted set.
    ref: str | None = None

    @property
    def accepted(self) -> bool:
        """Nothing that was found forbids to use the set."""
        return self.ref is not None and not any(finding.severity == "error" for finding in self.findings)

    def as_dict(self) -> dict[str, Any]:
        """The same for JSON."""
        return {"accepted": self.accepted, **asdict(self)}

    def text(self) -> str:
        """A table, what is worst first. Holds no control characters, whatever the file has in its texts."""
        rows = [("", "check", "communes", "finding")]
        for severity in _SEVERITIES:
            shown: Counter[str] = Counter()
            for finding in self.findings:
                if finding.severity != severity:
                    continue
                shown[finding.check] += 1
                if shown[finding.check] <= _LINES:
                    rows.append((severity, finding.check, _short(finding.communes), finding.message))
            rows += [
                (severity, check, "", f"and {count - _LINES} more of these, all in the report's file")
                for check, count in shown.items()
                if count > _LINES
            ]
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        lines = [
            "  ".join(
                [*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]]
            ).rstrip()
            for row in (rows if len(rows) > 1 else [])
        ]
        return "\n".join(printable(line) for line in [*lines, self._conclusion()])

    def _conclusion(self) -> str:
        counts = Counter(finding.severity for finding in self.findings)
        found = f"{counts['error']} errors, {counts['warning']} warnings, {counts['repaired']} repairs"
        size = f"{self.communes} communes, {self.vertices} vertices, {self.area_km2:.1f} km²"
        if self.accepted:
            return f"accepted: {self.file}: {self.ref}, {size}; {found}"
        return f"refused: {self.file}: {size}; {found}"


def tolerated(findings: Iterable[Finding], checks: Iterable[str]) -> tuple[Finding, ...]:
    """The findings with the errors of these checks as warnings: a person has looked and takes them on."""
    accepted = set(checks)
    return tuple(
        replace(finding, severity="warning", message=f"{finding.message} (accepted)")
        if finding.severity == "error" and finding.check in accepted
        else finding
        for finding in findings
    )


def printable(text: str) -> str:
    """Text for a terminal: what could steer it is replaced."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def _short(codes: tuple[str, ...]) -> str:
    return " ".join(codes) if len(codes) <= 3 else f"{' '.join(codes[:2])} and {len(codes) - 2}"
