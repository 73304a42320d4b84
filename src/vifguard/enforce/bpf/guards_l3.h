/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/*
 * The guards of the network layer: ip, public-ip, ra. A guard returns the reason of its first
 * objection, or 0.
 */
#pragma once

#include "guards_l2.h"

/* ip: the source address, and options that would send an answer elsewhere. */

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

/* RFC 791, 3.1. Source routing (131, 137) lets the sender choose the host that answers. */
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
		at = verifier_opaque(skb, at + size);
	}
	return at >= frame->upper ? 0 : IPV4_OPTIONS;
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
	return frame->options ? ipv4_options(skb, frame) : 0;
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
		return not_own(port, &frame->source, IPV6_SOURCE);
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
