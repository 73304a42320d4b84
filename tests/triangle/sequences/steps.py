"""What happens to the ports of a host, step by step; written down, it can be replayed."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from vifguard.feed import codec
from vifguard.model.policy import PortPolicy
from vifguard.model.security_group import Ruleset
from vifguard.model.verdict import Direction
from vifguard.packet.describe import describe


@dataclass(frozen=True, slots=True)
class Held:
    """The ports have these policies from now on, port 0 first, and groups and sets say this."""

    policies: tuple[PortPolicy, ...]
    book: Ruleset


@dataclass(frozen=True, slots=True)
class Passed:
    """So many nanoseconds pass."""

    nanoseconds: int


@dataclass(frozen=True, slots=True)
class Sent:
    """A frame comes to a port."""

    port: int
    direction: Direction
    frame: bytes


@dataclass(frozen=True, slots=True)
class Renewed:
    """The guard is new on a port, for so many nanoseconds."""

    port: int
    nanoseconds: int


Step = Held | Passed | Sent | Renewed


def written(steps: Sequence[Step]) -> str:
    """The steps as JSON."""
    return json.dumps(encoded(steps), indent=1)


def read(text: str) -> list[Step]:
    """Steps from JSON."""
    return decoded(json.loads(text))


def encoded(steps: Sequence[Step]) -> list[dict[str, object]]:
    """The steps as what JSON can say."""
    return [_encode(step) for step in steps]


def decoded(said: Sequence[dict]) -> list[Step]:
    """Steps from what JSON said."""
    return [_decode(each) for each in said]


def shown(steps: Sequence[Step]) -> str:
    """The steps for somebody who reads; of policies and rules only what changed."""
    lines, before = [], None
    for step in steps:
        if isinstance(step, Held):
            lines += _changes(before, step)
            before = step
        elif isinstance(step, Passed):
            lines.append(f"{step.nanoseconds / 1e9:g} s pass")
        elif isinstance(step, Renewed):
            lines.append(f"port {step.port} is new for {step.nanoseconds / 1e9:g} s")
        else:
            lines.append(f"port {step.port}, {step.direction}: {describe(step.frame)}")
    return "\n".join(lines)


def _changes(before: Held | None, now: Held) -> list[str]:
    lines = [
        f"port {number} is {policy}"
        for number, policy in enumerate(now.policies)
        if before is None or before.policies[number] != policy
    ]
    for word in ("rules", "sets"):
        old = getattr(before.book, word) if before else {}
        new = getattr(now.book, word)
        for name in sorted(old.keys() | new.keys()):
            come = new.get(name, frozenset()) - old.get(name, frozenset())
            gone = old.get(name, frozenset()) - new.get(name, frozenset())
            if come or gone:
                lines.append(f"{word} of {name}: come {set(come)}, gone {set(gone)}")
    return lines


def _encode(step: Step) -> dict[str, object]:
    if isinstance(step, Held):
        policies = [codec.encode(policy) for policy in step.policies]
        return {"policies": policies, "book": codec.encode(step.book)}
    if isinstance(step, Passed):
        return {"passed": step.nanoseconds}
    if isinstance(step, Renewed):
        return {"renewed": step.port, "nanoseconds": step.nanoseconds}
    return {"port": step.port, "direction": step.direction.value, "frame": step.frame.hex()}


def _decode(said: dict) -> Step:
    if "passed" in said:
        return Passed(said["passed"])
    if "renewed" in said:
        return Renewed(said["renewed"], said["nanoseconds"])
    if "frame" in said:
        return Sent(said["port"], Direction(said["direction"]), bytes.fromhex(said["frame"]))
    policies = tuple(codec.decode(PortPolicy, each) for each in said["policies"])
    return Held(policies, codec.decode(Ruleset, said["book"]))
