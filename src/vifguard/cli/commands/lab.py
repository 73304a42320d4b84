"""`vifguard lab`: worlds of namespaces, the attack catalogue, and the verdict on each frame."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from vifguard.cli.commands.lab_results import document, print_results
from vifguard.cli.exit_codes import ExitCode, InputError
from vifguard.cli.session import Json
from vifguard.cli.show.output import Column, note, print_json, print_line, print_table

if TYPE_CHECKING:
    from vifguard.lab.result.finding import Finding, Tell
    from vifguard.lab.result.runner import ScenarioResult
    from vifguard.lab.scenarios.scenario import Scenario
    from vifguard.lab.world.lab_run import Run
    from vifguard.lab.world.world import World

app = typer.Typer(
    name="lab",
    help="Real kernels on real namespaces: attacks played, guards watched.",
    no_args_is_help=True,
)

Names = Annotated[list[str] | None, typer.Argument(help="Scenarios, such as s1 s2. Default: all.")]
OneName = Annotated[str, typer.Argument(help="The scenario whose world to set up.")]
GuestName = Annotated[str, typer.Argument(help="A guest, such as attacker; or outside, or host.")]
Inside = Annotated[
    list[str] | None,
    typer.Argument(metavar="[-- COMMAND...]", help="The command to run. Default: a shell."),
]

_SCENARIOS = (Column("NAME", "name"), Column("WHAT", "title"), Column("GUESTS", "guests"))
_GUESTS = (
    Column("GUEST", "guest"),
    Column("PROJECT", "project"),
    Column("NETWORK", "network"),
    Column("MAC", "mac"),
    Column("ADDRESSES", "addresses"),
)


@app.command("run")
def run_scenarios(names: Names = None, *, json: Json = False) -> None:
    """Play scenarios on this kernel; exit code 1 when anything is not as expected."""
    from vifguard.lab.result.runner import ending_tidily, run_scenario

    scenarios = _chosen(names or [])
    _require_bench(scenarios)
    results = []
    with ending_tidily():
        for scenario in scenarios:
            with _progress(scenario) as tell:
                results.append(run_scenario(scenario, tell))
            _summarise(results[-1])
    if json:
        print_json(document(results))
    else:
        print_results(results)
    if not all(each.ok for each in results):
        raise typer.Exit(ExitCode.REFUSED)


@app.command("list")
def list_scenarios(*, json: Json = False) -> None:
    """Show the scenarios."""
    from vifguard.lab.scenarios import SCENARIOS

    found = [
        {"name": each.name, "title": each.title, "guests": len(each.plan.guests)}
        for each in SCENARIOS.values()
    ]
    if json:
        print_json(found)
    else:
        print_table(_SCENARIOS, found)


@app.command("up")
def stand_up(name: OneName = "s1") -> None:
    """Set up a world and leave it running; `vifguard lab down` removes it."""
    from vifguard.cli.show.output import waiting
    from vifguard.lab.result.runner import ending_tidily
    from vifguard.lab.world.lab_run import run
    from vifguard.lab.world.world import stand

    (scenario,) = _chosen([name])
    _require_bench([scenario])
    # Not closed: the server lives on when this process ends.
    cleanup = ExitStack()
    with ending_tidily(), waiting(f"{name}: {scenario.title}"), run() as this:
        world = stand(this, scenario.plan, cleanup)
        this.stand()
    _print_world(world)


@app.command()
def shell(guest: GuestName, command: Inside = None) -> None:
    """Open a shell inside a guest of the running world, or run a command there."""
    from vifguard.lab.world import netns
    from vifguard.lab.world.lab_run import standing

    this = standing()
    if this is None:
        raise InputError("no world is running: `vifguard lab up` sets one up")
    names = [name.removeprefix(this.prefix) for name in netns.named(this.prefix)]
    # The first network's guests come first: they are usually meant.
    found = [name for name in names if name.endswith(f"-{guest}")]
    if not found:
        raise InputError(f"the world has no guest {guest!r}: choose among {', '.join(names)}")
    strict = [name for name in found if name.split("-")[1:2] == ["s"]]
    there = this.netns((strict or found)[0])
    if not command:
        note(f"in {there}; leave with exit")
    inside = ["ip", "netns", "exec", there, *(command or [os.environ.get("SHELL", "/bin/sh")])]
    os.execvp(inside[0], inside)  # noqa: S606  the process becomes the shell or the given command


@app.command()
def down(*, json: Json = False) -> None:
    """Remove running worlds, and what killed runs left behind."""
    from vifguard.lab.world.lab_run import alive, runs

    removed, working = [], []
    for each in runs():
        if alive(each):
            working.append(each.pid)
            continue
        each.sweep()
        removed.append(each.pid)
    if json:
        print_json({"removed": removed, "working": working})
        return
    worlds = f"{len(removed)} world{'s' if len(removed) > 1 else ''}"
    print_line(f"removed {worlds}" if removed else "nothing stands")
    if working:
        note(f"left alone, because they still run: {', '.join(map(str, working))}")


def _chosen(names: Sequence[str]) -> list[Scenario]:
    from vifguard.lab.scenarios import SCENARIOS

    unknown = [name for name in names if name not in SCENARIOS]
    if unknown:
        raise InputError(
            f"there is no scenario {', '.join(unknown)}: choose among {', '.join(SCENARIOS)}"
        )
    return [SCENARIOS[name] for name in names or SCENARIOS]


def _require_bench(scenarios: Sequence[Scenario]) -> None:
    from vifguard.lab.result.runner import missing

    if os.geteuid() != 0:
        raise InputError("the lab makes network namespaces and loads guards: run it as root")
    if programs := missing(scenarios):
        raise InputError(f"not installed: {', '.join(programs)}; `make setup` installs them")


@contextmanager
def _progress(scenario: Scenario) -> Iterator[Tell]:
    """Yield the receiver of each finding: a moving line for a person, faults for a log."""
    note(f"{scenario.name}: {scenario.title}")
    if sys.stderr.isatty():
        with _moving(scenario.name) as tell:
            yield tell
        return

    def log_faults(finding: Finding) -> None:
        for fault in finding.faults:
            note(f"  {scenario.name}  {finding.subject}: {fault}")

    yield log_faults


@contextmanager
def _moving(name: str) -> Iterator[Tell]:
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        TimeElapsedColumn(),
        TextColumn("{task.completed:5g} checks", markup=False),
        TextColumn("{task.fields[subject]}", style="dim", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(name, total=None, subject="setting up the world")

        def tell(finding: Finding) -> None:
            progress.update(task, advance=1, subject=finding.subject.partition("/")[0])

        yield tell


def _summarise(result: ScenarioResult) -> None:
    wrong = sum(not each.ok for each in result.findings)
    name = result.scenario.name
    verdict = f"{wrong} NOT AS EXPECTED" if wrong else "all as expected"
    seconds = round(result.seconds)
    note(f"{name}: {len(result.findings)} checks in {seconds} s, {verdict}")
    if result.error:
        note(f"{name}: could not be played to its end: {result.error}")


def _print_world(world: World) -> None:
    print_table(
        _GUESTS,
        [
            {
                "guest": guest.name,
                "project": guest.project,
                "network": nic.net.name,
                "mac": nic.interface.mac,
                "addresses": list(nic.addresses.values()),
            }
            for guest in world.guests.values()
            for nic in guest.nics
        ],
    )
    this: Run = world.run
    print_line("")
    print_line("vifguard lab shell attacker        a shell inside a guest (or outside, or host)")
    print_line(f"vifguard port list --data-dir {world.server.data_dir}")
    print_line(f"vifguard drops --data-dir {world.server.data_dir}")
    print_line(f"vifguard lab down                  removes it (run {this.pid})")
