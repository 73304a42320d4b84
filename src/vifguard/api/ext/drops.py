"""Dropped frames: the last of each port with the reason, their kinds, and their number."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum
from typing import Any, Final, TypeVar

from starlette.responses import JSONResponse, Response

from vifguard.api.drop_hints import REASONS, hint_for
from vifguard.api.http.request import RequestContext
from vifguard.api.http.routes import Routes
from vifguard.attributes.refusal import bad_request
from vifguard.feed.messages import DropCount, DropRecord
from vifguard.model.address import quoted
from vifguard.model.guard import Guard
from vifguard.model.verdict import Direction, Reason
from vifguard.packet.describe import describe_cut
from vifguard.store.nouns import ports
from vifguard.store.queries import visibility
from vifguard.store.reports.drops import DropFilter, DropKind
from vifguard.store.stored_nouns import StoredPort
from vifguard.store.transaction import Snapshot

router = Routes("drops")

USUAL_LIMIT, HIGHEST_LIMIT = 1000, 10_000
"""Records in an answer: by default, and at most."""

KindT = TypeVar("KindT", bound=Enum)

_MOMENT: Final = re.compile(r"[0-9]{1,12}([.][0-9]{1,20})?", re.ASCII)


@router.get("/drops", name="list_drops")
def list_drops(call: RequestContext) -> Response:
    """The dropped frames of every port in the user's lists."""
    with call.store.read() as snapshot:
        mine = visibility.ports_among(snapshot, call.user, call.store.drops.ports())
        return _answer(call, snapshot, mine)


@router.get("/ports/{port_id}/drops", name="list_port_drops")
def list_port_drops(call: RequestContext, port_id: str) -> Response:
    """The dropped frames of one port."""
    with call.store.read() as snapshot:
        visibility.port(snapshot, call.user, port_id)
        return _answer(call, snapshot, [port_id])


def _answer(call: RequestContext, snapshot: Snapshot, port_ids: Iterable[str]) -> Response:
    limit = min(call.number("limit", USUAL_LIMIT), HIGHEST_LIMIT)
    found = call.store.drops.of(port_ids, _asked(call), limit)
    explained = {each.port_id for each in found.records if each.reason in REASONS}
    known = {each.port.id: each for each in ports.by_id(snapshot, sorted(explained))}
    return JSONResponse(
        {
            "drops": [_show_record(each, known.get(each.port_id)) for each in found.records],
            "kinds": [_show_kind(each) for each in found.kinds],
            "counts": [_show_count(each) for each in found.counts],
        }
    )


def _asked(call: RequestContext) -> DropFilter:
    """The filter that the query gives; raises Refusal for an unknown value."""
    return DropFilter(
        _words(call, "guard", {each.value: each for each in Guard}),
        _words(call, "direction", {each.value: each for each in Direction}),
        _words(call, "reason", {_word(each): each for each in Reason}),
        _moment(dict(call.query).get("since", "0")),
    )


def _moment(given: str) -> float:
    if not _MOMENT.fullmatch(given):
        raise bad_request(
            f"Invalid input for since. Reason: {quoted(given)} is not seconds since 1970."
        )
    return float(given)


def _words(call: RequestContext, name: str, known: dict[str, KindT]) -> frozenset[KindT] | None:
    given = [value for key, value in call.query if key == name]
    for value in given:
        if value not in known:
            raise bad_request(
                f"Invalid input for {name}. Reason: {quoted(value)} is none of {', '.join(known)}."
            )
    return frozenset(known[value] for value in given) if given else None


def _word(reason: Reason) -> str:
    return reason.name.lower().replace("_", "-")


def _show_record(record: DropRecord, stored: StoredPort | None) -> dict[str, Any]:
    return {
        "port_id": record.port_id,
        "at": record.at,
        "direction": record.direction,
        "guard": record.guard,
        "reason": _word(record.reason),
        "text": record.reason.text,
        "length": record.length,
        "head": record.head.hex(),
        "decoded": describe_cut(record.head, record.length),
        "hint": "" if stored is None else hint_for(record, stored),
    }


def _show_kind(kind: DropKind) -> dict[str, Any]:
    return {
        "port_id": kind.port_id,
        "direction": kind.direction,
        "guard": kind.guard,
        "reason": _word(kind.reason),
        "text": kind.reason.text,
        "records": kind.records,
        "first_at": kind.first,
        "last_at": kind.last,
    }


def _show_count(count: DropCount) -> dict[str, Any]:
    return {
        "port_id": count.port_id,
        "direction": count.direction,
        "guard": count.guard,
        "frames": count.frames,
    }
