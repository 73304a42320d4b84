/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/*
 * The guards, one function each, in the order in which a frame meets them. Each returns the
 * reason of its first objection, or 0. docs/guards.md is the text this is written from.
 */
#pragma once

#include "frame.h"

#define TYPE_RARP 0x8035

/* What the port may call its own. */

static __noinline int owns_mac(const struct port *port, const __u8 *mac)
{
	if (port->flags & HAS_MAC && same_mac(port->mac4, mac))
		return 1;
	if (!(port->flags & MORE_MACS))
		return 0;
	struct mac_key key = {.policy = port->policy};
	__builtin_memcpy(key.mac, mac, sizeof(key.mac));
	return bpf_map_lookup_elem(&macs, &key) != 0;
}

static __always_inline int is_inline(const struct port *port, const struct address *address)
{
	const __u32 *a = address->word;
	if (address->family == 4)
		return a[0] && (a[0] == port->v4[0] || a[0] == port->v4[1]);
	__u64 high, low;
	__builtin_memcpy(&high, a, 8);
	__builtin_memcpy(&low, a + 2, 8);
	return (high | low) && ((high == port->v6[0][0] && low == port->v6[0][1]) ||
				(high == port->v6[1][0] && low == port->v6[1][1]));
}

/* Whether the address is the link-local address of one of the port's MACs (RFC 4291, A). */
static __always_inline int is_eui64(const struct port *port, const struct address *address)
{
	const __u8 *id = (const __u8 *)(address->word + 2);
	const __u8 mac[6] = {id[0] ^ 2, id[1], id[2], id[5], id[6], id[7]};
	return id[3] == 0xff && id[4] == 0xfe && owns_mac(port, mac);
}

static __always_inline int owns_link_local(const struct port *port, const struct address *address)
{
	if (address->family != 6 || address->word[0] != bpf_htonl(0xfe800000) || address->word[1])
		return 0;
	return port->flags & LINK_LOCAL_ANY ||
	       (port->flags & LINK_LOCAL_EUI64 && is_eui64(port, address));
}

static __noinline int in_prefixes(const struct port *port, const struct address *address)
{
	struct prefix_key key = {192, port->policy, *address};
	return bpf_map_lookup_elem(&prefixes, &key) != 0;
}

static __noinline int in_public(const struct port *port, const struct address *address)
{
	struct prefix_key key = {192, port->public_set, *address};
	return bpf_map_lookup_elem(&public_prefixes, &key) != 0;
}

static __always_inline struct address_state *state_of(const struct port *port,
						      const struct address *address)
{
	struct address_key key = {port->policy, *address};
	return bpf_map_lookup_elem(&addresses, &key);
}

static __noinline int owns(const struct port *port, const struct address *address)
{
	/* :: means "no address yet", whatever prefix it lies in. */
	if (address->family == 6 && is_unspecified(address))
		return 0;
	if (is_inline(port, address) || owns_link_local(port, address))
		return 1;
	if (port->flags & MORE_ADDRESSES && state_of(port, address))
		return 1;
	return port->flags & HAS_PREFIXES && in_prefixes(port, address);
}

/* host: what no profile turns off. */

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

static __always_inline int host(const struct frame *frame, enum direction direction)
{
	if (frame->length < ETH_HLEN)
		return RUNT;
	if (direction == FROM_GUEST && (is_group(frame->from) || is_zero(frame->from)))
		return SOURCE_GROUP;
	if (is_control_group(frame->to))
		return CONTROL_GROUP;
	return is_control_type(frame->type) ? CONTROL_ETHERTYPE : 0;
}

/* ethertype: what can be judged at all, in the shape in which it can be judged. */

static __always_inline int is_tag(__u16 type)
{
	return type == 0x8100 || type == 0x88a8 || type == 0x9100 || type == 0x9200;
}

static __always_inline int lists(const struct port *port, __u16 type)
{
	struct ethertype_key key = {port->policy, type};
	return port->flags & MORE_ETHERTYPES && bpf_map_lookup_elem(&ethertypes, &key);
}

