"""The servers that the API bench compares, each on loopback.

Neutron runs as `neutron-peer` of its own notes would have it at its leanest: no service
plugins beside the built-in ones, no message bus, no agents, no identity service, no quotas;
PostgreSQL is as it comes. So it does less than one in service.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from vifguard.feed.codec import encode
from vifguard.feed.messages import HostReport, Report

ROOT = Path(__file__).parents[1]
_NEUTRON = ROOT / "build" / "neutron-api"
_PATIENCE = 120.0
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")

_WSGI = """\
import sys
sys.argv = ["neutron-api"]  # it reads the arguments as its own, which are gunicorn's
from neutron.wsgi.api import application
"""
_CONF = """\
[DEFAULT]
core_plugin = ml2
service_plugins =
auth_strategy = noauth
transport_url = fake://
notify_nova_on_port_status_changes = False
notify_nova_on_port_data_changes = False
api_paste_config = {paste}
state_path = {room}/state
pagination_max_limit = -1
rpc_workers = 0
rpc_state_report_workers = 0
[database]
connection = {database}
max_pool_size = 30
max_overflow = 60
[oslo_concurrency]
lock_path = {room}/lock
[quotas]
quota_network = -1
quota_subnet = -1
quota_port = -1
quota_security_group = -1
quota_security_group_rule = -1
[oslo_messaging_notifications]
driver = noop
[ml2]
type_drivers = flat,vlan,vxlan,local
project_network_types = vxlan
mechanism_drivers = openvswitch
extension_drivers = port_security
[ml2_type_vxlan]
vni_ranges = 1:5000
[ml2_type_flat]
flat_networks = public
[securitygroup]
enable_security_group = True
firewall_driver = iptables_hybrid
"""


@dataclass(frozen=True)
class Server:
    """One that answers on a port of loopback; `database` is the process of its own, or 0."""

    name: str
    port: int
    process: int
    database: int = 0

    def cpu(self) -> tuple[float, float]:
        """Seconds of CPU so far: the server's, and its database's."""
        return _cpu(self.process), _cpu(self.database) if self.database else 0.0

    def memory(self) -> float:
        """MB that its processes have resident, the database's apart."""
        pids = _family(self.process)
        return sum(int(_read(f"/proc/{p}/statm").split()[1]) for p in pids) * _PAGE / 1e6


@contextmanager
def all_three() -> Iterator[tuple[Server, ...]]:
    """Servers: vifguard on SQLite, vifguard on PostgreSQL, and Neutron on PostgreSQL."""
    with ExitStack() as stack:
        room = stack.enter_context(_room())
        theirs = stack.enter_context(postgresql(room / "p2"))
        ours = stack.enter_context(_both(room))
        yield (*ours, stack.enter_context(neutron(room / "neutron", theirs)))


@contextmanager
def both() -> Iterator[tuple[Server, ...]]:
    """Servers: vifguard on SQLite, and vifguard on PostgreSQL."""
    with _room() as room, _both(room) as ours:
        yield ours


@contextmanager
def _room() -> Iterator[Path]:
    room = Path(tempfile.mkdtemp(prefix="vgbench-api-"))
    try:
        yield room
    finally:
        shutil.rmtree(room, ignore_errors=True)


@contextmanager
def _both(room: Path) -> Iterator[tuple[Server, ...]]:
    with (
        postgresql(room / "p1") as database,
        vifguard("vifguard, SQLite", room / "v1", None) as one,
        vifguard("vifguard, PostgreSQL", room / "v2", database) as other,
    ):
        yield one, other


