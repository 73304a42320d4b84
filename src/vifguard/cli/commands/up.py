"""`vifguard up`, `serve` and `agent`: the server, this host's agent, or both in one process."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from vifguard.cli.exit_codes import ExitCode, InputError
from vifguard.cli.options.server_options import ServerOptions, with_server_options
from vifguard.cli.service import logs, store_ownership, writable
from vifguard.cli.service.logs import LogFormat
from vifguard.cli.session import DATA_DIR, CaFile, Session
from vifguard.cli.show.output import note, print_line

if TYPE_CHECKING:
    from vifguard.agent.settings import Settings
    from vifguard.cli.service.data_dir import DataDir as Layout
    from vifguard.cli.service.parts import HostAgent
    from vifguard.cli.service.process import Part
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
        "--physical",
        metavar="NAME=DEVICE",
        help="The device by which a physical network leaves this host: an existing bridge (its "
        "guests and its NIC stay in it), or a NIC that is in no bridge. Repeatable.",
    ),
]
HandsOff = Annotated[
    list[str] | None,
    typer.Option(
        "--hands-off",
        metavar="NAME",
        help="A physical network whose interfaces somebody else connects: they are guarded, and "
        "nothing else of them is changed. Without a guard, nothing stops them. Repeatable.",
    ),
]
Trust = Annotated[
    list[str] | None,
    typer.Option(
        "--trust",
        metavar="DEVICE",
        help="A member of a --physical bridge that needs no guard. NICs and bonds need none "
        "anyway. Repeatable.",
    ),
]
KeepUnguarded = Annotated[
    bool,
    typer.Option(
        "--keep-unguarded",
        help="On a --physical bridge, members that were there before vifguard forward without a "
        "guard, until they get a port or leave the bridge.",
    ),
]

Room = Annotated[
    int,
    typer.Option(
        "--connections",
        metavar="NUMBER",
        min=0,
        max=1 << 25,
        help="Size of this host's connection table, in connections of 72 bytes. 0: a 512th of the "
        "host's memory. A changed size starts with an empty table: TCP connections are "
        "picked up again; answers in UDP are dropped until the side that may open sends "
        "again.",
    ),
]


@dataclass(frozen=True)
class AgentOptions:
    """An operator's choices for a host, paths and addresses aside."""

    physical: Sequence[str]
    hands_off: Sequence[str]
    trusted: Sequence[str]
    keep_unguarded: bool
    connections: int
    take_over: bool


class Hook(StrEnum):
    """The two ways to attach guards to an interface."""

    TCX = "tcx"
    CLSACT = "clsact"


Attach = Annotated[
    Hook | None,
    typer.Option(
        "--attach",
        envvar="VIFGUARD_ATTACH",
        help="How guards are attached. Default: by TCX where the kernel has it, else by clsact. "
        "Give `up` and `down` the same value.",
    ),
]
BpfDir = Annotated[
    Path, typer.Option(resolve_path=True, help="Where programs and maps are pinned.")
]
TakeOver = Annotated[
    bool,
    typer.Option(
        "--take-over",
        help="Take over the guards of this host even if they belong to another store, or if the "
        "store lacks more than half of their ports. Ports that the store lacks are cut off.",
    ),
]
Host = Annotated[str, typer.Option(help="This host's name. Default: the kernel's host name.")]
ReadyFd = Annotated[
    int | None, typer.Option(help="Write a newline to this file descriptor when ready.")
]
Server = Annotated[
    str, typer.Option("--server", envvar="VIFGUARD_URL", help="http://HOST:PORT or unix:/path.")
]
User = Annotated[
    str,
    typer.Option("--user", help="The user that the agent logs in as. Default: the host's name."),
]
PasswordFile = Annotated[
    Path | None,
    typer.Option("--password-file", help="A file with that user's password."),
]


LogStyle = Annotated[
    LogFormat,
    typer.Option("--log-format", help="text: lines for people. json: one JSON object a line."),
]


