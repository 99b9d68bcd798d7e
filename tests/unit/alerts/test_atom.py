"""The Atom feed of an agency: what RFC 4287 asks for, and links that lead to the CAP documents."""

from __future__ import annotations

from datetime import timedelta
from xml.etree import ElementTree as ET

from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.agencies.atom import atom_xml
from tests.agencykit import START, alert, moved, subscription
from tests.unit.alerts.test_cap import hostile, message, messages, names

ATOM = "{http://www.w3.org/2005/Atom}"


def texts(parent: ET.Element, tag: str) -> list[str]:
    return [element.text or "" for element in parent.findall(f"{ATOM}{tag}")]


def test_the_newest_message_comes_first_and_leads_to_its_document() -> None:
    """An entry has id, title, time, summary, type and a relative link; the feed has the time of the last message."""
    first = message()
    ended = moved(alert(), "cleared")
    last = message(ended, identifier="fire.alert-1.2", type="cancel", sent=START + timedelta(minutes=9))
    feed = ET.fromstring(atom_xml(subscription(), [first, last]))
    assert feed.tag == f"{ATOM}feed"
    assert texts(feed, "id") == ["urn:ioc:agency:fire"]
    assert texts(feed, "title") == ["Cảnh báo cho Cơ quan fire"]
    assert texts(feed, "updated") == ["2026-10-28T16:29:00+07:00"]
    assert feed.findtext(f"{ATOM}author/{ATOM}name")
    newest, oldest = feed.findall(f"{ATOM}entry")
    assert texts(newest, "id") == ["urn:ioc:cap:fire.alert-1.2"]
    assert texts(newest, "title")[0].startswith("Đã hết: ")
    assert texts(newest, "updated") == ["2026-10-28T16:29:00+07:00"]
    assert [one.get("term") for one in newest.findall(f"{ATOM}category")] == ["cancel"]
    [link] = oldest.findall(f"{ATOM}link")
    assert link.attrib == {
        "rel": "alternate",
        "type": "application/cap+xml",
        "href": "cap/fire.alert-1.1.xml",
    }
    assert "2,04 m" in texts(oldest, "summary")[0]


def test_the_language_is_the_one_that_the_agency_prefers() -> None:
    """Titles and summaries follow the subscription, the feed says which language it is."""
    feed = ET.fromstring(atom_xml(subscription(languages=("en", "vi")), [message()]))
    assert texts(feed, "title") == ["Alerts for Agency fire"]
    assert feed.get("{http://www.w3.org/XML/1998/namespace}lang") == "en-US"


def test_a_feed_without_messages_is_a_feed() -> None:
    """It has what every feed needs, and the same bytes each time."""
    feed = ET.fromstring(atom_xml(subscription(), []))
    assert texts(feed, "updated") == ["1970-01-01T07:00:00+07:00"]
    assert texts(feed, "entry") == []
    assert atom_xml(subscription(), []) == atom_xml(subscription(), [])


@given(st.lists(messages, max_size=4), names, hostile)
@settings(max_examples=60, deadline=None)
def test_whatever_alerts_hold_the_feed_can_be_read(of: list, name: dict[str, str], text: str) -> None:
    """An entry for each message; titles are one line."""
    agency = subscription(languages=("vi",))
    feed = ET.fromstring(atom_xml(type(agency)(agency="fire", name={**name, "vi": text}), of))
    entries = feed.findall(f"{ATOM}entry")
    assert len(entries) == len(of)
    assert all(len(title.splitlines()) <= 1 for entry in entries for title in texts(entry, "title"))
