"""An agency's messages as an Atom feed (RFC 4287): an entry for each, the newest first, with its CAP document.

Links are relative to the feed's own address, so that they are true behind any proxy.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

from alerts.agencies import cap, wording
from alerts.agencies.messages import AgencyAlert
from alerts.model import Text
from alerts.rules.policy import Subscription

NAMESPACE = "http://www.w3.org/2005/Atom"
CONTENT_TYPE = "application/atom+xml"

_TITLE: Text = {"vi": "Cảnh báo cho {}", "en": "Alerts for {}"}


def atom_xml(
    subscription: Subscription, messages: Sequence[AgencyAlert], *, sender_name: Text = cap.SENDER_NAME
) -> bytes:
    """The feed of an agency in the language that it prefers, in UTF-8. The same messages always give the same bytes.

    `messages` are in the order in which they were sent. A feed without any was last updated in 1970.
    """
    language = next((one for one in subscription.languages if one in cap.LANGUAGES), "vi")
    name = wording.text(subscription.name, language, subscription.agency)
    feed = ET.Element("feed", {"xmlns": NAMESPACE, "xml:lang": cap.LANGUAGES[language]})
    _add(feed, "id", f"urn:ioc:agency:{subscription.agency}")
    _add(feed, "title", _TITLE[language].format(name))
    _add(feed, "updated", cap.local_time(messages[-1].sent if messages else datetime.fromtimestamp(0, UTC)))
    ET.SubElement(feed, "link", rel="self", type=CONTENT_TYPE, href="feed.atom")
    _add(ET.SubElement(feed, "author"), "name", wording.text(sender_name, language))
    for message in reversed(messages):
        entry = ET.SubElement(feed, "entry")
        _add(entry, "id", f"urn:ioc:cap:{message.identifier}")
        _add(entry, "title", " ".join(wording.headline(message, language).split()))
        _add(entry, "updated", cap.local_time(message.sent))
        _add(entry, "summary", wording.description(message, language))
        ET.SubElement(entry, "category", term=message.type)
        document = f"cap/{message.identifier}.xml"
        ET.SubElement(entry, "link", rel="alternate", type=cap.CONTENT_TYPE, href=document)
    ET.indent(feed)
    return ET.tostring(feed, encoding="utf-8", xml_declaration=True)


def _add(parent: ET.Element, tag: str, text: str) -> None:
    ET.SubElement(parent, tag).text = cap.clean(text)
