"""Principals from Keystone: project-scoped tokens, checked by Keystone's own middleware.

Configured as every OpenStack service is, by `[keystone_authtoken]` in a file.
"""

from __future__ import annotations

import hmac
import logging
import secrets
import stat
import sys
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

from keystoneauth1.exceptions import ClientException
from keystonemiddleware.auth_token import AuthProtocol
from oslo_config import cfg

from vifguard.api.access.principal import Principal, UserRole
from vifguard.api.auth.authenticator import service_token
from vifguard.api.auth.basic_auth import UsersFileError
from vifguard.attributes.refusal import Refusal
from vifguard.attributes.values.converters import project

_MAX_TOKEN = 8192
_MAX_CACHED = 4096

CACHE_SECONDS = 60.0
"""Seconds for which an answer counts: a token that is revoked is known for no longer."""


class Keystone:
    """The users of a Keystone, by their tokens. Threads share one.

    Roles are matched by name: admin, member, reader and service; others mean nothing here. No
    token is an agent's, as none names a host: agents are users of the file of users. A token
    whose application credential has access rules is refused: those rules cannot be remembered.

    A service that asks for a user sends a token of its own beside the user's (X-Service-Token);
    the user's then counts though it has ended, as long as Keystone allows that.
    """

    header = "x-auth-token"
    hint = "a project-scoped Keystone token"
    max_concurrent = 8

    def __init__(self, configuration: Path, clock: Callable[[], float] = time.time) -> None:
        """Raises UsersFileError where the file cannot be used."""
        # Tokens are not for logs, and each refused one would be a line.
        logging.getLogger("keystonemiddleware").setLevel(logging.ERROR)
        self._middleware, where = _middleware(configuration)
        self.challenge = f'Keystone uri="{where}"'
        self._clock = clock
        # Verified tokens are remembered under a key that dies with the process.
        self._secret = secrets.token_bytes(32)
        self._remembered: dict[bytes, tuple[Principal, float]] = {}

    def cached(self, value: str) -> Principal | None:
        """The user of a token that Keystone vouched for lately."""
        user, until = self._remembered.get(self._mark(value), (None, 0.0))
        return user if self._clock() < until else None

    def verify(self, value: str) -> Principal | None:
        """The user of a token; raises Refusal (503) where Keystone does not answer."""
        if (user := self.cached(value)) is not None:
            return user
        service = service_token.get()
        # Only a text that may be a token is passed on in a header.
        if not _may_be_token(value) or (service and not _may_be_token(service)):
            return None
        asked = self._clock()
        vouched = self._request(value, service)
        if vouched is None or (user := _principal_of(vouched)) is None:
            return None
        if len(self._remembered) >= _MAX_CACHED:
            # Several threads may do so at once; the oldest is asked for anew.
            self._remembered.pop(next(iter(self._remembered)), None)
        until = min(asked + CACHE_SECONDS, _expiry(vouched))
        self._remembered[self._mark(value)] = (user, until)
        return user

    def _request(self, token: str, service: str) -> dict[str, Any] | None:
        """The environment that the middleware passes on; None where it rejects the token.

        Raises Refusal (503) where Keystone does not answer.
        """
        reached: list[dict[str, Any]] = []
        status: list[str] = []
        environ = _environ(token, service) | {_REACHED: reached}
        for _ in self._middleware(environ, lambda line, *_: status.append(line)):
            pass
        if reached:
            return reached[0]
        if status[0].startswith("401"):
            return None
        message = "Keystone does not answer, so the token cannot be checked; try again."
        raise Refusal(503, "HTTPServiceUnavailable", message, {"Retry-After": "5"})

    def _mark(self, value: str) -> bytes:
        # Both: with another service's word, or none, the same token may be worth nothing.
        return b"".join(
            hmac.digest(self._secret, each.encode("utf-8", "surrogatepass"), "sha256")
            for each in (value, service_token.get())
        )


_ROLES = {role.value: role for role in UserRole if role is not UserRole.AGENT}
_REACHED = "vifguard.reached"
_GROUP = "keystone_authtoken"


def _accepted(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    """The service behind the middleware: records the environment it was given."""
    environ[_REACHED].append(environ)
    start("200 OK", [])
    return []


def _middleware(configuration: Path) -> tuple[Any, str]:
    """Keystone's middleware, and where clients find Keystone."""
    _require_private(configuration)
    options = cfg.ConfigOpts()
    chosen = {
        "oslo_config_config": options,
        "delay_auth_decision": False,
        "include_service_catalog": False,
        "service_token_roles_required": True,
        # Without it, a token with access rules is refused.
        "service_type": "",
        # Tokens are remembered here, and not by the middleware.
        "token_cache_time": -1,
    }
    try:
        options([], project="vifguard", default_config_files=[str(configuration)])
        made = AuthProtocol(_accepted, chosen)
        group = options[_GROUP]
    except (cfg.Error, ClientException, ValueError) as error:
        raise UsersFileError(f"{configuration}, [{_GROUP}]: {error}") from None
    for name in ("www_authenticate_uri", "auth_type"):
        if not group[name]:
            raise UsersFileError(f"{configuration} needs {name} in [{_GROUP}]")
    return made, str(group["www_authenticate_uri"])


def _require_private(configuration: Path) -> None:
    try:
        mode = stat.S_IMODE(configuration.stat().st_mode)
    except OSError as error:
        raise UsersFileError(f"{configuration} cannot be read: {error.strerror}") from None
    if mode & 0o007:
        raise UsersFileError(
            f"{configuration} holds a password and can be read by others: chmod 640 {configuration}"
        )


def _may_be_token(value: str) -> bool:
    return 0 < len(value) <= _MAX_TOKEN and value.isascii() and value.isprintable()


def _environ(token: str, service: str) -> dict[str, Any]:
    """The smallest request, with the user's token and the service's, if there is one."""
    return ({"HTTP_X_SERVICE_TOKEN": service} if service else {}) | {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_X_AUTH_TOKEN": token,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }


def _principal_of(vouched: dict[str, Any]) -> Principal | None:
    """The user of a token; None where it is for no project, and so for no objects."""
    roles = {name.strip().lower() for name in (vouched.get("HTTP_X_ROLES") or "").split(",")}
    # In a cloud with an admin project, the admin of another project is an admin of that alone.
    if vouched.get("HTTP_X_IS_ADMIN_PROJECT") == "False":
        roles.discard(UserRole.ADMIN)
    try:
        project_id = project.read(vouched.get("HTTP_X_PROJECT_ID"))
    except ValueError:
        return None
    name = vouched.get("HTTP_X_USER_NAME") or vouched.get("HTTP_X_USER_ID") or ""
    return Principal(
        str(name), project_id, frozenset(_ROLES[name] for name in roles & _ROLES.keys())
    )


def _expiry(vouched: dict[str, Any]) -> float:
    """The end of the token that vouches for the user (seconds since the epoch); 0 if unknown.

    The service's token vouches, beside which the user's may have ended; without one, the user's.
    """
    try:
        tokens = vouched["keystone.token_auth"]
        said: datetime = (tokens.service or tokens.user).expires
        return said.timestamp()
    except (AttributeError, KeyError, TypeError, ValueError):
        return 0.0
