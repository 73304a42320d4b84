"""`vifguard port`: one virtual interface each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, NamedTuple

import typer

from vifguard.cli.exit_codes import InputError
from vifguard.cli.lookup import completer, find, id_of, ids_in, names_of
from vifguard.cli.nouns.security_group_rule import rule_columns
from vifguard.cli.options import values
from vifguard.cli.options.list_options import Query, with_list_options
from vifguard.cli.options.port_options import PORT_OPTIONS, pair_of
from vifguard.cli.session import Session, with_session
from vifguard.cli.show.output import Column, note, show_addresses, waiting
from vifguard.cli.standard_commands import add_create, add_set, tagged_noun_app
from vifguard.client.resource import ADDRESS_GROUP, HOST, NETWORK, PORT, SECURITY_GROUP
from vifguard.model.address import AddressError, Mac, parse_prefix

app = tagged_noun_app(PORT, "Ports: one virtual interface each, and what may pass it.")

Which = Annotated[
    str, typer.Argument(metavar="NAME", help="Name or id.", autocompletion=completer(PORT))
]
OfNetwork = Annotated[
    str | None,
    typer.Option(
        "--network", help="Only those of this network.", autocompletion=completer(NETWORK)
    ),
]
OfDevice = Annotated[
    str | None, typer.Option("--device", help="Only those of this machine (device id).")
]
OfStatus = Annotated[
    str | None, typer.Option("--status", help="Only those with this status: ACTIVE or DOWN.")
]
OfAddress = Annotated[str | None, typer.Option("--address", help="Only those with this address.")]
OfMac = Annotated[str | None, typer.Option("--mac", help="Only those with this MAC.")]
OfGroup = Annotated[
    str | None,
    typer.Option(
        "--security-group",
        help="Only those with this security group.",
        autocompletion=completer(SECURITY_GROUP),
    ),
]
Some = Annotated[
    list[str] | None,
    typer.Option("--security-group", help="A security group; repeatable."),
]
Pairs = Annotated[
    list[str] | None,
    typer.Option(
        "--allowed-address", metavar="PREFIX[,MAC]", help="An allowed address pair; repeatable."
    ),
]
Host = Annotated[
    str | None,
    typer.Option(help="The host it is on; or none.", autocompletion=completer(HOST)),
]
Learned = Annotated[
    str, typer.Argument(metavar="ADDRESS", help="One of the port's learned addresses.")
]
_SETTLING = 5.0
"""Seconds for which a change of an ACTIVE port is waited for before the port is shown."""

Timeout = Annotated[float, typer.Option(min=0, help="Wait at most this many seconds.")]


@app.command("list")
@with_session
@with_list_options
def list_ports(
    session: Session,
    query: Query,
    network: OfNetwork = None,
    host: Host = None,
    device: OfDevice = None,
    status: OfStatus = None,
    address: OfAddress = None,
    mac: OfMac = None,
    security_group: OfGroup = None,
) -> None:
    """The ports that you may see."""
    query |= values.present(device_id=device, status=status, mac_address=mac)
    if host is not None:
        query["binding:host_id"] = "" if host == values.NONE else host
    if address is not None:
        query["fixed_ips"] = f"ip_address={address}"
    if network is not None:
        query["network_id"] = id_of(session, NETWORK, network)
    if security_group is not None:
        query["security_groups"] = id_of(session, SECURITY_GROUP, security_group)
    ports = session.client.list(PORT, **query)
    names = {} if session.json else names_of(session, NETWORK)
    columns = (
        Column("ID", "id"),
        Column("NAME", "name"),
        Column("NETWORK", "network_id", lambda key: names.get(key, key)),
        Column("MAC", "mac_address"),
        Column("ADDRESSES", "fixed_ips", show_addresses),
        Column("HOST", "binding:host_id"),
        Column("STATUS", "status"),
        Column("WHY", "status_reason"),
    )
    session.table(columns, ports)


@app.command()
@with_session
def add(
    session: Session, which: Which, security_group: Some = None, allowed_address: Pairs = None
) -> None:
    """Give a port security groups or allowed addresses beside those that it has."""

    def change(port: Mapping[str, Any]) -> dict[str, Any]:
        groups, pairs = _given(session, port, security_group, allowed_address)
        has = {_meant(pair, port) for pair in port["allowed_address_pairs"]}
        new = [pair for pair in pairs if _meant(pair, port) not in has]
        return _changed_lists(
            _ListChange(groups, [*dict.fromkeys([*port["security_groups"], *groups])]),
            _ListChange(pairs, [*port["allowed_address_pairs"], *new]),
        )

    _change(session, which, change)


@app.command()
@with_session
def remove(
    session: Session, which: Which, security_group: Some = None, allowed_address: Pairs = None
) -> None:
    """Take security groups or allowed addresses from a port; it keeps the others."""

    def change(port: Mapping[str, Any]) -> dict[str, Any]:
        groups, pairs = _given(session, port, security_group, allowed_address)
        removed = {_meant(pair, port) for pair in pairs}
        before = port["allowed_address_pairs"]
        left = [key for key in port["security_groups"] if key not in groups]
        kept = [pair for pair in before if _meant(pair, port) not in removed]
        return _changed_lists(_ListChange(groups, left), _ListChange(pairs, kept))

    _change(session, which, change)


def _change(
    session: Session, which: str, change: Callable[[Mapping[str, Any]], Mapping[str, Any]]
) -> None:
    port = find(session, PORT, which)
    _show_changed(session, port, session.client.change(PORT, port["id"], change))


def _show_changed(session: Session, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Show a changed port; one that was ACTIVE, once its host holds the change, in a moment.

    Where the host does not in time, the port is shown as it is: its reason names the fault.
    """
    from vifguard.client.errors import NotInTimeError

    was_active, is_active = (port.get("status") == "ACTIVE" for port in (before, after))
    if was_active and not is_active and after["admin_state_up"]:
        try:
            with waiting(f"waiting for port {after['name'] or after['id']} to be enforced"):
                after = session.client.wait_for_port(after["id"], _SETTLING)
        except NotInTimeError:
            after = session.client.show(PORT, after["id"])
    session.show(after)


