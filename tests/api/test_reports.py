"""Reports of agents: one of a host at a time, each bounded, none in the way of other hosts'."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import uuid4

import httpx
import orjson
import pytest
from tests.api.cloud import ABOUT, Cloud, refusal

from vifguard.agent.reporting.report import Outbox
from vifguard.api.http.body import MAX_REPORT
from vifguard.api.http.worker_threads import LARGE, Reports
from vifguard.feed.codec import encode
from vifguard.feed.messages import (
    ADDRESS_CLAIMS_AT_ONCE,
    CLAIMS_AT_ONCE,
    DROPS_AT_ONCE,
    PORTS_AT_ONCE,
    AddressClaim,
    AdoptedBridge,
    Claim,
    Detection,
    DropCount,
    DropRecord,
    PortReport,
    Report,
    Sighting,
    WiringReport,
)
from vifguard.model.address import Mac, parse_address
from vifguard.model.guard import Guard
from vifguard.model.port import PortState
from vifguard.model.verdict import Direction, Reason

PATIENCE = 60
JSON = {"Content-Type": "application/json"}
AGENT = ("agent", "agent")
ADDRESSES = tuple(
    parse_address(f"2001:db8:ffff:ffff:ffff:ffff:{number:x}:ffff")
    for number in range(0x1000, 0x1040)
)


def test_the_largest_report_that_an_agent_makes_is_taken() -> None:
    """Whatever guests do meanwhile: one that is refused is sent again, and again."""
    outbox = Outbox("h" * 255)
    outbox.put_host_report(ABOUT)
    ids = [str(uuid4()) for _ in range(CLAIMS_AT_ONCE)]
    mac, at, address = Mac.parse("02:00:00:00:00:01"), 1764500000.123456, ADDRESSES[0]
    outbox.put_ports(
        PortReport(each, 2**40, PortState.HELD_CLOSED, "t" * 15, "r" * 1024)
        for each in ids[:PORTS_AT_ONCE]
    )
    outbox.put_claims(
        (Claim(each, address, mac, at) for each in ids),
        (Sighting(each, address, at) for each in ids),
    )
    outbox.put_drops(
        (
            DropRecord(
                each,
                at,
                Direction.FROM_GUEST,
                Guard.PUBLIC_IP,
                Reason.HELD_CLOSED,
                2**16,
                b"x" * 128,
            )
            for each in ids[:DROPS_AT_ONCE]
        ),
        (DropCount(each, Direction.FROM_GUEST, Guard.PUBLIC_IP, 2**60) for each in ids),
    )
    for each in ids:
        outbox.put_address_claim(AddressClaim(each, address, mac, ADDRESSES))
        outbox.put_detection(Detection(each, address, unique=False))
    report = outbox.take()
    assert report is not None
    assert len(orjson.dumps(encode(report))) < MAX_REPORT
    rest = outbox.take()
    assert rest is not None
    assert rest.address_claims


def test_a_report_beyond_the_limit_is_refused(cloud: Cloud) -> None:
    body = b'{"host": "h1", "x": "' + b"x" * MAX_REPORT + b'"}'
    answer = cloud.http.post("/v2.0/feed/h1/reports", content=body, auth=AGENT, headers=JSON)
    assert refusal(answer)[:2] == (413, "HTTPRequestEntityTooLarge")


CLAIM = {
    "port_id": "p",
    "address": "10.0.0.1",
    "mac": "02:00:00:00:00:01",
    "at": 1.0,
}
SIGHTING = {"port_id": "p", "address": "10.0.0.1", "at": 1.0}
ADDRESS_CLAIM = {"port_id": "p", "address": "fe80::1", "mac": "02:00:00:00:00:01", "unused": []}


@pytest.mark.parametrize(
    ("kind", "one", "most"),
    [
        ("claims", CLAIM, CLAIMS_AT_ONCE),
        ("sightings", SIGHTING, CLAIMS_AT_ONCE),
        ("address_claims", ADDRESS_CLAIM, ADDRESS_CLAIMS_AT_ONCE),
    ],
)
def test_a_report_has_no_more_of_a_kind_than_an_agent_sends(
    cloud: Cloud, kind: str, one: dict[str, Any], most: int
) -> None:
    """F13.1: one with 26,000 sightings of a port that is not there held all changes for 13 s."""
    assert (
        cloud.agent.call("POST", "feed/h1/reports", sent(**{kind: [one] * most})).status_code == 200
    )
    beyond = cloud.agent.call("POST", "feed/h1/reports", sent(**{kind: [one] * (most + 1)}))
    assert refusal(beyond)[0] == 400
    assert f"{most + 1} where at most {most} are taken" in refusal(beyond)[2]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("missing", ["x"] * 1_400_000),
        ("missing", ["x" * 1025]),
        ("degraded", ["x"] * 65),
        ("features", [f"f{n}" for n in range(65)]),
        ("lost", {f"cause {n}": 1 for n in range(65)}),
        ("kernel", "6" * 256),
    ],
)
def test_what_a_host_says_of_itself_is_bounded(cloud: Cloud, name: str, value: Any) -> None:
    """F13.4: 1.4 million entries were kept, and read by every request that asks for hosts."""
    about = sent()["about"] | {name: value}
    answer = cloud.agent.call("POST", "feed/h1/reports", sent(about=about))
    assert refusal(answer)[0] == 400
    assert "are taken" in refusal(answer)[2]


def test_what_a_host_says_of_its_wiring_is_bounded_as_a_whole(cloud: Cloud) -> None:
    """64 bridges, each within its bounds, made a row of 11 MiB that all others' calls read."""
    devices = [f"{number:04}" + "u" * 60 for number in range(1000)]
    bridges = tuple(
        AdoptedBridge(f"b{number}", f"p{number}", unguarded=tuple(devices)) for number in range(64)
    )
    body = sent(wiring=encode(WiringReport(bridges)))
    answer = cloud.agent.call("POST", "feed/h1/reports", body)
    assert refusal(answer)[0] == 400
    assert "octets where at most 262144 are taken" in refusal(answer)[2]
    assert (
        cloud.agent.call(
            "POST", "feed/h1/reports", sent(wiring=encode(WiringReport(bridges[:3])))
        ).status_code
        == 200
    )


