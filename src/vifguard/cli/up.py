"""`vifguard up`, `serve` and `agent`: the server, this host's agent, or both in one process."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from vifguard.cli.exits import ExitCode, InputError
from vifguard.cli.output import note, print_line
from vifguard.cli.service import logs
from vifguard.cli.service.logs import LogFormat
from vifguard.cli.serving import Serving, with_serving
from vifguard.cli.session import DATA_DIR, CaFile, Session

if TYPE_CHECKING:
    from vifguard.agent.settings import Settings
    from vifguard.cli.service.data_dir import DataDir as Layout
    from vifguard.cli.service.life import Part
    from vifguard.cli.service.parts import HostAgent
    from vifguard.store.store import Store

BPF_DIR = Path("/sys/fs/bpf/vifguard")

DataDir = Annotated[
    Path,
    typer.Option(
        "--data-dir",
        envvar="VIFGUARD_DATA_DIR",
        help="Where the store, the users and the passwords are; made with mode 0700.",
    ),
]
Physical = Annotated[
    list[str] | None,
    typer.Option(
        "--physical", metavar="NAME=DEVICE", help="The uplink of a physical network; repeatable."
    ),
]


class Hook(StrEnum):
    """The two ways to attach guards to an interface."""

    TCX = "tcx"
    CLSACT = "clsact"


Attach = Annotated[
    Hook | None,
    typer.Option(
        "--attach",
        envvar="VIFGUARD_ATTACH",
        help="How guards are attached; else as the kernel can. The same for up and down.",
    ),
]
BpfDir = Annotated[Path, typer.Option(help="Where programs and maps are pinned.")]
Host = Annotated[str, typer.Option(help="This host's name; else what the kernel says.")]
ReadyFd = Annotated[
    int | None, typer.Option(help="Write a newline to this file descriptor when ready.")
]
Server = Annotated[
    str, typer.Option("--server", envvar="VIFGUARD_URL", help="http://HOST:PORT or unix:/path.")
]
User = Annotated[str, typer.Option("--user", help="A user with the role service.")]
PasswordFile = Annotated[
    Path | None,
    typer.Option("--password-file", help="The server's agent-password file, copied here."),
]


LogStyle = Annotated[
    LogFormat, typer.Option("--log-format", help="Lines for people, or one JSON object a line.")
]


@with_serving
def up(
    serving: Serving,
    data_dir: DataDir = DATA_DIR,
    physical: Physical = None,
    bpf_dir: BpfDir = BPF_DIR,
    attach: Attach = None,
    host: Host = "",
    ready_fd: ReadyFd = None,
    log_format: LogStyle = LogFormat.TEXT,
) -> None:
    """Run the API server and this host's agent in one process, until SIGTERM or SIGINT.

    Prints READY and the server's URL once both work. The guards outlive the process:
    `vifguard down --remove` takes them away.
    """
    settings = _settings(bpf_dir, physical, attach)
    with _process(data_dir, log_format, "server", "agent") as (layout, cleanup):
        layout.remember_bpf_dir(bpf_dir)
        server, store, url = serving.start(layout, cleanup)
        code = _live([server, _local_agent(store, _name(host), settings)], url, ready_fd)
    _leave(code)


@with_serving
def serve(
    serving: Serving,
    data_dir: DataDir = DATA_DIR,
    ready_fd: ReadyFd = None,
    log_format: LogStyle = LogFormat.TEXT,
) -> None:
    """Run the API server alone; agents on hosts ask it for their ports."""
    with _process(data_dir, log_format, "server") as (layout, cleanup):
        server, _, url = serving.start(layout, cleanup)
        code = _live([server], url, ready_fd)
    _leave(code)


def agent(
    server: Server,
    user: User = "agent",
    password_file: PasswordFile = None,
    ca_file: CaFile = None,
    data_dir: DataDir = DATA_DIR,
    physical: Physical = None,
    bpf_dir: BpfDir = BPF_DIR,
    attach: Attach = None,
    host: Host = "",
    ready_fd: ReadyFd = None,
    log_format: LogStyle = LogFormat.TEXT,
) -> None:
    """Run this host's agent alone; it asks the server for its ports and holds them."""
    from vifguard.cli.service.parts import HostAgent
    from vifguard.client.client import Client
    from vifguard.client.feed import HttpFeed

    settings = _settings(bpf_dir, physical, attach)
    asker = Session(url=server, user=user, password_file=password_file, ca_file=ca_file)
    endpoint = asker.endpoint()
    with _process(data_dir, log_format, "agent") as (layout, cleanup):
        layout.remember_bpf_dir(bpf_dir)
        client = cleanup.enter_context(Client(endpoint))
        feed = HttpFeed(client, _name(host))
        code = _live([HostAgent(feed, _name(host), settings)], server, ready_fd)
    _leave(code)


@contextmanager
def _process(
    data_dir: Path, log_format: LogFormat, *duties: str
) -> Iterator[tuple[Layout, ExitStack]]:
    """The data directory, and the pid file of each duty held while the process lives."""
    from vifguard.cli.service import pid_file
    from vifguard.cli.service.data_dir import DataDir as Layout

    os.umask(0o077)
    logs.configure(log_format)
    layout = Layout(data_dir)
    layout.prepare()
    with ExitStack() as cleanup:
        for duty in duties:
            cleanup.enter_context(pid_file.held(layout.pid_file(duty)))
        yield layout, cleanup


def _local_agent(store: Store, host: str, settings: Settings) -> HostAgent:
    from vifguard.cli.service.parts import HostAgent
    from vifguard.store.feed import StoreFeed

    return HostAgent(StoreFeed(store, host), host, settings)


def _live(parts: Sequence[Part], url: str, ready_fd: int | None) -> ExitCode:
    from vifguard.cli.service.life import PartError, live

    def announce() -> None:
        # Whoever started us may have stopped listening; that is no reason to end.
        with suppress(OSError):
            print_line(f"READY {url}")
        if ready_fd is not None:
            with suppress(OSError), os.fdopen(ready_fd, "w") as stream:
                stream.write("\n")

    try:
        live(parts, announce)
    except PartError as error:
        note(f"vifguard: {error}; the guards stay in force")
        return ExitCode.REFUSED
    return ExitCode.OK


def _leave(code: ExitCode) -> NoReturn:
    from vifguard.cli.service.life import leave

    leave(code)


def _settings(bpf_dir: Path, physical: list[str] | None, attach: Hook | None) -> Settings:
    from vifguard.agent.settings import Settings

    uplinks = dict(_uplink(text) for text in physical or ())
    return Settings(bpf_dir=bpf_dir, physical=uplinks, tcx=uses_tcx(attach))


def uses_tcx(attach: Hook | None) -> bool | None:
    """What `--attach` says to the agent."""
    return None if attach is None else attach is Hook.TCX


def _uplink(text: str) -> tuple[str, str]:
    name, equals, device = text.partition("=")
    if not (name and equals and device):
        raise InputError(f"--physical {text!r} is not NAME=DEVICE such as physnet1=eth1")
    return name, device


def _name(host: str) -> str:
    return host or socket.gethostname()
