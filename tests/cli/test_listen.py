"""Where a server may listen."""

import socket
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest

from vifguard.cli.exit_codes import InputError
from vifguard.cli.service.listen import Tcp, Unix, opened, parse_listen


@pytest.mark.parametrize(
    ("text", "listen"),
    [
        ("127.0.0.1:9696", Tcp(IPv4Address("127.0.0.1"), 9696)),
        ("127.9.9.9:0", Tcp(IPv4Address("127.9.9.9"), 0)),
        ("localhost:80", Tcp(IPv4Address("127.0.0.1"), 80)),
        ("[::1]:9696", Tcp(IPv6Address("::1"), 9696)),
        ("unix:/run/v.sock", Unix(Path("/run/v.sock"))),
    ],
)
def test_loopback_and_unix_sockets_are_taken(text: str, listen: object) -> None:
    assert parse_listen(text, insecure=False) == listen


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]", "192.0.2.1", "[2001:db8::1]", "169.254.1.1"])
def test_what_others_can_reach_must_be_insisted_on(host: str) -> None:
    with pytest.raises(InputError, match="--insecure-listen"):
        parse_listen(f"{host}:9696", insecure=False)
    assert isinstance(parse_listen(f"{host}:9696", insecure=True), Tcp)
    assert isinstance(parse_listen(f"{host}:9696", insecure=False, tls=True), Tcp)


def test_a_socket_on_this_machine_has_no_certificate() -> None:
    with pytest.raises(InputError, match="--tls-cert"):
        parse_listen("unix:/run/v.sock", insecure=False, tls=True)


@pytest.mark.parametrize(
    "text",
    ["", "9696", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", "127.0.0.1:٣",
     "127.0.0.1:-1", "127.1:80", "::1:9696x", "example.org:80", "unix:relative", "unix:",
     "127.0.0.1:80\n"],
)  # fmt: skip
def test_what_is_no_place_is_refused_and_named(text: str) -> None:
    with pytest.raises(InputError, match="--listen"):
        parse_listen(text, insecure=True)


def test_a_free_port_is_told_in_the_url() -> None:
    with opened(Tcp(IPv4Address("127.0.0.1"), 0)) as (door, url):
        assert url == f"http://127.0.0.1:{door.getsockname()[1]}"
        with pytest.raises(InputError, match="cannot listen"):
            opened(Tcp(IPv4Address("127.0.0.1"), door.getsockname()[1])).__enter__()


def test_a_socket_is_its_owners_alone_and_goes_with_its_server(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    with opened(Unix(path)) as (_, url):
        assert url == f"unix:{path}"
        assert path.stat().st_mode & 0o777 == 0o600
    assert not path.exists()


def test_a_socket_that_somebody_answers_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    with opened(Unix(path)), pytest.raises(InputError, match="already listens"):
        opened(Unix(path)).__enter__()
    with opened(Unix(path)):
        assert path.is_socket()


def test_a_socket_that_a_killed_server_left_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with opened(Unix(path)), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_a_file_is_never_taken_for_a_socket(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("data")
    with pytest.raises(InputError, match="not a socket"):
        opened(Unix(path)).__enter__()
    assert path.read_text() == "data"
