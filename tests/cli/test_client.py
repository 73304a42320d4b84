"""What a client sees of a server that answers, refuses, or is not there."""

import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from vifguard.client.client import Client
from vifguard.client.endpoint import Endpoint, read_data_dir
from vifguard.client.errors import (
    AmbiguousError,
    CloudsFileError,
    NotAllowedError,
    NotFoundError,
    NotInTimeError,
    RefusedError,
    UnreachableError,
)
from vifguard.client.resource import NETWORK, PORT

UUID = "11111111-2222-4333-8444-555555555555"
Answer = tuple[int, Any]


@contextmanager
def server(answer: Callable[[str, str], Answer]) -> Iterator[tuple[Client, list[Any]]]:
    """A server that answers as told, and what it was asked: method, path, authorization."""
    asked: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            asked.append((self.command, self.path, self.headers.get("Authorization")))
            status, body = answer(self.command, self.path)
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_DELETE = answer  # noqa: N815  the library's names

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        url = f"http://127.0.0.1:{http.server_address[1]}"
        try:
            with Client(Endpoint(url, "ann", "secret"), timeout=5.0) as client:
                yield client, asked
        finally:
            http.shutdown()
            thread.join()


def refused(kind: str, message: str) -> dict[str, Any]:
    return {"NeutronError": {"type": kind, "message": message, "detail": "d"}}


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, RefusedError),
        (401, NotAllowedError),
        (403, NotAllowedError),
        (404, NotFoundError),
        (408, NotInTimeError),
        (409, RefusedError),
    ],
)
def test_a_refusal_carries_what_the_server_said(status: int, error: type[RefusedError]) -> None:
    said = refused("Kind", "the mac 'x' is bad")
    with server(lambda *_: (status, said)) as (client, _), pytest.raises(error) as caught:
        client.list(NETWORK)
    assert type(caught.value) is error
    assert (caught.value.status, caught.value.kind) == (status, "Kind")
    assert str(caught.value) == "the mac 'x' is bad"
    assert caught.value.detail == "d"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"NeutronError": "text"}'])
def test_a_refusal_in_another_tongue_still_has_its_status(body: bytes) -> None:
    with server(lambda *_: (502, body)) as (client, _), pytest.raises(RefusedError) as caught:
        client.list(NETWORK)
    assert caught.value.status == 502


def test_credentials_are_sent_and_never_shown() -> None:
    with server(lambda *_: (200, {"networks": []})) as (client, asked):
        assert client.list(NETWORK, name="a&b") == []
    assert asked == [("GET", "/v2.0/networks?name=a%26b", "Basic YW5uOnNlY3JldA==")]
    assert "secret" not in repr(client.endpoint)


def test_a_key_cannot_climb_to_another_path() -> None:
    with server(lambda *_: (204, b"")) as (client, asked):
        client.delete(PORT, "../networks/x?y=1#z")
    assert asked[0][1] == "/v2.0/ports/..%2Fnetworks%2Fx%3Fy%3D1%23z"


def test_a_name_is_looked_up_and_an_ambiguous_one_lists_the_ids() -> None:
    def answer(_: str, path: str) -> Answer:
        names = {"name=one": ["a"], "name=two": ["c", "b"]}
        return 200, {"ports": [{"id": key} for key in names.get(path[12:20], [])]}

    with server(answer) as (client, _):
        assert client.find(PORT, "one") == {"id": "a"}
        with pytest.raises(AmbiguousError, match="b, c") as caught:
            client.find(PORT, "two")
        with pytest.raises(NotFoundError, match="no port 'none'"):
            client.find(PORT, "none")
    assert caught.value.ids == ["b", "c"]


def test_a_name_that_looks_like_an_id_is_found_too() -> None:
    def answer(_: str, path: str) -> Answer:
        if path == f"/v2.0/ports/{UUID}":
            return 404, refused("PortNotFound", "no")
        return 200, {"ports": [{"id": "a", "name": UUID}]}

    with server(answer) as (client, _):
        assert client.find(PORT, UUID)["id"] == "a"


def test_nobody_there_is_unreachable_and_says_where() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
    with Client(Endpoint(url)) as client, pytest.raises(UnreachableError, match=re.escape(url)):
        client.list(NETWORK)


# httpcore leaves the socket of a failed connect to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_missing_unix_socket_is_unreachable(tmp_path: Path) -> None:
    url = f"unix:{tmp_path}/none.sock"
    with Client(Endpoint(url)) as client, pytest.raises(UnreachableError, match=r"none[.]sock"):
        client.list(NETWORK)


def test_an_answer_that_is_not_json_is_not_a_vifguard_server() -> None:
    with (
        server(lambda *_: (200, b"hello")) as (client, _),
        pytest.raises(UnreachableError, match="not with JSON"),
    ):
        client.list(NETWORK)


@pytest.mark.parametrize("answer", [{}, [], {"port": {}}, 5])
def test_json_of_another_shape_is_not_a_vifguard_server(answer: Any) -> None:
    with (
        server(lambda *_: (200, answer)) as (client, _),
        pytest.raises(UnreachableError, match="vifguard server"),
    ):
        client.list(NETWORK)


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:9696", "ftp://h", "http://", "unix:relative", "http://u:p@h:1"]
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"address|credentials"):
        Endpoint(url)


def clouds(directory: Path, text: str, mode: int = 0o600) -> Path:
    file = directory / "clouds.yaml"
    file.write_text(text)
    file.chmod(mode)
    return directory


GOOD = "clouds: {vifguard: {auth: {endpoint: 'http://127.0.0.1:1', username: a, password: p}}}"


def test_the_data_directory_says_where_the_server_is(tmp_path: Path) -> None:
    assert read_data_dir(clouds(tmp_path, GOOD)) == Endpoint("http://127.0.0.1:1", "a", "p")


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o660, 0o604])
def test_a_password_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(CloudsFileError, match="chmod 600"):
        read_data_dir(clouds(tmp_path, GOOD, mode))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "clouds: {}",
        "clouds: {vifguard: {auth: {endpoint: nowhere}}}",
        "a: [",
        "clouds: 5",
    ],
)
def test_a_clouds_file_that_says_too_little_is_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(CloudsFileError, match=r"clouds[.]yaml"):
        read_data_dir(clouds(tmp_path, text))


def test_a_missing_clouds_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(CloudsFileError, match="`vifguard up`"):
        read_data_dir(tmp_path)
