"""What `ioc deadletters` says, in Vietnamese and English.

A record is whatever somebody sent: none of its signs may reach the terminal that moves the cursor, colours, hides or
turns text around.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta

import msgspec

from ioc.commands.tables import columns
from ioc.undecodable import UNDECODABLE
from streams.deadletters import Outcome
from streams.letters import Found
from streams.repair import Letter, Ready, Refused
from streams.schemas import Replayed

#: Characters of what is wrong in a list, and of a field's value.
CUT, VALUE_CUT = 60, 200
#: Characters shown before and behind the byte at which a record is malformed.
AROUND = 30

_BYTE = re.compile(r"\(byte (\d+)\)")
_FIELD = re.compile(r"(?:field `|at `\$\.)(\w+)")
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])

#: By what the decoder says: what to do. {field} and {id} are filled in.
_HINTS = (
    (
        "missing required field",
        "thêm trường còn thiếu: --set {field}=GIÁ_TRỊ",
        "add what is missing: --set {field}=VALUE",
    ),
    (
        "RFC3339|`datetime`|in the years",
        "viết thời điểm kèm múi giờ: --set {field}=2025-10-08T17:20:00+07:00",
        "write the time with its zone: --set {field}=2025-10-08T17:20:00+07:00",
    ),
    (
        "Expected `(float|int)",
        "viết số với dấu chấm thập phân, không có đơn vị: --set {field}=1.2",
        "write a number with a decimal point and no unit: --set {field}=1.2",
    ),
    (
        "of length|control characters|cannot be printed|Expected `str|out of range",
        "đặt lại trường này: --set {field}=GIÁ_TRỊ",
        "set the field anew: --set {field}=VALUE",
    ),
)
_ANEW = (
    "ghi bản ghi ra tệp, sửa, rồi phát lại: ioc deadletters show {id} -o FILE, "
    "ioc deadletters replay {id} --edit FILE",
    "write the record to a file, correct it, replay it: ioc deadletters show {id} -o FILE, "
    "ioc deadletters replay {id} --edit FILE",
)
_FUTURE = (
    "phát lại khi đồng hồ của log đã đến đó; nếu đồng hồ của nguồn sai: --set time=THỜI_ĐIỂM",
    "replay it once the log's clock has come so far; where the source's clock is wrong: --set time=TIME",
)
_REPORT = (
    "phản ánh của người dân chỉ nằm ở topic thô; --raw hiện nội dung, có thể có dữ liệu cá nhân",
    "a citizen's report stands on its raw topic only; --raw shows it, which may hold personal data",
)


def shown(text: str) -> str:
    """A text for a terminal: what is no printable sign stands as its code, such as ‹U+202E›."""
    return "".join(sign if sign.isprintable() else f"‹U+{ord(sign):04X}›" for sign in text)


def hints(letter: Letter, detail: str) -> tuple[str, str]:
    """How a letter can be mended, in Vietnamese and English; `detail` is what the decoder says."""
    if letter.reason == "future":
        vi, en = _FUTURE
    elif letter.id.stream == "report" and not detail:
        vi, en = _REPORT
    else:
        field = _FIELD.search(detail)
        vi, en = next(
            ((vi, en) for pattern, vi, en in _HINTS if field and re.search(pattern, detail)),
            _ANEW,
        )
        name = field[1] if field else ""
        vi, en = (text.format(field=name, id=letter.id) for text in (vi, en))
    return vi, en


def place(detail: str, value: str) -> str | None:
    """The piece of a record that the decoder speaks of; None where it names none that is there."""
    split = None
    if at := _BYTE.search(detail):
        split = len(value.encode()[: int(at[1])].decode(errors="replace"))
    elif "codec can't decode" in detail and "\N{REPLACEMENT CHARACTER}" in value:
        split = value.index("\N{REPLACEMENT CHARACTER}")
    if split is not None:
        return f"{shown(value[:split][-AROUND:])}▶{shown(value[split:][:AROUND])}"
    if field := _FIELD.search(detail):
        try:
            found = _fields.decode(value.encode()).get(field[1])
        except UNDECODABLE:
            return None
        if found is not None:
            return f"{field[1]}: {shown(bytes(found).decode(errors='replace')[:VALUE_CUT])}"
    return None


def letter_lines(
    letter: Letter, mark: Replayed | None, topic: str, record: str | None, detail: str
) -> list[str]:
    """All that is known of a letter; `record` is its content where that is to be shown."""
    id = letter.id
    key = "–" if letter.key is None else shown(letter.key.decode(errors="replace"))[:VALUE_CUT]
    lines = [
        f"{id}  {letter.reason}  {_time(letter.at)}",
        f"vị trí / stands in: {topic}, partition {id.partition}, offset {id.offset}; khóa / key: {key}",
    ]
    if detail:
        lines.append(f"lỗi / wrong: {shown(detail)}")
    if record is not None:
        if (where := place(detail, record)) is not None:
            lines.append(f"ở / at: {where}")
        lines.append("bản ghi / record:")
        # The bar keeps a line of the record from looking like one of this program.
        lines += [f"  | {shown(line)}" for line in record.split("\n")]
    if mark is not None:
        lines.append(f"đã phát lại / replayed: {_marked(letter, mark)}")
    vi, en = hints(letter, detail)
    return [*lines, f"cách sửa: {vi}", f"repair: {en}"]


def list_lines(found: Found, limit: int) -> list[str]:
    """The letters as a table, and how many there are by stream and reason."""
    rows = [
        (
            str(letter.id),
            letter.reason,
            _time(letter.at),
            "–" if letter.key is None else shown(letter.key.decode(errors="replace"))[:CUT],
            _time(found.marks[letter.id].at) if letter.id in found.marks else "–",
            shown(letter.detail)[:CUT],
        )
        for letter in found.letters.values()
    ]
    lines = columns([("id", "reason", "dead since", "key", "replayed", "wrong"), *rows]).splitlines()
    total = sum(found.counts.values())
    counts = ", ".join(f"{number} {' '.join(kind)}" for kind, number in sorted(found.counts.items()))
    lines += ["", f"{total} dead letters ({counts or 'none'}), {found.replayed} of them replayed"]
    if total > len(rows):
        lines.append(f"the latest {limit} are listed; more with --limit, all by what is wrong with --faults")
    if found.unreadable:
        lines.append(f"{found.unreadable} records of the topic are no dead letters of this installation")
    return lines


def fault_lines(found: Found) -> list[str]:
    """What is wrong with the letters, the most frequent first, and whose they are."""
    most = sorted(found.faults.items(), key=lambda item: (-item[1].count, item[0]))
    rows = [
        (
            str(fault.count),
            stream,
            reason,
            shown(wrong)[:VALUE_CUT] or "–",
            str(fault.id),
            ", ".join(shown(key.decode(errors="replace"))[:CUT] for key in fault.keys) or "–",
        )
        for (stream, reason, wrong), fault in most
    ]
    lines = columns([("letters", "stream", "reason", "wrong", "last", "keys, some"), *rows]).splitlines()
    return [*lines, "", f"{sum(found.counts.values())} dead letters, {found.replayed} of them replayed"]


def outcome_lines(outcome: Outcome) -> list[str]:
    """What became of a letter, or would become of it, in Vietnamese and English."""
    id, verdict = outcome.letter.id, outcome.verdict
    if isinstance(verdict, Refused):
        vi, en = _refusal(outcome, verdict)
        return [f"bị từ chối / refused: {id}: {vi} / {en}"]
    if outcome.to is not None:
        line = f"đã phát lại / replayed: {id} -> {outcome.to}"
    else:
        line = f"sẽ phát lại / would be replayed: {id} -> {id.stream}/{verdict.partition}"
    return [line, *(f"  {vi} / {en}" for vi, en in _notes(outcome, verdict))]


def _notes(outcome: Outcome, ready: Ready) -> Iterable[tuple[str, str]]:
    if outcome.mark is not None:
        yield "đã phát lại trước đây", f"was replayed before: {_marked(outcome.letter, outcome.mark)}"
    if ready.late is not None:
        age = _span(ready.late)
        yield (
            f"sẽ được lưu nhưng không được đánh giá: trễ {age} so với đồng hồ của log (IOC_LATE_BOUND)",
            f"will be kept and not judged: {age} behind the log's clock (IOC_LATE_BOUND)",
        )
    if ready.no_clock:
        yield (
            "sẽ được lưu nhưng không được đánh giá: partition chưa có bản ghi đồng hồ",
            "will be kept and not judged: its partition has no clock record yet",
        )
    if ready.marked:
        yield "được đánh dấu là mô phỏng", "marked as simulated: a replay's clock holds here"


def _refusal(outcome: Outcome, refused: Refused) -> tuple[str, str]:
    detail = shown(refused.detail)
    if refused.reason == "future" and refused.clock is not None and refused.due is not None:
        wait = _span(refused.due - refused.clock)
        return (
            f"đồng hồ của log ở {_time(refused.clock)}, phải đến {_time(refused.due)}: còn {wait}",
            f"the log's clock shows {_time(refused.clock)} and must come to {_time(refused.due)}: wait {wait}",
        )
    if refused.reason == "gone":
        return (
            "bản ghi thô đã bị xóa (topic thô lưu 7 ngày), dead letter không giữ đủ nội dung; viết lại với --edit",
            "its raw record is deleted (raw topics keep 7 days) and the letter does not hold all of it; "
            "write it anew with --edit",
        )
    if refused.reason == "replayed" and outcome.mark is not None:
        mark = _marked(outcome.letter, outcome.mark)
        return (
            f"đã được phát lại: {mark}; --again để phát lại nữa",
            f"it was replayed: {mark}; --again for once more",
        )
    if refused.reason == "unrepairable":
        return "không sửa được như vậy", detail
    detail = detail or "a report's error is not told here: ioc deadletters show ID --raw"
    return "vẫn sẽ là dead letter", f"would be a dead letter again: {detail}"


def _marked(letter: Letter, mark: Replayed) -> str:
    repaired = ", đã sửa / repaired" if mark.repaired else ""
    return f"{_time(mark.at)}, {shown(mark.by)}, {letter.id.stream}/{mark.to_partition}/{mark.to_offset}{repaired}"


def _time(time: datetime) -> str:
    return time.isoformat(timespec="seconds").replace("+00:00", "Z")


def _span(span: timedelta) -> str:
    """A length of time, such as 2:03:00 or 3 days, 0:00:10, to the second above."""
    return str(timedelta(seconds=-(-span // timedelta(seconds=1))))
