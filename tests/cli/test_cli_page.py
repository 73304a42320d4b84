"""What the pages promise of every command."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main
from command import COMMAND, execute, started

from vifguard.cli.exit_codes import ExitCode
from vifguard.cli.main import app

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"
SERVICES = {"up", "serve", "agent"}


def commands(group: object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    """Every command with its path, as the parser itself has them."""
    for name, command in getattr(group, "commands", {}).items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = dict(commands(typer.main.get_command(app)))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_explains_itself_and_its_options(path: tuple[str, ...]) -> None:
    command = COMMANDS[path]
    assert command.help
    for parameter in command.params:
        assert parameter.help, f"{' '.join(path)} {parameter.name}"


@pytest.mark.parametrize(
    "path", [path for path in COMMANDS if path[0] not in SERVICES | {"lab"}], ids=" ".join
)
def test_every_command_that_asks_or_changes_speaks_json(path: tuple[str, ...]) -> None:
    assert any("--json" in parameter.opts for parameter in COMMANDS[path].params)


def test_the_page_tells_every_exit_code() -> None:
    told = {int(code) for code in re.findall(r"^\| (\d) \|", PAGE.read_text(), re.MULTILINE)}
    assert told == set(ExitCode)


KERNELS = ("port wait", "--follow", "port release")
"""Lines of the page that need a host, or a guest."""


def test_the_pages_commands_work_one_behind_the_other(tmp_path: Path) -> None:
    sections = ("A port, from nothing", "Addresses that several", "Security groups of", "Sharing")
    blocks = [
        re.search(rf"^## {each}.*?```\n(.*?)```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
        for each in sections
    ]
    lines = [line for block in blocks if block for line in block[1].splitlines()]
    assert len(lines) > 20
    with started("serve", "--listen", "127.0.0.1:0", data_dir=tmp_path / "data") as service:
        shell = service.shell()
        for line in lines:
            if not any(word in line for word in KERNELS):
                shell(*shlex.split(line, comments=True)[1:])


def test_a_shell_can_be_taught_to_complete() -> None:
    # It asks which shell started it.
    shown = subprocess.run(
        ["bash", "-c", '"$0" --show-completion; exit $?', COMMAND],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert shown.returncode == 0, shown.stderr
    assert "_VIFGUARD_COMPLETE" in shown.stdout


def test_the_version_is_told() -> None:
    assert re.fullmatch(r"vifguard \d+\.\d+\.\d+\S*\n", execute("--version").out)
