"""An application, served on loopback by a thread of this process."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from vifguard.api.app import Application
from vifguard.cli.service.http_timeouts import TimeoutProtocol


class _Server(uvicorn.Server):
    """Says when it serves."""

    def __init__(self, app: Application) -> None:
        super().__init__(
            uvicorn.Config(app, http=TimeoutProtocol, log_level="warning", access_log=False)
        )
        self.serving = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.serving.set()


@contextmanager
def served(app: Application) -> Iterator[str]:
    """The URL under which an application is served."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        # Sockets made this way have no protocol number, and asyncio then leaves Nagle on.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        serving = _Server(app)
        thread = threading.Thread(target=serving.run, kwargs={"sockets": [listening]})
        thread.start()
        assert serving.serving.wait(30)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            serving.should_exit = True
            thread.join(30)
