"""PostgreSQL: the one file that knows it. Several servers, one change at a time.

A change first takes an advisory lock and keeps it until it is committed, so changes are
serial however many servers there are: none ever deadlocks with another or has to be repeated.
READ COMMITTED shows each statement after the lock all that was committed before it. A view is
REPEATABLE READ: one state for all of its statements.

Notifications travel by NOTIFY in the transaction of the change. A server that lost its listening
connection may have missed some, and joins anew.
"""

from __future__ import annotations

import logging
import select
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing, contextmanager, nullcontext, suppress
from typing import Any, Final, cast
from uuid import uuid4

import psycopg
from sqlalchemy import (
    URL,
    Connection,
    Engine,
    Text,
    bindparam,
    create_engine,
    event,
    func,
    make_url,
    sql,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, InvalidatePoolError, SQLAlchemyError

from vifguard.store.database.notification import Notification
from vifguard.store.database.notification_codec import decode, encode
from vifguard.store.database.statements import BoundStatement, Statement, translated_errors
from vifguard.store.errors import DatabaseError, StoreError
from vifguard.store.schema.row_mapping import Record

_LOG = logging.getLogger(__name__)

_LOCK: Final = 0x7669_6667
"""The advisory lock of the one change."""

_PRESENCE: Final = _LOCK + 1
"""The advisory lock that every server shares while it listens."""

_CHANNEL: Final = "vifguard"

CONNECTIONS = 16
"""The most connections that a server opens, beside the one that listens."""

_PATIENCE = 10.0
"""Seconds of silence after which the listening connection is tried."""

_PAUSE = 1.0
"""Seconds between attempts to listen again."""

# A server that freezes or loses power within its turn must not keep the others
# from theirs for long: they wait for the lock longer than one may be idle with it.
_SETTINGS: Final = {
    "idle_in_transaction_session_timeout": "10s",
    "lock_timeout": "20s",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    # Each statement reads a few rows by index: compiling one costs more than running it.
    "jit": "off",
}

_TAKE_LOCK = Statement(
    sql.select(
        func.pg_advisory_xact_lock(_LOCK).label("turn"),
        sql.cast(func.pg_current_xact_id(), Text()).label("transaction"),
    )
)
_COMMITTED = sql.text("SELECT pg_xact_status(CAST(:transaction AS xid8))")
_SHARE_PRESENCE = f"SELECT pg_advisory_lock_shared({_PRESENCE})"
_IS_ONLY_SERVER = sql.select(func.pg_try_advisory_xact_lock(_PRESENCE))
_NOTIFY = Statement(sql.select(func.pg_notify(_CHANNEL, bindparam("text", type_=Text()))))


class PostgresDatabase:
    """A database on a PostgreSQL server, of which several of our servers may be clients."""

    def __init__(self, url: str) -> None:
        self._name = uuid4().hex[:12]
        self._engine = _engine_of(_parsed(url))
        self.reading: Engine = self._engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        self.autocommit: Engine = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        self.writing: Engine = self._engine
        self.lock_statements: Sequence[BoundStatement] = (BoundStatement(_TAKE_LOCK, {}),)
        self._listener: _Listener | None = None

    def start_listening(
        self, on_connect: Callable[[], None], on_notification: Callable[[Notification], None]
    ) -> None:
        """Listen, call `on_connect`, and go on listening in a thread of its own."""

        def read(text: str) -> None:
            sender, notification = decode(text)
            if sender != self._name:
                on_notification(notification)

        self._listener = _Listener(self._engine, on_connect, read)
        self._listener.start()

    def is_only_server(self, change: Connection) -> bool:
        """Whether no server shares the presence lock."""
        return bool(change.scalar(_IS_ONLY_SERVER))

    def execute_batch(
        self,
        connection: Connection,
        statements: Sequence[BoundStatement],
        then: Callable[[], None] | None = None,
    ) -> list[list[Record]]:
        """Execute statements in a pipeline: one round trip for all."""
        alone = len(statements) + (then is not None) <= 1
        driver = _driver_of(connection)
        try:
            with translated_errors(connection), nullcontext() if alone else _pipeline(driver):
                pending = [each.execute(connection) for each in statements]
                if then is not None:
                    then()
        except DBAPIError:
            if then is not None:
                # SQLAlchemy takes a transaction for ended once it sent COMMIT, whatever failed.
                with suppress(psycopg.Error):
                    driver.rollback()
            raise
        return [each.records() for each in pending]

    def was_committed(self, turn: Sequence[Record], _revision: int) -> bool | None:
        """Read the outcome of the transaction, which PostgreSQL keeps (its manual, 9.27.8).

        With the lock taken, it is known to have ended: it may go on for a while without its client.
        """
        if not turn:
            return None
        with self._engine.begin() as connection:
            self.execute_batch(connection, self.lock_statements)
            became = connection.scalar(_COMMITTED, {"transaction": turn[0].transaction})
        return {"committed": True, "aborted": False}.get(became)

    def notify_statements(self, notification: Notification) -> Iterator[BoundStatement]:
        """Notifications, to be made in the change's own transaction."""
        return (
            BoundStatement(_NOTIFY, {"text": text}) for text in encode(self._name, notification)
        )

    def close(self) -> None:
        """End the thread that listens and close every connection."""
        if self._listener is not None:
            self._listener.stop()
        self._engine.dispose()


class _Listener:
    """The thread of the one connection that listens."""

    def __init__(
        self, engine: Engine, joined: Callable[[], None], read: Callable[[str], None]
    ) -> None:
        self._engine = engine
        self._joined = joined
        self._read = read
        self._stopping = threading.Event()
        self._first: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name="listen", daemon=True)

    def start(self) -> None:
        """Begin; returns once joined, and raises the error that prevents it."""
        self._thread.start()
        self._first.result()

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        with (
            suppress(SQLAlchemyError),
            self._engine.begin() as connection,
            translated_errors(connection),
        ):
            BoundStatement(_NOTIFY, {"text": ""}).execute(connection)  # wakes it
        self._thread.join(_PATIENCE)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with self._listening() as connection:
                    self._joined()
                    # Only now: until then, this server counts as absent.
                    connection.execute(_SHARE_PRESENCE)
                    if not self._first.done():
                        self._first.set_result(None)
                    self._read_notifications(connection)
            except Exception as error:  # noqa: BLE001 - raised to the opener, or logged
                if not self._first.done():
                    self._first.set_exception(error)
                    return
                if not isinstance(error, SQLAlchemyError | psycopg.Error | StoreError):
                    _LOG.exception("notifications of other servers could not be read")
                _LOG.warning("the database sends no notifications: %s", _first_line(error))
            self._stopping.wait(_PAUSE)

    @contextmanager
    def _listening(self) -> Iterator[psycopg.Connection[Any]]:
        """A connection that listens, outside of the pool; nothing is missed from here on."""
        pooled = self._engine.raw_connection()
        driver = cast("psycopg.Connection[Any]", pooled.driver_connection)
        pooled.detach()
        with closing(driver):
            driver.rollback()
            driver.set_autocommit(True)
            driver.execute(f"LISTEN {_CHANNEL}")
            yield driver

    def _read_notifications(self, connection: psycopg.Connection[Any]) -> None:
        while not self._stopping.is_set():
            for note in connection.notifies(timeout=_PATIENCE):
                if self._stopping.is_set():
                    return
                if note.payload:
                    self._read(note.payload)
            connection.execute("SELECT 1")


