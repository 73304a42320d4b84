"""How the API is served: under a certificate, without names, with a log for programs."""

import json
import socket
import ssl
from pathlib import Path

import httpx
import openstack
import pytest
import trustme
from command import Shell, execute, started

from vifguard.cli.exit_codes import InputError
from vifguard.cli.service import http_timeouts
from vifguard.cli.service.tls import Certificate


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def pem(tmp_path: Path, ca: trustme.CA) -> dict[str, Path]:
    """The options that name a certificate, its key, and who vouches for it."""
    files = {name: tmp_path / f"{name}.pem" for name in ("tls-cert", "tls-key", "tls-ca")}
    ca.cert_pem.write_to_path(files["tls-ca"])
    renew(ca, files)
    return files


def renew(ca: trustme.CA, files: dict[str, Path]) -> None:
    """Another certificate for 127.0.0.1 in the same files."""
    made = ca.issue_cert("127.0.0.1")
    chain = b"".join(blob.bytes() for blob in made.cert_chain_pems)
    files["tls-cert"].write_bytes(chain)
    files["tls-key"].write_bytes(made.private_key_pem.bytes())
    files["tls-key"].chmod(0o600)


def options(files: dict[str, Path]) -> list[str]:
    return [text for name, path in files.items() for text in (f"--{name}", str(path))]


# The library warns of its own optional parts.
@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
def test_a_certificate_is_all_that_it_takes(
    data_dir: Path, pem: dict[str, Path], ca: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    listen = ("serve", "--listen", "127.0.0.1:0", *options(pem))
    with started(*listen, data_dir=data_dir) as service:
        assert service.url.startswith("https://127.0.0.1:")
        shell = service.shell()
        assert shell.json("network", "list") == []
        monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(data_dir / "clouds.yaml"))
        with openstack.connect(cloud="vifguard") as cloud:
            assert list(cloud.network.networks()) == []
        before = serial(service.url, pem["tls-ca"])
        renew(ca, pem)
        assert serial(service.url, pem["tls-ca"]) != before
        password = (data_dir / "admin-password").read_text()
        elsewhere = Shell({"VIFGUARD_URL": service.url, "VIFGUARD_USER": "admin"})
        asked = ("network", "list", "--password-file", data_dir / "admin-password")
        assert password
        assert "certificate" in elsewhere(*asked, code=5).err.lower()
        assert elsewhere(*asked, "--ca-file", pem["tls-ca"]).code == 0


def serial(url: str, ca_file: Path) -> str:
    """The serial number of the certificate that a server shows."""
    context = ssl.create_default_context(cafile=ca_file)
    host, _, port = url.removeprefix("https://").rpartition(":")
    with (
        socket.create_connection((host, int(port)), timeout=30) as plain,
        context.wrap_socket(plain, server_hostname=host) as connection,
    ):
        shown = connection.getpeercert()
        assert shown is not None
        return str(shown["serialNumber"])


