"""The table: an attack's frames in one row, every fault in it, nothing lost."""

from vifguard.lab.result.finding import Finding
from vifguard.lab.result.result_table import delivered, dropped, rows


def played(name: str, kind: str, expected: str, seen: str, *faults: str) -> Finding:
    return Finding("s1", f"attack/{name}", expected, seen, "arp: arp-shape", kind, faults)


def test_the_frames_of_an_attack_are_one_row() -> None:
    (row,) = rows(
        [
            played("a", "S, guest to guest", "drop arp", "nothing"),
            played("b", "S, guest to uplink", "drop arp", "nothing"),
            played("a", "M, guest to guest", "pass", "delivered"),
        ]
    )
    assert (row.subject, row.expected) == ("attack", "S drop arp; M pass")
    assert (row.attacks, row.frames) == (("attack",), 3)
    assert (row.seen, row.why, row.faults) == ("nothing 2, delivered 1", "arp: arp-shape", ())


def test_a_fault_names_its_frame() -> None:
    (row,) = rows([played("a", "S, guest to guest", "drop arp", "delivered", "delivered to v")])
    assert row.faults == ("attack/a (S, guest to guest): delivered to v",)


def test_checks_stand_for_themselves() -> None:
    one = Finding("s2", "it holds", "in the API", "in the API")
    other = Finding("s2", "it holds", "it answers", "did not happen", faults=("in vain",))
    assert [row.faults for row in rows([one, other])] == [(), ("it holds: in vain",)]


def test_attacks_that_met_the_same_are_one_row() -> None:
    one, other = (
        played("a", "S, guest", "drop arp", "nothing"),
        Finding("s1", "second/a", "drop arp", "nothing", "arp: arp-shape", "S, guest"),
    )
    (row,) = rows([one, other])
    assert (row.subject, row.seen, row.frames) == ("attack, second", "nothing 2", 2)


def test_an_attack_with_a_fault_stands_alone() -> None:
    good = Finding("s1", "good/a", "drop arp", "nothing", "arp: arp-shape", "S, guest")
    bad = played("a", "S, guest", "drop arp", "nothing", "it was counted twice")
    assert [row.subject for row in rows([good, bad])] == ["good", "attack"]


def test_what_was_dropped_is_counted_by_guard() -> None:
    legal = Finding("s1", "legal/a", "pass", "delivered", where="S, guest")
    findings = [played("a", "S, guest", "drop arp", "nothing"), legal, Finding("s2", "x", "1", "1")]
    assert dropped(findings) == {"arp": 1}
    assert delivered(findings) == 1
