"""Group I, the API: calls that must be refused, and store nothing, or stop nobody else.

Where one call is enough it is data here and the lab makes it; an attack that takes several calls,
two users or sixteen writers at once is proved by the tests that a row names.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from vifguard.lab.attacks.attack import Attack, Refused

_VALUES = "tests/api/test_catalogue_api_calls.py::test_a_port"
_ROLES = "tests/api/test_policy.py"


def _pairs(*addresses: str) -> tuple[Refused, ...]:
    return tuple(
        _port(f"pair-{address}", allowed_address_pairs=[{"ip_address": address}])
        for address in addresses
    )


def _fixed(names: Iterable[tuple[str, Any]]) -> tuple[Refused, ...]:
    return tuple(_port(f"fixed-{name}", fixed_ips=[{"ip_address": said}]) for name, said in names)


def _macs(names: Iterable[tuple[str, Any]]) -> tuple[Refused, ...]:
    return tuple(_port(f"mac-{name}", mac_address=said) for name, said in names)


def _port(name: str, **body: Any) -> Refused:
    return Refused(name=name, plural="ports", body=body)


def _row(
    name: str,
    title: str,
    published: tuple[str, ...] = (),
    *,
    refused: tuple[Refused, ...] = (),
    proved_by: tuple[str, ...] = (),
    note: str = "",
) -> Attack:
    return Attack(
        id=name,
        title=title,
        group="I",
        published=published,
        refused=refused,
        proved_by=proved_by,
        note=note,
    )


ROWS: tuple[Attack, ...] = (
    _row(
        "api-trusted-owner-prefix",
        "Trust by the prefix of a free string",
        ("CVE-2015-5240", "OSSA-2015-018", "CVE-2026-50266"),
        proved_by=(f"{_ROLES}::test_on_a_shared_network_a_tenant_chooses_nothing_of_this",),
        note="`device_owner` grants nothing; roles are a typed field.",
    ),
    _row(
        "api-aap-on-shared",
        "Address pairs on a network that is not one's own",
        ("LP#1447242",),
        proved_by=(
            f"{_ROLES}::test_on_a_shared_network_a_tenant_chooses_nothing_of_this",
            "tests/store/test_addresses.py::test_a_pair_may_not_cover_what_another_project_has",
        ),
    ),
    _row(
        "api-aap-multicast",
        "Address pairs that are no source of anybody",
        refused=_pairs(
            "224.0.0.0/4",
            "224.0.0.18",
            "ff00::/8",
            "ff02::1",
            "0.0.0.0",  # noqa: S104 - nothing is bound
            "::",
            "127.0.0.1",
            "::1",
            "255.255.255.255",
            "240.0.0.0/4",
            "192.0.0.0/2",
        ),
    ),
    _row(
        "api-cidr-poison",
        "Prefixes of rules that are none",
        ("CVE-2014-0187", "CVE-2015-3221"),
        proved_by=("tests/api/test_security_groups.py::test_what_cannot_be_said_is_refused",),
    ),
    _row(
        "api-proto-port-poison",
        "Port ranges of protocols without ports, and ranges that are none",
        ("CVE-2019-9735", "CVE-2019-10876", "LP#1708092"),
        proved_by=("tests/api/test_security_groups.py::test_what_cannot_be_said_is_refused",),
    ),
    _row(
        "api-proto-vocabulary",
        "One protocol in many spellings",
        ("CVE-2012-2654", "OSSA-2012-007"),
        proved_by=("tests/api/test_security_groups.py::test_a_name_is_a_number",),
    ),
    _row(
        "api-quota",
        "More than a project may have, and rows that reading makes",
        ("CVE-2012-2101", "CVE-2014-3555", "CVE-2013-4185", "CVE-2022-3277", "CVE-2023-3637"),
        proved_by=(
            f"{_ROLES}::test_a_quota_bounds_a_project_and_not_the_operator",
            "tests/api/test_security_groups.py::test_reading_makes_none",
        ),
    ),
    _row(
        "api-cross-tenant-ref",
        "References to what is another project's",
        (
            "CVE-2014-0056",
            "LP#1890539",
            "OSSA-2024-005",
            "CVE-2024-53916",
            "LP#2152113",
        ),
        proved_by=(f"{_ROLES}::test_what_is_anothers_does_not_exist",),
    ),
    _row(
        "api-policy-name-typo",
        "Actions that nobody listed, and fields that are reset to their default",
        ("CVE-2026-49299", "OSSA-2026-016", "CVE-2014-0167", "CVE-2014-6414"),
        proved_by=(
            f"{_ROLES}::test_every_route_by_every_role",
            f"{_ROLES}::test_an_action_that_nobody_listed_is_nobodys",
            f"{_ROLES}::test_resetting_what_the_operator_chose_is_a_choice",
        ),
    ),
    _row(
        "api-duplicate-identity",
        "A MAC or an address that another port of the network has",
        proved_by=(
            "tests/api/test_catalogue_api_calls.py::test_what_another_has_is_not_had_twice",
            "tests/api/test_catalogue_api_calls.py::test_of_many_at_once_one_gets_it",
        ),
    ),
    _row(
        "api-newline-injection",
        "Line ends and NUL in values that others print",
        ("CVE-2021-40085", "OSSA-2021-005"),
        refused=(
            *_fixed((("scope", "fe80::1%x"), ("scope-and-line", "fe80::1%x\nflush ruleset"))),
            *_macs((("line", "02:00:00:00:00:99\n"), ("nul", "02:00:00:00:00:99\0"))),
        ),
    ),
    _row(
        "api-regex-dollar",
        "What `$` and a lax number parser would take",
        refused=(
            *_fixed((("line", "10.0.0.77\n"), ("space", " 10.0.0.77"), ("arabic", "10.0.0.٣"))),
            *_macs((("line", "02:00:00:00:00:9a\n"), ("mixed separators", "02-00:00-00-00-9a"))),
        ),
    ),
    _row(
        "api-parse-ambiguity",
        "Spellings that one parser takes for another address than the next",
        ("CVE-2021-29921",),
        refused=_fixed(
            (
                ("mapped", "::ffff:10.0.0.77"),
                ("octal", "010.0.0.77"),
                ("short", "10.77"),
                ("hex", "0x0a00004d"),
                ("number", 167772237),
                ("prefix", "10.0.0.77/24"),
            )
        ),
    ),
    _row(
        "api-unparsable-fails-open",
        "A port whose addresses mean nothing must not end unguarded",
        refused=(
            *_pairs("unknown", "junk", "", "10.0.0.999"),
            _port("pair-null", allowed_address_pairs=[None]),
            _port("guards-unknown", guards=["unknown"]),
            _port("profile-unknown", guard_profile="yes"),
        ),
        proved_by=(_VALUES,),
    ),
    _row(
        "api-crash-inputs",
        "Bodies, paths and floods of calls that end a server",
        ("CVE-2014-7821", "CVE-2021-40797", "CVE-2014-3708", "CVE-2022-0897"),
        proved_by=(
            "tests/api/test_catalogue_api_calls.py::test_a_body_that_is_none",
            "tests/api/test_catalogue_api_calls.py::test_unknown_routes_and_methods_cost_no_memory_and_no_500",
            "tests/api/test_catalogue_api_calls.py::test_lists_while_ports_come_and_go",
        ),
    ),
)
