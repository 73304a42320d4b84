/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/*
 * The guards of the link layer: host, ethertype, mac, arp, nd. A guard returns the reason of
 * its first objection, or 0; docs/guards.md is the text it is written from.
 */
#pragma once

#include "offload.h"
#include "ownership.h"

/* host: the checks that no profile turns off. */

static __always_inline int is_control_group(const __u8 *mac)
{
	return mac[0] == 0x01 && mac[1] == 0x80 && mac[2] == 0xc2 && !mac[3] && !mac[4] &&
	       mac[5] < 0x10;
}

static __always_inline int is_control_type(__u16 type)
{
	switch (type) {
	case 0x8808: /* pause */
	case 0x8809: /* LACP, OAM */
	case 0x888e: /* EAPOL */
	case 0x88c7: /* pre-authentication */
	case 0x88cc: /* LLDP */
	case 0x88e5: /* MACsec */
	case 0x8902: /* CFM */
	case 0x9000: /* loopback */
		return 1;
	}
	return 0;
}

static __always_inline int host(struct __sk_buff *skb, const struct frame *frame,
				enum direction direction, __u64 offload)
{
	int reason;

	if (frame->length < ETH_HLEN)
		return RUNT;
	if (direction == FROM_GUEST && (is_group(frame->from) || is_zero(frame->from)))
		return SOURCE_GROUP;
	if (is_control_group(frame->to))
		return CONTROL_GROUP;
	if (is_control_type(frame->type))
		return CONTROL_ETHERTYPE;
	if ((reason = checksum_offload(frame, offload)))
		return reason;
	return segmentation_offload(skb, frame, direction);
}

/* ethertype: the types that can be judged at all, in the shape in which they can be. */

static __always_inline int is_tag(__u16 type)
{
	return type == 0x8100 || type == 0x88a8 || type == 0x9100 || type == 0x9200;
}

static __always_inline int is_listed_ethertype(const struct port *port, __u16 type)
{
	struct ethertype_key key = {port->policy, type};
	return port->flags & MORE_ETHERTYPES && bpf_map_lookup_elem(&ethertypes, &key);
}

/*
 * Whether a listed tag names no VLAN to a receiver that removes it: VID 0 is a priority alone,
 * and a bridge that filters VLANs forwards frames of 802.1ad with VID 1 without their tag.
 */
static __always_inline int names_no_vlan(struct __sk_buff *skb, const struct frame *frame)
{
	__u8 bytes[4];
	__u32 tag = skb->vlan_tci;
	if (!skb->vlan_present) {
		if (bpf_skb_load_bytes(skb, ETH_HLEN, bytes, sizeof(bytes)))
			return 1;
		tag = bytes[0] << 8 | bytes[1];
	}
	return !(tag & 0xfff) || (frame->type == 0x88a8 && (tag & 0xfff) == 1);
}

/* RARP passes as an announcement of one's own MAC (QEMU, after a migration) only. */
static __always_inline int rarp_shape(struct __sk_buff *skb, const struct frame *frame)
{
	struct arp arp;
	if (frame->length > SMALLEST_FRAME || !read_arp(skb, &arp) || arp.operation != bpf_htons(3) ||
	    !same_mac(arp.sender_mac, arp.target_mac))
		return RARP_SHAPE;
	struct address sender = ipv4(arp.sender), target = ipv4(arp.target);
	return is_unspecified(&sender) && is_unspecified(&target) ? 0 : RARP_SHAPE;
}

static __always_inline int ethertype(struct __sk_buff *skb, const struct port *port,
				     const struct frame *frame)
{
	if (frame->type < 0x0600)
		return LENGTH_FIELD;
	switch (frame->type) {
	case ETH_P_ARP:
		return 0;
	case TYPE_RARP:
		return rarp_shape(skb, frame);
	case ETH_P_IP:
		return frame->state == MALFORMED ? IPV4_MALFORMED : 0;
	case ETH_P_IPV6:
		return frame->state == MALFORMED ? IPV6_MALFORMED : 0;
	}
	if (is_listed_ethertype(port, frame->type))
		return is_tag(frame->type) && names_no_vlan(skb, frame) ? TAG_WITHOUT_VLAN : 0;
	return is_tag(frame->type) ? TAGGED : ETHERTYPE_UNLISTED;
}

