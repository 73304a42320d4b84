"""The `vifguard` command: assembles the nouns and turns errors into exit codes."""

from __future__ import annotations

import sys
from typing import Annotated, NoReturn

import typer

from vifguard import __version__
from vifguard.cli.apply import apply_command
from vifguard.cli.commands import audit, down, drops, extension, lab, up
from vifguard.cli.exit_codes import HalfwayError, InputError, exit_code
from vifguard.cli.nouns import (
    address_group,
    default_security_group_rule,
    host,
    ip_group,
    network,
    port,
    quota,
    rbac_policy,
    security_group,
    security_group_rule,
    subnet,
    subnet_pool,
    user,
)
from vifguard.cli.show.output import note
from vifguard.client.errors import ClientError

app = typer.Typer(
    name="vifguard",
    help="Decides which frames may enter and leave every virtual interface, in the kernel.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for noun in (
    network,
    subnet,
    port,
    ip_group,
    security_group,
    security_group_rule,
    default_security_group_rule,
    address_group,
    subnet_pool,
    rbac_policy,
    quota,
    host,
    extension,
    user,
    lab,
):
    app.add_typer(noun.app)
for command in (
    up.up,
    up.serve,
    up.agent,
    down.down,
    apply_command.apply,
    drops.drops,
    extension.capabilities,
    audit.audit,
):
    app.command()(command)


def _print_version(wanted: bool) -> None:  # noqa: FBT001  typer calls it with the option's value
    if wanted:
        typer.echo(f"vifguard {__version__}")
        raise typer.Exit


@app.callback()
def options(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="The version."),
    ] = False,
) -> None:
    """Options of the command itself; each is handled by its own callback."""


def main() -> None:
    """Run the command; errors end on stderr and in the exit code."""
    try:
        app()
    except (ClientError, InputError, HalfwayError) as error:
        _fail(error)


def _fail(error: Exception) -> NoReturn:
    note(f"vifguard: {error}")
    sys.exit(exit_code(error))
