"""Why a command was refused, in words."""

from __future__ import annotations

from alerts.commands import Refusal

#: Why a command was refused, in Vietnamese and in English.
REASONS: dict[Refusal, tuple[str, str]] = {
    "unknown-operator": (
        "cấu hình đang dùng chưa có trực ban này",
        "the configuration in force does not name this operator",
    ),
    "not-allowed": ("vai trò không được phép", "the operator's role may not do this"),
    "unknown-alert": ("không còn cảnh báo này", "there is no such alert any more"),
    "stale": ("cảnh báo đã thay đổi", "the alert has changed meanwhile, look at it again"),
    "not-open": ("cảnh báo không còn mở", "the alert is not open any more"),
    "already-so": ("đã như vậy rồi", "it is so already"),
    "not-shelved": ("cảnh báo không được gác", "the alert is not shelved"),
    "shelved": ("cảnh báo đang được gác", "the alert is shelved"),
    "shelved-too-long": ("vai trò chỉ được gác ngắn hơn", "the operator's role may not shelve for so long"),
    "not-awaiting": ("không có gì chờ phát hành", "nothing awaits release to this agency"),
    "unknown-assignee": ("không có người này trong cấu hình", "the configuration names nobody of that id"),
    "until-is-past": ("thời điểm đã qua", "that time has passed"),
    "nothing-said": ("chưa có nội dung", "no text was given"),
    "nothing-opened": ("thiếu nội dung cảnh báo", "nothing was said about the alert"),
}
