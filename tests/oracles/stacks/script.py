"""Situations as scripts: who does what, and what becomes of it.

A line of a script is `ACTOR OPERATION ARGUMENTS`, and behind `->` what a program sees of it
on a bare bridge, `ok` where nothing else is said; `|` separates what is as good. `&` at the
end: do not wait, the actor's next line is `wait`. `@a`, `@b`, `@far` are addresses of the
family that is played, `@a:80` with a port; `@a4`, `@a6` are of that family always.
Actors: `a` and `b`, the guests; `wire`, between a and its port; `router` and `far`, beyond
the uplink; `clock`, that of the ports' connections. `{a_mac}` and `{pid}`, a file for the
process id of a daemon, are for commands.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol


class Actor(Protocol):
    """Who can be asked to do something."""

    def begin(self, line: str) -> None:
        """Begin with an operation."""

    def result(self) -> str:
        """What became of it."""


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a script."""

    text: str
    actor: str
    operation: str
    outcomes: frozenset[str]
    waits: bool


@dataclass(frozen=True, slots=True)
class Situation:
    """Something that two hosts of a network do with each other.

    `why`: the source, and what a filter could break. `undo` is played at the end, whatever
    happened. `families` are IP versions. `stacks`, where given, are the only ones for `a` and
    `b`; else every pair of stacks that can do what the script asks. `slow`: not in every run.
    """

    name: str
    why: str
    script: str
    undo: str = ""
    families: tuple[int, ...] = (4, 6)
    stacks: frozenset[tuple[str, str]] | None = None
    slow: bool = False
    steps: tuple[Step, ...] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", parse(self.script))

    @property
    def needs_wire(self) -> bool:
        """Whether `a` has a wire that is disturbed."""
        return any(step.actor == "wire" for step in self.steps)

    def asked(self, actor: str) -> frozenset[str]:
        """The operations that an actor must know, and options that are not all stacks'."""
        words = {"fast-open", "sctp", "mptcp"}
        asked = [step for step in self.steps if step.actor == actor]
        options = {word for step in asked for word in step.text.split() if word in words}
        return frozenset({step.operation for step in asked} | options) - {"wait"}


def parse(script: str) -> tuple[Step, ...]:
    """The lines of a script; ValueError for what is none."""
    return tuple(_step(line) for line in map(str.strip, script.splitlines()) if line)


def _step(line: str) -> Step:
    found = re.fullmatch(r"(\w+) ([\w-]+)(.*?)( &)?(?: -> (.+))?", line)
    if not found:
        raise ValueError(f"{line!r} is no line of a script")
    actor, operation, arguments, apart, outcome = found.groups()
    outcomes = frozenset(each.strip() for each in (outcome or "ok").split("|"))
    return Step(f"{operation}{arguments}", actor, operation, outcomes, not apart)


@dataclass(frozen=True, slots=True)
class Observation:
    """What became of one step."""

    step: Step
    outcome: str

    @property
    def expected(self) -> bool:
        """Whether it is what a bare bridge lets one see."""
        return self.outcome in self.step.outcomes

    def __str__(self) -> str:
        return f"{self.step.actor} {self.step.text} -> {self.outcome}"


def play(
    steps: tuple[Step, ...],
    actors: Mapping[str, Actor],
    addresses: Mapping[str, str],
    tick: Callable[[], None],
) -> list[Observation]:
    """Do what the lines say, to the first whose outcome is none of the expected ones.

    What comes behind that would only tell that again, each time after the whole patience.
    """
    seen: list[Observation] = []
    apart: list[Actor] = []
    for step in steps:
        tick()
        actor = actors[step.actor]
        if step.operation == "wait":
            apart.remove(actor)
        else:
            actor.begin(substituted(step.text, addresses))
        if not step.waits:
            apart.append(actor)
            continue
        observation = Observation(step, written(actor.result(), addresses))
        seen.append(observation)
        if not observation.expected:
            break
    for actor in apart:
        actor.result()
    return seen


def substituted(text: str, addresses: Mapping[str, str]) -> str:
    """The line with addresses for names."""

    def address(found: re.Match[str]) -> str:
        host = addresses[found[1]]
        if not found[2]:
            return host
        return f"[{host}]{found[2]}" if ":" in host else f"{host}{found[2]}"

    for name, value in addresses.items():
        text = text.replace(f"{{{name}}}", value)
    return re.sub(r"@(\w+)(:\d+)?", address, text)


def written(outcome: str, addresses: Mapping[str, str]) -> str:
    """The outcome with names for addresses, so that it is the same for both families."""
    for name, address in sorted(addresses.items(), key=lambda item: -len(item[1])):
        if not name[-1].isdigit():
            outcome = re.sub(
                rf"\[?(?<![\w:.]){re.escape(address)}(?![\w.])\]?", f"@{name}", outcome
            )
    return outcome
