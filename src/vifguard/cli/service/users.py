"""The users of a data directory: made at the first start, changed under a lock.

users.yaml is the identity's file; the server reads it again when it changes.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from vifguard.api.access.principal import UserRole
from vifguard.api.auth.basic_auth import (
    Account,
    UsersFileError,
    account,
    read_accounts,
    write_accounts,
)
from vifguard.cli.exit_codes import InputError
from vifguard.cli.service.data_dir import DataDir, write_private
from vifguard.client.endpoint import CLOUD, Endpoint, read_data_dir

ADMIN = "admin"


def new_account(
    name: str, project: str, roles: tuple[str, ...], password: str, host: str = ""
) -> Account:
    """An account whose parts are sound; InputError names the one that is not."""
    try:
        return account(name, project, roles, password, host)
    except UsersFileError as error:
        raise InputError(str(error)) from None


def new_password() -> str:
    """160 bits from the kernel, in characters that no shell and no URL minds."""
    return secrets.token_urlsafe(20)


def read(path: Path) -> list[Account]:
    """Everyone in the file, in its order."""
    if not path.exists():
        raise InputError(
            f"{path} does not exist: users live beside the server, so give its --data-dir, or "
            "start `vifguard up` once"
        )
    try:
        return read_accounts(path)
    except UsersFileError as error:
        raise InputError(str(error)) from None


@contextmanager
def changing(path: Path) -> Iterator[list[Account]]:
    """The accounts, to be changed in place; written back whole when the block ends well."""
    found = read(path)
    # The directory is locked, not the file: the file is replaced.
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        found[:] = read(path)
        yield found
        write_accounts(path, found)
    finally:
        os.close(directory)


def create_first_users(data_dir: DataDir) -> bool:
    """Make the operator, at the first start; whether it was the first.

    users.yaml is written last: a start that dies before leaves nothing that is believed.
    """
    if data_dir.users.exists():
        return False
    password = new_password()
    write_private(data_dir.admin_password, password + "\n")
    write_accounts(data_dir.users, [account(ADMIN, ADMIN, [UserRole.ADMIN], password)])
    return True


def refresh_clouds(data_dir: DataDir, url: str, ca_file: Path | None = None) -> None:
    """Write the server's present URL; nothing where the operator took the password away."""
    if data_dir.admin_password.exists():
        password = data_dir.admin_password.read_text(encoding="utf-8").rstrip("\n")
        write_clouds(data_dir.clouds, Endpoint(url, ADMIN, password, str(ca_file or "")))


def remember(data_dir: DataDir, name: str, password: str) -> None:
    """Keep the password file true where the operator's password has changed."""
    if name == ADMIN:
        write_private(data_dir.admin_password, password + "\n")
        if data_dir.clouds.exists():
            known = read_data_dir(data_dir.path)
            write_clouds(data_dir.clouds, replace(known, user=ADMIN, password=password))


def holds_others(path: Path, user: str) -> bool:
    """Whether a file is there with more in it than this user's clouds.yaml. Raises OSError."""
    try:
        found = yaml.safe_load(path.read_bytes())
    except FileNotFoundError:
        return False
    except (yaml.YAMLError, UnicodeDecodeError):
        return True
    try:
        clouds = found["clouds"]
        return len(clouds) > 1 or bool(clouds[CLOUD]["auth"]["username"] != user)
    except (KeyError, TypeError):
        return found is not None


def write_clouds(path: Path, endpoint: Endpoint) -> None:
    """A clouds.yaml for our own command, openstacksdk and the `openstack` command.

    An endpoint without a user is a server that asks for none.
    """
    auth = {"endpoint": endpoint.url}
    if endpoint.user:
        auth |= {"username": endpoint.user, "password": endpoint.password}
    cloud: dict[str, Any] = {"auth_type": "http_basic" if endpoint.user else "none", "auth": auth}
    if endpoint.ca_file:
        cloud["cacert"] = endpoint.ca_file
    write_private(path, yaml.safe_dump({"clouds": {CLOUD: cloud}}, sort_keys=False))
