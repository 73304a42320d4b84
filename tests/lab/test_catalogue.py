"""The catalogue says what attacks.md and the guards' text say, and the reference agrees."""

import re
from pathlib import Path

import pytest

from vifguard.lab.attacks import CATALOGUE, VARIANTS
from vifguard.lab.attacks.actors import Actors
from vifguard.lab.attacks.attack import Actor, Attack, Kind, Outcome, Variant
from vifguard.lab.attacks.sample_actors import actors_of, policy_of
from vifguard.lab.scenarios import lifecycle
from vifguard.model.guard import Guard
from vifguard.model.verdict import Action
from vifguard.packet.frame import Frame, parse
from vifguard.packet.offload import NO_OFFLOAD
from vifguard.semantics.verdict import verdict

PLAYED = [
    pytest.param(variant, kind, id=f"{kind}-{name}")
    for name, variant in VARIANTS.items()
    for kind in variant.expect
]
DROPPED = [
    pytest.param(variant, id=name)
    for name, variant in VARIANTS.items()
    if any(expected.outcome is Outcome.DROP for expected in variant.expect.values())
]
ADVISORY = re.compile(
    r"CVE-\d{4}-\d{4,}|OSSA-\d{4}-\d{3}|OSSN-\d{4}|LP#\d{7}|GHSA(-[0-9a-z]{4}){3}|VU#\d{6}"
    r"|RFC \d{3,4}( [\d.]+)?"
)


def parsed_of(variant: Variant, cast: Actors) -> Frame:
    """The frame, and what is left to be done to it."""
    left = variant.offload(cast).left if variant.offload else NO_OFFLOAD
    return parse(variant.frame(cast), offload=left)


@pytest.mark.parametrize(("variant", "kind"), PLAYED)
def test_the_reference_agrees(variant: Variant, kind: Kind) -> None:
    expected = variant.expect[kind]
    wanted = Action.DROP if expected.outcome is Outcome.DROP else Action.PASS
    for path in variant.paths:
        parsed = parsed_of(variant, actors_of(variant.actor, path))
        said = verdict(policy_of(kind, variant.actor), variant.direction, parsed)
        assert (said.action, said.guard) == (wanted, expected.guard), f"{path}: {said}"


@pytest.mark.parametrize("variant", DROPPED)
def test_a_frame_that_must_drop_has_a_twin_that_must_pass(variant: Variant) -> None:
    twin = VARIANTS[variant.twin]
    row = next(attack for attack in CATALOGUE if twin in attack.variants)
    assert row.group == "K"
    # Nothing passes from a closed port: there the twin is an open port's.
    actor = Actor.GUEST if variant.actor is Actor.CLOSED else variant.actor
    for kind in variant.expect:
        said = verdict(policy_of(kind, actor), variant.direction, parsed_of(twin, actors_of(actor)))
        assert said.action is Action.PASS, f"{kind}: {said}"


@pytest.mark.parametrize("variant", DROPPED)
def test_a_twin_is_another_frame(variant: Variant) -> None:
    cast = actors_of(variant.actor)
    if variant.actor is Actor.CLOSED:
        return  # the port makes the difference there, not the frame
    assert variant.frame(cast) != VARIANTS[variant.twin].frame(cast)


def test_names_are_unique() -> None:
    ids = [attack.id for attack in CATALOGUE]
    assert len(set(ids)) == len(ids)
    for attack in CATALOGUE:
        names = [variant.name for variant in attack.variants]
        assert len(set(names)) == len(names), attack.id


@pytest.mark.parametrize("attack", CATALOGUE, ids=lambda attack: attack.id)
def test_a_row_is_played_refused_waits_or_says_where(attack: Attack) -> None:
    done = attack.variants or attack.refused or attack.waits_for or attack.proved_by
    assert done or "cenario s" in attack.note


def test_the_lifecycle_plays_what_says_so() -> None:
    says = {attack.id for attack in CATALOGUE if "Scenario `lifecycle`" in attack.note}
    assert says == set(lifecycle.STORIES)


@pytest.mark.parametrize("attack", CATALOGUE, ids=lambda attack: attack.id)
def test_what_a_row_names_as_its_proof_is_a_test(attack: Attack) -> None:
    for named in attack.proved_by:
        file, _, test = named.partition("::")
        assert f"def {test}(" in Path(file).read_text(), named


@pytest.mark.parametrize("attack", CATALOGUE, ids=lambda attack: attack.id)
def test_only_published_advisories_are_cited(attack: Attack) -> None:
    assert all(ADVISORY.fullmatch(cited) for cited in attack.published), attack.published


@pytest.mark.parametrize("guard", Guard)
def test_every_guard_that_judges_single_frames_has_attacks(guard: Guard) -> None:
    stopped = {e.guard for variant in VARIANTS.values() for e in variant.expect.values()}
    # storm judges a rate (scenario s8 plays it), groups judge connections.
    assert guard in stopped or guard in (Guard.STORM, Guard.SECURITY_GROUPS)


