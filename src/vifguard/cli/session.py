"""The session of a command with the server: common options, and the client."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vifguard.attributes.nouns import FREE_TEXTS
from vifguard.cli.exit_codes import InputError
from vifguard.cli.show.output import Column, print_item, print_json, print_table

if TYPE_CHECKING:
    from vifguard.client.client import Client
    from vifguard.client.endpoint import Endpoint

DATA_DIR = Path("/var/lib/vifguard")
PASSWORD_VARIABLE = "VIFGUARD_PASSWORD"
PANEL = "Server"

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
DataDir = Annotated[
    Path,
    typer.Option(
        "--data-dir",
        envvar="VIFGUARD_DATA_DIR",
        help="Where `vifguard up` keeps its data; its clouds.yaml says where the server is.",
        rich_help_panel=PANEL,
    ),
]
Url = Annotated[
    str,
    typer.Option(
        "--url",
        envvar="VIFGUARD_URL",
        help="The server, instead of --data-dir: http://HOST:PORT or unix:/path.sock.",
        rich_help_panel=PANEL,
    ),
]
User = Annotated[
    str,
    typer.Option(
        "--user",
        envvar="VIFGUARD_USER",
        help="The user to log in as, with --url.",
        rich_help_panel=PANEL,
    ),
]
PasswordFile = Annotated[
    Path | None,
    typer.Option(
        "--password-file",
        envvar="VIFGUARD_PASSWORD_FILE",
        help=f"A file with the user's password; else ${PASSWORD_VARIABLE} is read.",
        rich_help_panel=PANEL,
    ),
]
CaFile = Annotated[
    Path | None,
    typer.Option(
        "--ca-file",
        envvar="VIFGUARD_CA_FILE",
        help="CA certificates for an https server. Default: the system's CAs.",
        rich_help_panel=PANEL,
    ),
]


@dataclass
class Session:
    """One run of a command against one server, and how its result is shown."""

    json: bool = False
    data_dir: Path = DATA_DIR
    url: str = ""
    user: str = ""
    password_file: Path | None = None
    ca_file: Path | None = None
    timeout: float = 30.0
    _client: Client | None = field(default=None, init=False)

    @property
    def client(self) -> Client:
        """The server; connects to it on the first request."""
        from vifguard.client.client import Client

        if self._client is None:
            self._client = Client(self.endpoint(), timeout=self.timeout)
        return self._client

    def endpoint(self) -> Endpoint:
        """The server's endpoint, from --url or from the data directory."""
        from vifguard.client.endpoint import Endpoint, read_data_dir

        if not self.url:
            return read_data_dir(self.data_dir)
        if not self.user:
            # The data directory's password is not sent to just any address.
            raise InputError(f"--url {self.url} needs --user and --password-file")
        try:
            password = read_password(self.password_file)
            return Endpoint(self.url, self.user, password, str(self.ca_file or ""))
        except ValueError as error:
            raise InputError(str(error)) from None

    def show(self, item: Mapping[str, Any]) -> None:
        """Print an object: for programs, or for people with the names of its references."""
        from vifguard.cli.show.references import with_names

        if self.json:
            print_json(item)
        else:
            print_item(with_names(self.client, item))

    def table(self, columns: Sequence[Column], items: Sequence[Mapping[str, Any]]) -> None:
        """Objects: some columns for people, all fields for programs."""
        if self.json:
            print_json(items)
        else:
            print_table(columns, items)

    def done(self, text: str, result: Mapping[str, Any]) -> None:
        """Report that something is done where there is no object left to show."""
        if self.json:
            print_json(result)
        else:
            typer.echo(text)

    def close(self) -> None:
        """Close the client, if there was need of one."""
        if self._client is not None:
            self._client.close()


def read_password(path: Path | None) -> str:
    """The first line of the file, else the environment's password."""
    if path is None:
        if (password := os.environ.get(PASSWORD_VARIABLE)) is None:
            raise InputError(f"no password: give --password-file or set ${PASSWORD_VARIABLE}")
        return password
    try:
        return path.read_text(encoding="utf-8").partition("\n")[0]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the password file: {error}") from None


_SHARED: dict[str, tuple[Any, Any]] = {
    "json": (Json, False),
    "data_dir": (DataDir, DATA_DIR),
    "url": (Url, ""),
    "user": (User, ""),
    "password_file": (PasswordFile, None),
    "ca_file": (CaFile, None),
}


def with_session(command: Callable[..., None]) -> Callable[..., None]:
    """Add the session's options to a command whose first parameter is the session."""
    _, *own = inspect.signature(command, eval_str=True).parameters.values()
    shared = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
        )
        for name, (annotation, default) in _SHARED.items()
    ]

    @functools.wraps(command)
    def run(**arguments: Any) -> None:
        session = Session(**{name: arguments.pop(name) for name in _SHARED})
        _refuse_empty(arguments)
        try:
            command(session, **arguments)
        finally:
            session.close()

    parameters = [*(p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own), *shared]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # PEP 362
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def _refuse_empty(arguments: Mapping[str, Any]) -> None:
    # A shell makes the empty text of a variable that is not set; to the API it is the name of
    # every object without one.
    for parameter, value in arguments.items():
        given = value if isinstance(value, list) else [value]
        if parameter not in FREE_TEXTS and "" in given:
            raise typer.BadParameter("a name is empty: check whether a shell variable is not set")


def session_of(context: typer.Context) -> Session:
    """The session of a command line that is still being typed (shell completion)."""

    def given(name: str, variable: str) -> str:
        return str(context.params.get(name) or os.environ.get(variable) or "")

    password_file = given("password_file", "VIFGUARD_PASSWORD_FILE")
    ca_file = given("ca_file", "VIFGUARD_CA_FILE")
    return Session(
        data_dir=Path(given("data_dir", "VIFGUARD_DATA_DIR") or DATA_DIR),
        url=given("url", "VIFGUARD_URL"),
        user=given("user", "VIFGUARD_USER"),
        password_file=Path(password_file) if password_file else None,
        ca_file=Path(ca_file) if ca_file else None,
        timeout=1.0,
    )
