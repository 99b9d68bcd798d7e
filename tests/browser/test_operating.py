"""Operators at the wall in a real browser: signing in, giving commands, and seeing what became of them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from alerts.commands import Command
from maps.picture import Picture
from streams.commanding import NotSent
from tests import wallkit as kit
from tests.browserkit import Browsing

HOSTILE = "<img src=x onerror='window.ran = true'>"


@pytest.fixture
def wall(tmp_path: Path) -> Iterator[kit.WallThread]:
    with kit.WallThread(kit.small_shell(), kit.operators_file(tmp_path)) as running:
        running.feed(lambda picture: picture.apply_alert(kit.alert_record("a1"), "a1"))
        yield running


def opened(browsing: Browsing, wall: kit.WallThread, query: str = "") -> Page:
    browsing.page.goto(wall.url + query)
    browsing.page.wait_for_selector("body.ready")
    expect(browsing.page.locator("#alerts .alert").first).to_be_visible()
    return browsing.page


def sign_in(page: Page, who: str = "operator", password: str = kit.PASSWORD) -> None:
    """With the keyboard alone, as somebody does who knows the way."""
    page.locator("#account-button").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#sign-in")).to_be_visible()
    page.keyboard.type(who)
    page.keyboard.press("Tab")
    page.keyboard.type(password)
    page.keyboard.press("Enter")


def sign_out(page: Page) -> None:
    page.locator("#account-button").click()
    expect(page.locator("#account-button")).to_have_text("Đăng nhập")


def button(page: Page, action: str, alert: str = "a1") -> Locator:
    return page.locator(f'#alerts .alert[data-id="{alert}"] button[data-action="{action}"]')


def sent(wall: kit.WallThread, number: int = 1) -> Command:
    """The command that has come out last, once there are so many."""
    deadline = time.monotonic() + 5
    while len(wall.outbox.sent) < number:
        assert time.monotonic() < deadline, f"only {len(wall.outbox.sent)} commands were sent"
        time.sleep(0.02)
    return wall.outbox.sent[-1][0]


def done(wall: kit.WallThread, command: Command, **changed: object) -> None:
    """What correlate would answer: the alert as it is then, and the outcome."""

    def apply(picture: Picture) -> None:
        record = kit.alert_record("a1", sequence=2, **changed)
        picture.apply_alert(record, "a1")
        picture.apply_outcome(kit.outcome_record(command, sequence=2))

    wall.feed(apply)


def test_an_operator_acknowledges_an_alert(wall: kit.WallThread, browsing: Browsing) -> None:
    """Signed in, one click: it is pending until the outcome comes, then it shows who acknowledged it and when."""
    page = opened(browsing, wall)
    expect(page.locator("#alerts button")).to_have_count(0)
    sign_in(page, password="wrong password")
    expect(page.locator("#sign-in-problem")).to_have_text("Sai tên đăng nhập hoặc mật khẩu")
    page.keyboard.type(kit.PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("#sign-in")).to_be_hidden()
    expect(page.locator("#account")).to_contain_text("Nguyễn Văn Operator")
    acknowledge = button(page, "acknowledge")
    expect(acknowledge).to_have_text("Xác nhận")
    acknowledge.click()
    command = sent(wall)
    assert (command.action, command.operator, command.alert, command.sequence) == (
        "acknowledge",
        "operator",
        "a1",
        1,
    )
    expect(page.locator(".mark.pending")).to_have_text("… Đang chờ kết quả: Xác nhận")
    expect(acknowledge).to_be_disabled()
    page.screenshot(path=kit.screenshots() / "pending.png")
    at = (kit.NOON - timedelta(minutes=1)).isoformat()
    done(wall, command, change="acknowledged", acknowledged={"by": "operator", "time": at}, by="operator")
    expect(page.locator(".mark.acknowledged")).to_have_text("✓ Đã xác nhận: operator 17:29")
    expect(page.locator(".mark.pending")).to_have_count(0)
    expect(page.locator("#notice")).to_contain_text("Đã xong: Xác nhận – Phường Thử 1")
    expect(acknowledge).to_have_count(0)
    assert browsing.errors == []
    refused = [line for line in browsing.console if "401" not in line]
    assert refused == [], "nothing that the policy refused, nothing missing"


def test_a_refusal_is_said_in_words(wall: kit.WallThread, browsing: Browsing) -> None:
    """The reason stands on the page in its language, and the alert is as it was."""
    page = opened(browsing, wall, "?lang=en")
    sign_in(page)
    button(page, "acknowledge").click()
    refused = kit.outcome_record(sent(wall), outcome="refused", reason="stale", sequence=2)
    wall.feed(lambda picture: picture.apply_outcome(refused))
    expect(page.locator("#notice")).to_contain_text("Refused: Acknowledge – Phường Thử 1")
    expect(page.locator("#notice")).to_contain_text("the alert has changed meanwhile")
    expect(button(page, "acknowledge")).to_be_enabled()


def test_an_outcome_that_does_not_come_is_missed(wall: kit.WallThread, browsing: Browsing) -> None:
    """After ten seconds the page says so and does not pretend; once it comes after all, it shows."""
    page = opened(browsing, wall)
    sign_in(page)
    button(page, "acknowledge").click()
    command = sent(wall)
    expect(page.locator(".mark.pending.late")).to_contain_text("Chưa có kết quả sau 10 s", timeout=13_000)
    expect(button(page, "acknowledge")).to_be_enabled()
    done(wall, command)
    expect(page.locator(".mark.pending")).to_have_count(0)


def test_a_log_that_cannot_be_reached_is_said(wall: kit.WallThread, browsing: Browsing) -> None:
    """The command is not pending: it is not in the log."""
    page = opened(browsing, wall)
    sign_in(page)
    wall.outbox.failure = NotSent("no broker")
    button(page, "acknowledge").click()
    expect(page.locator("#notice")).to_contain_text("Không gửi được: Xác nhận")
    expect(page.locator(".mark.pending")).to_have_count(0)


def test_closing_asks_for_a_reason(wall: kit.WallThread, browsing: Browsing) -> None:
    """Without one nothing is sent; Escape gives up; what is written arrives as it was written."""
    page = opened(browsing, wall)
    sign_in(page)
    button(page, "close").click()
    expect(page.locator("#say")).to_be_visible()
    expect(page.locator("#say-about")).to_contain_text("Phường Thử 1")
    page.locator("#say button[type=submit]").click()
    expect(page.locator("#say")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#say")).to_be_hidden()
    assert wall.outbox.sent == []
    button(page, "close").click()
    page.locator("#say-text").fill(f"  {HOSTILE} đã xử lý ")
    page.screenshot(path=kit.screenshots() / "closing.png")
    page.locator("#say button[type=submit]").click()
    command = sent(wall)
    assert (command.action, command.text) == ("close", f"{HOSTILE} đã xử lý")
    assert page.evaluate("window.ran") is None


def test_what_is_put_aside_leaves_list_and_map_but_not_the_count(
    wall: kit.WallThread, browsing: Browsing
) -> None:
    """A shelved and a suppressed alert colour nothing and are counted; whoever asks sees them, and may unshelve."""
    page = opened(browsing, wall)
    sign_in(page)
    colours = "window.wall.drawn().communes['90001']"
    assert page.evaluate(colours) == "severe"
    button(page, "shelve").click()
    command = sent(wall)
    assert command.until == kit.NOON + timedelta(minutes=30)
    done(wall, command, change="shelved", shelved_until=command.until.isoformat())
    suppressed = kit.alert_record("a2", suppressed="maintenance:cống 5", severity="extreme")
    wall.feed(lambda picture: picture.apply_alert(suppressed, "a2"))
    expect(page.locator("#alerts .alert")).to_have_count(0)
    expect(page.locator("#calm")).to_be_visible()
    expect(page.locator("#counters .none")).to_have_count(4)
    expect(page.locator("#aside")).to_contain_text("1 bị ẩn · 1 được gác")
    assert page.evaluate(colours) is None
    page.locator("#aside").click()
    expect(page.locator("#alerts .alert.aside")).to_have_count(2)
    expect(page.locator(".mark.shelved")).to_have_text("‖ Gác đến 18:00")
    expect(page.locator(".mark.suppressed")).to_have_text("– Ẩn do bảo trì cống 5")
    page.screenshot(path=kit.screenshots() / "aside.png")
    button(page, "unshelve").click()
    assert sent(wall, 2).action == "unshelve"


def test_the_focus_stays_where_it_was(wall: kit.WallThread, browsing: Browsing) -> None:
    """Whoever works with the keyboard does not lose his place when alerts come, go or change."""
    page = opened(browsing, wall)
    sign_in(page)
    button(page, "comment").focus()

    def apply(picture: Picture) -> None:
        picture.apply_alert(kit.alert_record("a0", severity="extreme"), "a0")
        picture.apply_alert(kit.alert_record("a1", sequence=2, value=2.1), "a1")

    wall.feed(apply)
    expect(page.locator("#alerts .alert")).to_have_count(2)
    expect(button(page, "comment")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#say")).to_be_visible()


def test_a_session_that_ended_asks_to_sign_in_again(wall: kit.WallThread, browsing: Browsing) -> None:
    """The click is not lost in silence: the page says why nothing happened and offers to sign in."""
    page = opened(browsing, wall)
    sign_in(page)
    expect(button(page, "acknowledge")).to_be_visible()
    page.context.clear_cookies()
    button(page, "acknowledge").click()
    expect(page.locator("#notice")).to_contain_text("phiên đã hết hạn")
    expect(page.locator("#sign-in")).to_be_visible()
    expect(page.locator("#alerts button")).to_have_count(0)


def test_viewers_and_strangers_have_no_buttons(wall: kit.WallThread, browsing: Browsing) -> None:
    """A viewer signs in and only sees; a supervisor releases what waits for it; signed out, the buttons are gone."""
    waiting = kit.alert_record("a1", awaiting=["pccc"])
    wall.feed(lambda picture: picture.apply_alert(waiting, "a1"))
    page = opened(browsing, wall)
    sign_in(page, "viewer")
    expect(page.locator("#account")).to_contain_text("người xem")
    expect(page.locator("#alerts button")).to_have_count(0)
    sign_out(page)
    sign_in(page, "operator")
    expect(button(page, "acknowledge")).to_be_visible()
    expect(button(page, "release pccc")).to_have_count(0)
    sign_out(page)
    sign_in(page, "supervisor")
    button(page, "release pccc").click()
    assert (sent(wall).action, sent(wall).to) == ("release", "pccc")


def test_what_stands_beside_a_measurement_is_said(wall: kit.WallThread, browsing: Browsing) -> None:
    """Overdue, assigned, doubtful, grouped: each in words, hostile ones as text."""
    page = opened(browsing, wall)
    record = kit.alert_record(
        "a1",
        overdue=1,
        assigned=HOSTILE,
        certainty="possible",
        doubts=["stuck", "range"],
        incident="i1",
        comments=[{"by": "an", "time": kit.NOON.isoformat(), "text": HOSTILE}],
    )

    def apply(picture: Picture) -> None:
        picture.apply_alert(record, "a1")
        picture.apply_alert(kit.alert_record("a2", severity="minor", incident="i1"), "a2")
        picture.apply_alert(
            kit.alert_record("a3", severity="minor", rule="manual", measure="", unit="", value=0, bound=0),
            "a3",
        )

    wall.feed(apply)
    marks = page.locator('.alert[data-id="a1"] .marks')
    for text in (
        "QUÁ HẠN",
        f"Phụ trách: {HOSTILE}",
        "Có thể",
        "Số đo đáng ngờ: không đổi quá lâu, ngoài khoảng hợp lý",
        "Sự cố: 2 cảnh báo",
        "1 ghi chú",
    ):
        expect(marks).to_contain_text(text)
    expect(page.locator('.alert[data-id="a3"]')).not_to_contain_text("ngưỡng")
    expect(page.locator('.alert[data-id="a3"] .value')).to_have_count(0)
    sign_in(page, "supervisor")
    expect(button(page, "acknowledge")).to_be_visible()
    page.screenshot(path=kit.screenshots() / "operating.png")
    assert page.evaluate("window.ran") is None


def test_an_error_in_a_new_configuration_shows(wall: kit.WallThread, browsing: Browsing) -> None:
    """The wall says where and what, and that the old configuration stays; mended, the banner goes."""
    page = opened(browsing, wall)
    fault = (
        f'{{"time": "2026-10-28T10:00:00Z", "what": "{HOSTILE}", "where": "rules.yaml:3:5", "remedy": "-"}}'
    )
    wall.feed(lambda picture: picture.apply_configuration_error(fault.encode()))
    banner = page.locator("#configuration-error")
    expect(banner).to_contain_text("cấu hình cũ vẫn có hiệu lực")
    expect(banner).to_contain_text(f"rules.yaml:3:5: {HOSTILE}")
    expect(page.locator("#banner")).to_be_hidden()
    wall.feed(lambda picture: picture.apply_configuration_error(None))
    expect(banner).to_be_hidden()
    assert page.evaluate("window.ran") is None


def test_without_operators_the_wall_says_that_it_only_shows(browsing: Browsing) -> None:
    """No file of operators: no way to sign in, and the reason."""
    with kit.WallThread(kit.small_shell()) as wall:
        wall.feed(lambda picture: picture.apply_alert(kit.alert_record("a1"), "a1"))
        page = opened(browsing, wall)
        expect(page.locator("#account")).to_have_text("Chỉ xem: chưa có tệp trực ban")
        expect(page.locator("#account-button")).to_have_count(0)


def test_an_operator_opens_an_alert_by_hand(wall: kit.WallThread, browsing: Browsing) -> None:
    """By the keyboard alone, at a commune of his choice; nothing is sent without words or without a place."""
    page = opened(browsing, wall)
    expect(page.locator("#open-button")).to_have_count(0)
    sign_in(page)
    page.locator("#open-button").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#open-vi")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#opening")).to_be_visible()
    page.keyboard.type(f"{HOSTILE} Cháy chợ")
    page.keyboard.press("Enter")
    expect(page.locator("#opening"), "there is no place yet").to_be_visible()
    page.locator("#open-hazard").select_option("fire")
    page.locator("#open-severity").select_option("extreme")
    page.locator("#open-commune").select_option(label="Phường Thử 5")
    page.screenshot(path=kit.screenshots() / "opening.png")
    page.locator("#open-form button[type=submit]").click()
    command = sent(wall)
    opening = command.opening
    assert opening is not None
    assert (command.action, command.alert, command.sequence) == ("open", "", None)
    assert (opening.hazard, opening.severity) == ("fire", "extreme")
    assert opening.title == {"vi": f"{HOSTILE} Cháy chợ"}
    assert (opening.where.lon, opening.where.lat) == (105.65, 10.05), "the commune's own point"
    outcome = kit.outcome_record(command, alert="manual-1", sequence=1)
    wall.feed(lambda picture: picture.apply_outcome(outcome))
    expect(page.locator("#notice")).to_have_text(f"Đã xong: Mở cảnh báo – Phường Thử 5, {HOSTILE} Cháy chợ")
    assert page.evaluate("window.ran") is None
    assert browsing.errors == []


def test_an_alert_is_opened_where_the_map_was_clicked(wall: kit.WallThread, browsing: Browsing) -> None:
    """From a commune's details; what was clicked earlier and is chosen no more is no place any more."""
    page = opened(browsing, wall)
    sign_in(page)
    expect(page.locator("#open-button")).to_be_visible()
    page.evaluate("map_wall.setView([10.02, 105.68], 12, {animate: false})")
    at = page.evaluate("map_wall.latLngToContainerPoint([10.01, 105.62])")
    page.locator("#map_wall").click(position={"x": at["x"], "y": at["y"]})
    page.locator("#details").get_by_role("button", name="Mở cảnh báo ở đây").click()
    assert float(page.locator("#open-lat").input_value()) == pytest.approx(10.01, abs=0.002)
    assert float(page.locator("#open-lon").input_value()) == pytest.approx(105.62, abs=0.002)
    expect(page.locator("#open-commune")).to_have_value("90005")
    page.keyboard.press("Escape")
    page.locator("#details-close").click()
    page.locator("#open-button").click()
    expect(page.locator("#open-lat")).to_have_value("")


