"""What a message says to people, in Vietnamese and English, made from the alert's fields alone.

A disaster-risk level is never stated: only the competent authority declares one, from forecasts. And an end without a
measurement that says so (missing data, an expiry, a rule that went) is never called an all-clear.
"""

from __future__ import annotations

from datetime import datetime

from alerts.agencies.dues import LOCAL
from alerts.agencies.messages import AgencyAlert
from alerts.alert import Alert
from alerts.model import Text

#: Texts of a language that a name does not have are taken from these, in order.
FALLBACK = ("vi", "en")

EXERCISE: Text = {"vi": "DIỄN TẬP – ", "en": "EXERCISE – "}
EXERCISE_NOTE: Text = {
    "vi": "DIỄN TẬP: dữ liệu mô phỏng, không có sự việc thật; không hành động như với cảnh báo thật.",
    "en": "EXERCISE: simulated data, nothing has really happened; do not act as on a real alert.",
}

#: Words for an alert's fields.
SEVERITY_WORDS: dict[str, Text] = {
    "minor": {"vi": "mức thấp", "en": "minor"},
    "moderate": {"vi": "mức trung bình", "en": "moderate"},
    "severe": {"vi": "mức cao", "en": "severe"},
    "extreme": {"vi": "mức khẩn cấp", "en": "extreme"},
}
_CERTAINTY: dict[str, Text] = {
    "possible": {
        "vi": "Mới là khả năng, chưa được xác nhận.",
        "en": "It is possible, and not confirmed.",
    },
    "likely": {
        "vi": "Nhiều khả năng là đúng, nhưng chưa chắc chắn.",
        "en": "It is likely, and not certain.",
    },
}
DOUBT_WORDS: dict[str, Text] = {
    "range": {"vi": "ngoài khoảng hợp lý", "en": "beyond what is plausible"},
    "spike": {"vi": "nhảy vọt chưa được xác nhận", "en": "a jump that is not confirmed"},
    "stuck": {"vi": "không đổi quá lâu", "en": "unchanged for too long"},
    "datum": {"vi": "khác mốc cao độ", "en": "above another datum"},
}
#: Why an alert was closed without its measure clearing it.
REASON_WORDS: dict[str, Text] = {
    "operator": {"vi": "trực ban đã đóng", "en": "an operator closed it"},
    "expired": {
        "vi": "không còn tin báo mới trong thời hạn",
        "en": "nothing more was reported within its time",
    },
    "rule-removed": {"vi": "quy tắc không còn được áp dụng", "en": "its rule no longer applies"},
    "rule-changed": {"vi": "quy tắc đã thay đổi", "en": "its rule has changed"},
    "source-removed": {"vi": "nguồn đo không còn trong danh mục", "en": "its source is no longer listed"},
    "commune-removed": {
        "vi": "đơn vị hành chính không còn trên bản đồ",
        "en": "its commune is no longer on the map",
    },
    "boundary-changed": {
        "vi": "địa giới thay đổi, cảnh báo tiếp tục ở đơn vị hành chính mới",
        "en": "a boundary moved, it goes on in another commune",
    },
}

#: Units that are words; all others are signs, the same in every language.
_UNIT_WORDS: dict[str, Text] = {
    "vehicles": {"vi": "xe", "en": "vehicles"},
    "alerts": {"vi": "cảnh báo", "en": "alerts"},
}

_SIMULATED: Text = {"vi": "Dữ liệu mô phỏng.", "en": "Simulated data."}
_APPROXIMATE: Text = {
    "vi": "Địa giới hành chính dùng ở đây là gần đúng.",
    "en": "The boundaries used here are approximate.",
}
_NO_LEVEL: Text = {
    "vi": "Cảnh báo do quy tắc tự động đưa ra từ số liệu; không phải là công bố cấp độ rủi ro thiên tai.",
    "en": "Raised by an automatic rule on observations; no declaration of a disaster-risk level.",
}
_BY_HAND: Text = {"vi": "Do trực ban nhập.", "en": "Entered by an operator."}


def text(texts: Text, language: str, otherwise: str = "") -> str:
    """A text in a language; where it lacks that one, in another that it has."""
    return next((texts[one] for one in (language, *FALLBACK) if texts.get(one)), otherwise)


def all_clear(message: AgencyAlert) -> bool:
    """Whether a message may say that it is over: a measurement has said so."""
    return message.type == "cancel" and message.alert.state == "cleared"


def event(message: AgencyAlert, language: str) -> str:
    """The kind of event, such as the rule's title."""
    return text(message.alert.title, language, message.alert.hazard)


def headline(message: AgencyAlert, language: str) -> str:
    """One line: what, how bad and where; an exercise says first that it is one."""
    alert = message.alert
    what = event(message, language)
    if label := text(alert.label, language):
        what = f"{what}, {label}"
    if message.type != "cancel":
        what = f"{what} ({SEVERITY_WORDS[alert.severity][language]})"
    elif all_clear(message):
        what = {"vi": f"Đã hết: {what}", "en": f"Over: {what}"}[language]
    else:
        what = {"vi": f"Ngừng cảnh báo: {what}", "en": f"Alert withdrawn: {what}"}[language]
    where = ", ".join(
        part for part in (text(alert.subject_name, language), alert.where.commune_name or "") if part
    )
    exercise = EXERCISE[language] if message.status == "exercise" else ""
    return f"{exercise}{what} – {where}" if where else f"{exercise}{what}"


