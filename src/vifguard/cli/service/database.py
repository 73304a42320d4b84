"""The database's URL, and where its password may come from."""

from __future__ import annotations

import sys
from urllib.parse import urlsplit

from vifguard.cli.exit_codes import InputError


def require_unseen(url: str) -> None:
    """Refuse a password on the command line, which every user of the machine can read."""
    if "://" in url and _has_password(url) and any(url in each for each in sys.argv):
        raise InputError(
            "--database holds a password, which others can read from the command line: set "
            "VIFGUARD_DATABASE instead, or leave it to PGPASSFILE"
        )


def _has_password(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:  # no URL: opening it reports that
        return False
    return bool(parts.password) or "password=" in parts.query