def _given(
    session: Session, port: Mapping[str, Any], groups: list[str] | None, pairs: list[str] | None
) -> tuple[list[str], list[dict[str, str]]]:
    if not (groups or pairs):
        raise typer.BadParameter("give --security-group or --allowed-address")
    ids = ids_in(session, SECURITY_GROUP, groups or [], port["project_id"])
    return ids, [pair_of(pair) for pair in pairs or []]


class _ListChange(NamedTuple):
    """A change of a port's list: the items that options gave, and the list that follows."""

    given: Sequence[object]
    after: Sequence[object]


def _changed_lists(groups: _ListChange, pairs: _ListChange) -> dict[str, Any]:
    """The lists that options were given for; users that may not set the other may set this."""
    changes = {"security_groups": groups, "allowed_address_pairs": pairs}
    return {name: change.after for name, change in changes.items() if change.given}


def _meant(pair: Mapping[str, str], port: Mapping[str, Any]) -> tuple[str, str]:
    """A pair as it is compared: with a prefix, and the port's MAC where it names none."""
    try:
        prefix = str(parse_prefix(pair["ip_address"]))
        return prefix, str(Mac.parse(pair.get("mac_address", port["mac_address"])))
    except AddressError as error:
        raise InputError(str(error)) from None


@app.command()
@with_session
def wait(session: Session, which: Which, timeout: Timeout = 30.0) -> None:
    """Wait until the kernel enforces the port's latest policy; exit code 6 after --timeout."""
    key = id_of(session, PORT, which)
    with waiting(f"waiting for port {which} to be enforced"):
        port = session.client.wait_for_port(key, timeout)
    session.show(port)


@app.command()
@with_session
def release(session: Session, which: Which, address: Learned) -> None:
    """Release an address that the guest chose itself: another port may then claim it."""
    key = id_of(session, PORT, which)
    session.client.release_learned_address(key, address)
    session.show(session.client.show(PORT, key))


@app.command()
@with_session
def rules(session: Session, which: Which) -> None:
    """List the rules in force at the port, and the security group that each comes from."""
    port = find(session, PORT, which)
    groups = [session.client.show(SECURITY_GROUP, key) for key in port["security_groups"]]
    if "groups" not in port["effective_guards"]:
        note(f"security groups do not filter port {which}: what its other guards pass, passes")
    elif not groups:
        note(f"port {which} has no security group: nothing passes but what is always allowed")
    found = [
        rule | {"security_group": group["name"]}
        for group in groups
        for rule in group["security_group_rules"]
    ]
    mine = {"project_id": port["project_id"]}
    named = () if session.json or not found else (SECURITY_GROUP, ADDRESS_GROUP)
    names = {key: name for kind in named for key, name in names_of(session, kind, **mine).items()}
    session.table((Column("GROUP", "security_group"), *rule_columns(found, names)), found)


add_create(app, PORT_OPTIONS, "Create a port; it passes frames once its host holds its guards.")
add_set(app, PORT_OPTIONS, "Change a port; --host and --interface plug it in.", _show_changed)