def sent(**parts: Any) -> dict[str, Any]:
    """A report as an agent sends it, but for these parts."""
    report: dict[str, Any] = encode(Report("h1", about=ABOUT))
    return report | parts


def test_a_host_sends_one_report_after_the_other(cloud: Cloud) -> None:
    """F4: many large ones at once took gigabytes, and every thread from the other hosts."""
    body = orjson.dumps(encode(Report("h1", about=ABOUT, read_back=True)))
    begun, go = threading.Event(), threading.Event()

    def slowly() -> Iterator[bytes]:
        yield body[:10]
        begun.set()
        go.wait(PATIENCE)
        yield body[10:]

    def send(content: bytes | Iterator[bytes]) -> httpx.Response:
        where = f"{cloud.http.base_url}/v2.0/feed/h1/reports"
        return httpx.post(
            where, content=content, auth=AGENT, headers=JSON, timeout=PATIENCE, trust_env=False
        )

    with ThreadPoolExecutor() as others:
        first = others.submit(send, slowly())
        assert begun.wait(PATIENCE)
        while (second := send(body)).status_code == 200:
            pass  # the first one's headers are still on their way
        assert second.status_code == 503
        assert second.headers["Retry-After"]
        assert "A report of host h1 is being processed" in second.text
        # What another host's agent may not say keeps no place of the host's.
        assert cloud.agent.call("POST", "feed/h2/reports", {}).status_code == 403
        go.set()
        assert first.result().status_code == 200
    assert send(body).status_code == 200


def test_a_large_report_waits_for_large_ones_alone() -> None:
    async def take_in() -> None:
        reports, go = Reports(), threading.Event()
        large = [
            asyncio.create_task(reports.run(LARGE + 1, partial(go.wait, PATIENCE)))
            for _ in range(5)
        ]
        await asyncio.sleep(0)
        assert await reports.run(LARGE, lambda: "heard") == "heard"
        assert not any(each.done() for each in large)
        go.set()
        assert all(await asyncio.gather(*large))

    asyncio.run(take_in())


def test_an_agent_of_an_earlier_release_reports_the_quarantine_by_its_former_name(
    cloud: Cloud,
) -> None:
    body = encode(Report("h1", about=replace(ABOUT, quarantine=("x",), lost={"quarantine": 2})))
    about = body["about"]
    about["floor"], about["lost"] = about.pop("quarantine"), {"floor": 2}
    content = orjson.dumps(body)
    answer = cloud.http.post("/v2.0/feed/h1/reports", content=content, auth=AGENT, headers=JSON)
    assert answer.status_code == 200, answer.text
    shown = cloud.admin.get("hosts/h1")["host"]
    assert (shown["quarantine"], shown["lost"]) == (["x"], {"quarantine": 2})
