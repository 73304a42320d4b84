"""A report for a build server: JUnit XML, a suite a guard and a case a frame."""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement, indent, tostring

from vifguard.lab.audit.report import Record, Report, Status, Tally


def junit(report: Report) -> str:
    """The report as JUnit XML; frames that cannot be tested are skipped, with the reason."""
    total = report.total
    suites = Element("testsuites", _figures(total), name=f"vifguard audit: {_plain(report.site)}")
    for tally in report.tallies:
        suite = SubElement(suites, "testsuite", _figures(tally), name=tally.guard)
        for record in report.records:
            if record.guard == tally.guard:
                suite.append(_case(report, record))
    if report.interrupted:
        suite = SubElement(suites, "testsuite", name="audit", tests="1", errors="1")
        case = SubElement(suite, "testcase", name="everything was played", classname="audit")
        SubElement(case, "error", message=_plain(report.interrupted))
    indent(suites)
    return tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def _figures(tally: Tally) -> dict[str, str]:
    return {
        "tests": str(tally.tested + tally.untestable),
        "failures": str(tally.failed),
        "skipped": str(tally.untestable),
    }


def _case(report: Report, record: Record) -> Element:
    classname = f"{report.level.profile}.{record.guard}.{record.attack}"
    case = Element("testcase", name=record.id, classname=classname)
    why = "; ".join(record.why)
    if record.status is Status.UNTESTABLE:
        SubElement(case, "skipped", message=_plain(why))
    elif record.status is Status.FAIL:
        failure = SubElement(case, "failure", message=_plain(why))
        failure.text = _plain(
            f"{record.title}\nexpected: {record.expected}\nseen: {record.seen}\n"
            f"{record.text}\n{record.frame.hex()}"
        )
    return case


def _plain(text: str) -> str:
    """The text without characters that XML cannot hold."""
    return "".join(char if char.isprintable() or char == "\n" else "?" for char in text)
