"""Dropped frames: the last of each port with the reason, and how many in all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from vifguard.api import visible
from vifguard.api.call import Call, Caller
from vifguard.api.hint import REASONS, hint
from vifguard.feed.messages import DropCount, DropRecord
from vifguard.packet.text import describe
from vifguard.store import ports
from vifguard.store.rows import StoredPort
from vifguard.store.transaction import Snapshot

router = APIRouter(tags=["drops"])

_LONGEST = 65_600
"""Bytes of the longest frame that a guest can send."""


@router.get("/drops", name="list_drops")
def list_drops(call: Caller) -> Response:
    """The dropped frames of every port."""
    with call.store.read() as snapshot:
        return _answer(call, snapshot, None)


@router.get("/ports/{port_id}/drops", name="list_port_drops")
def list_port_drops(call: Caller, port_id: str) -> Response:
    """The dropped frames of one port."""
    with call.store.read() as snapshot:
        visible.port(snapshot, call.user, port_id)
        return _answer(call, snapshot, [port_id])


def _answer(call: Call, snapshot: Snapshot, port_ids: Iterable[str] | None) -> Response:
    records, counts = call.store.drops.of(port_ids)
    explained = {each.port_id for each in records if each.reason in REASONS}
    known = {each.port.id: each for each in ports.by_id(snapshot, sorted(explained))}
    return JSONResponse(
        {
            "drops": [_show_record(each, known.get(each.port_id)) for each in records],
            "counts": [_show_count(each) for each in counts],
        }
    )


def _show_record(record: DropRecord, stored: StoredPort | None) -> dict[str, Any]:
    return {
        "port_id": record.port_id,
        "at": record.at,
        "direction": record.direction,
        "guard": record.guard,
        "reason": record.reason.name.lower().replace("_", "-"),
        "text": record.reason.text,
        "length": record.length,
        "head": record.head.hex(),
        "decoded": _decoded(record),
        "hint": "" if stored is None else hint(record, stored),
    }


def _decoded(record: DropRecord) -> str:
    # The frame goes on where its record ends; cut there, its own lengths would look like lies.
    return describe(record.head.ljust(min(record.length, _LONGEST), b"\0"))


def _show_count(count: DropCount) -> dict[str, Any]:
    return {
        "port_id": count.port_id,
        "direction": count.direction,
        "guard": count.guard,
        "frames": count.frames,
    }