@contextmanager
def postgresql(room: Path) -> Iterator[tuple[Path, int]]:
    """A server with an empty database `bench`, as it comes: a commit is on the disk."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name))
    if not programs:
        raise FileNotFoundError("there is no PostgreSQL in /usr/lib/postgresql; run `make setup`")
    user = "postgres" if os.geteuid() == 0 else None
    room.mkdir()
    if user:
        room.parent.chmod(0o755)
        shutil.chown(room, user)
    quiet = {"cwd": room, "user": user, "stdout": subprocess.DEVNULL}
    subprocess.run(
        [programs[-1] / "initdb", "-D", room / "data", "-A", "trust", "-U", "bench"],
        check=True, stderr=subprocess.DEVNULL, **quiet,
    )  # fmt: skip
    options = ("-k", str(room), "-c", "listen_addresses=", "-c", "max_connections=200")
    process = subprocess.Popen(
        [programs[-1] / "postgres", "-D", room / "data", *options],
        stderr=(room / "log").open("wb"), **quiet,
    )  # fmt: skip
    try:
        make = [programs[-1] / "createdb", "-h", room, "-U", "bench", "bench"]
        _until(lambda: not subprocess.run(make, check=False, capture_output=True).returncode)
        yield room, process.pid
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(_PATIENCE)


@contextmanager
def vifguard(name: str, room: Path, database: tuple[Path, int] | None) -> Iterator[Server]:
    """Ours, on a database or on a file of its own, with a host that holds security groups."""
    port = _free_port()
    url = [f"--database=postgresql://bench@/bench?host={database[0]}"] if database else []
    room.mkdir()
    command = [
        ROOT / ".venv/bin/vifguard", "serve", f"--listen=127.0.0.1:{port}", "--no-identity",
        "--requests-per-second=none", f"--data-dir={room / 'data'}", *url,
    ]  # fmt: skip
    with _running([str(part) for part in command], room, {}) as process:
        server = Server(name, port, process.pid, database[1] if database else 0)
        _await_answer(server, process)
        # Security groups are offered where a host can hold them.
        about = HostReport("6.1.0", "ebpf", frozenset({"tcx", "groups"}), (), (), isolation=True)
        said = encode(Report("bench", about=about))
        ApiClient(server).call("POST", "/v2.0/feed/bench/reports", said)
        ApiClient(server).call(
            "PUT", "/v2.0/quotas/operator", {"quota": dict.fromkeys(_QUOTAS, -1)}
        )
        yield server


_QUOTAS = ("network", "subnet", "port", "security_group", "security_group_rule")


@contextmanager
def neutron(room: Path, database: tuple[Path, int]) -> Iterator[Server]:
    """Neutron on a database."""
    port = _free_port()
    for each in (room, room / "state", room / "lock"):
        each.mkdir()
    _patch_migration()
    url = f"postgresql+psycopg2://bench@/bench?host={database[0]}"
    paste = _NEUTRON / "etc" / "neutron" / "api-paste.ini"
    (room / "neutron.conf").write_text(_CONF.format(paste=paste, room=room, database=url))
    (room / "bench_wsgi.py").write_text(_WSGI)
    config = ["--config-file", str(room / "neutron.conf")]
    migrate = [str(_NEUTRON / "bin" / "neutron-db-manage"), *config, "upgrade", "head"]
    subprocess.run(migrate, check=True, capture_output=True)
    command = [
        str(_NEUTRON / "bin" / "gunicorn"), "-w", "2", "-k", "gthread", "--threads", "4",
        "-b", f"127.0.0.1:{port}", "--keep-alive", "75", "--no-control-socket",
        "bench_wsgi:application",
    ]  # fmt: skip
    environment = {
        "OS_NEUTRON_CONFIG_DIR": str(room),
        "OS_NEUTRON_CONFIG_FILES": "neutron.conf",
        "PYTHONPATH": str(room),
    }
    with _running(command, room, environment) as process:
        server = Server("Neutron, PostgreSQL", port, process.pid, database[1])
        _await_answer(server, process)
        yield server


def _patch_migration() -> None:
    """Neutron 29 alters a table in MySQL's words on PostgreSQL too; there it has nothing to do."""
    found = _NEUTRON.glob("lib/python3*/site-packages/neutron/db/migration/alembic_migrations/"
                          "versions/*/expand/d553edeb540f_tag_case_sensitive.py")  # fmt: skip
    for path in found:
        text = path.read_text()
        head = "def upgrade():\n"
        guard = f"{head}    if op.get_bind().dialect.name != 'mysql':\n        return\n"
        if guard not in text:
            path.write_text(text.replace(head, guard))


@contextmanager
def _running(
    command: list[str], room: Path, environment: dict[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    with (room / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=room, stdout=log, stderr=log, env={**os.environ, **environment}
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(_PATIENCE)


def _await_answer(server: Server, process: subprocess.Popen[bytes]) -> None:
    def answers() -> bool:
        if process.poll() is not None:
            raise RuntimeError(f"{server.name} ended with {process.returncode}")
        try:
            ApiClient(server).call("GET", "/v2.0/networks")
        except OSError:
            return False
        return True

    _until(answers)


class ApiClient:
    """A connection that stays open; every answer but 2xx ends the bench.

    `seconds` is the time that answers took so far, each until it was read; the client's writing
    and parsing of JSON is not counted.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=_PATIENCE)
        self.seconds = 0.0

    def call(self, method: str, path: str, body: object = None) -> bytes:
        """The body of the answer."""
        sent = None if body is None else json.dumps(body).encode()
        headers = {} if sent is None else {"Content-Type": "application/json"}
        began = time.perf_counter()
        self._connection.request(method, path, sent, headers)
        answer = self._connection.getresponse()
        told = answer.read()
        self.seconds += time.perf_counter() - began
        if answer.status >= 300:
            what = f"{self._server.name}: {method} {path}"
            raise RuntimeError(f"{what}: {answer.status} {told[:300]!r}")
        return told


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"a server was not ready within {_PATIENCE:g} seconds")
        time.sleep(0.1)


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def _family(pid: int) -> list[int]:
    """A process and all that descend from it."""
    children = _read(f"/proc/{pid}/task/{pid}/children").split()
    return [pid, *(one for child in children for one in _family(int(child)))]


def _cpu(pid: int) -> float:
    """Seconds of CPU of a process, those it waited for, and those that descend from it."""
    ticks = 0
    for one in _family(pid):
        ticks += sum(map(int, _read(f"/proc/{one}/stat").rpartition(")")[2].split()[11:15]))
    return ticks / _TICKS


def _read(path: str) -> str:
    return Path(path).read_text()
