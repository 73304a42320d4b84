"""The findings of `vifguard host adopt`, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vifguard.cli.show.output import Column, note, print_json, print_table

if TYPE_CHECKING:
    from vifguard.survey.rehearsal import RehearsalResult
    from vifguard.survey.survey import Survey, SurveyedMember

_MEMBERS = (
    Column("MEMBER", "member"),
    Column("KIND", "kind"),
    Column("IS", "is"),
    Column("MAC", "mac"),
    Column("INTERFACE'S MAC", "interface_mac"),
    Column("ADDRESSES", "addresses"),
)
_CAUSES = (
    Column("MEMBER", "member"),
    Column("DIRECTION", "direction"),
    Column("GUARD", "guard"),
    Column("REASON", "reason"),
    Column("FRAMES", "frames"),
    Column("EXAMPLE", "example"),
)


@dataclass(frozen=True, slots=True)
class Found:
    """A survey, the document that declares it, from or for a file, and a rehearsal's result.

    `absent` are its ports without an interface, `others` members with a port that it has not.
    """

    survey: Survey
    document: dict[str, Any]
    absent: list[str]
    others: list[str]
    result: RehearsalResult | None
    file: Path | None


def show(found: Found, output: Path | None, *, json: bool) -> None:
    """Print it; `output` is the file that was written, if any."""
    members = [_row(each) for each in found.survey.members.values()]
    own = [str(each) for each in found.survey.own]
    if json:
        shown = {
            "bridge": found.survey.bridge,
            "host_addresses": own,
            "members": members,
            "declaration": found.document,
            "rehearsal": _rehearsal(found, found.result) if found.result else None,
        }
        print_json(shown)
        return
    print_table(_MEMBERS, members)
    note(f"the host itself has {', '.join(own) or 'no address'} on {found.survey.bridge}")
    if output is not None:
        note(f"wrote {output}: read it, then `vifguard apply -f {output}`")
    if found.result is not None:
        _print_rehearsal(found, found.result)


def _rehearsal(found: Found, result: RehearsalResult) -> dict[str, Any]:
    return {
        "passed": sum(result.passed.values()),
        "lost": result.lost,
        "dropped": list(_causes(result)),
        "absent": found.absent,
        "others": found.others,
        "cut_off": [{"member": name, "frames": result.cut_off[name]} for name in result.cut_off],
    }


def _print_rehearsal(found: Found, result: RehearsalResult) -> None:
    if found.absent:
        note(f"not rehearsed, because they have no interface now: {', '.join(found.absent)}")
    if found.others:
        others = ", ".join(found.others)
        note(
            "not rehearsed; each is cut off unless the port that it is marked with still exists: "
            f"{others}"
        )
    passed = sum(result.passed.values())
    dropped = sum(result.dropped.values()) + sum(result.cut_off.values())
    note(f"rehearsed: {passed} frames would pass, {dropped} would be dropped; nothing was dropped")
    if result.lost:
        note(f"{result.lost} frames could not be read in time, and are not counted")
    if rows := [*_causes(result), *_cut_off(found, result)]:
        print_table(_CAUSES, rows)


def _cut_off(found: Found, result: RehearsalResult) -> Iterator[dict[str, Any]]:
    """A row a member that no port is for."""
    for name, frames in result.cut_off.items():
        yield {
            "member": name,
            "direction": "both",
            "reason": f"no port in {found.file or 'the file'}: cut off",
            "frames": frames,
            "example": str(found.survey.members[name].mac or ""),
        }


def _row(member: SurveyedMember) -> dict[str, Any]:
    what = "uplink" if member.leads_out else "guest"
    addresses = {str(a) for each in member.addresses.values() for a in each}
    return {
        "member": member.name,
        "kind": member.kind,
        "is": f"port {member.port_id}" if member.port_id else what,
        "mac": "" if member.leads_out else str(member.mac or "not seen"),
        # By this an agent's warning names it.
        "interface_mac": str(member.own or ""),
        "addresses": [] if member.leads_out else sorted(addresses),
    }


def _causes(result: RehearsalResult) -> Iterator[dict[str, Any]]:
    for cause, frames in sorted(result.dropped.items(), key=lambda each: (-each[1], each[0])):
        yield {
            "member": cause.member,
            "direction": cause.direction,
            "guard": cause.guard,
            "reason": cause.reason,
            "frames": frames,
            "example": result.examples[cause],
        }
