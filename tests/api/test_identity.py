"""Who asks: the file of users, read again when it changes, and closed when it is not sound."""

import base64
import stat
from pathlib import Path

import pytest

from vifguard.api.access.principal import UserRole
from vifguard.api.auth.basic_auth import (
    BasicAuth,
    UsersFileError,
    account,
    read_accounts,
    write_accounts,
)


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    users = tmp_path / "users.yaml"
    write_accounts(
        users,
        [account("alice", "p1", ["member"], "sécret"), account("root", "op", ["admin"], "x:y")],
    )
    return users


def test_an_agent_is_one_hosts_and_nobody_else_has_a_host(path: Path) -> None:
    write_accounts(path, [account("h1", "agents", ["agent"], "x", "h1.example")])
    identity = BasicAuth(path)
    agent = identity.verify(basic("h1", "x"))
    assert agent is not None
    assert (agent.roles, agent.host) == ({UserRole.AGENT}, "h1.example")
    for roles, host in ((["agent"], ""), (["service"], "h1"), (["agent"], "h 1")):
        with pytest.raises(UsersFileError, match="host"):
            account("x", "p", roles, "x", host)


def test_a_password_names_its_user(path: Path) -> None:
    identity = BasicAuth(path)
    header = basic("alice", "sécret")
    assert identity.cached(header) is None
    user = identity.verify(header)
    assert user is not None
    assert (user.name, user.project_id, user.roles) == ("alice", "p1", {UserRole.MEMBER})
    assert identity.cached(header) == user
    root = identity.verify(basic("root", "x:y"))
    assert root is not None
    assert root.roles == {UserRole.ADMIN}


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Basic",
        "Basic !!!",
        "Bearer " + base64.b64encode(b"alice:s\xc3\xa9cret").decode(),
        basic("alice", "secret"),
        basic("alice", ""),
        basic("Alice", "sécret"),
        basic("nobody", "sécret"),
        basic("alice", "sécret") + "=",
        "Basic " + base64.b64encode(b"alice:\xff").decode(),
        "Basic " + "A" * 10_000,
        "Basic \xff",  # an octet as the server reads it, Latin-1
        basic("alice", "sécret").replace("Basic ", "Basic  "),
        "\ud800",
    ],
)
def test_anything_else_names_nobody(path: Path, header: str | None) -> None:
    identity = BasicAuth(path)
    assert identity.verify(header) is None
    assert identity.cached(header) is None


def test_a_change_of_the_file_counts_at_once(path: Path) -> None:
    identity = BasicAuth(path)
    assert identity.verify(basic("alice", "sécret"))
    write_accounts(path, [account("alice", "p1", ["member"], "new")])
    assert identity.cached(basic("alice", "sécret")) is None
    assert identity.verify(basic("alice", "sécret")) is None
    assert identity.verify(basic("alice", "new"))
    path.unlink()
    assert identity.verify(basic("alice", "new")) is None


def test_a_password_that_is_changed_while_it_is_verified_does_not_count(path: Path) -> None:
    """A 1.5: the account was taken before the lock, the file's version within."""
    identity = BasicAuth(path)
    old = basic("alice", "sécret")
    lock = identity._lock

    class Interleaved:
        def __enter__(self) -> None:
            identity._lock = lock
            write_accounts(path, [account("alice", "p1", ["member"], "new")])
            identity.cached(old)
            lock.acquire()

        def __exit__(self, *_: object) -> None:
            lock.release()

    assert identity.cached(old) is None  # the file is read
    identity._lock = Interleaved()
    assert identity.verify(old) is None
    assert identity.cached(old) is None


def test_a_password_that_is_changed_while_it_is_hashed_does_not_count(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = BasicAuth(path)
    matches = identity._matches

    def change(password_hash: str, password: str) -> bool:
        found = matches(password_hash, password)
        write_accounts(path, [account("alice", "p1", ["reader"], "new")])
        identity.cached(None)
        return found

    monkeypatch.setattr(identity, "_matches", change)
    assert identity.verify(basic("alice", "sécret")) is None


def test_who_did_not_change_is_remembered_through_a_change_of_the_file(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = BasicAuth(path)
    alice, root = basic("alice", "sécret"), basic("root", "x:y")
    assert identity.verify(alice)
    assert identity.verify(root)
    kept = [each for each in read_accounts(path) if each.principal.name == "root"]
    write_accounts(path, [account("alice", "p1", ["reader"], "sécret"), *kept])
    assert identity.cached(alice) is None
    assert identity.cached(root)
    monkeypatch.setattr("vifguard.api.auth.basic_auth._MAX_VERIFIED", 1)
    assert identity.verify(alice)
    assert identity.cached(root) is None  # the oldest goes, and no other
    assert identity.cached(alice)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "alice",
        "{}",
        "[1]",
        "- {name: a}",
        "- {name: a, project_id: p, roles: [member], password_hash: x, more: 1}",
        "- {name: a, project_id: p, roles: [king], password_hash: x}",
        "- {name: a, project_id: p, roles: [], password_hash: x}",
        "- {name: a, project_id: 'p q', roles: [member], password_hash: x}",
        "- {name: 'a:b', project_id: p, roles: [member], password_hash: x}",
        "- {name: 5, project_id: p, roles: [member], password_hash: x}",
        "- {name: a, project_id: p, roles: [member], password_hash: 5}",
        "- {name: a, project_id: p, roles: member, password_hash: x}",
        "- &a [*a]",
        "!!python/object/apply:os.system ['id']",
        "\x00",
        "[" * 300,
    ],
)
def test_a_file_that_is_not_sound_lets_nobody_in(path: Path, content: str) -> None:
    identity = BasicAuth(path)
    assert identity.verify(basic("alice", "sécret"))
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(UsersFileError, match=r"users\.yaml"):
        read_accounts(path)
    assert identity.verify(basic("alice", "sécret")) is None


def test_a_name_twice_is_refused(path: Path) -> None:
    one = account("a", "p1", ["member"], "x")
    write_accounts(path, [one, one])
    with pytest.raises(UsersFileError, match="twice"):
        read_accounts(path)


def test_a_file_others_can_read_is_refused(path: Path) -> None:
    path.chmod(0o640)
    with pytest.raises(UsersFileError, match="chmod 600"):
        read_accounts(path)
    assert BasicAuth(path).verify(basic("alice", "sécret")) is None


def test_the_file_is_private_and_holds_no_password(path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = path.read_text()
    assert "sécret" not in text
    assert text.count("$argon2id$") == 2
    assert [each.name for each in path.parent.iterdir()] == ["users.yaml"]
    assert [each.principal.name for each in read_accounts(path)] == ["alice", "root"]


@pytest.mark.parametrize("damaged", ["x", "$argon2id$v=19$m=1", ""])
def test_a_hash_that_is_none_lets_nobody_in(path: Path, damaged: str) -> None:
    path.write_text(f"- {{name: a, project_id: p, roles: [member], password_hash: '{damaged}'}}\n")
    path.chmod(0o600)
    assert BasicAuth(path).verify(basic("a", "x")) is None