/* The first reasons of a guard that needs headers which cannot be read. */

static __always_inline int malformed(const struct frame *frame)
{
	if (frame->state != MALFORMED)
		return 0;
	return frame->type == ETH_P_IP ? IPV4_MALFORMED : IPV6_MALFORMED;
}

static __always_inline int unreadable(const struct frame *frame)
{
	return frame->state == UNREADABLE ? HEADERS_UNREADABLE : malformed(frame);
}

/* Neighbour discovery, read once for mac and nd. */

enum nd_type { NOT_ND, SOLICIT_ROUTER = 133, ADVERTISE_ROUTER, SOLICIT, ADVERTISE, REDIRECT_ND };

struct nd {
	union {
		struct {
			__u8 type; /* 0: not neighbour discovery */
			__u8 sound; /* the fixed part is there, the options are well-formed */
			__u8 flags; /* NA: R, S, O */
			__u8 has_source; /* a source link-layer address option */
			__u8 foreign; /* another's link-layer address, before anything malformed */
			__u8 unused[3];
		};
		__u32 facts[2];
	};
	struct address target; /* NS, NA */
};

static __always_inline __u32 nd_fixed(__u8 type)
{
	switch (type) {
	case SOLICIT_ROUTER:
		return 8;
	case ADVERTISE_ROUTER:
		return 16;
	case REDIRECT_ND:
		return 40;
	}
	return 24;
}

/* RFC 4861, 4.5: a router announces the link-layer address of the better hop. */
static __always_inline int tells_better_hop(const struct port *port, const struct nd *nd,
					    const __u8 *option)
{
	return port->flags & ROUTER && nd->type == REDIRECT_ND && option[0] == 2 &&
	       !is_group(option + 2) && !is_zero(option + 2);
}

/* The options (RFC 4861, 4.6), at most 16; false as soon as one is malformed. */
static __noinline int read_nd_options(struct __sk_buff *skb, const struct port *port,
				      const struct frame *frame, struct nd *nd)
{
	__u32 at = frame->upper + nd_fixed(nd->type);
	for (int i = 0; i < 17; i++) {
		__u8 option[8];
		if (at == frame->end)
			return 1;
		/* An option has at least 8 bytes: fewer left are a malformed one. */
		if (i == 16 || at + 8 > frame->end || bpf_skb_load_bytes(skb, at, option, 8) ||
		    !option[1] || at + option[1] * 8 > frame->end)
			return 0;
		if (option[0] == 1 || option[0] == 2) {
			if (option[1] != 1)
				return 0;
			if (option[0] == 1)
				nd->has_source = 1;
			if (!owns_mac(port, option + 2) && !tells_better_hop(port, nd, option))
				nd->foreign = 1;
		}
		at = verifier_opaque(skb, at + option[1] * 8);
		verifier_forget(skb, nd->facts, sizeof(nd->facts));
	}
	return 0;
}

static __noinline int read_nd(struct __sk_buff *skb, const struct port *port,
			      const struct frame *frame, struct nd *nd)
{
	if (frame->type != ETH_P_IPV6 || frame->state != SOUND || frame->protocol != ICMPV6 ||
	    frame->fragment & LATER || frame->icmp_type < SOLICIT_ROUTER ||
	    frame->icmp_type > REDIRECT_ND)
		return 0;
	nd->type = frame->icmp_type;
	if (frame->upper + nd_fixed(nd->type) > frame->end)
		return 0;
	if (nd->type == SOLICIT || nd->type == ADVERTISE) {
		__u8 fixed[20]; /* from byte 4 of the message: flags, then the target */
		if (bpf_skb_load_bytes(skb, frame->upper + 4, fixed, sizeof(fixed)))
			return 0;
		nd->flags = fixed[0];
		nd->target = ipv6(fixed + 4);
	}
	nd->sound = read_nd_options(skb, port, frame, nd);
	return 0;
}

/* mac: the Ethernet source, and every link-layer address inside ARP and ND. */

static __always_inline int mac_in_arp(struct __sk_buff *skb, const struct port *port,
				      const struct frame *frame)
{
	struct arp arp;
	if (!read_arp(skb, &arp))
		return ARP_UNREADABLE;
	if (!owns_mac(port, arp.sender_mac))
		return ARP_SENDER_MAC;
	if (frame->type == TYPE_RARP && !owns_mac(port, arp.target_mac))
		return ARP_SENDER_MAC;
	return 0;
}

