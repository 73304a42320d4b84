"""The programs of a web service: nginx, PostgreSQL, and their clients."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from vifguard.lab.result.checks import PATIENCE, until
from vifguard.lab.world import netns
from vifguard.lab.world.daemon import Daemon
from vifguard.lab.world.netns import LabError
from vifguard.model.address import IPAddress

WEB_PORT, HIDDEN_PORT, DATABASE_PORT = 80, 8080, 5432
"""The ports that they listen on; nginx's second port is for nobody outside."""

PAGE = "the first tier's page"
"""The page that nginx shows."""

_USER = "postgres"
_WITHIN = 3
"""Seconds within which a client that may be answered is answered."""

_NGINX = """
daemon off;
user root;
worker_processes 1;
pid {directory}/pid;
events {{}}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    server {{
        {listens}
        default_type text/plain;
        return 200 "{page}";
    }}
}}
"""


def nginx(inside: str, directory: Path) -> Daemon:
    """A web server that shows the page, on both ports and families."""
    directory.mkdir()
    listens = [f"listen {end}{port};" for port in (WEB_PORT, HIDDEN_PORT) for end in ("", "[::]:")]
    configuration = directory / "nginx.conf"
    configuration.write_text(
        _NGINX.format(directory=directory, listens=" ".join(listens), page=PAGE)
    )
    command = ("nginx", "-e", "stderr", "-p", str(directory), "-c", str(configuration))
    daemon = Daemon(inside, command, directory / "log")
    until("nginx listens", lambda: _listens(daemon, inside, WEB_PORT))
    return daemon


class PostgreSQL(Daemon):
    """A database server for everyone who reaches it; PostgreSQL refuses to run as root."""

    def __init__(self, inside: str, directory: Path) -> None:
        directory.mkdir()
        shutil.chown(directory, _USER)
        data = directory / "data"
        netns.run(
            [
                *_as_user("initdb"), "-D", str(data), "-A", "trust", "-U", _USER,
                "--no-sync", "-E", "UTF8", "--locale=C",
            ]
        )  # fmt: skip
        with (data / "pg_hba.conf").open("a") as rules:
            rules.write("host all all all trust\n")
        settings = (
            "listen_addresses=*", "unix_socket_directories=", "fsync=off", f"port={DATABASE_PORT}",
            "dynamic_shared_memory_type=mmap",
        )  # fmt: skip
        options = [part for setting in settings for part in ("-c", setting)]
        command = (*_as_user("postgres"), "-D", str(data), *options)
        super().__init__(inside, command, directory / "log")
        until("PostgreSQL listens", lambda: _listens(self, inside, DATABASE_PORT))

    def kill(self) -> None:
        """End it without mercy for its clients; killed outright it would leave shared memory."""
        if self.ended() is None:
            self.end(signal.SIGQUIT, PATIENCE)
        super().kill()


class DatabaseSession:
    """A psql that stays connected."""

    def __init__(self, inside: str, server: IPAddress) -> None:
        command = ("psql", "-XAtq", "-h", str(server), "-U", _USER, "-d", "postgres")
        self._process = subprocess.Popen(
            ["ip", "netns", "exec", inside, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env={**os.environ, "PGCONNECT_TIMEOUT": str(_WITHIN)},
            start_new_session=True,
        )
        if self._process.stdin is None or self._process.stdout is None:
            raise LabError("psql has no pipes")
        self._asking, self._telling = self._process.stdin, self._process.stdout
        os.set_blocking(self._telling.fileno(), False)
        self._said, self._asked = b"", 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._asking, self._telling):
            with suppress(OSError):
                pipe.close()

    def request(self) -> int:
        """Ask something that was not asked before; its number."""
        self._asked += 1
        with suppress(BrokenPipeError):
            self._asking.write(f"select 'answer {self._asked}.';\n".encode())
        return self._asked

    def answered(self, number: int) -> bool:
        """Whether the answer to a question has come by now."""
        self._said += self._telling.read() or b""
        return f"answer {number}.".encode() in self._said

    def answers(self) -> bool:
        """Whether a new question is answered within seconds."""
        number = self.request()
        deadline = time.monotonic() + _WITHIN
        while not self.answered(number):
            left = deadline - time.monotonic()
            if left <= 0 or self._process.poll() is not None:
                return self.answered(number)
            select.select([self._telling], [], [], left)
        return True


def gets(inside: str, server: IPAddress, port: int = WEB_PORT) -> bool:
    """Whether curl gets the page within seconds."""
    host = f"[{server}]" if server.version == 6 else str(server)
    done = subprocess.run(
        [
            "ip", "netns", "exec", inside,
            "curl", "-s", "-g", "--noproxy", "*", "-m", str(_WITHIN), f"http://{host}:{port}/",
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout == PAGE


def _listens(daemon: Daemon, inside: str, port: int) -> bool:
    daemon.must_run()
    table = netns.run(["ss", "-Hltn", f"sport = :{port}"], netns=inside)
    return "0.0.0.0:" in table and "[::]:" in table


def _as_user(program: str) -> tuple[str, ...]:
    """A program of the newest PostgreSQL that is installed, as the user its package brings."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"))
    if not found:
        raise LabError(f"there is no {program}: install PostgreSQL (`make setup`)")
    ids = (f"--reuid={_USER}", f"--regid={_USER}", "--clear-groups")
    return ("setpriv", *ids, str(found[-1]))
