"""Dropped frames: the last of each port with the reason, and how many in all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from vifguard.api import visible
from vifguard.api.call import Call, Caller
from vifguard.feed.messages import DropCount, DropRecord
from vifguard.packet.text import describe

router = APIRouter(tags=["drops"])

_LONGEST = 65_600
"""Bytes of the longest frame that a guest can send."""


@router.get("/drops", name="list_drops")
def list_drops(call: Caller) -> Response:
    """The dropped frames of every port."""
    return _answer(call, None)


@router.get("/ports/{port_id}/drops", name="list_port_drops")
def list_port_drops(call: Caller, port_id: str) -> Response:
    """The dropped frames of one port."""
    with call.store.read() as snapshot:
        visible.port(snapshot, call.user, port_id)
    return _answer(call, [port_id])


def _answer(call: Call, port_ids: Iterable[str] | None) -> Response:
    records, counts = call.store.drops.of(port_ids)
    return JSONResponse(
        {
            "drops": [_show_record(each) for each in records],
            "counts": [_show_count(each) for each in counts],
        }
    )


def _show_record(record: DropRecord) -> dict[str, Any]:
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