static __always_inline int mac_in_nd(const struct frame *frame, const struct nd *nd)
{
	if (!nd->type)
		return 0;
	if (frame->fragment)
		return ND_UNREADABLE;
	if (nd->foreign)
		return ND_LINK_LAYER_ADDRESS;
	return nd->sound ? 0 : ND_UNREADABLE;
}

static __noinline int mac(struct __sk_buff *skb, const struct port *port,
			  const struct frame *frame, const struct nd *nd)
{
	if (frame->type == ETH_P_IPV6 && frame->state != SOUND)
		return unreadable(frame);
	if (!owns_mac(port, frame->from))
		return SOURCE_MAC;
	if (frame->type == ETH_P_ARP || frame->type == TYPE_RARP)
		return mac_in_arp(skb, port, frame);
	return mac_in_nd(frame, nd);
}

/* arp: the whole legal shape, and the sender's address. */

static __noinline int arp(struct __sk_buff *skb, const struct port *port,
			  const struct frame *frame)
{
	struct arp arp;
	if (frame->type != ETH_P_ARP)
		return 0;
	if (frame->length > SMALLEST_FRAME || !read_arp(skb, &arp) ||
	    (arp.operation != bpf_htons(1) && arp.operation != bpf_htons(2)))
		return ARP_SHAPE;
	struct address sender = ipv4(arp.sender), target = ipv4(arp.target);
	if (!is_unspecified(&sender))
		return owns(port, &sender) ? 0 : ARP_SENDER_ADDRESS;
	/* RFC 5227: a probe asks for an address before it is used. */
	if (arp.operation == bpf_htons(1) && same_mac(arp.sender_mac, frame->from) &&
	    owns(port, &target))
		return 0;
	return ARP_PROBE;
}

/* nd: the whole legal shape (RFC 4861, RFC 6980), and the owner of its address. */

static __always_inline int is_solicited_node(const struct address *group,
					     const struct address *target)
{
	return is_ipv6(group, 0xff020000, 0, 1,
		       0xff000000 | (bpf_ntohl(target->word[3]) & 0xffffff));
}

static __always_inline int solicitation(const struct port *port, const struct frame *frame,
					const struct nd *nd)
{
	if (is_multicast6(&nd->target))
		return ND_SHAPE;
	int solicited = is_solicited_node(&frame->destination, &nd->target);
	if (is_unspecified(&frame->source)) {
		if (!solicited || nd->has_source)
			return ND_UNSPECIFIED;
		if (owns(port, &nd->target) || is_tentative(port, &nd->target))
			return 0;
		return not_own(port, &nd->target, ND_TARGET);
	}
	if (!owns(port, &frame->source))
		return not_own(port, &frame->source, ND_SOURCE);
	return is_multicast6(&frame->destination) && !solicited ? ND_SHAPE : 0;
}

static __always_inline int advertisement(const struct port *port, const struct frame *frame,
					 const struct nd *nd)
{
	if (is_multicast6(&nd->target))
		return ND_SHAPE;
	if (!owns(port, &frame->source))
		return not_own(port, &frame->source, ND_SOURCE);
	if (!owns(port, &nd->target))
		return not_own(port, &nd->target, ND_TARGET);
	return is_multicast6(&frame->destination) && nd->flags & 0x40 ? ND_SHAPE : 0;
}

static __noinline int nd(const struct port *port, const struct frame *frame, const struct nd *nd)
{
	if (frame->type == ETH_P_IPV6 && frame->state != SOUND)
		return unreadable(frame);
	if (!nd->type)
		return 0;
	if (frame->extensions || frame->hops != 255 || frame->icmp_code || !nd->sound)
		return ND_SHAPE;
	if (nd->type == SOLICIT)
		return solicitation(port, frame, nd);
	if (nd->type == ADVERTISE)
		return advertisement(port, frame, nd);
	if (nd->type == SOLICIT_ROUTER && is_unspecified(&frame->source))
		return nd->has_source ? ND_UNSPECIFIED : 0;
	if (nd->type != SOLICIT_ROUTER && !is_link_local(&frame->source))
		return ND_SOURCE;
	return owns(port, &frame->source) ? 0 : not_own(port, &frame->source, ND_SOURCE);
}