@with_server_options
def up(
    serving: ServerOptions,
    data_dir: DataDir = DATA_DIR,
    physical: Physical = None,
    trust: Trust = None,
    bpf_dir: BpfDir = BPF_DIR,
    attach: Attach = None,
    connections: Room = 0,
    host: Host = "",
    ready_fd: ReadyFd = None,
    log_format: LogStyle = LogFormat.TEXT,
    *,
    keep_unguarded: KeepUnguarded = False,
    hands_off: HandsOff = None,
    take_over: TakeOver = False,
) -> None:
    """Run the API server and this host's agent in one process, until SIGTERM or SIGINT.

    Prints READY and the server's URL once both work. The guards stay in
    force when the process ends; `vifguard down --release` removes them.
    """
    wishes = AgentOptions(
        physical or (), hands_off or (), trust or (), keep_unguarded, connections, take_over
    )
    settings = _settings(data_dir, bpf_dir, attach, wishes)
    if not take_over:
        store_ownership.require_database(data_dir, serving.database, bpf_dir)
    with _process(data_dir, log_format, "server", "agent") as (layout, cleanup):
        layout.remember_bpf_dir(bpf_dir)
        server, store, url = serving.start(layout, cleanup)
        if not take_over:
            store_ownership.require_own(store.identity, bpf_dir)
        _announce_cut(settings)
        code = _run_parts([server, _local_agent(store, _name(host), settings)], url, ready_fd)
    _exit_now(code)


@with_server_options
def serve(
    serving: ServerOptions,
    data_dir: DataDir = DATA_DIR,
    ready_fd: ReadyFd = None,
    log_format: LogStyle = LogFormat.TEXT,
) -> None:
    """Run the API server alone; the agents of hosts get their ports from it."""
    with _process(data_dir, log_format, "server") as (layout, cleanup):
        server, _, url = serving.start(layout, cleanup)
        code = _run_parts([server], url, ready_fd)
    _exit_now(code)


def agent(
    server: Server,
    user: User = "",
    password_file: PasswordFile = None,
    ca_file: CaFile = None,
    data_dir: DataDir = DATA_DIR,
    physical: Physical = None,
    trust: Trust = None,
    bpf_dir: BpfDir = BPF_DIR,
    attach: Attach = None,
    connections: Room = 0,
    host: Host = "",
    ready_fd: ReadyFd = None,
    log_format: LogStyle = LogFormat.TEXT,
    *,
    keep_unguarded: KeepUnguarded = False,
    hands_off: HandsOff = None,
    take_over: TakeOver = False,
) -> None:
    """Run this host's agent alone; it gets its ports from the server."""
    from vifguard.cli.service.parts import HostAgent
    from vifguard.client.client import Client
    from vifguard.client.feed import HttpFeed

    wishes = AgentOptions(
        physical or (), hands_off or (), trust or (), keep_unguarded, connections, take_over
    )
    settings = _settings(data_dir, bpf_dir, attach, wishes)
    asker = Session(
        url=server, user=user or _name(host), password_file=password_file, ca_file=ca_file
    )
    endpoint = asker.endpoint()
    with _process(data_dir, log_format, "agent", must_write=False) as (layout, cleanup):
        _announce_cut(settings)
        with writable.wished(data_dir):
            layout.remember_bpf_dir(bpf_dir)
        client = cleanup.enter_context(Client(endpoint))
        feed = HttpFeed(client, _name(host))
        code = _run_parts([HostAgent(feed, _name(host), settings)], server, ready_fd)
    _exit_now(code)


@contextmanager
def _process(
    data_dir: Path, log_format: LogFormat, *duties: str, must_write: bool = True
) -> Iterator[tuple[Layout, ExitStack]]:
    """The data directory, and the pid file of each duty held while the process lives.

    `must_write`: InputError where nothing can be written there, as on a full disk; an agent alone
    goes on guarding without.
    """
    from vifguard.cli.service import pid_file
    from vifguard.cli.service.data_dir import DataDir as Layout

    os.umask(0o077)
    logs.configure(log_format)
    layout = Layout(data_dir)
    layout.prepare()
    with ExitStack() as cleanup:
        for duty in duties:
            with writable.required(data_dir) if must_write else writable.wished(data_dir):
                cleanup.enter_context(pid_file.held(layout.pid_file(duty)))
        if must_write:
            with writable.required(data_dir):
                yield layout, cleanup
        else:
            yield layout, cleanup


