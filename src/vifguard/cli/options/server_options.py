"""Options common to `vifguard up` and `vifguard serve`: serving the API, and its users."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vifguard.cli.exit_codes import InputError
from vifguard.cli.options.added_options import Options, with_options
from vifguard.cli.show.output import note
from vifguard.model.address import BASE_MAC, AddressError, parse_base_mac

if TYPE_CHECKING:
    from vifguard.api.auth.authenticator import Authenticator
    from vifguard.api.settings import Settings
    from vifguard.cli.service.data_dir import DataDir as Layout
    from vifguard.cli.service.listen import Listen
    from vifguard.cli.service.parts import ApiServer
    from vifguard.cli.service.tls import Certificate
    from vifguard.store.store import Store

LISTEN = "127.0.0.1:9696"
REQUESTS = "500"
PANEL = "The API"


_LONGEST_REST = 366 * 86_400
"""Seconds that a released address rests at most."""


def _option(text: str, *names: str, **more: Any) -> Any:
    return typer.Option(*names, help=text, rich_help_panel=PANEL, **more)


_OPTIONS: Options = {
    "listen": (
        Annotated[str, _option("HOST:PORT (port 0: any free one) or unix:/path.sock.")],
        LISTEN,
    ),
    "insecure_listen": (
        Annotated[
            bool,
            _option(
                "Allow an address that other machines can reach, without TLS.", "--insecure-listen"
            ),
        ],
        False,
    ),
    "tls_cert": (
        Annotated[
            Path | None,
            _option("The server's certificate and its chain (PEM); read again when it changes."),
        ],
        None,
    ),
    "tls_key": (Annotated[Path | None, _option("The certificate's key (PEM).")], None),
    "tls_ca": (
        Annotated[
            Path | None,
            _option(
                "The CA of the server's certificate, for clouds.yaml. Default: the system's CAs."
            ),
        ],
        None,
    ),
    "public_url": (
        Annotated[
            str,
            _option("The URL by which clients reach the server. Default: where it listens."),
        ],
        "",
    ),
    "keystone": (
        Annotated[
            Path | None,
            _option("Accept Keystone's tokens too. A file with a section [keystone_authtoken]."),
        ],
        None,
    ),
    "no_identity": (
        Annotated[
            bool,
            _option(
                "No authentication: everybody who connects is an operator. Only on loopback or a "
                "Unix socket.",
                "--no-identity",
            ),
        ],
        False,
    ),
    "database": (
        Annotated[
            str,
            _option(
                "The database's URL. Default: an SQLite file in --data-dir.",
                "--database",
                envvar="VIFGUARD_DATABASE",
                show_envvar=True,
            ),
        ],
        "",
    ),
    "requests_per_second": (
        Annotated[
            str,
            _option(
                "Requests that each project may send; those of ten seconds may come at once. none: "
                "no limit."
            ),
        ],
        REQUESTS,
    ),
    "address_rest": (
        Annotated[
            int,
            _option(
                "Seconds before another project may have a released address.",
                "--address-rest",
            ),
        ],
        600,
    ),
    "base_mac": (
        Annotated[
            str,
            _option(
                "The first three or four octets of the MACs that the server makes.", "--base-mac"
            ),
        ],
        BASE_MAC.hex(":"),
    ),
    "access_log": (Annotated[bool, _option("Log each request.", "--access-log")], False),
}


@dataclass(frozen=True)
class ServerOptions:
    """An operator's choices for serving the API."""

    listen: str
    insecure_listen: bool
    tls_cert: Path | None
    tls_key: Path | None
    tls_ca: Path | None
    public_url: str
    keystone: Path | None
    no_identity: bool
    database: str
    requests_per_second: str
    address_rest: int
    base_mac: str
    access_log: bool

    def start(self, layout: Layout, cleanup: ExitStack) -> tuple[ApiServer, Store, str]:
        """The server, its store, and the URL under which clients find it; raises InputError."""
        from vifguard.api.app import create_app
        from vifguard.cli.service import listen as listening
        from vifguard.cli.service.database import require_unseen
        from vifguard.cli.service.parts import ApiServer
        from vifguard.store.errors import DatabaseError
        from vifguard.store.store import Store

        settings, certificate, rest = self._settings(), self._certificate(), self._rest()
        base_mac = self._base_mac()
        tls = certificate is not None
        # Without names there are no passwords to lose; it is refused for a reason of its own.
        insecure = self.insecure_listen or self.no_identity
        where = listening.parse_listen(self.listen, insecure=insecure, tls=tls)
        self._require_private(where)
        authenticators = self._authenticators(layout)
        listener, url = cleanup.enter_context(listening.opened(where, tls=tls))
        url = self.public_url or url
        try:
            self._introduce(layout, url)
        except ValueError as error:
            raise InputError(f"--public-url: {error}") from None
        require_unseen(self.database)
        try:
            store = Store.open(self.database or layout.database)
        except DatabaseError as error:
            raise InputError(f"--database: {error}") from None
        cleanup.callback(store.close)
        store.rest, store.base_mac = rest, base_mac
        app = create_app(store, *authenticators, settings=settings)
        return ApiServer(app, listener, certificate), store, url

    def _settings(self) -> Settings:
        from vifguard.api.settings import Settings

        rate = _rate(self.requests_per_second)
        return Settings(rate, self.access_log, self.public_url)

    def _rest(self) -> float:
        if not 0 <= self.address_rest <= _LONGEST_REST:
            raise InputError(
                f"--address-rest {self.address_rest} is not a number of seconds from 0 to "
                f"{_LONGEST_REST}"
            )
        return float(self.address_rest)

    def _base_mac(self) -> bytes:
        try:
            return parse_base_mac(self.base_mac)
        except AddressError as error:
            raise InputError(f"--base-mac: {error}") from None

    def _certificate(self) -> Certificate | None:
        from vifguard.cli.service.tls import Certificate

        if self.tls_cert is None and self.tls_key is None:
            return None
        if self.tls_cert is None or self.tls_key is None:
            raise InputError("--tls-cert and --tls-key belong together: give both")
        return Certificate(self.tls_cert, self.tls_key)

    def _require_private(self, where: Listen) -> None:
        from vifguard.cli.service.listen import is_private

        if not self.no_identity:
            return
        if not is_private(where):
            raise InputError(
                f"--no-identity makes an operator of everybody who reaches {self.listen}: "
                "listen on 127.0.0.1, [::1] or unix:/path.sock"
            )
        if self.keystone is not None:
            raise InputError("--no-identity and --keystone exclude each other: give one of them")

    def _authenticators(self, layout: Layout) -> list[Authenticator]:
        from vifguard.api.auth.basic_auth import BasicAuth, UsersFileError
        from vifguard.api.auth.local_auth import LocalAuth

        if self.no_identity:
            return [LocalAuth()]
        users: list[Authenticator] = [BasicAuth(layout.users)]
        if self.keystone is None:
            return users
        from vifguard.api.auth.keystone import Keystone

        try:
            return [Keystone(self.keystone), *users]
        except UsersFileError as error:
            raise InputError(f"--keystone: {error}") from None

    def _introduce(self, layout: Layout, url: str) -> None:
        from vifguard.cli.service import users
        from vifguard.client.endpoint import Endpoint

        ca_file = None if self.tls_ca is None else self.tls_ca.absolute()
        if self.no_identity:
            users.write_clouds(layout.clouds, Endpoint(url, ca_file=str(ca_file or "")))
            return
        if users.create_first_users(layout):
            note(f"made an administrator; the password is in {layout.admin_password}")
        users.refresh_clouds(layout, url, ca_file)


with_server_options = with_options("serving", _OPTIONS, ServerOptions)
"""Add the options of serving to a command, whose `serving` they become."""


def _rate(text: str) -> float | None:
    """A number of requests a second, or None for `none`; raises InputError."""
    if text == "none":
        return None
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 <= found < float("inf"):
        raise InputError(f"--requests-per-second {text!r} is neither a number nor none")
    return found