IDS = {
    "A": """
        mac-src-victim mac-src-in-dhcp mac-src-in-nd-na mac-src-in-nonip
        mac-fdb-learn-before-forward-hook mac-src-group-or-zero mac-flood-fdb mac-src-tagged
        mac-rarp-announce mac-set-truncated
    """,
    "B": """
        ip-src-victim ip-src-in-dhcp-ports ip-src-zero-abuse ip-spoof-in-established
        ip-to-host-input-path ip-dst-accept-shortcircuit ip-cidr-widening ip-family-not-filtered
        ip-fragments ip-options ip-malformed-header ip-self-and-hairpin ip-gso-super
    """,
    "C": """
        arp-spa-spoof arp-request-unchecked arp-sha-mismatch arp-probe-abuse
        arp-odd-lengths-and-types arp-tagged-vlan0 arp-acl-accept-first arp-default-accept
        arp-jump-lost arp-filter-off-by-vocabulary arp-ip-filter-l3-only rarp-and-inarp
    """,
    "D": """
        nd-na-target-spoof nd-icmpv6-blanket nd-ns-src-spoof nd-ns-sll-mismatch
        nd-na-exthdr-offset nd-ovs-megaflow nd-dad-hijack nd-unspecified-abuse
        nd-hoplimit-and-code nd-option-length nd-fragmented nd-redirect nd-ll-not-pinned
    """,
    "E": """
        ip6-src-victim ip6-nexthdr-vs-l4proto ip6-routing-header ip6-embedded-v4 ip6-length-lies
    """,
    "F": """
        ra-from-guest ra-to-host ra-vlan0-snap dhcp4-server-reply dhcp4-chaddr-starvation
        dhcp4-release-decline-forge dhcp6-server-and-relay dhcp6-release-decline-forge
        dhcp6-registration-forge dhcp6-client-spoof dhcp-ip-learning dhcp-responder-parse
        dhcp-client-behind-filter
    """,
    "G": """
        vlan-single-nonzero qinq-and-odd-tpid vlan-double-tag-hop snap-llc stp-bpdu lldp-to-host
        host-control-l2 vendor-l2 pppoe-mpls-nsh runt-jumbo
    """,
    "H": """
        iso-host-ipv6-linklocal iso-host-ip-via-bridge iso-underlay-tunnel-injection
        iso-bfd-from-guest iso-dns-responder-egress-bypass iso-punt-flood iso-unknown-unicast-leak
        iso-conntrack-zone-mix iso-conntrack-exhaust-invalid iso-same-mac-two-networks
        iso-multicast-rules iso-classifier-explosion iso-metadata-impersonation
    """,
    "I": """
        api-trusted-owner-prefix api-aap-on-shared api-aap-multicast api-cidr-poison
        api-proto-port-poison api-proto-vocabulary api-quota api-cross-tenant-ref
        api-policy-name-typo api-duplicate-identity api-newline-injection api-regex-dollar
        api-parse-ambiguity api-unparsable-fails-open api-crash-inputs
    """,
    "J": """
        lc-plug-window lc-dead-vlan-not-dead lc-reload-blink lc-partial-batch
        lc-clear-before-check lc-agent-down lc-switch-restart lc-external-flush
        lc-migrate-rules-lost lc-rarp-activation lc-running-not-updated
        lc-established-survives-revoke lc-host-knob-missing
    """,
    "K": """
        L01 L02 L03 L04 L05 L06 L07 L08 L09 L10 L11 L12 L13 L14 L15 L16 L17 L18 L19 L20 L21 L22
        L23 L24 L25 L26 L27 L28 L29 L30 L31
    """,
    "X": """
        x-ethernet-types-beside-ours x-ethernet-length-at-its-ends x-type-and-version-disagree
        x-arp-ends-in-each-field x-arp-address-lengths x-arp-operations-at-their-ends
        x-rarp-behind-its-end x-ip4-versions x-ip4-header-lengths x-ip4-total-length-at-its-ends
        x-ip4-total-length-cuts-the-header-above x-ip4-reserved-flag x-ip4-option-lengths
        x-ip4-source-route-last x-ip4-source-route-behind-the-end x-ip4-fragment-past-the-largest
        x-ip4-protocols-without-a-parser x-udp-lengths x-udp-length-hides-a-server
        x-tcp-data-offsets x-icmp-redirect-codes x-icmp-redirect-in-a-first-fragment
        x-igmp-of-another x-ip6-versions x-ip6-payload-length-at-its-ends
        x-ip6-payload-length-cuts-the-header-above x-ip6-jumbogram x-ip6-extension-lengths
        x-ip6-hop-by-hop-not-first x-ip6-fragment-in-a-fragment x-ip6-later-fragment-of-a-header
        x-ip6-eight-headers x-ip6-advertisement-behind-rare-headers x-ip6-rare-headers-of-ones-own
        x-ip6-nothing-follows x-nd-seventeen-options x-nd-rest-of-an-option x-nd-two-addresses
        x-nd-targets-that-are-nobodys x-mld-of-another x-mld-from-nobody x-dhcp-hardware-fields
        x-dhcp-operations x-dhcp-without-its-cookie x-dhcp-option-lengths x-dhcp-too-many-options
        x-dhcp-relay-behind-padding x-dhcp-client-identifier x-dhcp-in-a-first-fragment
        x-dhcp6-message-types x-dhcp6-cut-short x-dhcp6-from-another-port
        x-vrrp-id-of-another x-vrrp-address-of-another x-vrrp-shapes x-vrrp-out-of-sight
        x-in-ip4-lengths x-in-ip6-lengths x-in-types
        x-offload-arp x-offload-ip4-source x-offload-ip6-source x-offload-nd x-offload-ra
        x-offload-dhcp x-offload-tcp x-offload-udp x-offload-fragment x-offload-tunnel
        x-offload-vlan x-offload-sctp x-in-offload x-listed-tag-without-vlan
        x-offload-cut-fragment
        x-claim-reserved x-claim-shape x-claim-taken x-claim-gateway x-claim-cap x-claim-storm
    """,
}
"""Every row of attacks.md by its group, L29 (plain traffic, a twin) and our own (X)."""


@pytest.mark.parametrize(("group", "ids"), IDS.items())
def test_every_row_is_there(group: str, ids: str) -> None:
    assert [attack.id for attack in CATALOGUE if attack.group == group] == ids.split()
    assert group != "X" or len(ids.split()) >= 40
