"""HTTP Basic authentication against a file of users, read again when it changes.

Without the file, or where it is not sound, no caller is authenticated.
"""

from __future__ import annotations

import base64
import hmac
import logging
import os
import secrets
import stat
import tempfile
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from vifguard.api.access.principal import Principal, UserRole
from vifguard.attributes.values.converters import host_name, project, word
from vifguard.model.address import quoted

_LOG = logging.getLogger(__name__)
_KEYS = frozenset({"name", "project_id", "roles", "password_hash"})
_MAX_HEADER = 2048
# OWASP's advice for a server (19 MiB, two passes): some tens of milliseconds a guess.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)
_MAX_VERIFIED = 1024

Version = tuple[int, int, int]


class UsersFileError(Exception):
    """A file of users that cannot be used; the message has the reason."""


@dataclass(frozen=True, slots=True)
class Account:
    """A user and the argon2 hash of the password."""

    principal: Principal
    password_hash: str


class BasicAuth:
    """The users of one file. Threads share one."""

    header = "authorization"
    challenge = 'Basic realm="vifguard", charset="UTF-8"'
    hint = "a valid name and password"
    # Guesses must not take every core.
    max_concurrent = 1

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._version: Version | None = None
        self._accounts: Mapping[str, Account] = {}
        self._verified: dict[bytes, Account] = {}
        # Verified passwords are remembered under a key that dies with the process.
        self._secret = secrets.token_bytes(32)
        self._decoy = _HASHER.hash(secrets.token_hex())

    def cached(self, header: str | None) -> Principal | None:
        """The user of an Authorization header that was verified before; never slow."""
        self._refresh()
        account = None if header is None else self._verified.get(self._mark(header))
        return None if account is None else account.principal

    def verify(self, header: str | None) -> Principal | None:
        """The user of an Authorization header, or None; costs one argon2 hash when new."""
        user = self.cached(header)
        if user is not None or header is None:
            return user
        name, password = _basic(header)
        with self._lock:
            account = self._accounts.get(name)
        # An unknown name takes as long as a known one, so that time reveals no names.
        matches = self._matches(account.password_hash if account else self._decoy, password)
        with self._lock:
            # The file may have been read again meanwhile, and the user's entry be another.
            if account is None or not matches or self._accounts.get(name) != account:
                return None
            if len(self._verified) >= _MAX_VERIFIED:
                del self._verified[next(iter(self._verified))]
            self._verified[self._mark(header)] = account
        return account.principal

    def _matches(self, password_hash: str, password: str) -> bool:
        try:
            return _HASHER.verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return False

    def _mark(self, header: str) -> bytes:
        return hmac.digest(self._secret, header.encode("utf-8", "surrogatepass"), "sha256")

    def _refresh(self) -> None:
        version = _version_of(self._path)
        if version == self._version:
            return
        with self._lock:
            try:
                self._accounts = {each.principal.name: each for each in read_accounts(self._path)}
            except UsersFileError as error:
                _LOG.error("no user can log in: %s", error)
                self._accounts = {}
            # Unchanged users stay verified: else all would be verified at once after a change.
            self._verified = {
                mark: account
                for mark, account in self._verified.items()
                if self._accounts.get(account.principal.name) == account
            }
            self._version = version


def read_accounts(path: Path) -> list[Account]:
    """The accounts of a file of users; raises UsersFileError."""
    try:
        with path.open("rb") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise UsersFileError(f"{path} can be read by others: chmod 600 {path}")
            raw = yaml.safe_load(file)
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise UsersFileError(f"{path} cannot be read: {error}") from None
    if not isinstance(raw, list):
        raise UsersFileError(f"{path} is not a list of users")
    accounts = [_account(path, each) for each in raw]
    names = [each.principal.name for each in accounts]
    if twice := {name for name in names if names.count(name) > 1}:
        raise UsersFileError(f"{path} names {sorted(twice)} twice")
    return accounts


def write_accounts(path: Path, accounts: Iterable[Account]) -> None:
    """Replace a file of users as a whole, readable by its owner alone."""
    content = yaml.safe_dump([_raw(each) for each in accounts], sort_keys=False)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    Path(temporary).replace(path)


def account(
    name: str, project_id: str, roles: Iterable[str], password: str, host: str = ""
) -> Account:
    """A new account; raises UsersFileError where a part is not sound."""
    raw = {"name": name, "project_id": project_id, "roles": list(roles)}
    of_host = {"host": host} if host else {}
    return _account(Path("user"), raw | of_host | {"password_hash": _HASHER.hash(password)})


def _raw(known: Account) -> dict[str, Any]:
    who = known.principal
    return {
        "name": who.name,
        "project_id": who.project_id,
        "roles": sorted(role.value for role in who.roles),
        **({"host": who.host} if who.host else {}),
        "password_hash": known.password_hash,
    }


def _role(word: Any) -> UserRole:
    if word not in set(UserRole):
        raise ValueError(f"role {quoted(word)} is none of {', '.join(sorted(UserRole))}")
    return UserRole(word)


def _account(path: Path, raw: Any) -> Account:
    if not isinstance(raw, dict) or raw.keys() - {"host"} != _KEYS:
        raise UsersFileError(
            f"{path}: a user has exactly the keys {sorted(_KEYS)}, and an agent also host; "
            f"this one is {quoted(raw)}"
        )
    try:
        name = word(64).read(raw["name"])
        roles = frozenset(_role(role) for role in raw["roles"])
        host = host_name.read(raw["host"]) if "host" in raw else ""
        principal = Principal(name, project.read(raw["project_id"]), roles, host)
    except (TypeError, ValueError) as error:
        raise UsersFileError(f"{path}: user {quoted(raw['name'])}: {error}") from None
    if not name or ":" in name or not roles or not isinstance(raw["password_hash"], str):
        raise UsersFileError(
            f"{path}: user {quoted(raw['name'])} needs a name without ':', a role and a hash"
        )
    if (UserRole.AGENT in roles) != bool(host):
        raise UsersFileError(
            f"{path}: user {quoted(name)}: give both the role agent and a host, or neither: "
            "an agent belongs to one host, and no other user does"
        )
    return Account(principal, raw["password_hash"])


def _version_of(path: Path) -> Version:
    try:
        status = path.stat()
    except OSError:
        return (0, 0, 0)
    return (status.st_mtime_ns, status.st_size, status.st_ino)


def _basic(header: str) -> tuple[str, str]:
    """Name and password of a Basic header (RFC 7617); empty where it is none."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic" or len(header) > _MAX_HEADER:
        return "", ""
    try:
        name, _, password = base64.b64decode(encoded, validate=True).decode("utf-8").partition(":")
    except ValueError:  # an octet beyond ASCII, no base64, no UTF-8
        return "", ""
    return name, password
