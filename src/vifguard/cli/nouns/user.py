"""`vifguard user`: the users of the server; works on the server's data directory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vifguard.cli.exit_codes import InputError
from vifguard.cli.session import DATA_DIR, DataDir, Json, read_password
from vifguard.cli.show.output import Column, note, print_json, print_line, print_table

if TYPE_CHECKING:
    from vifguard.api.auth.basic_auth import Account

app = typer.Typer(
    name="user", help="Users: who may use the server, and for which project.", no_args_is_help=True
)

COLUMNS = (
    Column("NAME", "name"),
    Column("PROJECT", "project_id"),
    Column("ROLES", "roles"),
    Column("HOST", "host"),
)

Name = Annotated[str, typer.Argument(help="The user's name.")]
Project = Annotated[str, typer.Option("--project", help="The user's project.")]
NewProject = Annotated[str | None, typer.Option("--project", help="Another project.")]
Role = Annotated[
    list[str] | None,
    typer.Option(
        "--role", help="admin, member, reader, service or agent; repeatable.", show_default=False
    ),
]
Host = Annotated[
    str, typer.Option("--host", help="The host whose agent the user is. The role is then agent.")
]
NewPassword = Annotated[
    Path | None,
    typer.Option(
        "--password-file",
        help="A file with the password on its first line. Default: a generated password.",
    ),
]
Clouds = Annotated[
    Path | None,
    typer.Option(
        "--clouds-file",
        help="Write a clouds.yaml for the user to this file. Without it, a generated password is "
        "printed.",
    ),
]
Force = Annotated[
    bool, typer.Option("--force", help="Overwrite a clouds file that holds more than this user.")
]


@app.command("list")
def list_users(data_dir: DataDir = DATA_DIR, *, json: Json = False) -> None:
    """Show the users; never their passwords."""
    from vifguard.cli.service import users

    found = [
        {
            "name": one.principal.name,
            "project_id": one.principal.project_id,
            "roles": sorted(one.principal.roles),
            "host": one.principal.host,
        }
        for one in users.read(_file(data_dir))
    ]
    if json:
        print_json(found)
    else:
        print_table(COLUMNS, found)


@app.command()
def create(
    name: Name,
    project: Project,
    role: Role = None,
    host: Host = "",
    password_file: NewPassword = None,
    clouds_file: Clouds = None,
    data_dir: DataDir = DATA_DIR,
    *,
    force: Force = False,
    json: Json = False,
) -> None:
    """Add a user: a member of the project, or as --role says; with --host, that host's agent."""
    from vifguard.cli.service import users

    password = _password(password_file)
    roles = tuple(role or ["agent" if host else "member"])
    account = users.new_account(name, project, roles, password, host)
    with users.changing(_file(data_dir)) as everyone:
        if any(one.principal.name == name for one in everyone):
            raise InputError(f"there is a user {name!r} already: see `vifguard user set-password`")
        everyone.append(account)
        _write_clouds(clouds_file, name, password, data_dir, force=force)
    _hand_over(name, password, password_file or clouds_file, data_dir, json=json)


@app.command("set")
def set_user(
    name: Name,
    project: NewProject = None,
    role: Role = None,
    data_dir: DataDir = DATA_DIR,
    *,
    json: Json = False,
) -> None:
    """Give a user another project or other roles; the password stays."""
    from vifguard.cli.service import users

    if project is None and not role:
        raise typer.BadParameter("nothing to set: give --project or --role")
    with users.changing(_file(data_dir)) as everyone:
        index = _index(everyone, name)
        before = everyone[index]
        user = before.principal
        roles = tuple(role or user.roles)
        project_id = user.project_id if project is None else project
        # It is checked as a new one is, so that an impossible one is refused.
        sound = users.new_account(name, project_id, roles, users.new_password(), user.host)
        everyone[index] = replace(sound, password_hash=before.password_hash)
    if json:
        print_json({"name": name, "project_id": project_id, "roles": sorted(roles)})
    else:
        print_line(f"{name}: project {project_id}, roles {', '.join(sorted(roles))}")


@app.command("set-password")
def set_password(
    name: Name,
    password_file: NewPassword = None,
    clouds_file: Clouds = None,
    data_dir: DataDir = DATA_DIR,
    *,
    force: Force = False,
    json: Json = False,
) -> None:
    """Give a user another password; the old one ends at once."""
    from vifguard.cli.service import users

    password = _password(password_file)
    with users.changing(_file(data_dir)) as everyone:
        index = _index(everyone, name)
        user = everyone[index].principal
        roles = tuple(user.roles)
        everyone[index] = users.new_account(name, user.project_id, roles, password, user.host)
        _write_clouds(clouds_file, name, password, data_dir, force=force)
    _hand_over(name, password, password_file or clouds_file, data_dir, json=json)


@app.command()
def delete(name: Name, data_dir: DataDir = DATA_DIR, *, json: Json = False) -> None:
    """Remove a user; the objects of the project stay."""
    from vifguard.api.access.principal import UserRole
    from vifguard.cli.service import users

    with users.changing(_file(data_dir)) as everyone:
        del everyone[_index(everyone, name)]
        if not any(UserRole.ADMIN in one.principal.roles for one in everyone):
            note(
                "no user of this file is an operator any more: `vifguard user create --role "
                "admin` makes one"
            )
    if json:
        print_json({"deleted": name})
    else:
        print_line(f"deleted {name}")


def _file(data_dir: Path) -> Path:
    from vifguard.cli.service.data_dir import DataDir as Layout

    return Layout(data_dir).users


def _index(everyone: list[Account], name: str) -> int:
    for index, one in enumerate(everyone):
        if one.principal.name == name:
            return index
    raise InputError(f"there is no user {name!r}: see `vifguard user list`")


def _password(file: Path | None) -> str:
    from vifguard.cli.service.users import new_password

    if file is None:
        return new_password()
    if not (password := read_password(file)):
        raise InputError(f"{file} is empty: put the password on its first line")
    return password


def _write_clouds(
    file: Path | None, name: str, password: str, data_dir: Path, *, force: bool
) -> None:
    """Write a user's clouds.yaml; InputError where that cannot be, and nothing is changed then."""
    from vifguard.cli.service import users
    from vifguard.client.endpoint import read_data_dir

    if file is None:
        return
    known = read_data_dir(data_dir)
    try:
        if not force and users.holds_others(file, name):
            raise InputError(
                f"{file} holds more than {name!r}: overwrite it by --force, or give another "
                "name. Nothing was changed"
            )
        users.write_clouds(file, replace(known, user=name, password=password))
    except OSError as error:
        raise InputError(f"cannot write {file}: {error.strerror}; nothing was changed") from None


def _hand_over(name: str, password: str, file: Path | None, data_dir: Path, *, json: bool) -> None:
    """Print the password where no file has it, and keep the operator's file true."""
    from vifguard.cli.service import users
    from vifguard.cli.service.data_dir import DataDir as Layout

    users.remember(Layout(data_dir), name, password)
    if json:
        print_json({"name": name, "password": password if file is None else None})
    elif file is not None:
        note(f"the password of {name} is in {file}")
    else:
        note(f"the password of {name} is shown only now:")
        print_line(password)