def _parsed(url: str) -> URL:
    try:
        return make_url(url).set(drivername="postgresql+psycopg")
    except (ArgumentError, ValueError):
        # The message omits the URL: there may be a password in it.
        raise DatabaseError(
            "the database URL is not valid; write postgresql://USER@HOST/NAME"
        ) from None


def _engine_of(url: URL) -> Engine:
    settings = " ".join(f"-c {name}={value}" for name, value in _SETTINGS.items())
    defaults = {"application_name": "vifguard", "connect_timeout": "5", "options": settings}
    engine = create_engine(
        url,
        pool_size=CONNECTIONS,
        max_overflow=0,
        # A caller now and then gets the connection that has its statements prepared.
        pool_use_lifo=True,
        connect_args={name: each for name, each in defaults.items() if name not in url.query},
    )
    event.listen(engine, "checkout", _taken)
    return engine


def _taken(driver: psycopg.Connection[Any], _record: object, _proxy: object) -> None:
    # An idle connection is readable only once the database has closed it: it is replaced before
    # it is used. A query each time would cost as much as reading a port.
    readable = select.poll()
    readable.register(driver.fileno(), select.POLLIN)
    if readable.poll(0):
        raise InvalidatePoolError("the database closed the connection")


@contextmanager
def _pipeline(driver: psycopg.Connection[Any]) -> Iterator[None]:
    """A pipeline that ends with its Sync.

    psycopg sends a Flush behind it, after which PostgreSQL (15) does not take a connection for
    idle: it would never take the lock from a server that freezes.
    """
    with driver.pipeline() as pipeline:

        def end() -> Iterator[Any]:
            try:
                pipeline._enqueue_sync()  # noqa: SLF001  there is no other way to leave one
                yield from pipeline._communicate_gen()  # noqa: SLF001
            finally:
                yield from pipeline._fetch_gen(flush=False)  # noqa: SLF001

        pipeline._exit_gen = end  # type: ignore[assignment]  # noqa: SLF001
        yield


def _driver_of(connection: Connection) -> psycopg.Connection[Any]:
    return cast("psycopg.Connection[Any]", connection.connection.driver_connection)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
