"""A report in all its forms."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest

from vifguard.lab.attacks.attack import Kind
from vifguard.lab.audit.html_report import page
from vifguard.lab.audit.json_report import document
from vifguard.lab.audit.junit_report import junit
from vifguard.lab.audit.report import HARMLESS, LEGAL, Record, Report, Status
from vifguard.lab.audit.terminal_report import failures, figures, reasons
from vifguard.model.guard import Guard

HOSTILE = "</script><b>\x1b[31m\x00'\"&"


def record(guard: str, status: Status, name: str = "v", why: str = "", size: int = 60) -> Record:
    return Record(
        guard=guard,
        attack="an-attack",
        variant=name,
        title="An attack",
        expected="nobody hears it",
        seen="heard by victim",
        status=status,
        why=(why,) if why else (),
        frame=bytes(size),
        text="a > b",
        published=("CVE-2016-5363",),
    )


def report(*records: Record, interrupted: str = "", site: str = "br0") -> Report:
    return Report(site, Kind.STRICT, records, interrupted, sent=7, seconds=1.25)


REFUSED, LET = record(Guard.MAC, Status.PASS), record(LEGAL, Status.PASS)
FAILED = record(Guard.ARP, Status.FAIL, "f", "delivered to the victim")
UNKNOWN = record(Guard.IP, Status.UNTESTABLE, "u", "no VIP here")
WHOLE = report(REFUSED, LET, FAILED, UNKNOWN, record(HARMLESS, Status.PASS))


@pytest.mark.parametrize(
    ("given", "conformant", "verdict"),
    [
        (report(REFUSED, LET, UNKNOWN), True, "Conformant at level strict"),
        (WHOLE, False, "1 frames failed"),
        (report(REFUSED, LET, interrupted="the time limit was reached"), False, "time limit"),
        (report(REFUSED), False, "Nothing is proved"),
        (report(LET), False, "Nothing is proved"),
        (report(UNKNOWN), False, "Nothing is proved"),
        (report(REFUSED, record(HARMLESS, Status.PASS)), False, "Nothing is proved"),
        (report(), False, "Nothing is proved"),
    ],
)
def test_only_what_is_proved_is_conformant(
    given: Report, *, conformant: bool, verdict: str
) -> None:
    assert given.conformant is conformant
    assert verdict in given.verdict


def test_figures_are_of_each_guard_in_their_order() -> None:
    assert [each.guard for each in WHOLE.tallies] == ["mac", "arp", "ip", LEGAL, HARMLESS]
    assert (WHOLE.tally(Guard.ARP).failed, WHOLE.tally(Guard.IP).tested) == (1, 0)
    assert (WHOLE.total.passed, WHOLE.total.failed, WHOLE.total.untestable) == (3, 1, 1)
    assert [each["guard"] for each in figures(WHOLE)][-1] == "all"


def test_the_document_says_its_version_and_everything_else() -> None:
    told = json.loads(json.dumps(document(WHOLE)))
    assert (told["format"], told["version"]) == ("vifguard-audit", 1)
    assert told["level"] == "strict"
    assert told["conformant"] is False
    assert told["guards"][1] == {"guard": "arp", "pass": 0, "fail": 1, "untestable": 0}
    assert [each["status"] for each in told["records"]] == [
        "pass", "pass", "fail", "untestable", "pass",
    ]  # fmt: skip
    assert told["records"][2]["frame"] == bytes(60).hex()
    assert told["records"][2]["published"] == ["CVE-2016-5363"]


def test_junit_counts_and_skips() -> None:
    suites = ET.fromstring(junit(WHOLE))  # noqa: S314 - our own text
    assert (suites.get("tests"), suites.get("failures"), suites.get("skipped")) == ("5", "1", "1")
    failure = suites.find("./testsuite[@name='arp']/testcase/failure")
    assert failure is not None
    assert failure.get("message") == "delivered to the victim"
    assert bytes(60).hex() in (failure.text or "")
    skipped = suites.find("./testsuite[@name='ip']/testcase/skipped")
    assert skipped is not None
    assert skipped.get("message") == "no VIP here"


def test_junit_of_an_audit_that_ended_early_is_an_error() -> None:
    suites = ET.fromstring(junit(report(interrupted="dead")))  # noqa: S314 - our own text
    error = suites.find(".//error")
    assert error is not None
    assert error.get("message") == "dead"


class Reader(HTMLParser):
    """Notes what a browser would load, and the text of each element."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs


def test_the_page_needs_nothing_but_itself_and_shows_every_frame() -> None:
    text = page(WHOLE)
    reader = Reader()
    reader.feed(text)
    assert reader.tags.count("details") == len(WHOLE.records)
    assert not {"src", "href", "onclick"} & {name for name, _value in reader.attributes}
    assert not {"link", "img", "iframe"} & set(reader.tags)
    assert not re.search(r"https?:|@import|url\(", text)
    assert "default-src 'none'" in text
    assert "prefers-color-scheme: dark" in text
    for each in ("an-attack/f", "delivered to the victim", "CVE-2016-5363", bytes(60).hex()):
        assert each in text


def test_nothing_that_a_site_is_called_becomes_markup_or_control() -> None:
    hostile = report(REFUSED, LET, FAILED, site=HOSTILE)
    text = page(hostile)
    assert "</script><b>" not in text
    assert text.count("<script>") == text.count("</script>") == 1
    ET.fromstring(junit(hostile))  # noqa: S314 - parses, whatever the name
    assert "\x00" not in junit(hostile)


def test_a_long_frame_is_shortened_for_people_and_whole_for_programs() -> None:
    long = report(record(Guard.MAC, Status.FAIL, size=60_000))
    assert "... (60000 octets)" in page(long)
    assert any("... (60000 octets)" in line for line in failures(long))
    assert len(document(long)["records"][0]["frame"]) == 120_000


def test_a_person_reads_what_failed_and_why_the_rest_is_unknown() -> None:
    lines = list(failures(WHOLE))
    assert lines[0] == "FAIL  arp  an-attack/f: An attack"
    assert "delivered to the victim" in lines[1]
    assert lines[2].strip() == "a > b"
    assert list(reasons(WHOLE)) == ["not testable here: 1, since no VIP here"]
