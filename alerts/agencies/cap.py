"""A message to an agency as a document of the Common Alerting Protocol 1.2 (OASIS).

How alerts become CAP:

    status          Exercise for an exercise's subscription, else Actual
    scope           Restricted: it is for the agency that subscribed; what the public is told is the agency's to say
    category        by hazard, see `CATEGORIES`; Met is the standard's own place for floods
    urgency         Immediate where it is observed, Expected where it is possible or likely, Past once a measurement
                    says that it is over; Unknown where the alert ended without one
    responseType    Monitor, or Prepare from severe on; beside it Assess while it is only possible; AllClear for
                    nothing but an end that was measured, Monitor for every other end
    area            the communes with their codes; where the place is a point, a circle around it that is there to
                    find it, not to say how far the hazard reaches
    expires         never given: that nothing more is heard does not end an alert

Times are local, with whole seconds and an offset, as the standard wants them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from xml.etree import ElementTree as ET

from alerts.agencies import wording
from alerts.agencies.dues import LOCAL
from alerts.agencies.messages import AgencyAlert
from alerts.alert import Alert
from alerts.model import Text

NAMESPACE = "urn:oasis:names:tc:emergency:cap:1.2"
CONTENT_TYPE = "application/cap+xml"

#: CAP's category of a hazard; Other for one that is not here.
CATEGORIES = {
    "flood": "Met",
    "rain": "Met",
    "storm": "Met",
    "salinity": "Env",
    "traffic": "Transport",
    "equipment": "Infra",
}
LANGUAGES = {"vi": "vi-VN", "en": "en-US"}
SENDER_NAME: Text = {
    "vi": "Trung tâm Điều hành đô thị thông minh",
    "en": "Smart-city operations centre",
}
#: Radius of the circle around a point, km.
RADIUS_KM = 0.1

#: Characters that XML 1.0 cannot hold, lone surrogates among them.
_IMPOSSIBLE = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
#: What identifier and sender must not hold.
_NO_TOKEN = re.compile(r"[\s,<&]")


def cap_xml(message: AgencyAlert, *, sender: str, sender_name: Text = SENDER_NAME) -> bytes:
    """The document, in UTF-8. The same message always gives the same bytes.

    `sender` identifies this installation to all others, such as `ioc@example.gov.vn`. Raises `ValueError` where it or
    an identifier is empty or has a space, a comma, `<` or `&`.
    """
    root = ET.Element("alert", xmlns=NAMESPACE)
    _add(root, "identifier", _token(message.identifier))
    _add(root, "sender", _token(sender))
    _add(root, "sent", local_time(message.sent))
    _add(root, "status", message.status.capitalize())
    _add(root, "msgType", message.type.capitalize())
    _add(root, "scope", "Restricted")
    _add(root, "restriction", f"{message.agency}: không phổ biến ra công chúng / not for publication")
    if message.status == "exercise":
        _add(root, "note", f"{wording.EXERCISE_NOTE['vi']} / {wording.EXERCISE_NOTE['en']}")
    references = [f"{sender},{_token(one.identifier)},{local_time(one.sent)}" for one in message.references]
    if references:
        _add(root, "references", " ".join(references))
    if message.alert.incident:
        _add(root, "incidents", _token(message.alert.incident))
    for language in [one for one in message.languages if one in LANGUAGES] or LANGUAGES:
        _info(root, message, language, sender_name)
    ET.indent(root)
    return ET.tostring(root, encoding="utf-8", xml_declaration=True)


def urgency(message: AgencyAlert) -> str:
    """CAP's urgency."""
    if message.type == "cancel":
        return "Past" if wording.all_clear(message) else "Unknown"
    return "Immediate" if message.alert.certainty == "observed" else "Expected"


def response_types(message: AgencyAlert) -> list[str]:
    """CAP's response types."""
    if message.type == "cancel":
        return ["AllClear" if wording.all_clear(message) else "Monitor"]
    main = "Prepare" if message.alert.severity in ("severe", "extreme") else "Monitor"
    return [main, "Assess"] if message.alert.certainty == "possible" else [main]


def clean(text: str) -> str:
    """A text without what XML cannot hold: each such character is replaced by U+FFFD."""
    return _IMPOSSIBLE.sub("\ufffd", text)


def local_time(time: datetime) -> str:
    """A time as CAP wants it: local, with an offset and whole seconds."""
    return time.astimezone(LOCAL).replace(microsecond=0).isoformat()


def _info(root: ET.Element, message: AgencyAlert, language: str, sender_name: Text) -> None:
    alert = message.alert
    info = ET.SubElement(root, "info")
    _add(info, "language", LANGUAGES[language])
    _add(info, "category", CATEGORIES.get(alert.hazard, "Other"))
    _add(info, "event", _line(wording.event(message, language)))
    for response in response_types(message):
        _add(info, "responseType", response)
    _add(info, "urgency", urgency(message))
    _add(info, "severity", alert.severity.capitalize())
    _add(info, "certainty", alert.certainty.capitalize())
    _named(info, "eventCode", [("ioc-hazard", alert.hazard)])
    _add(info, "onset", local_time(alert.started))
    _add(info, "senderName", _line(wording.text(sender_name, language)))
    _add(info, "headline", _line(wording.headline(message, language)))
    _add(info, "description", clean(wording.description(message, language)))
    _add(info, "instruction", wording.instruction(message, language))
    _named(info, "parameter", _parameters(alert, language))
    area = ET.SubElement(info, "area")
    _add(area, "areaDesc", _line(wording.area(alert, language)))
    if alert.where.lon is not None and alert.where.lat is not None:
        _add(area, "circle", f"{alert.where.lat:.6f},{alert.where.lon:.6f} {RADIUS_KM:g}")
    _named(area, "geocode", [("vn-commune-code", code) for code in alert.area])


def _parameters(alert: Alert, language: str) -> Iterator[tuple[str, str]]:
    yield "alert", alert.id
    yield "sequence", str(alert.sequence)
    yield "rule", alert.rule
    if alert.rule_version:
        yield "ruleVersion", alert.rule_version
    if label := wording.text(alert.label, language):
        yield "label", label
    yield "subject", alert.subject
    if alert.measure:
        yield "measure", alert.measure
        yield "value", f"{alert.value:.15g}"
        yield "bound", f"{alert.bound:.15g}"
        yield "unit", alert.unit
        yield "observed", local_time(alert.observed)
    if alert.doubts:
        yield "doubts", " ".join(alert.doubts)
    if alert.where.boundaries:
        yield "boundarySet", alert.where.boundaries
        yield "boundaryApproximate", _truth(alert.where.approximate)
    if alert.reason:
        yield "reason", alert.reason
    if alert.successor:
        yield "successorCommune", alert.successor
    if alert.citation:
        yield "citation", alert.citation
    yield "simulated", _truth(alert.simulated)
    if alert.run:
        yield "run", alert.run


def _named(parent: ET.Element, tag: str, pairs: Iterable[tuple[str, str]]) -> None:
    for name, value in pairs:
        element = ET.SubElement(parent, tag)
        _add(element, "valueName", name)
        _add(element, "value", _line(value))


def _add(parent: ET.Element, tag: str, text: str) -> None:
    ET.SubElement(parent, tag).text = text


def _line(text: str) -> str:
    """A text for one line."""
    return " ".join(clean(text).split())


def _token(text: str) -> str:
    if not text or _NO_TOKEN.search(text) or clean(text) != text:
        raise ValueError(f"not usable in CAP as an identifier or a sender: {text!r}")
    return text


def _truth(value: bool) -> str:
    return "true" if value else "false"
