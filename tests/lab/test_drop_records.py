"""Drop records: each is matched to its frame; what is missing or too much is told."""

from __future__ import annotations

from typing import Any

from vifguard.lab.play.drop_records import UNREPORTED, DropCause, Records

FRAMES = [bytes([number]) * 60 for number in range(1, 5)]


class Server:
    """Answers as the API does, from what was dropped."""

    def __init__(self) -> None:
        self.drops: list[dict[str, Any]] = []
        self.frames = 0

    def drop(self, frame: bytes, guard: str = "arp") -> None:
        self.frames += 1
        self.drops.append(
            {
                "at": float(self.frames),
                "direction": "from-guest",
                "guard": guard,
                "reason": "arp-shape",
                "head": frame.hex(),
            }
        )

    def ask(self, port_id: str) -> dict[str, Any]:
        assert port_id == "port"
        counts = [{"direction": "from-guest", "guard": "arp", "frames": self.frames}]
        counts.append({"direction": "to-guest", "guard": "mac", "frames": 7})
        return {"drops": list(self.drops), "counts": counts}


def started(server: Server) -> tuple[Records, list[DropCause]]:
    records = Records(server.ask, patience=0.1)
    records.start("port")
    return records, []


def test_each_drop_is_named_in_order() -> None:
    server = Server()
    server.drop(b"before we began" * 4)
    records, told = started(server)
    for frame, guard in zip(FRAMES, ("arp", "ip", "mac", "arp"), strict=True):
        server.drop(frame, guard)
        records.expect("port", frame, told.append)
    records.flush()
    assert [named.guard for named in told] == ["arp", "ip", "mac", "arp"]
    assert records.wrong() == []


def test_a_drop_that_is_not_reported_is_told() -> None:
    server = Server()
    records, told = started(server)
    for frame in FRAMES[:3]:
        records.expect("port", frame, told.append)
    server.drop(FRAMES[1])
    records.flush()
    assert told == [UNREPORTED, DropCause("arp", "arp-shape"), UNREPORTED]
    (wrong,) = records.wrong()
    assert "counts 1 drops, and 3 had to be" in wrong


def test_a_drop_that_nobody_played_is_told() -> None:
    server = Server()
    records, told = started(server)
    server.drop(FRAMES[0])
    server.drop(FRAMES[1])
    records.expect("port", FRAMES[1], told.append)
    records.flush()
    assert told == [DropCause("arp", "arp-shape")]
    wrong = records.wrong()
    assert any("dropped what nobody played" in each for each in wrong)
    assert any("counts 2 drops, and 1 had to be" in each for each in wrong)
