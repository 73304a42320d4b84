"""The page of conformance tells counts, what was never promised, and what did not run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from peers.page import Result, page
from peers.peer import Peer

from vifguard.lab.attacks.attack import Kind
from vifguard.lab.audit.report import LEGAL, Record, Report, Status
from vifguard.lab.audit.site import Site
from vifguard.lab.world.lab_run import Run
from vifguard.model.guard import Guard

RECIPE = "arp-spa-spoof"


@contextmanager
def nowhere(_run: Run) -> Iterator[Site]:
    raise AssertionError("a page stands nothing up")
    yield


def peer(name: str, *guards: Guard) -> Peer:
    return Peer(
        key=name,
        name=name,
        versions=lambda: "1.0",
        configuration="its best",
        sources=("https://example.org/manual", "man 5 it"),
        up=nowhere,
        promises={guard: f"holds {guard}" for guard in guards},
        notes=("It speaks IPv4 only.",),
    )


def record(guard: str, status: Status, *why: str, seen: str = "not played") -> Record:
    return Record(
        guard, RECIPE, "reply", "an ARP reply", "drop", seen, status, why, b"\xff" * 42, "arp"
    )


def report(*records: Record, interrupted: str = "") -> Report:
    return Report("a host", Kind.STRICT, records, interrupted)


def result(name: str, seen: Report | None, *guards: Guard, reason: str = "") -> Result:
    return Result(peer=peer(name, *guards), versions="it 1.0-3", report=seen, reason=reason)


MIXED = report(
    record(Guard.ARP, Status.PASS),
    record(Guard.ARP, Status.FAIL, "heard by victim"),
    record(Guard.ND, Status.FAIL, "heard by victim"),
    record(Guard.RA, Status.UNTESTABLE, "the host has none: 13 bytes on eth0 in lab4711"),
    record(
        Guard.RA,
        Status.UNTESTABLE,
        "its legal twin L09/own was not delivered to the third",
        seen="nobody heard it",
    ),
    record(LEGAL, Status.PASS),
)


def row(text: str, head: str) -> list[str]:
    line = next(line for line in text.splitlines() if line.startswith(f"| {head} |"))
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def test_a_count_is_refused_of_played() -> None:
    text = page([result("it", MIXED, Guard.ARP)], "today")
    assert row(text, "`arp`") == ["1/2"]
    assert row(text, "**legal frames**") == ["1/1"]
    assert row(text, "not testable") == ["1"]
    assert row(text, "conformant at `strict`") == ["no"]


def test_what_was_never_promised_is_marked_beside_the_count() -> None:
    text = page([result("it", MIXED, Guard.ARP)], "today")
    assert row(text, "`nd`") == ["0/1, not promised"]


def test_a_guard_of_which_nothing_could_be_tested_has_no_count() -> None:
    text = page([result("it", MIXED, Guard.RA)], "today")
    assert row(text, "`ra`") == ["-, 1 silent"]
    assert "- its legal twin does not pass here: 1" in text


def test_reasons_name_nothing_of_this_run() -> None:
    text = page([result("it", MIXED)], "today")
    assert "- the host has none: 1" in text
    assert "lab4711" not in text


def test_a_peer_that_did_not_run_is_in_the_table_with_the_reason() -> None:
    text = page([result("it", MIXED), result("gone", None, reason="no such daemon")], "today")
    assert row(text, "guard") == ["it", "gone"]
    assert row(text, "**legal frames**")[1] == "not run"
    assert "**Not run here**: no such daemon" in text


def test_an_audit_that_ended_early_says_so_and_not_by_which_frame() -> None:
    dead = f"since {RECIPE}/reply: nobody hears the legal datagrams"
    ended = report(
        record(LEGAL, Status.PASS), record(Guard.ND, Status.UNTESTABLE, dead), interrupted=dead
    )
    text = page([result("it", ended)], "today")
    assert "- the audit had ended early: 1" in text
    assert RECIPE not in text
    assert row(text, "conformant at `strict`") == ["no"]


def test_no_recipe_is_told_against_a_named_product() -> None:
    text = page([result("it", MIXED, Guard.ARP)], "today")
    assert RECIPE not in text
    assert "ff" * 10 not in text
    assert "heard by victim" not in text


def test_configuration_promises_sources_and_notes_are_stated() -> None:
    text = page([result("it", MIXED, Guard.ARP, Guard.ND)], "today")
    assert "its best" in text
    assert "<https://example.org/manual>, man 5 it" in text
    assert "| `arp` | holds arp |" in text
    assert "It speaks IPv4 only." in text


@pytest.mark.parametrize("status", [Status.PASS, Status.FAIL])
def test_the_page_is_the_same_each_time_but_for_machine_and_versions(status: Status) -> None:
    results = [result("it", report(record(Guard.IP, status), record(LEGAL, Status.PASS)))]
    assert page(results, "Monday") == page(results, "Tuesday").replace("Tuesday", "Monday")


def test_what_holds_of_every_host_is_told_once() -> None:
    own = report(record(Guard.IP, Status.UNTESTABLE, "it has no IPv6"))
    both = report(*MIXED.records, *own.records)
    text = page([result("it", both), result("other", MIXED), result("gone", None)], "today")
    assert text.count("- the host has none: 1") == 1
    assert text.index("- the host has none: 1") < text.index("## it")
    assert text.index("## it") < text.index("- it has no IPv6: 1") < text.index("## other")
