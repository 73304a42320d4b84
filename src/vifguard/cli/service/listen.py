"""The address at which the API listens: loopback, a unix socket, or another if insisted on."""

from __future__ import annotations

import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vifguard.cli.exit_codes import InputError
from vifguard.model.address import AddressError, IPAddress, parse_address

BACKLOG = 2048


@dataclass(frozen=True, slots=True)
class Tcp:
    """An address and a port; port 0 lets the kernel choose."""

    address: IPAddress
    port: int


@dataclass(frozen=True, slots=True)
class Unix:
    """The path of a socket that only its owner may connect to."""

    path: Path


Listen = Tcp | Unix


def parse_listen(text: str, *, insecure: bool, tls: bool = False) -> Listen:
    """`127.0.0.1:9696`, `[::1]:9696`, `localhost:9696` or `unix:/path.sock`.

    Without TLS, refuses an address that others can reach unless `insecure`: passwords would
    cross the network in clear.
    """
    if text.startswith("unix:"):
        if tls:
            raise InputError(f"--listen {text} is a file of this machine: leave --tls-cert out")
        return _unix(text.removeprefix("unix:"))
    host, _, port = text.rpartition(":")
    if not (port.isascii() and port.isdecimal() and int(port) <= 0xFFFF):
        raise InputError(f"--listen {text!r} is neither HOST:PORT nor unix:/path.sock")
    address = _address(host, text)
    if not (address.is_loopback or tls or insecure):
        raise InputError(
            f"--listen {text} would carry passwords over the network in clear: give "
            "--tls-cert and --tls-key, or allow it by --insecure-listen"
        )
    return Tcp(address, int(port))


def is_private(listen: Listen) -> bool:
    """Whether nobody but this machine's users can reach it."""
    return isinstance(listen, Unix) or listen.address.is_loopback


@contextmanager
def opened(listen: Listen, *, tls: bool = False) -> Iterator[tuple[socket.socket, str]]:
    """The listening socket, and the URL under which clients find it."""
    listening, url = _open(listen)
    if tls:
        url = url.replace("http:", "https:", 1)
    try:
        yield listening, url
    finally:
        listening.close()
        if isinstance(listen, Unix):
            listen.path.unlink(missing_ok=True)


def _open(listen: Listen) -> tuple[socket.socket, str]:
    try:
        match listen:
            case Tcp(address, port):
                return _open_tcp(address, port)
            case Unix(path):
                return _open_unix(path), f"unix:{path}"
    except OSError as error:
        where = listen.path if isinstance(listen, Unix) else f"{listen.address}:{listen.port}"
        raise InputError(
            f"cannot listen on {where}: {error.strerror}; choose another with --listen"
        ) from None


def _unix(path: str) -> Unix:
    if not path.startswith("/"):
        raise InputError(f"--listen unix:{path} needs an absolute path such as unix:/run/v.sock")
    return Unix(Path(path))


def _address(host: str, text: str) -> IPAddress:
    if host == "localhost":
        host = "127.0.0.1"
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        return parse_address(bare)
    except AddressError:
        raise InputError(
            f"--listen {text!r}: {host!r} is not an IP address; write 127.0.0.1 or [::1]"
        ) from None


def _open_tcp(address: IPAddress, port: int) -> tuple[socket.socket, str]:
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    listening = socket.create_server((str(address), port), family=family, backlog=BACKLOG)
    # Sockets made this way have no protocol number; asyncio then leaves Nagle's delay (40 ms a
    # call) on. Accepted connections inherit this.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening, f"http://{_reachable(address)}:{listening.getsockname()[1]}"


def _reachable(address: IPAddress) -> str:
    """The host part of a URL by which this machine reaches a socket bound to `address`."""
    if address.version == 6:
        return "[::1]" if address.is_unspecified else f"[{address}]"
    return "127.0.0.1" if address.is_unspecified else str(address)


def _open_unix(path: Path) -> socket.socket:
    _remove_stale(path)
    listening = socket.socket(socket.AF_UNIX)
    try:
        listening.bind(str(path))
        # Nobody can connect before listen(), so the mode is never too wide for use.
        path.chmod(0o600)
        listening.listen(BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening


def _remove_stale(path: Path) -> None:
    """Remove the socket of a killed server; never a file, nor a socket that a process answers."""
    try:
        if not stat.S_ISSOCK(path.stat().st_mode):
            raise InputError(f"{path} exists and is not a socket: choose another with --listen")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise InputError(f"another process already listens on {path}: stop it, or choose another path")
