"""Guests that talk: pings, datagrams and streams by their own stacks."""

from __future__ import annotations

import socket
import subprocess
from ipaddress import ip_address

from vifguard.lab.play.kernel_tables import Tables
from vifguard.lab.world import netns
from vifguard.model.address import IPAddress, Mac

_PATIENCE = 5.0


def pings(namespace: str, address: IPAddress, device: str = "", *, size: int = 56) -> bool:
    """Whether the address answers an echo request of `size` bytes from the namespace."""
    how = [f"-s{size}", *(["-I", device] if device else [])]
    done = subprocess.run(
        ["ip", "netns", "exec", namespace, "ping", "-n", "-c1", "-W2", *how, str(address)],
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


def believes(namespace: str, address: IPAddress) -> Mac | None:
    """The MAC at which the namespace's stack believes the address; None for none."""
    tables = Tables(namespace)
    try:
        return tables.neighbours().get(address)
    finally:
        tables.close()


def echo_stream(
    server: str, client: str, address: IPAddress, port: int, data: bytes
) -> tuple[bytes, IPAddress]:
    """Send data over TCP from one namespace to another; the received data and its source."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    listening = netns.within(server, lambda: socket.create_server(("", port), family=family))
    with listening:
        listening.settimeout(_PATIENCE)
        with netns.within(
            client, lambda: socket.create_connection((str(address), port), _PATIENCE)
        ) as sending:
            accepted, peer = listening.accept()
            with accepted:
                accepted.settimeout(_PATIENCE)
                sending.sendall(data)
                sending.shutdown(socket.SHUT_WR)
                return _all(accepted), ip_address(peer[0])


def _all(stream: socket.socket) -> bytes:
    received = b""
    while data := stream.recv(1 << 16):
        received += data
    return received
