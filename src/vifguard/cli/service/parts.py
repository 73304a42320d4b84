"""The two things a process can be: the API server, and this host's agent."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from vifguard.cli.service.process import PartError
from vifguard.feed.messages import Feed, SecondAgentError

if TYPE_CHECKING:
    import uvicorn

    from vifguard.agent.settings import Settings
    from vifguard.api.app import Application
    from vifguard.cli.service.tls import Certificate

Ready = Callable[[], None]


COLLECT_AFTER = (20_000, 20, 50)
"""Objects and rounds after which cycles are looked for.

Rows and JSON hold none, but are many: with Python's own figures (700, 10, 10) a list of 5,000
ports takes 1.6 times the processor time.
"""

DRAIN_SECONDS = 5
"""Seconds that requests in progress may take once the server is to stop."""


class ApiServer:
    """Serves the API on a listening socket, in clear or under a certificate."""

    name = "API server"

    def __init__(
        self, app: Application, listening: socket.socket, certificate: Certificate | None = None
    ) -> None:
        self._app = app
        self._listening = listening
        self._certificate = certificate
        self._server: uvicorn.Server | None = None
        self._stopped = False

    def run(self, ready: Ready) -> None:
        """Serve until stopped; ready once connections are accepted."""
        import uvicorn

        class Server(uvicorn.Server):
            async def startup(self, sockets: list[socket.socket] | None = None) -> None:
                await super().startup(sockets)
                ready()

            async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
                # Just before uvicorn's own end, which answers cancelled requests with 500: a client
                # would take a change for failed that may have been made.
                asyncio.get_running_loop().call_later(DRAIN_SECONDS, self._cut_off)
                await super().shutdown(sockets)

            def _cut_off(self) -> None:
                for connection in list(self.server_state.connections):
                    connection.transport.abort()

        # Objects that are loaded by now stay for good.
        gc.freeze()
        gc.set_threshold(*COLLECT_AFTER)
        self._server = Server(self._config())
        self._server.should_exit = self._stopped
        self._server.run(sockets=[self._listening])

    def stop(self) -> None:
        """Accept nothing more, finish running requests, and answer those that wait for an event."""
        from vifguard.api.app import drain

        self._stopped = True
        drain(self._app)
        if self._server is not None:
            self._server.should_exit = True

    def _config(self) -> uvicorn.Config:
        import uvicorn

        from vifguard.cli.service.http_timeouts import TimeoutProtocol

        certificate = self._certificate
        return uvicorn.Config(
            self._app,
            http=TimeoutProtocol,
            ws="none",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=DRAIN_SECONDS,
            ssl_context_factory=None if certificate is None else (lambda *_: certificate.context),
        )


class HostAgent:
    """The agent: enforces the ports of this host by the updates of a feed."""

    name = "agent"

    def __init__(self, feed: Feed, host: str, settings: Settings) -> None:
        self._feed = feed
        self._host = host
        self._settings = settings
        self._stop = threading.Event()

    def run(self, ready: Ready) -> None:
        """Reconcile until stopped; ready once the server's desired state is taken in.

        Raises PartError where another agent holds this host's guards, or is this host.
        """
        from vifguard.agent.agent import Agent
        from vifguard.enforce.driver.protocol import HeldError

        try:
            Agent(self._feed, self._host, self._settings).run(self._stop, ready)
        except (HeldError, SecondAgentError) as error:
            raise PartError(str(error)) from None

    def stop(self) -> None:
        """Stop reconciling; the state in the kernel stays in force."""
        self._stop.set()