def description(message: AgencyAlert, language: str) -> str:
    """What is known, a sentence a line."""
    alert = message.alert
    vietnamese = language == "vi"
    lines = [EXERCISE_NOTE[language]] if message.status == "exercise" else []
    if message.type == "cancel":
        lines.append(_end(message, language))
    if alert.rule == "manual":
        lines.append(_BY_HAND[language])
    elif alert.measure:
        value, bound = number(alert.value, alert.unit, language), number(alert.bound, alert.unit, language)
        observed = moment(alert.observed)
        lines.append(
            f"Giá trị {value} lúc {observed}; ngưỡng {bound}."
            if vietnamese
            else f"Value {value} at {observed}; bound {bound}."
        )
        if alert.peak is not None and alert.peaked is not None and alert.peak != alert.value:
            peak, peaked = number(alert.peak, alert.unit, language), moment(alert.peaked)
            lines.append(
                f"Xấu nhất đến nay {peak} lúc {peaked}."
                if vietnamese
                else f"Worst so far {peak} at {peaked}."
            )
    started = moment(alert.started)
    lines.append(f"Bắt đầu lúc {started}." if vietnamese else f"It began at {started}.")
    if message.type != "cancel" and alert.certainty in _CERTAINTY:
        lines.append(_CERTAINTY[alert.certainty][language])
    if alert.doubts:
        doubts = ", ".join(DOUBT_WORDS[doubt][language] for doubt in alert.doubts)
        lines.append(f"Số đo đáng ngờ: {doubts}." if vietnamese else f"The reading is doubted: {doubts}.")
    if alert.citation:
        lines.append(f"Căn cứ: {alert.citation}." if vietnamese else f"Basis: {alert.citation}.")
    if alert.where.approximate:
        lines.append(_APPROXIMATE[language])
    if alert.simulated:
        lines.append(_SIMULATED[language])
    if alert.rule != "manual":
        lines.append(_NO_LEVEL[language])
    return "\n".join(lines)


def instruction(message: AgencyAlert, language: str) -> str:
    """What the agency is asked for. What it has to do stands in its own plans."""
    if message.status == "exercise":
        return {
            "vi": "Thực hiện theo kịch bản diễn tập.",
            "en": "Act by the script of the exercise.",
        }[language]
    if all_clear(message):
        return {
            "vi": "Kết thúc những việc đã bắt đầu vì cảnh báo này, theo phương án của đơn vị.",
            "en": "End what was begun for this alert, by your own plan.",
        }[language]
    if message.type == "cancel":
        return {
            "vi": "Không có nghĩa là đã an toàn: hãy tự kiểm tra tại chỗ trước khi kết thúc công việc.",
            "en": "This does not mean that it is safe: check on the spot before you end what you began.",
        }[language]
    if message.alert.certainty == "possible":
        return {
            "vi": "Kiểm tra tại chỗ trước, rồi xử lý theo phương án của đơn vị.",
            "en": "Check on the spot first, then act by your own plan.",
        }[language]
    return {
        "vi": "Theo dõi diễn biến và xử lý theo phương án của đơn vị.",
        "en": "Follow how it develops, and act by your own plan.",
    }[language]


def area(alert: Alert, language: str) -> str:
    """The place in words."""
    if name := alert.where.commune_name:
        others = [code for code in alert.area if code != alert.where.commune]
        if not others:
            return name
        codes = ", ".join(others)
        return f"{name}; và mã {codes}" if language == "vi" else f"{name}; and codes {codes}"
    if alert.area:
        return ", ".join(alert.area)
    if alert.where.province:
        return f"{'Tỉnh, thành phố mã' if language == 'vi' else 'Province of code'} {alert.where.province}"
    return "Không rõ địa bàn" if language == "vi" else "Place unknown"


def _end(message: AgencyAlert, language: str) -> str:
    alert = message.alert
    if all_clear(message):
        return {
            "vi": f"Số đo đã qua ngưỡng kết thúc lúc {moment(alert.time)}.",
            "en": f"The measure passed the bound for the end at {moment(alert.time)}.",
        }[language]
    if alert.open:
        return {
            "vi": "Sự việc vẫn còn, nhưng không còn thuộc phạm vi đăng ký của đơn vị.",
            "en": "It goes on, but is no longer within what you subscribed to.",
        }[language]
    why = text(REASON_WORDS.get(alert.reason, {}), language, alert.reason)
    return {"vi": f"Cảnh báo được đóng: {why}.", "en": f"The alert was closed: {why}."}[language]


def number(value: float, unit: str, language: str) -> str:
    """A value with its unit, as a language writes it."""
    digits = f"{value:g}"
    unit = text(_UNIT_WORDS.get(unit, {}), language, unit)
    return f"{digits.replace('.', ',') if language == 'vi' else digits} {unit}".rstrip()


def moment(time: datetime) -> str:
    """A time as people here read it."""
    return f"{time.astimezone(LOCAL):%H:%M %d/%m/%Y}"
