"""`vifguard audit`: the conformance kit as a black box, against any host, from its guests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vifguard.cli.exit_codes import ExitCode, InputError
from vifguard.cli.session import Json
from vifguard.cli.show.output import (
    Column,
    note,
    print_json,
    print_json_line,
    print_line,
    print_table,
    progress,
    waiting,
)

if TYPE_CHECKING:
    from vifguard.cli.options.audit_options import AuditOptions
    from vifguard.lab.audit.report import Report
    from vifguard.lab.audit.site import Site

_POST = "GUEST"

Attacker = Annotated[
    str | None,
    typer.Option(
        metavar=_POST,
        help="The guest that attacks: [NETNS/]DEVICE. To replace what the device has, append "
        ",mac=MAC ,ip=ADDRESS ,ip6=ADDRESS or ,ll=ADDRESS; none: the host permits no such "
        "address. The other guests are written likewise.",
    ),
]
Victim = Annotated[
    str | None, typer.Option(metavar=_POST, help="The guest whose addresses the attacker uses.")
]
Third = Annotated[
    str | None, typer.Option(metavar=_POST, help="A third guest. With it, more can be tested.")
]
Outside = Annotated[
    str | None, typer.Option(metavar=_POST, help="A device beyond the host's uplink.")
]
GuestCommand = Annotated[
    str | None,
    typer.Option(
        metavar="COMMAND",
        help="The command that starts Python in a guest, such as 'ssh root@{} python3 -'. {} "
        "becomes NETNS.",
    ),
]
Level = Annotated[
    str, typer.Option(help="The level that the host is tested against: strict, router or mac.")
]
Nets = Annotated[
    list[str] | None,
    typer.Option("--net", help="The segment's prefix, one for each family. Default: the device's."),
]
Vips = Annotated[
    list[str] | None,
    typer.Option("--vip", help="A further address that the host permits the attacker."),
]
Routed = Annotated[
    list[str] | None,
    typer.Option("--routed", help="A further prefix that the host permits the attacker."),
]
Vmacs = Annotated[
    list[str] | None,
    typer.Option(
        "--vmac", help="A virtual MAC of --vip, 00:00:5e:00:01:XX for IPv4 and :02:XX for IPv6."
    ),
]
OthersVrid = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=255,
        help="The router id of a virtual router, in both families, that is not the attacker's.",
    ),
]
SiteName = Annotated[str, typer.Option("--name", help="The host's name in the report.")]
Plan = Annotated[
    bool, typer.Option("--plan", help="Print every frame that would be sent; send none.")
]
Junit = Annotated[Path | None, typer.Option(help="Write a report as JUnit XML to this file.")]
Html = Annotated[
    Path | None, typer.Option(help="Write a report as one self-contained HTML page to this file.")
]
Rate = Annotated[float, typer.Option(help="Send at most this many frames a second.")]
Limit = Annotated[float, typer.Option(help="Stop after this many seconds.")]
DefaultRoute = Annotated[
    bool,
    typer.Option(
        "--even-with-default-route",
        help="Also use a device that carries a default route. Frames of attacks may leave by it.",
    ),
]
Lab = Annotated[
    bool,
    typer.Option("--lab", help="Set up a guarded host of vifguard's own, audit it, and remove it."),
]

_FIGURES = (
    Column("GUARD", "guard"),
    Column("AS EXPECTED", "pass"),
    Column("FAILED", "fail"),
    Column("NOT TESTABLE HERE", "untestable"),
)


def audit(
    attacker: Attacker = None,
    victim: Victim = None,
    third: Third = None,
    outside: Outside = None,
    guest_command: GuestCommand = None,
    level: Level = "strict",
    nets: Nets = None,
    vips: Vips = None,
    vmacs: Vmacs = None,
    routed: Routed = None,
    others_vrid: OthersVrid = None,
    name: SiteName = "the host",
    junit: Junit = None,
    html: Html = None,
    rate: Rate = 200.0,
    limit: Limit = 600.0,
    *,
    plan: Plan = False,
    default_route: DefaultRoute = False,
    lab: Lab = False,
    json: Json = False,
) -> None:
    """Play the attack catalogue from guests of any host; exit code 1 where the host fails it.

    It sends and captures frames, and changes nothing on the host or in the guests.
    """
    from vifguard.cli.options.audit_options import AuditOptions

    words = AuditOptions(
        name=name,
        level=level,
        posts={"attacker": attacker, "victim": victim, "third": third, "outside": outside},
        command=guest_command,
        nets=nets or (),
        vips=vips or (),
        vmacs=vmacs or (),
        routed=routed or (),
        others_vrid=others_vrid,
    )
    with _site(words, lab=lab) as site:
        if plan:
            _print_plan(site, json=json)
            return
        report = _audited(site, rate, limit, default_route=default_route or lab)
    _tell(report, json=json)
    _write(report, junit, html)
    if not report.conformant:
        raise typer.Exit(ExitCode.REFUSED)


@contextmanager
def _site(words: AuditOptions, *, lab: bool) -> Iterator[Site]:
    """The site of the command line, or our own while it stands; bad ones are bad input."""
    from vifguard.cli.options.audit_options import level_of, site_of
    from vifguard.lab.audit.self_audit import own_site
    from vifguard.lab.audit.site import SiteError
    from vifguard.lab.result.runner import ending_tidily
    from vifguard.lab.world.lab_run import run
    from vifguard.lab.world.netns import LabError

    if os.geteuid() != 0:
        raise InputError("an audit sends and captures raw frames: run it as root")
    try:
        with ending_tidily(), ExitStack() as cleanup:
            if not lab:
                yield site_of(words)
                return
            if any(words.posts.values()):
                raise InputError(
                    "--lab has guests of its own: leave out --attacker, --victim and the others"
                )
            this = cleanup.enter_context(run())
            with waiting("setting up a guarded host"):
                site = cleanup.enter_context(own_site(this, level_of(words.level)))
            yield site
    except SiteError as error:
        raise InputError(str(error)) from None
    except LabError as error:
        note(f"vifguard: the audit failed: {error}")
        raise typer.Exit(ExitCode.REFUSED) from None


def _audited(site: Site, rate: float, limit: float, *, default_route: bool) -> Report:
    from vifguard.lab.audit.auditor import audit as audit_of
    from vifguard.lab.audit.auditor import rehearse
    from vifguard.lab.audit.schedule import cases

    planned = len(rehearse(site))
    note(
        f"{site.name}, level {site.level.profile}: about {planned} frames from"
        f" {', '.join(f'{post.name} ({post.mac})' for post in site.posts)}, at most"
        f" {rate:g} a second for at most {limit:g} s; --plan prints each"
    )
    with progress(site.name, sum(1 for _ in cases(site))) as step:
        return audit_of(
            site, lambda _finding: step(), rate=rate, limit=limit, default_route=default_route
        )


def _print_plan(site: Site, *, json: bool) -> None:
    from vifguard.lab.audit.auditor import rehearse
    from vifguard.packet.describe import describe

    planned = rehearse(site)
    for number, each in enumerate(planned, 1):
        text = describe(each.frame)
        if json:
            print_json_line(
                {
                    "number": number,
                    "post": each.post,
                    "purpose": each.purpose,
                    "frame": each.frame.hex(),
                    "text": text,
                }
            )
        else:
            print_line(f"{number}  {each.post}  {each.purpose}  {text}  {each.frame.hex()}")
    note(f"{len(planned)} frames would be sent; none was")


def _tell(report: Report, *, json: bool) -> None:
    from vifguard.lab.audit.json_report import document
    from vifguard.lab.audit.terminal_report import failures, figures, reasons

    if json:
        print_json(document(report))
        return
    for line in failures(report):
        print_line(line)
    for line in reasons(report):
        print_line(line)
    print_table(_FIGURES, figures(report))
    print_line(report.verdict)


def _write(report: Report, junit: Path | None, html: Path | None) -> None:
    from vifguard.lab.audit.html_report import page
    from vifguard.lab.audit.junit_report import junit as junit_of

    try:
        if junit is not None:
            junit.write_text(junit_of(report), encoding="utf-8")
        if html is not None:
            html.write_text(page(report), encoding="utf-8")
    except OSError as error:
        raise InputError(f"{error.filename}: {error.strerror}") from None