def handshake(
    server: ssl.SSLContext, oldest: ssl.TLSVersion, newest: ssl.TLSVersion
) -> tuple[str, bytes]:
    """The TLS version that a server's context agrees on, and the certificate that it shows."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    client.minimum_version, client.maximum_version = oldest, newest
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(down, up, server_side=False),
        server.wrap_bio(up, down, server_side=True),
    ]
    for _ in range(4):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    shown = ends[0].getpeercert(binary_form=True)
    return ends[0].version() or "", shown or b""


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_old_versions_are_refused(pem: dict[str, Path]) -> None:
    server = Certificate(pem["tls-cert"], pem["tls-key"]).context
    versions = ssl.TLSVersion
    assert handshake(server, versions.TLSv1_3, versions.TLSv1_3)[0] == "TLSv1.3"
    assert handshake(server, versions.TLSv1_2, versions.TLSv1_2)[0] == "TLSv1.2"
    with pytest.raises(ssl.SSLError):
        handshake(server, versions.TLSv1, versions.TLSv1_1)


def test_half_of_a_new_pair_counts_for_nothing(pem: dict[str, Path], ca: trustme.CA) -> None:
    server = Certificate(pem["tls-cert"], pem["tls-key"]).context
    newest = (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_3)
    first = handshake(server, *newest)[1]
    old_key = pem["tls-key"].read_bytes()
    renew(ca, pem)
    new_key = pem["tls-key"].read_bytes()
    pem["tls-key"].write_bytes(old_key)
    assert handshake(server, *newest)[1] == first
    pem["tls-key"].write_bytes(new_key)
    assert handshake(server, *newest)[1] not in {first, b""}
    second = handshake(server, *newest)[1]
    pem["tls-cert"].unlink()
    assert handshake(server, *newest)[1] == second


def test_a_pair_that_will_not_do_is_refused(pem: dict[str, Path], tmp_path: Path) -> None:
    cert, key = pem["tls-cert"], pem["tls-key"]
    for files in ((cert, tmp_path / "none"), (tmp_path / "none", key), (key, cert)):
        with pytest.raises(InputError, match="--tls-cert"):
            Certificate(*files)
    key.chmod(0o644)
    with pytest.raises(InputError, match="chmod 640"):
        Certificate(cert, key)


# The library warns of its own optional parts.
@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
def test_without_identity_nobody_is_asked(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listen = ("serve", "--listen", "127.0.0.1:0", "--no-identity")
    with started(*listen, data_dir=data_dir) as service:
        assert not (data_dir / "users.yaml").exists()
        assert service.shell().json("network", "create", "n", "--shared")["name"] == "n"
        monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(data_dir / "clouds.yaml"))
        with openstack.connect(cloud="vifguard") as cloud:
            assert [each.name for each in cloud.network.networks()] == ["n"]
        stranger = {"Host": "evil.example"}
        where = f"{service.url}/v2.0/networks"
        assert httpx.get(where, headers=stranger, trust_env=False).status_code == 401


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--no-identity", "--listen", "0.0.0.0:0"), "--no-identity"),
        (("--no-identity", "--listen", "0.0.0.0:0", "--insecure-listen"), "--no-identity"),
        (("--no-identity", "--keystone", "/nowhere"), "give one of them"),
        (("--keystone", "/nowhere"), "/nowhere"),
        (("--tls-cert", "/nowhere"), "give both"),
        (("--tls-cert", "/nowhere", "--tls-key", "/nowhere"), "/nowhere"),
        (("--requests-per-second", "many"), "many"),
        (("--requests-per-second", "-1"), "-1"),
        (("--requests-per-second", "nan"), "nan"),
        (("--address-rest", "-1"), "-1"),
        (("--base-mac", "fb:16:3e"), "'fb:16:3e' is multicast"),
        (("--base-mac", "fa:16"), "three or four octets"),
        (("--base-mac", "00:00:5e:00"), "virtual routers"),
        (("--base-mac", "00:00:00"), "'00:00:00' is zero"),
        (("--public-url", "nonsense", "--listen", "127.0.0.1:0"), "nonsense"),
        (("--database", "oracle://x", "--listen", "127.0.0.1:0"), "oracle"),
    ],
)
def test_what_cannot_be_served_so_is_told(
    data_dir: Path, options: tuple[str, ...], words: str
) -> None:
    run = execute("serve", *options, "--data-dir", data_dir)
    assert run.code == 2, run.err
    assert words in run.err
    assert "Traceback" not in run.err


@pytest.mark.parametrize(("seconds", "is_given_again"), [((), False), (("0",), True)])
def test_a_released_address_rests_as_long_as_the_operator_says(
    data_dir: Path, seconds: tuple[str, ...], *, is_given_again: bool
) -> None:
    listen = ("serve", "--listen", f"unix:{data_dir}.sock")
    rest = ("--address-rest", *seconds) if seconds else ()
    with started(*listen, *rest, data_dir=data_dir) as service:
        shell = service.shell()
        shell("network", "create", "n", "--shared")
        shell("subnet", "create", "s", "--network", "n", "--cidr", "10.0.0.0/24")
        first = shell.json("port", "create", "a", "--network", "n")["fixed_ips"]
        shell("port", "delete", "a")
        second = shell.json("port", "create", "b", "--network", "n")["fixed_ips"]
        assert (first == second) == is_given_again


def test_macs_begin_as_the_operator_says(data_dir: Path) -> None:
    listen = ("serve", "--listen", f"unix:{data_dir}.sock", "--base-mac", "02:aa:bb:4f")
    with started(*listen, data_dir=data_dir) as service:
        shell = service.shell()
        shell("network", "create", "n", "--shared")
        made = [shell.json("port", "create", name, "--network", "n") for name in "ab"]
        assert all(each["mac_address"].startswith("02:aa:bb:4f:") for each in made)
        assert made[0]["mac_address"] != made[1]["mac_address"]
        chosen = ("port", "set", "a", "--mac")
        shell(*chosen, "02:00:00:00:00:01")
        assert shell.json(*chosen, "default")["mac_address"].startswith("02:aa:bb:4f:")


def test_a_public_url_is_what_clients_are_told(data_dir: Path) -> None:
    told = "https://network.example:9696"
    listen = ("serve", "--listen", f"unix:{data_dir}.sock", "--public-url", told)
    with started(*listen, data_dir=data_dir):
        assert told in (data_dir / "clouds.yaml").read_text()


def test_a_log_for_programs_is_an_object_a_line(data_dir: Path) -> None:
    listen = ("serve", "--listen", f"unix:{data_dir}.sock")
    more = ("--log-format", "json", "--access-log")
    with started(*listen, *more, data_dir=data_dir) as service:
        assert service.shell().json("network", "list") == []
    log = data_dir.with_suffix(".log").read_text()
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    (line,) = [line for line in lines if line["logger"] == "vifguard.access"]
    assert line["action"] == "list_networks"
    assert (line["user"], line["project"]) == ("admin", "admin")
    assert line["request_id"].startswith("req-")
    assert line["message"].startswith("GET '/v2.0/networks' 200 ")
    assert (data_dir / "admin-password").read_text().strip() not in log


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_timeouts, "HEAD_SECONDS", 0.2)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize(
    "begun", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\nX: y\r\n", b"FIRST GET / HT"]
)
def test_who_does_not_finish_a_sentence_is_left(data_dir: Path, begun: bytes) -> None:
    with (
        started("serve", "--listen", f"unix:{data_dir}.sock", data_dir=data_dir),
        socket.socket(socket.AF_UNIX) as connection,
    ):
        connection.settimeout(30)
        connection.connect(f"{data_dir}.sock")
        if begun.startswith(b"FIRST "):
            begun = begun.removeprefix(b"FIRST ")
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            while b'"ok"' not in connection.recv(65536):
                pass
        connection.sendall(begun)
        assert connection.recv(65536) == b""