/* RARP is let out as an announcement of one's own MAC (QEMU, after a migration) only. */
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
	if (lists(port, frame->type))
		return 0;
	return is_tag(frame->type) ? TAGGED : ETHERTYPE_UNLISTED;
}

/* What a guard says first that needs headers which cannot be read. */

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
			if (!owns_mac(port, option + 2))
				nd->foreign = 1;
		}
		at = opaque(skb, at + option[1] * 8);
		forget(skb, nd->facts, sizeof(nd->facts));
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

/* nd: the whole legal shape (RFC 4861, RFC 6980), and whose address it is about. */

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
		return owns(port, &nd->target) ? 0 : ND_TARGET;
	}
	if (!owns(port, &frame->source))
		return ND_SOURCE;
	return is_multicast6(&frame->destination) && !solicited ? ND_SHAPE : 0;
}

static __always_inline int advertisement(const struct port *port, const struct frame *frame,
					 const struct nd *nd)
{
	if (is_multicast6(&nd->target))
		return ND_SHAPE;
	if (!owns(port, &frame->source))
		return ND_SOURCE;
	if (!owns(port, &nd->target))
		return ND_TARGET;
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
	return owns(port, &frame->source) ? 0 : ND_SOURCE;
}

/* ip: the source address, and options that would send an answer elsewhere. */

static __always_inline int is_udp(const struct frame *frame)
{
	return frame->protocol == IPPROTO_UDP && !(frame->fragment & LATER);
}

static __always_inline int igmp_report(struct __sk_buff *skb, const struct frame *frame)
{
	__u8 type = 0;
	if (frame->protocol != IGMP || frame->hops != 1 ||
	    (bpf_ntohl(frame->destination.word[0]) & 0xf0000000) != 0xe0000000 ||
	    frame->upper + 8 > frame->end || bpf_skb_load_bytes(skb, frame->upper, &type, 1))
		return 0;
	return type == 0x12 || type == 0x16 || type == 0x17 || type == 0x22;
}

static __always_inline int may_be_unspecified4(struct __sk_buff *skb, const struct frame *frame)
{
	if (frame->fragment)
		return 0;
	if (frame->destination.word[0] == 0xffffffff && frame->protocol == IPPROTO_UDP &&
	    frame->source_port == bpf_htons(68) && frame->destination_port == bpf_htons(67))
		return 1;
	return igmp_report(skb, frame);
}

/* RFC 791, 3.1. Source routing (131, 137) lets the sender choose who answers. */
static __noinline int ipv4_options(struct __sk_buff *skb, const struct frame *frame)
{
	__u32 at = ETH_HLEN + 20;
	for (int i = 0; i < 40; i++) {
		__u8 option[2];
		if (at >= frame->upper)
			return 0;
		if (bpf_skb_load_bytes(skb, at, option, 1) || option[0] == 131 || option[0] == 137)
			return IPV4_OPTIONS;
		if (option[0] == 0)
			return 0;
		__u32 size = 1;
		if (option[0] != 1) {
			if (at + 2 > frame->upper || bpf_skb_load_bytes(skb, at, option, 2) ||
			    option[1] < 2 || at + option[1] > frame->upper)
				return IPV4_OPTIONS;
			size = option[1];
		}
		at = opaque(skb, at + size);
	}
	return at >= frame->upper ? 0 : IPV4_OPTIONS;
}

static __always_inline int dhcp_client_address(struct __sk_buff *skb, const struct port *port,
					       const struct frame *frame)
{
	__u8 bytes[4];
	if (!is_udp(frame) || frame->fragment || frame->destination_port != bpf_htons(67) ||
	    frame->upper + 24 > frame->end || bpf_skb_load_bytes(skb, frame->upper + 20, bytes, 4))
		return 0;
	struct address client = ipv4(bytes);
	return is_unspecified(&client) || owns(port, &client) ? 0 : DHCP_CLIENT_ADDRESS;
}

