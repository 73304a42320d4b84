"""The store whose ports the guards of this host hold, checked before a server is started."""

from __future__ import annotations

from pathlib import Path

from vifguard.cli.exit_codes import InputError


def require_database(data_dir: Path, database: str, bpf_dir: Path) -> None:
    """Raise InputError where guards stand and the data directory has no store at all.

    Nothing is made in it then: it may be where a disk is to be mounted.
    """
    from vifguard.cli.service.data_dir import DataDir

    noted, guarded = _standing(bpf_dir)
    if guarded and not database and not DataDir(data_dir).database.exists():
        own = ", ".join(sorted(noted))
        are_guarded = "interface of this host is" if guarded == 1 else "interfaces of this host are"
        raise InputError(
            f"{guarded} {are_guarded} guarded for "
            f"{f'the store {own}' if own else 'a store that is not noted'}, and --data-dir "
            f"{data_dir} has no store: is it the right one, and its disk mounted? The guards stay "
            "in force. To begin with an empty store all the same, and cut their guests off, say "
            "--take-over"
        )


def require_own(store: str, bpf_dir: Path) -> None:
    """Raise InputError where guards stand that are another store's."""
    from vifguard.agent.host.store_ownership import not_our_store_reason

    noted, guarded = _standing(bpf_dir)
    if guarded and (why := not_our_store_reason(noted, store, guarded)):
        raise InputError(why)


def _standing(bpf_dir: Path) -> tuple[frozenset[str], int]:
    """The ids of the stores whose ports are guarded, and the number of interfaces."""
    from vifguard.enforce.drivers import guarded_interfaces, noted_stores

    noted = noted_stores(bpf_dir)
    try:
        return noted, len(guarded_interfaces(bpf_dir))
    except OSError as error:
        if not noted:
            return noted, 0  # whoever may not look has put no guard here either
        raise InputError(f"cannot read what is guarded on this host: {error}") from None
