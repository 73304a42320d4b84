"""The table: an attack's frames in one row, every fault in it, nothing lost."""

from vifguard.lab.finding import Finding
from vifguard.lab.table import rows


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
    assert (row.seen, row.why, row.faults) == ("nothing 2, delivered 1", "arp: arp-shape", ())


def test_a_fault_names_its_frame() -> None:
    (row,) = rows([played("a", "S, guest to guest", "drop arp", "delivered", "delivered to v")])
    assert row.faults == ("attack/a (S, guest to guest): delivered to v",)


def test_checks_stand_for_themselves() -> None:
    one = Finding("s2", "it holds", "in the API", "in the API")
    other = Finding("s2", "it holds", "it answers", "did not happen", faults=("in vain",))
    assert [row.faults for row in rows([one, other])] == [(), ("in vain",)]
