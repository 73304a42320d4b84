"""Empty databases for tests: SQLite files, and databases of a PostgreSQL server of our own."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, Self

import psycopg
from psycopg import sql

from vifguard.store.store import Store

_PATIENCE = 60
# Nothing here has to survive a power cut; what it would cost is not what is tested.
_UNSAFE = ("fsync=off", "full_page_writes=off", "autovacuum=off", "listen_addresses=")

# Rows that a migrated database has stand beside it a second time.
_KEEP = """
DO $$ DECLARE each name; BEGIN
  CREATE SCHEMA kept;
  FOR each IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
    EXECUTE format('CREATE TABLE kept.%1$I AS TABLE public.%1$I', each);
  END LOOP;
END $$"""

# As a superuser's replica it may: keys that refer to rows are not looked at.
_EMPTY = """
SET session_replication_role = replica;
DO $$ DECLARE each name; BEGIN
  FOR each IN SELECT tablename FROM pg_tables WHERE schemaname = 'kept' LOOP
    EXECUTE format('DELETE FROM public.%I', each);
    EXECUTE format('INSERT INTO public.%1$I TABLE kept.%1$I', each);
  END LOOP;
  FOR each IN SELECT sequencename FROM pg_sequences WHERE schemaname = 'public' LOOP
    EXECUTE format('ALTER SEQUENCE public.%I RESTART', each);
  END LOOP;
END $$"""

_DISCONNECT = """
SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s"""


class Databases(Protocol):
    """Makes databases of one kind."""

    kind: str

    @contextmanager
    def fresh(self) -> Iterator[str]:
        """A migrated database without a row, gone afterwards."""
        yield ""

    @contextmanager
    def unmigrated(self) -> Iterator[str]:
        """A database without a table, gone afterwards."""
        yield ""


class SqliteFiles:
    """Copies of one migrated file: migrating costs more than most tests."""

    kind = "sqlite"

    def __init__(self, room: Path) -> None:
        self._room = room
        self._made = 0
        Store.open(room / "empty.db").close()

    @contextmanager
    def fresh(self) -> Iterator[str]:
        with self.unmigrated() as where:
            shutil.copyfile(self._room / "empty.db", where)
            yield where

    @contextmanager
    def unmigrated(self) -> Iterator[str]:
        self._made += 1
        path = self._room / f"store-{self._made}.db"
        path.touch(0o600)
        try:
            yield str(path)
        finally:
            for each in self._room.glob(f"{path.name}*"):
                each.unlink()


class PostgresqlServer:
    """A PostgreSQL server on a Unix socket, in a directory that goes with it.

    Its order of texts is no byte order, as on most servers there are.
    """

    kind = "postgresql"

    def __init__(self) -> None:
        self._made = 0
        self._emptied: list[str] = []
        self._room = Path(tempfile.mkdtemp(prefix="vifguard-pg-"))
        # The server refuses to be root, and its package brings a user for it.
        self._user = "postgres" if os.geteuid() == 0 else None
        if self._user:
            shutil.chown(self._room, self._user)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(_PATIENCE)
        shutil.rmtree(self._room)

    def _start(self) -> None:
        self._run(
            "initdb", "-D", self._room / "data", "-A", "trust", "-U", "vifguard", "--no-sync",
            "-E", "UTF8", "--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US",
        )  # fmt: skip
        settings = [part for setting in _UNSAFE for part in ("-c", setting)]
        with (self._room / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [_program("postgres"), "-D", self._room / "data", "-k", self._room, *settings],
                user=self._user,
                cwd=self._room,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        while not self._answers():
            assert self._process.poll() is None, (self._room / "log").read_text()
        self._execute("CREATE DATABASE empty")
        Store.open(self.url("empty")).close()
        with psycopg.connect(self.url("empty")) as connection:
            connection.execute(_KEEP)

    def url(self, name: str) -> str:
        """The URL of a database."""
        return f"postgresql://vifguard@/{name}?host={self._room}"

    @contextmanager
    def fresh(self) -> Iterator[str]:
        name = self._emptied.pop() if self._emptied else self._create("empty")
        try:
            yield self.url(name)
        finally:
            # To make a database anew takes ten times as long.
            with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
                connection.execute(_DISCONNECT, (name,))
            with psycopg.connect(self.url(name)) as connection:
                connection.execute(_EMPTY)
            self._emptied.append(name)

    @contextmanager
    def unmigrated(self) -> Iterator[str]:
        name = self._create("template1")
        try:
            yield self.url(name)
        finally:
            self._execute("DROP DATABASE {} WITH (FORCE)", name)

    def _create(self, template: str) -> str:
        self._made += 1
        name = f"store_{self._made}"
        self._execute("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy", name, template)
        return name

    def _execute(self, statement: str, *names: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))

    def _answers(self) -> bool:
        asked = [_program("pg_isready"), "-q", "-h", self._room, "-t", str(_PATIENCE)]
        return subprocess.run(asked, check=False).returncode == 0

    def _run(self, program: str, *arguments: str | Path) -> None:
        command = [_program(program), *arguments]
        done = subprocess.run(
            command, user=self._user, cwd=self._room, capture_output=True, check=False
        )
        assert done.returncode == 0, f"{program}: {done.stderr.decode()}"


def _program(name: str) -> Path:
    """A program of the newest PostgreSQL that is installed; Debian keeps them off the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=_version)
    return found[-1] if found else Path(shutil.which(name) or name)


def _version(path: Path) -> int:
    return int(path.parts[-3])
