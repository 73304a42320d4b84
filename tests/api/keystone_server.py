"""A Keystone of a test's own: real, from PyPI, on SQLite and loopback.

Run by the interpreter of Keystone's environment, this file is its server: it takes the
listening socket as standard input, and its configuration from the environment.
"""

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PYTHON = Path(__file__).parents[2] / "build" / "keystone" / "bin" / "python"

CONFIGURATION = """\
[DEFAULT]
log_file = {directory}/keystone.log
[database]
connection = sqlite:///{directory}/keystone.db
[token]
provider = fernet
[fernet_tokens]
key_repository = {directory}/fernet
[credential]
key_repository = {directory}/credential
[identity]
password_hash_rounds = 4
"""


@dataclass(frozen=True)
class KeystoneServer:
    """Where it is, and what its operator's password is."""

    url: str
    password: str
    process: subprocess.Popen[bytes]
    directory: Path

    @contextmanager
    def hasty(self) -> Iterator[str]:
        """The URL of a second server of the same Keystone, whose tokens live for a second."""
        configuration = self.directory / "hasty.conf"
        text = CONFIGURATION.format(directory=self.directory)
        configuration.write_text(text.replace("[token]", "[token]\nexpiration = 1"))
        with socket.create_server(("127.0.0.1", 0)) as listening:
            process = _started(configuration, listening, self.directory / "hasty.log")
            try:
                yield _url(listening)
            finally:
                process.kill()
                process.wait()

    def auth(self, username: str, password: str, project: str) -> dict[str, str]:
        """What a client logs in with."""
        return {
            "auth_url": self.url,
            "username": username,
            "password": password,
            "project_name": project,
            "user_domain_id": "default",
            "project_domain_id": "default",
        }


@contextmanager
def keystone(directory: Path) -> Iterator[KeystoneServer]:
    """A Keystone with its operator `admin` in the project `admin`."""
    assert PYTHON.exists(), "make build/keystone/.installed"
    configuration = directory / "keystone.conf"
    configuration.write_text(CONFIGURATION.format(directory=directory))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = _url(listening)
        _prepare(directory, configuration, url)
        process = _started(configuration, listening, directory / "server.log")
    try:
        yield KeystoneServer(url, "secret", process, directory)
    finally:
        process.kill()
        process.wait()


def _url(listening: socket.socket) -> str:
    return f"http://127.0.0.1:{listening.getsockname()[1]}/v3"


def _started(configuration: Path, listening: socket.socket, log: Path) -> subprocess.Popen[bytes]:
    environment = {"PATH": os.environ["PATH"], "OS_KEYSTONE_CONFIG_FILES": str(configuration)}
    with log.open("wb") as said:
        return subprocess.Popen(
            [PYTHON, "-W", "ignore", __file__], env=environment, stdin=listening, stderr=said
        )


def _prepare(directory: Path, configuration: Path, url: str) -> None:
    for name in ("fernet", "credential"):
        (directory / name).mkdir(mode=0o700)
    manage = [PYTHON, "-W", "ignore", PYTHON.with_name("keystone-manage")]
    owner = ("--keystone-user", str(os.getuid()), "--keystone-group", str(os.getgid()))
    urls = [each for kind in ("public", "internal") for each in (f"--bootstrap-{kind}-url", url)]
    for command in (
        ("db_sync",),
        ("fernet_setup", *owner),
        ("credential_setup", *owner),
        ("bootstrap", "--bootstrap-password", "secret", *urls),
    ):
        subprocess.run(
            [*manage, "--config-file", configuration, *command], check=True, capture_output=True
        )


def serve() -> None:
    """Serve Keystone on the listening socket that is standard input, until the process ends."""
    from socketserver import ThreadingMixIn  # noqa: PLC0415  of the other process alone
    from wsgiref.simple_server import WSGIRequestHandler, WSGIServer  # noqa: PLC0415  the same

    from keystone.server.wsgi import initialize_public_application  # noqa: PLC0415  the same

    class Server(ThreadingMixIn, WSGIServer):
        daemon_threads = True

    class Handler(WSGIRequestHandler):
        def log_message(self, *_: object) -> None:
            """Nothing: Keystone has a log."""

    server = Server(("127.0.0.1", 0), Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = socket.socket(fileno=0)
    server.server_name, server.server_port = server.socket.getsockname()
    server.setup_environ()
    server.set_app(initialize_public_application())
    server.serve_forever()


if __name__ == "__main__":
    serve()
