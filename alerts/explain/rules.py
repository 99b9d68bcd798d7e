"""What a rule asks for: what raised an alert, and what would clear it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from alerts.agencies.wording import SEVERITY_WORDS, moment
from alerts.alert import Alert
from alerts.conditions.ladder import bound_value
from alerts.conditions.silence import NEVER_HEARD
from alerts.explain.facts import Facts
from alerts.explain.words import MEASURES, Words
from alerts.rules.kinds import (
    CommuneRule,
    CountRule,
    FusionRule,
    LadderRule,
    Level,
    RateRule,
    Rule,
    SilenceRule,
)

#: Without a reading for this long, where the source's own interval is not known, the text says that there is none.
QUIET = timedelta(minutes=15)
#: The same, as so many of the source's intervals.
QUIET_INTERVALS = 2


def condition(words: Words, first: Alert, rule: Rule | None) -> str:
    """What raised the alert, by its first change; `rule` is None where it is no longer known."""
    value, bound = words.value(first.value, first.unit), words.value(first.bound, first.unit)
    if first.rule == "manual":
        return words.say(f"Trực ban {first.by} mở", f"Opened by the operator {first.by}")
    if first.rule == "limit":
        return words.say(
            f"Quy tắc {first.subject} có nhiều cảnh báo hơn giới hạn ({bound}); các cảnh báo thêm bị ẩn",
            f"The rule {first.subject} had more alerts than its limit ({bound}); the further ones are suppressed",
        )
    if isinstance(rule, SilenceRule) and first.start_event.startswith(NEVER_HEARD):
        return words.say(
            f"Nguồn chưa từng gửi gì; có trong danh mục từ {moment(first.started)}, quá {bound}",
            f"The source was never heard; it has been in the inventory since {moment(first.started)}, over {bound}",
        )
    if isinstance(rule, SilenceRule):
        return words.say(
            f"Không nhận được gì từ nguồn trong {bound}; lần cuối {moment(first.observed)}",
            f"Nothing was heard of the source for {bound}; last at {moment(first.observed)}",
        )
    if isinstance(rule, CountRule):
        within = f"{rule.radius_m:g} m, {words.span(rule.window)}"
        return words.say(
            f"{first.value:g} sự kiện trong phạm vi {within}; ngưỡng {first.bound:g}",
            f"{first.value:g} events within {within}; bound {first.bound:g}",
        )
    if isinstance(rule, FusionRule):
        names, within = (
            ", ".join(part.name for part in rule.inputs),
            f"{rule.radius_m:g} m, {words.span(rule.window)}",
        )
        return words.say(
            f"{first.value:g} trong {len(rule.inputs)} nguồn tin khớp nhau ({names}) trong phạm vi {within}; "
            f"cần {first.bound:g}",
            f"{first.value:g} of {len(rule.inputs)} inputs agree ({names}) within {within}; "
            f"{first.bound:g} are needed",
        )
    if isinstance(rule, CommuneRule):
        what = words.say("Trung bình", "The mean")
        if rule.statistic == "share":
            beyond = words.value(rule.beyond or 0.0, rule.unit)
            what = words.say(f"Tỷ lệ nguồn đạt {beyond}", f"The share of sources at or beyond {beyond}")
        return words.say(
            f"{what} của các nguồn trong xã, phường suốt {words.span(rule.window)}: {value}; ngưỡng {bound}",
            f"{what} of the commune's sources over {words.span(rule.window)}: {value}; bound {bound}",
        )
    if isinstance(rule, RateRule):
        return words.say(
            f"Thay đổi {value} trong {words.span(rule.window)}; ngưỡng {bound}",
            f"It changed by {value} within {words.span(rule.window)}; bound {bound}",
        )
    below = isinstance(rule, LadderRule) and rule.direction == "below"
    beyond = words.say("xuống tới" if below else "đạt", "at or below" if below else "at or above")
    if rule is None:
        beyond = words.say("tới", "beyond")
    what = words.of(MEASURES.get(first.measure, {}), first.measure)
    return words.say(
        f"{what} {value} lúc {moment(first.observed)}, {beyond} ngưỡng {bound} ({words.level(first)})",
        f"{what} was {value} at {moment(first.observed)}, {beyond} the bound {bound} ({words.level(first)})",
    )


def clearing(words: Words, facts: Facts, rule: Rule | None) -> Iterator[str]:
    """What would clear the alert as it stands now, and how far that is."""
    alert, say = facts.changes[-1], words.say
    if alert.rule == "manual":
        yield say(
            "Mở bằng tay: kết thúc khi có người đóng", "Opened by hand: it ends when it is closed by hand"
        )
    elif alert.rule == "limit":
        yield say(
            "Kết thúc khi quy tắc lại ở trong giới hạn suốt một khoảng thời gian của nó",
            "It ends once the rule stays within its limit for the limit's window",
        )
    elif isinstance(rule, LadderRule | RateRule):
        yield from _by_reading(words, facts, rule)
    elif isinstance(rule, SilenceRule):
        yield say("Kết thúc với tin tiếp theo của nguồn", "It ends with the source's next event")
        yield _last_heard(words, facts)
    elif isinstance(rule, CountRule | FusionRule):
        bound, window = _clear(words, facts, rule.levels[0], ""), words.span(rule.window)
        yield say(
            f"Đóng khi còn dưới {bound} trong {window}: đó là hết hạn, không phải báo yên",
            f"It closes below {bound} within {window}: that is an expiry, no all-clear",
        )
    elif isinstance(rule, CommuneRule):
        bound, least = _clear(words, facts, rule.levels[0], alert.unit), rule.least_sources
        side = _side(words, rule.direction)
        yield say(
            f"Kết thúc khi {side} {bound}, với ít nhất {least} nguồn; thiếu số liệu không kết thúc cảnh báo",
            f"It clears {side} {bound}, with {least} sources at least; missing data does not clear it",
        )
    else:
        named = f"{alert.rule} ({alert.rule_version})"
        yield say(
            f"Không biết điều kiện kết thúc: quy tắc {named} không còn trong ioc.config",
            f"What would clear it is not known: the rule {named} is no longer in ioc.config",
        )


def _side(words: Words, direction: str) -> str:
    return words.say("dưới", "below") if direction == "above" else words.say("trên", "above")


def _clear(words: Words, facts: Facts, level: Level, unit: str) -> str:
    bound = bound_value(level.clear_at, facts.source, facts.changes[-1].observed)
    return "?" if bound is None else words.value(round(bound, 9), unit)


def _by_reading(words: Words, facts: Facts, rule: LadderRule | RateRule) -> Iterator[str]:
    alert, say, side = facts.changes[-1], words.say, _side(words, rule.direction)
    judged = [
        level
        for level in rule.levels
        if bound_value(level.clear_at, facts.source, alert.observed) is not None
    ]
    own = next((level for level in judged if level.severity == alert.severity), None)
    if own is not None and own is not judged[0]:
        name = words.of(own.label) or SEVERITY_WORDS[own.severity][words.language]
        bound = _clear(words, facts, own, alert.unit)
        yield say(f"Rời mức {name} khi {side} {bound}", f"It leaves {name} {side} {bound}")
    if judged:
        bound = _clear(words, facts, judged[0], alert.unit)
        yield say(f"Kết thúc khi {side} {bound}", f"It clears {side} {bound}")
    else:
        yield say(
            "Nguồn không còn ngưỡng này trong danh mục: số đo tiếp theo sẽ kết thúc cảnh báo",
            "The inventory has no such threshold of the source any more: its next reading ends the alert",
        )
    value, observed, doubts = alert.value, alert.observed, alert.doubts
    if facts.reading is not None:
        value, observed, doubts = facts.reading.value, facts.reading.observed, facts.reading.doubts
    last = say("Số đo cuối", "Last reading")
    if isinstance(rule, RateRule):
        last = say("Thay đổi cuối", "Last change")
    yield f"{last}: {words.value(value, alert.unit)}, {moment(observed)}{words.doubted(doubts)}"
    if doubts:
        yield say("Số đo đáng ngờ không kết thúc cảnh báo", "A doubted reading does not clear it")
    yield from _no_data(words, facts, observed)


def _no_data(words: Words, facts: Facts, observed: datetime) -> Iterator[str]:
    now, source = facts.now, facts.source
    interval = source.interval if source is not None else None
    quiet = QUIET if interval is None else timedelta(seconds=QUIET_INTERVALS * interval)
    if now is not None and now - observed > quiet:
        yield words.say(
            f"Không có số liệu từ {moment(observed)} đến {moment(now)}: thiếu số liệu không kết thúc cảnh báo",
            f"No data from {moment(observed)} to {moment(now)}: missing data does not clear it",
        )


def _last_heard(words: Words, facts: Facts) -> str:
    heard, now = facts.heard, facts.now
    if heard is None:
        return words.say("Nguồn chưa từng gửi gì", "The source was never heard")
    ago = f" ({words.span(now - heard)})" if now is not None and now > heard else ""
    return words.say(f"Lần cuối nhận được: {moment(heard)}{ago}", f"Last heard: {moment(heard)}{ago}")