static __noinline int ip4(struct __sk_buff *skb, const struct port *port,
			  const struct frame *frame)
{
	if (frame->state != SOUND)
		return unreadable(frame);
	if (is_unspecified(&frame->source)) {
		if (!may_be_unspecified4(skb, frame))
			return IPV4_UNSPECIFIED;
	} else if (!owns(port, &frame->source)) {
		return IPV4_SOURCE;
	}
	if (frame->options) {
		int reason = ipv4_options(skb, frame);
		if (reason)
			return reason;
	}
	return dhcp_client_address(skb, port, frame);
}

static __always_inline int may_be_unspecified6(const struct frame *frame)
{
	const struct address *to = &frame->destination;
	if (frame->fragment || frame->protocol != ICMPV6)
		return 0;
	switch (frame->icmp_type) {
	case SOLICIT_ROUTER:
		return !frame->extensions && frame->hops == 255 && is_ipv6(to, 0xff020000, 0, 0, 2);
	case SOLICIT: /* to ff02::1:ff00:0/104 */
		return !frame->extensions && frame->hops == 255 &&
		       is_solicited_node(to, to);
	case 131: /* MLD */
	case 132:
	case 143:
		return frame->extensions == 1 && frame->alert && frame->hops == 1 &&
		       is_multicast6(to);
	}
	return 0;
}

static __noinline int ip6(const struct port *port, const struct frame *frame)
{
	if (frame->state != SOUND)
		return unreadable(frame);
	if (is_unspecified(&frame->source)) {
		if (!may_be_unspecified6(frame))
			return IPV6_UNSPECIFIED;
	} else if (!owns(port, &frame->source)) {
		return IPV6_SOURCE;
	}
	return frame->routing ? IPV6_ROUTING_HEADER : 0;
}

static __always_inline int ip(struct __sk_buff *skb, const struct port *port,
			      const struct frame *frame)
{
	if (frame->type == ETH_P_IP)
		return ip4(skb, port, frame);
	return frame->type == ETH_P_IPV6 ? ip6(port, frame) : 0;
}

/* public-ip: on the public side, only one's own public addresses. */

static __noinline int public_ip(const struct port *port, const struct frame *frame)
{
	if (frame->type != ETH_P_IP && frame->type != ETH_P_IPV6)
		return 0;
	if (frame->state == MALFORMED)
		return malformed(frame);
	if (!port->public_set || !in_public(port, &frame->source))
		return 0;
	return owns(port, &frame->source) ? 0 : PUBLIC_SOURCE;
}

/* dhcp: a client, never a server or a relay. */

/* RFC 2131 and 2132: at most 64 looks, the one that finds the end included; 82 is a relay's. */
static __noinline int dhcp4_options(struct __sk_buff *skb, const struct frame *frame)
{
	__u32 at = frame->upper + 8 + 240;
	for (int i = 0; i < 64; i++) {
		__u8 option[2];
		if (at >= frame->end)
			return 0;
		if (bpf_skb_load_bytes(skb, at, option, 1))
			return DHCP_SHAPE;
		if (option[0] == 255)
			return 0;
		__u32 size = 1;
		if (option[0] != 0) {
			if (at + 2 > frame->end || bpf_skb_load_bytes(skb, at, option, 2) ||
			    at + 2 + option[1] > frame->end)
				return DHCP_SHAPE;
			if (option[0] == 82)
				return DHCP_ROLE;
			size = 2 + option[1];
		}
		at = opaque(skb, at + size);
	}
	return DHCP_SHAPE;
}

static __always_inline int dhcp4_message(struct __sk_buff *skb, const struct port *port,
					 const struct frame *frame)
{
	__u32 message = frame->upper + 8;
	__u8 head[34], magic[4];
	if (frame->source_port != bpf_htons(68) || frame->fragment || message + 240 > frame->end ||
	    bpf_skb_load_bytes(skb, message, head, sizeof(head)) ||
	    bpf_skb_load_bytes(skb, message + 236, magic, sizeof(magic)) || head[0] != 1 ||
	    head[1] != 1 || head[2] != 6 || magic[0] != 0x63 || magic[1] != 0x82 ||
	    magic[2] != 0x53 || magic[3] != 0x63)
		return DHCP_SHAPE;
	if (head[24] | head[25] | head[26] | head[27]) /* giaddr: a relay */
		return DHCP_ROLE;
	if (!owns_mac(port, head + 28))
		return DHCP_HARDWARE_ADDRESS;
	return dhcp4_options(skb, frame);
}

