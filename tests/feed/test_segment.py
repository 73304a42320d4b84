"""Segments as JSON: each kind with its own members, and kinds of a later version."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from tests.agent.host_facts import complete, port, port_id

from vifguard.feed.codec import CodecError, decode, encode
from vifguard.feed.messages import Update
from vifguard.feed.segment import Flat, Local, SegmentKind, UnknownKind


def crossed(update: Update) -> Any:
    """An update as it crosses a socket."""
    return json.loads(json.dumps(encode(update)))


def sent(kind: Any) -> Any:
    """An update as it is sent, whose port is on a network of this kind."""
    raw = crossed(complete(port(1)))
    raw["ports"][0]["segment"]["kind"] = kind
    return raw


def received(kind: Any) -> SegmentKind:
    found: Update = decode(Update, sent(kind))
    return found.ports[0].segment.kind


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        (Local(), {"type": "local"}),
        (Flat("lan"), {"type": "flat", "physical_network": "lan"}),
    ],
)
def test_a_segment_is_sent_as_neutron_names_its_kind(kind, raw):
    each = port(1)
    update = complete(replace(each, segment=replace(each.segment, kind=kind)))
    assert crossed(update)["ports"][0]["segment"]["kind"] == raw
    assert decode(Update, crossed(update)) == update


@pytest.mark.parametrize(
    "raw",
    [
        None,
        "local",
        {},
        {"type": ""},
        {"type": 1},
        {"physical_network": "lan"},
        {"type": "local", "physical_network": "lan"},
        {"type": "flat"},
        {"type": "flat", "physical_network": ""},
        {"type": "flat", "physical_network": 7},
        {"type": "flat", "physical_network": "lan", "segmentation_id": 7},
    ],
)
def test_a_segment_of_a_known_kind_has_the_members_of_its_kind(raw):
    with pytest.raises(CodecError):
        decode(Update, sent(raw))


def test_a_kind_of_a_later_version_is_read_as_unknown():
    raw = {"type": "vxlan", "segmentation_id": 7, "peers": ["192.0.2.1"]}
    assert received(raw) == UnknownKind("vxlan")
    assert decode(Update, sent(raw)).ports[0].policy.port_id == port_id(1)
