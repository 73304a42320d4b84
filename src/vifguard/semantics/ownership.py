"""Addresses that are the port's own.

An address is the port's own if one of the port's prefixes holds it, or if it is an IPv6
link-local address that the port may use: the EUI-64 addresses of its MACs (`eui64`,
`learned`), any address of fe80::/64 (`any`), or none but the listed (`none`). The unspecified
address `::` is nobody's, whatever the prefixes. A MAC is the port's own if it is one of the
port's MACs. An empty set holds nothing.

Where a port has no link-local addresses at all (`none`), a frame that `nd` or `ip` drops for one
is counted as others are, and recorded at most once a minute: guests send them all day.

**Learned addresses.** IPv6 hosts choose identifiers of their own (RFC 7217, RFC 8981). A port
has *claimable* prefixes: fe80::/64 where its network has `learned`, and the prefixes of the
network's SLAAC subnets; and a limit for each kind: where its network sets no other, one link-local
address for each of its MACs, and 16 others (`vifguard network set NAME --learned-limits 1/16`;
`vifguard port release NAME ADDRESS` takes one away; [api.md](api.md#addresses-that-guests-choose)).
An address may be claimed if a claimable
prefix holds it and its identifier (the last 64 bits) is not EUI-64 (bits 24 to 39 are not
0xfffe: such an address is the MAC's), not below 2^48 (addresses set by hand, as gateways' are, and
IPv4 addresses inside; one random identifier in 65,536) and no reserved anycast
(fdff:ffff:ffff:ff80 and above, to fdff:ffff:ffff:ffff; RFC 2526).

1. *Claim.* Duplicate address detection for an address that may be claimed and is not own, or
   neighbour discovery from such an address or about it, is dropped as `nd-claim`, and other
   packets from it as `ipv6-source` or `public-source`. Each claims the address, at most two a
   second and port (twenty at once): the server is asked. Nothing learned is nothing allowed.
2. *Decision.* The server knows every network whole. It refuses an address that the model gave to
   another (a fixed address, an address pair, an IP group's address, a gateway), that a host itself
   has there, that another port claimed before, or that goes beyond the limit, unless one of the
   port's learned addresses of that kind has not been used for five seconds: then the one that
   was unused for longest makes room, as temporary addresses come anew each day. For an address
   that another has, the host answers the guest with a neighbour advertisement, as its holder
   would: the guest sees a duplicate and chooses another.
3. *Detection.* The claimed address is *tentative*: of the guest's frames only duplicate address
   detection for it passes. The host sends that detection too, in the port's name: one
   solicitation, and half a second of silence. The guest itself waits for a second (RFC 4862,
   5.1), and finds the address its own. A neighbour advertisement for the address that goes to
   the guest meanwhile ends the claim: stations that no model knows defend their addresses.
4. *Own.* Then the address is the port's own until the port goes, its MAC, its network's choice
   or its subnet changes, the model gives the address to another, a host has it itself, or it is
   released.

Where no agent or no server was there to take a claim, or the guest was up before its guard, the
next packet from the address claims it anew.
"""

from __future__ import annotations

from vifguard.model.address import UNSPECIFIED_6, IPAddress
from vifguard.model.policy import PortPolicy


def own(policy: PortPolicy, address: IPAddress) -> bool:
    """Whether the address is the port's own."""
    return address != UNSPECIFIED_6 and policy.owns(address)
