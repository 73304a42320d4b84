"""Stamps as Neutron shows them."""

from __future__ import annotations

from typing import Any

from vifguard.attributes.shared_attributes import moment
from vifguard.store.stored_nouns import Stamp


def show_stamp(stamp: Stamp) -> dict[str, Any]:
    """A stamp as Neutron shows it."""
    return {
        "revision_number": stamp.revision_number,
        "created_at": moment(stamp.created_at / 1_000_000),
        "updated_at": moment(stamp.updated_at / 1_000_000),
        "tags": list(stamp.tags),
    }