static __noinline int dhcp4(struct __sk_buff *skb, const struct port *port,
			    const struct frame *frame)
{
	if (frame->source_port == bpf_htons(67) || frame->destination_port == bpf_htons(68))
		return DHCP_ROLE;
	if (frame->destination_port != bpf_htons(67))
		return 0;
	return dhcp4_message(skb, port, frame);
}

static __always_inline int is_client_message(__u8 type)
{
	switch (type) {
	case 1: /* solicit */
	case 3: /* request */
	case 4: /* confirm */
	case 5: /* renew */
	case 6: /* rebind */
	case 8: /* release */
	case 9: /* decline */
	case 11: /* information-request */
		return 1;
	}
	return 0;
}

static __noinline int dhcp6(struct __sk_buff *skb, const struct frame *frame)
{
	__u8 type;
	if (frame->source_port == bpf_htons(547) || frame->destination_port == bpf_htons(546))
		return DHCP_ROLE;
	if (frame->destination_port != bpf_htons(547))
		return 0;
	if (frame->source_port != bpf_htons(546) || frame->extensions ||
	    frame->upper + 12 > frame->end ||
	    bpf_skb_load_bytes(skb, frame->upper + 8, &type, 1))
		return DHCP_SHAPE;
	return is_client_message(type) ? 0 : DHCP_ROLE;
}

static __always_inline int dhcp(struct __sk_buff *skb, const struct port *port,
				const struct frame *frame)
{
	if (port->flags & DHCP_SERVER)
		return 0;
	if (frame->state != SOUND)
		return unreadable(frame);
	if (!is_udp(frame))
		return 0;
	if (frame->type == ETH_P_IP)
		return dhcp4(skb, port, frame);
	return frame->type == ETH_P_IPV6 ? dhcp6(skb, frame) : 0;
}

/* ra: a guest is no router. */

static __noinline int ra(const struct port *port, const struct frame *frame)
{
	if (port->flags & ROUTER)
		return 0;
	if (frame->state != SOUND)
		return unreadable(frame);
	if (frame->fragment & LATER)
		return 0;
	if (frame->type == ETH_P_IP)
		return frame->protocol == IPPROTO_ICMP && frame->icmp_type == 5 ? REDIRECT : 0;
	if (frame->type != ETH_P_IPV6 || frame->protocol != ICMPV6)
		return 0;
	if (frame->icmp_type == ADVERTISE_ROUTER)
		return ROUTER_ADVERTISEMENT;
	return frame->icmp_type == REDIRECT_ND ? REDIRECT : 0;
}

/*
 * Generic cell rate algorithm on one word, the theoretical arrival time of the next frame:
 * no lock, no timer. Whoever loses the race eight times has met a flood.
 */
static __always_inline int draw(__u64 *arrival, __u64 interval, __u64 limit, __u64 now)
{
	for (int i = 0; i < 8; i++) {
		__u64 old = *(volatile __u64 *)arrival;
		__u64 next = (old > now ? old : now) + interval;
		if (next - now > limit)
			return 0;
		if (__sync_val_compare_and_swap(arrival, old, next) == old)
			return 1;
	}
	return 0;
}

/* storm: broadcast and multicast at the port's rate. The bucket survives policy changes. */
static __noinline int storm(const struct port *port, const struct frame *frame)
{
	__u32 ifindex = port->ifindex;
	__u64 full = 0;
	if (!is_group(frame->to))
		return 0;
	__u64 *arrival = bpf_map_lookup_elem(&buckets, &ifindex);
	if (!arrival) {
		bpf_map_update_elem(&buckets, &ifindex, &full, BPF_NOEXIST);
		arrival = bpf_map_lookup_elem(&buckets, &ifindex);
	}
	if (arrival && draw(arrival, port->storm_interval, port->storm_limit, bpf_ktime_get_ns()))
		return 0;
	return STORM_RATE;
}
