"""Why an alert was raised, why it is not yet cleared or how it ended: in words, from what the log holds of it.

Nothing is judged again here. The text says what the alert's changes say, what its rule asks for, and what is the last
known reading; where something could not be looked up, it says that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct

from alerts.agencies.wording import REASON_WORDS, moment
from alerts.alert import Alert
from alerts.commands import Refusal
from alerts.explain.facts import Facts
from alerts.explain.rules import clearing, condition
from alerts.explain.words import (
    ACTIONS,
    CERTAINTY_WORDS,
    CHANGES,
    STATES,
    SUPPRESSION_WORDS,
    TOLD,
    Language,
    Words,
)
from alerts.rules.kinds import CommuneRule, LadderRule, RateRule

#: Changes that the measure made: their lines say its value.
MEASURED = ("raised", "escalated", "lowered", "updated", "reopened", "cleared")

#: Why commands are refused, in Vietnamese and English, by their codes.
Refusals = Mapping[Refusal, tuple[str, str]]


class Section(Struct, frozen=True):
    """A heading and its lines."""

    title: str
    lines: list[str]


def explain(facts: Facts, language: Language, refusals: Refusals | None = None) -> list[Section]:
    """The explanation, in sections; those with nothing to say are left out.

    A reason for refusing a command that `refusals` lacks is said as its code.
    """
    words, alert = Words(language), facts.changes[-1]
    say = words.say
    sections = (
        (_heading(words, alert), _summary(words, facts)),
        (say("Vì sao có cảnh báo", "Why it was raised"), _raised(words, facts)),
        (say("Vì sao chưa kết thúc", "Why it is not yet cleared"), _standing(words, facts))
        if alert.open
        else (say("Kết thúc thế nào", "How it ended"), _ended(words, facts)),
        (say("Diễn biến", "What happened"), _course(words, facts)),
        (say("Lệnh của trực ban", "What operators asked for"), _commands(words, facts, refusals or {})),
        (say("Cơ quan", "Agencies"), _agencies(words, facts)),
        (say("Cảnh báo bị ẩn bên cạnh", "Suppressed beside it"), _siblings(words, facts)),
        (say("Dựa trên", "What it rests on"), _basis(words, facts)),
    )
    told = [Section(title, list(lines)) for title, lines in sections]
    return [section for section in told if section.lines]


def as_lines(sections: list[Section]) -> list[str]:
    """The explanation as lines of text; control characters in what others wrote are replaced by U+FFFD."""
    lines: list[str] = []
    for section in sections:
        lines += ([""] if lines else []) + [section.title, *(f"  {line}" for line in section.lines)]
    return ["".join(sign if sign.isprintable() else "\ufffd" for sign in line) for line in lines]


def _heading(words: Words, alert: Alert) -> str:
    where = [words.of(alert.subject_name, alert.subject), alert.where.commune_name]
    return f"{words.of(alert.title, alert.hazard)} – {', '.join(part for part in where if part)}"


def _summary(words: Words, facts: Facts) -> Iterator[str]:
    alert, first = facts.changes[-1], facts.changes[0]
    yield f"{alert.id}: {STATES[alert.state][words.language]}, {words.level(alert)}"
    if alert.certainty != "observed":
        yield CERTAINTY_WORDS[alert.certainty][words.language]
    if alert.incident:
        yield words.say(f"Thuộc sự cố {alert.incident}", f"Part of {alert.incident}")
    if alert.suppressed:
        yield _suppressed(words, alert)
    if alert.simulated:
        yield words.say("Dữ liệu mô phỏng", "Simulated data") + (f" ({alert.run})" if alert.run else "")
    if first.sequence > 1:
        yield words.say(
            f"Các thay đổi trước số {first.sequence} không còn trong nhật ký",
            f"The changes before number {first.sequence} are no longer in the log",
        )


def _suppressed(words: Words, alert: Alert) -> str:
    kind, _, of = alert.suppressed.partition(":")
    if kind not in SUPPRESSION_WORDS:
        return alert.suppressed
    return words.of(SUPPRESSION_WORDS[kind]).format(of=of)


def _raised(words: Words, facts: Facts) -> Iterator[str]:
    first = facts.changes[0]
    rule = facts.rules.get(first.rule_version)
    yield condition(words, first, rule)
    if isinstance(rule, LadderRule | RateRule | CommuneRule) and rule.hold:
        held, since, until = words.span(rule.hold), moment(first.started), moment(first.time)
        yield words.say(
            f"Giữ như vậy {held} rồi mới thành cảnh báo: từ {since} đến {until}",
            f"It had to stay so for {held}: from {since} to {until}",
        )
    for evidence in first.evidence:
        value = "" if evidence.value is None else f": {words.value(evidence.value, first.unit)}"
        yield (
            f"{words.say('Dữ liệu', 'Evidence')}: {evidence.source} {moment(evidence.time)}"
            f"{value}{words.doubted(evidence.doubts)} [{evidence.event}]"
        )
    if first.citation:
        yield words.say(f"Căn cứ: {first.citation}", f"Basis: {first.citation}")


def _standing(words: Words, facts: Facts) -> Iterator[str]:
    alert, say = facts.changes[-1], words.say
    yield from clearing(words, facts, facts.rules.get(alert.rule_version))
    if alert.acknowledged is not None:
        by, time = alert.acknowledged.by, moment(alert.acknowledged.time)
        yield say(
            f"{by} đã xác nhận lúc {time}: điều đó không kết thúc cảnh báo",
            f"{by} acknowledged it at {time}: that does not end it",
        )
    if alert.shelved_until is not None:
        until = moment(alert.shelved_until)
        yield say(f"Gác lại đến {until}", f"Shelved until {until}")
    if alert.assigned:
        yield say(f"Giao cho {alert.assigned}", f"Assigned to {alert.assigned}")
    if alert.overdue:
        yield say(
            f"Chưa ai xác nhận: đã chuyển lên {alert.overdue} lần",
            f"Nobody has acknowledged it: passed on {alert.overdue} times",
        )


def _ended(words: Words, facts: Facts) -> Iterator[str]:
    alert, say = facts.changes[-1], words.say
    # A comment may have followed the end.
    end = next((one for one in reversed(facts.changes) if one.change in ("cleared", "closed")), alert)
    time = moment(end.time)
    if alert.state == "cleared":
        value, bound = words.value(end.value, end.unit), words.value(end.bound, end.unit)
        if end.measure == "silent_s":
            yield say(f"Nguồn gửi tin trở lại lúc {time}", f"The source was heard again at {time}")
        else:
            yield say(
                f"Số đo đã qua ngưỡng kết thúc lúc {time}: {value}, ngưỡng {bound}",
                f"The measure passed the bound for the end at {time}: {value}, bound {bound}",
            )
        return
    why = words.of(REASON_WORDS.get(end.reason, {}), end.reason)
    yield say(f"Đóng lúc {time}: {why}", f"Closed at {time}: {why}") + (f" ({end.by})" if end.by else "")
    if end.successor:
        yield say(f"Tiếp tục ở {end.successor}", f"It goes on in {end.successor}")
    if alert.condition_stands and alert.rule != "manual":
        yield say(
            "Điều kiện vẫn còn: nếu xấu hơn, cảnh báo mở lại",
            "The condition goes on: if it gets worse, the alert opens again",
        )


def _course(words: Words, facts: Facts) -> Iterator[str]:
    for change in facts.changes:
        parts = [moment(change.time), CHANGES[change.change][words.language], words.level(change)]
        if change.measure and change.change in MEASURED:
            parts.append(f"{words.value(change.value, change.unit)}{words.doubted(change.doubts)}")
        if change.change == "suppressed":
            parts.append(_suppressed(words, change))
        if change.change == "shelved" and change.shelved_until is not None:
            parts.append(words.say("đến ", "until ") + moment(change.shelved_until))
        if change.change == "assigned":
            parts.append(change.assigned)
        if change.change in ("commented", "closed") and change.by and change.comments:
            parts.append(f"“{change.comments[-1].text}”")
        yield ", ".join(parts) + (f" – {change.by}" if change.by else "")
    alert = facts.changes[-1]
    if alert.peak is not None and alert.peaked is not None:
        peak, peaked = words.value(alert.peak, alert.unit), moment(alert.peaked)
        yield words.say(f"Xấu nhất đến lúc đó: {peak}, {peaked}", f"The worst until then: {peak}, {peaked}")


def _commands(words: Words, facts: Facts, refusals: Refusals) -> Iterator[str]:
    for outcome in facts.outcomes:
        command = outcome.command
        became = words.say("đã làm", "done")
        if outcome.outcome == "refused":
            why = str(outcome.reason)
            if outcome.reason is not None and outcome.reason in refusals:
                why = words.say(*refusals[outcome.reason])
            became = words.say(f"bị từ chối: {why}", f"refused: {why}")
        action = ACTIONS[command.action][words.language]
        yield f"{moment(outcome.time or command.issued)} {command.operator}: {action} – {became}"


def _agencies(words: Words, facts: Facts) -> Iterator[str]:
    for message in facts.messages:
        if not message.standing:
            kind = TOLD[message.type][words.language]
            yield f"{moment(message.sent)} {message.agency}: {kind} [{message.identifier}]"
    for agency in facts.changes[-1].awaiting:
        yield words.say(f"{agency}: chờ cấp trên phát hành", f"{agency}: waits for a supervisor's release")


def _siblings(words: Words, facts: Facts) -> Iterator[str]:
    for sibling in facts.siblings:
        what, name = words.of(sibling.title, sibling.hazard), words.of(sibling.subject_name, sibling.subject)
        yield f"{sibling.id} {what} – {name}: {_suppressed(words, sibling)}"


def _basis(words: Words, facts: Facts) -> Iterator[str]:
    gone = words.say(" (không còn trong ioc.config)", " (no longer in ioc.config)")
    for version in dict.fromkeys(change.rule_version for change in facts.changes):
        if version:
            named = f"{facts.changes[-1].rule} {version}{'' if version in facts.rules else gone}"
            yield words.say(f"Quy tắc {named}", f"Rule {named}")
    for where in dict.fromkeys((one.where.boundaries, one.where.approximate) for one in facts.changes):
        boundaries, approximate = where
        if boundaries:
            named = boundaries + (words.say(" (gần đúng)", " (approximate)") if approximate else "")
            yield words.say(f"Địa giới {named}", f"Boundaries {named}")