def _announce_cut(settings: Settings) -> None:
    """Log the members that the agent is to cut off; InputError where the host cannot be read."""
    from vifguard.agent.wiring.unguarded_members import announce_cut

    try:
        announce_cut(settings)
    except OSError as error:
        raise InputError(f"the bridges of this host cannot be read: {error}") from None


def _local_agent(store: Store, host: str, settings: Settings) -> HostAgent:
    from vifguard.cli.service.parts import HostAgent
    from vifguard.store.feed import StoreFeed

    return HostAgent(StoreFeed(store, host), host, settings)


def _run_parts(parts: Sequence[Part], url: str, ready_fd: int | None) -> ExitCode:
    from vifguard.cli.service.process import PartError, run_parts

    def announce() -> None:
        # The process that started us may have closed our output; that is no reason to end.
        with suppress(OSError):
            print_line(f"READY {url}")
        if ready_fd is not None:
            with suppress(OSError), os.fdopen(ready_fd, "w") as stream:
                stream.write("\n")

    try:
        run_parts(parts, announce)
    except PartError as error:
        note(f"vifguard: {error}; the guards stay in force")
        return ExitCode.REFUSED
    return ExitCode.OK


def _exit_now(code: ExitCode) -> NoReturn:
    from vifguard.cli.service.process import exit_now

    exit_now(code)


def _settings(data_dir: Path, bpf_dir: Path, attach: Hook | None, wishes: AgentOptions) -> Settings:
    from vifguard.agent.settings import Settings
    from vifguard.agent.wiring.uplinks import why_not
    from vifguard.cli.service.data_dir import DataDir as Layout
    from vifguard.enforce.drivers import DriverSettings, EbpfSettings

    physical, hands_off = _mapping(wishes.physical), _hands_off(wishes.hands_off)
    if both := sorted(physical.keys() & hands_off):
        raise InputError(
            f"--hands-off {both[0]}: --physical {both[0]}={physical[both[0]]} says how it leaves "
            "this host; say one of them"
        )
    try:
        why = why_not(physical)
    except OSError as error:
        raise InputError(f"the devices of this host cannot be read: {error}") from None
    if why:
        raise InputError(why)
    return Settings(
        DriverSettings(bpf_dir, EbpfSettings(uses_tcx(attach), wishes.connections)),
        physical=physical,
        hands_off=hands_off,
        trusted=frozenset(wishes.trusted),
        keep_unguarded=wishes.keep_unguarded,
        record=Layout(data_dir).former,
        take_over=wishes.take_over,
    )


def _mapping(texts: Iterable[str]) -> dict[str, str]:
    """The device of each physical network."""
    found: dict[str, str] = {}
    for text in texts:
        name, device = _uplink(text)
        if name in found:
            raise InputError(f"--physical {name} is given twice: {found[name]} and {device}")
        found[name] = device
    return found


def _hands_off(names: Iterable[str]) -> frozenset[str]:
    for name in names:
        if not name or "=" in name:
            raise InputError(f"--hands-off {name!r} is not the name of a physical network alone")
    return frozenset(names)


def uses_tcx(attach: Hook | None) -> bool | None:
    """The agent's setting for `--attach`; None where it is not given."""
    return None if attach is None else attach is Hook.TCX


def _uplink(text: str) -> tuple[str, str]:
    name, equals, device = text.partition("=")
    if not (name and equals and device):
        raise InputError(f"--physical {text!r} is not NAME=DEVICE such as physnet1=eth1")
    return name, device


def _name(host: str) -> str:
    return host or socket.gethostname()