def test_an_incident_is_acknowledged_as_one(wall: kit.WallThread, browsing: Browsing) -> None:
    """One click, a command for each alert that waits; what became of them is said as a sum."""

    def apply(picture: Picture) -> None:
        picture.apply_alert(kit.alert_record("a1", incident="i1"), "a1")
        picture.apply_alert(kit.alert_record("a2", severity="minor", incident="i1"), "a2")
        seen = {"by": "an", "time": kit.NOON.isoformat()}
        picture.apply_alert(kit.alert_record("a3", severity="minor", incident="i1", acknowledged=seen), "a3")

    wall.feed(apply)
    page = opened(browsing, wall)
    together = page.locator("button[data-action=acknowledge-all]")
    expect(together).to_have_count(0)
    sign_in(page)
    expect(together).to_have_accessible_name("Xác nhận cả 2")
    together.focus()
    page.keyboard.press("Enter")
    sent(wall, 2)
    commands = [command for command, _ in wall.outbox.sent]
    assert {(command.action, command.alert) for command in commands} == {
        ("acknowledge", "a1"),
        ("acknowledge", "a2"),
    }
    expect(together).to_be_disabled()

    def answered(picture: Picture) -> None:
        for command in commands:
            refused = {"outcome": "refused", "reason": "stale"} if command.alert == "a2" else {}
            picture.apply_outcome(kit.outcome_record(command, sequence=2, **refused))

    wall.feed(answered)
    expect(page.locator("#notice")).to_contain_text("1 xong, 1 bị từ chối, 0 đang chờ")
    expect(together).to_be_enabled()
    page.screenshot(path=kit.screenshots() / "together.png")


def test_comments_are_read_by_whoever_is_signed_in(wall: kit.WallThread, browsing: Browsing) -> None:
    """They are not for everybody who passes the wall; hostile ones are letters."""
    comment = {"by": "an", "time": kit.NOON.isoformat(), "text": HOSTILE}
    record = kit.alert_record("a1", sequence=2, comments=[comment])
    wall.feed(lambda picture: picture.apply_alert(record, "a1"))
    page = opened(browsing, wall, "#alert=a1")
    expect(page.locator("#details .detail")).to_contain_text("water-level")
    expect(page.locator("#details .said")).to_have_count(0)
    sign_in(page)
    expect(page.locator("#details .said")).to_have_text(HOSTILE)
    assert page.evaluate("window.ran") is None
