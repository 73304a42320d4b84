"""docs/guards.md is what the code says."""

from pathlib import Path

import pytest

from vifguard.docs_pages.guards_page import page
from vifguard.model.guard import Guard
from vifguard.model.verdict import Reason

DECADES = ["host", "ethertype", "mac", "arp", "nd", "ip", "public-ip", "dhcp", "ra"]
GUARD_OF_DECADE = dict(enumerate([*DECADES, "storm", "groups"], start=1))
GUARD_OF_CODE = {
    Reason.DHCP_CLIENT_ADDRESS: "dhcp",
    **{reason: "vrrp" for reason in Reason if reason.name.startswith("VRRP_")},
}
PRINTED = Path(__file__).parents[2] / "docs" / "guards.md"


def test_the_page_is_up_to_date() -> None:
    assert PRINTED.read_text() == page(), (
        "python -m vifguard.docs_pages.guards_page > docs/guards.md"
    )


@pytest.mark.parametrize("guard", Guard)
def test_every_guard_has_its_section(guard: Guard) -> None:
    assert f"\n## `{guard}`\n" in page()


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_told_once_under_its_guard(reason: Reason) -> None:
    row = f"| {int(reason)} | `{reason.name.lower().replace('_', '-')}` | {reason.text} |"
    assert page().count(row) == 1
    if reason >= 10:
        guard = GUARD_OF_CODE.get(reason, GUARD_OF_DECADE[reason // 10])
        section = page().split(f"## `{guard}`")[1].split("\n## ")[0]
        assert row in section
