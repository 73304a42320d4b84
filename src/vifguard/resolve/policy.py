"""The policy of one port, from the nouns it depends on."""

from __future__ import annotations

from vifguard.model.address import LINK_LOCAL_64, IPAddress, IPNetwork, Mac, host_prefix
from vifguard.model.guard import GUARDS_OF, Guard, LinkLocal, Profile, with_implied
from vifguard.model.intent import Intent
from vifguard.model.ip_group import IpGroup, virtual_mac
from vifguard.model.learned import LearnedAddress, may_be_claimed
from vifguard.model.network import Network
from vifguard.model.policy import PortPolicy
from vifguard.model.port import Port
from vifguard.model.security_group import SecurityGroup


def resolve(intent: Intent, port: Port) -> PortPolicy:
    """The policy of `port`; closed, with the reason, where it cannot be resolved."""
    network = intent.networks.get(port.network_id)
    if network is None:
        return closed(port, f"network {port.network_id} does not exist")
    groups = intent.ip_groups_of.get(port.id, ())
    guards = guards_of(network, port)
    vrids4, vrids6 = (_foreign_vrids(intent, port, groups, version) for version in (4, 6))
    is_judged = Guard.VRRP in guards
    macs = _macs(port, groups, vrids4)
    claimable = claimable_of(network, intent.ranges.automatic.get(network.id, frozenset()), guards)
    learned = [each for each in port.learned if _is_sound(each, macs, claimable)]
    return PortPolicy(
        port_id=port.id,
        guards=guards,
        macs=macs,
        prefixes=_prefixes(port, groups),
        watched=frozenset(address for group in groups for address in _held(group, port)),
        link_local=network.link_local,
        claimable=claimable,
        tentative=frozenset(each.address for each in learned if not each.proven),
        learned=frozenset(each.address for each in learned if each.proven),
        public=intent.ranges.public_to(network.id),
        foreign_vrids4=vrids4 if is_judged else frozenset(),
        foreign_vrids6=vrids6 if is_judged else frozenset(),
        roles=port.roles,
        ethertypes=port.ethertypes,
        storm=port.storm or network.storm,
        security_groups=effective_security_groups(port),
        stateful=all(group.stateful for group in _known(intent, port)),
        reject=any(group.reject for group in _known(intent, port)),
        closed=_why_closed(network, port) or _invalid_groups_reason(intent, port),
    )


def closed(port: Port, why: str) -> PortPolicy:
    """A policy that passes nothing."""
    return PortPolicy(port.id, GUARDS_OF[Profile.STRICT], frozenset({port.mac}), closed=why)


def guards_of(network: Network, port: Port) -> frozenset[Guard]:
    """The guards in force: the port's own choice, else its network's, else the default.

    Security groups are a guard of their own, whatever the choice, and bring others along.
    """
    if not port.port_security_enabled:
        return GUARDS_OF[Profile.OFF]
    chosen = _chosen_guards(network, port)
    return (
        chosen if port.security_groups is None else with_implied({*chosen, Guard.SECURITY_GROUPS})
    )


def effective_security_groups(port: Port) -> frozenset[str]:
    """The security groups in force; none without port security."""
    return (port.security_groups or frozenset()) if port.port_security_enabled else frozenset()


def _chosen_guards(network: Network, port: Port) -> frozenset[Guard]:
    for noun in (port, network):
        if noun.guards is not None:
            return with_implied(noun.guards)
        if noun.profile is not None:
            return GUARDS_OF[noun.profile]
    return GUARDS_OF[default_profile(network, port)]


def default_profile(network: Network, port: Port) -> Profile:
    """Strict, but on an isolated network `mac` for a port without a known address."""
    if network.shared or port.fixed_ips or port.address_pairs:
        return Profile.STRICT
    return Profile.MAC


def _foreign_vrids(
    intent: Intent, port: Port, groups: tuple[IpGroup, ...], version: int
) -> frozenset[int]:
    """The ids on the port's network of groups whose addresses it may not hold."""
    held = {group.id for group in groups if _may_hold(group, port)}
    others = (
        ids.vrid4 if version == 4 else ids.vrid6
        for ids in intent.router_ids.get(port.network_id, ())
        if ids.group_id not in held
    )
    return frozenset(vrid for vrid in others if vrid is not None)


def _macs(
    port: Port, groups: tuple[IpGroup, ...], foreign_vrids4: frozenset[int]
) -> frozenset[Mac]:
    pairs = (pair.mac for pair in port.address_pairs if pair.mac is not None)
    virtual = {mac for group in groups if _may_hold(group, port) for mac in group.virtual_macs}
    # A group's id of IPv6 brings a MAC that another group of the project may have by its IPv4.
    others = {virtual_mac(4, vrid) for vrid in foreign_vrids4} if virtual else set()
    return frozenset({port.mac, *pairs, *(virtual - others)})


def _prefixes(port: Port, groups: tuple[IpGroup, ...]) -> frozenset[IPNetwork]:
    fixed = (host_prefix(ip.address) for ip in port.fixed_ips)
    pairs = (pair.prefix for pair in port.address_pairs)
    held = (host_prefix(address) for group in groups for address in _held(group, port))
    return frozenset({*fixed, *pairs, *held})


def _may_hold(group: IpGroup, port: Port) -> bool:
    return group.pinned is None or group.pinned == port.id


def _held(group: IpGroup, port: Port) -> tuple[IPAddress, ...]:
    return group.addresses if _may_hold(group, port) else ()


def claimable_of(
    network: Network, automatic: frozenset[IPNetwork], guards: frozenset[Guard]
) -> frozenset[IPNetwork]:
    """The prefixes in which a port with these guards claims addresses; none where `nd` is off."""
    if Guard.ND not in guards:
        return frozenset()
    limits = network.learned_limits
    link_local = network.link_local is LinkLocal.LEARNED and limits.link_local
    return frozenset(
        {*([LINK_LOCAL_64] if link_local else ()), *(automatic if limits.others else ())}
    )


def _is_sound(
    learned: LearnedAddress, macs: frozenset[Mac], claimable: frozenset[IPNetwork]
) -> bool:
    """Whether it could still be claimed: networks, subnets and MACs change after a claim."""
    return learned.mac in macs and may_be_claimed(learned.address, claimable)


def _known(intent: Intent, port: Port) -> list[SecurityGroup]:
    found = (intent.security_groups.get(group) for group in effective_security_groups(port))
    return [group for group in found if group is not None]


def _invalid_groups_reason(intent: Intent, port: Port) -> str:
    if missing := effective_security_groups(port) - intent.security_groups.keys():
        return f"security group {min(missing)} does not exist"
    if len({group.stateful for group in _known(intent, port)}) > 1:
        return "some of its security groups are stateful and others stateless: choose one kind"
    return ""


def _why_closed(network: Network, port: Port) -> str:
    if not port.admin_state_up:
        return "the port's admin_state_up is false"
    if not network.admin_state_up:
        return "the network's admin_state_up is false"
    return ""
