/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* dhcp: a client, never a server or a relay, and only of its own addresses. */
#pragma once

#include "guards_l2.h"

static __always_inline int is_udp(const struct frame *frame)
{
	return frame->protocol == IPPROTO_UDP && !(frame->fragment & LATER);
}

enum dhcp4_seen { TYPE_SEEN = 1, ADDRESS_SEEN = 2, IDENTIFIER_SEEN = 4 };

/* The position in the options, and the values found, each once. */
struct dhcp4_walk {
	__u32 at;
	__u32 seen; /* dhcp4_seen */
	__u32 type;
	__u32 requested; /* network byte order */
};

/* RFC 2132, 9.14: a server gives leases by it, before it looks at chaddr. */
static __always_inline int dhcp4_identifier(struct __sk_buff *skb, const struct port *port,
					    __u8 length, struct dhcp4_walk *walk)
{
	__u8 identifier[7];
	if (walk->seen & IDENTIFIER_SEEN)
		return DHCP_SHAPE;
	walk->seen |= IDENTIFIER_SEEN;
	if (length != sizeof(identifier))
		return 0;
	if (bpf_skb_load_bytes(skb, walk->at + 2, identifier, sizeof(identifier)))
		return DHCP_SHAPE;
	return identifier[0] != 1 || owns_mac(port, identifier + 1) ? 0 : DHCP_HARDWARE_ADDRESS;
}

static __always_inline int dhcp4_said(struct __sk_buff *skb, const struct port *port, __u8 kind,
				      __u8 length, struct dhcp4_walk *walk)
{
	__u8 type = 0;
	switch (kind) {
	case 82: /* relay agent information */
		return DHCP_ROLE;
	case 52: /* overload: more options in other fields */
		return DHCP_SHAPE;
	case 53: /* type */
		if (length != 1 || walk->seen & TYPE_SEEN ||
		    bpf_skb_load_bytes(skb, walk->at + 2, &type, 1))
			return DHCP_SHAPE;
		walk->seen |= TYPE_SEEN;
		walk->type = type;
		return 0;
	case 50: /* requested address */
		if (length != 4 || walk->seen & ADDRESS_SEEN ||
		    bpf_skb_load_bytes(skb, walk->at + 2, &walk->requested, 4))
			return DHCP_SHAPE;
		walk->seen |= ADDRESS_SEEN;
		return 0;
	case 61:
		return dhcp4_identifier(skb, port, length, walk);
	}
	return 0;
}

#define OPTIONS_END 0xff /* no reason */

static __noinline int dhcp4_option(struct __sk_buff *skb, const struct port *port,
				   const struct frame *frame, struct dhcp4_walk *walk)
{
	__u8 option[2];
	__u32 size = 1;
	if (walk->at >= frame->end)
		return OPTIONS_END;
	if (bpf_skb_load_bytes(skb, walk->at, option, 1))
		return DHCP_SHAPE;
	if (option[0] == 255)
		return OPTIONS_END;
	if (option[0] != 0) {
		if (walk->at + 2 > frame->end || bpf_skb_load_bytes(skb, walk->at, option, 2) ||
		    walk->at + 2 + option[1] > frame->end)
			return DHCP_SHAPE;
		int reason = dhcp4_said(skb, port, option[0], option[1], walk);
		if (reason)
			return reason;
		size = 2 + option[1];
	}
	walk->at += size;
	verifier_forget(skb, walk, sizeof(*walk));
	return 0;
}

/* RFC 2131 and 2132: at most 64 looks, the one that finds the end included. */
static __noinline int dhcp4_options(struct __sk_buff *skb, const struct port *port,
				    const struct frame *frame)
{
	struct dhcp4_walk walk = {.at = frame->upper + 8 + 240};
	int reason = 0;
	for (int i = 0; i < 64; i++) {
		reason = dhcp4_option(skb, port, frame, &walk);
		if (reason)
			break;
	}
	if (reason != OPTIONS_END)
		return reason ? reason : DHCP_SHAPE;
	if (walk.type != 4) /* decline */
		return 0;
	struct address address = ipv4(&walk.requested);
	return owns(port, &address) ? 0 : DHCP_CLIENT_ADDRESS;
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
	struct address client = ipv4(head + 12);
	if (!is_unspecified(&client) && !owns(port, &client))
		return DHCP_CLIENT_ADDRESS;
	return dhcp4_options(skb, port, frame);
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

enum dhcp6_message { RELEASE = 8, DECLINE = 9, DHCP4_INSIDE = 20, REGISTRATION = 36 };
enum dhcp6_option { IA_NA = 3, IA_TA = 4, IA_ADDRESS = 5, IA_PD = 25, IA_PREFIX = 26 };

static __always_inline int is_client_message(__u8 type)
{
	switch (type) {
	case 1: /* solicit */
	case 3: /* request */
	case 4: /* confirm */
	case 5: /* renew */
	case 6: /* rebind */
	case RELEASE:
	case DECLINE:
	case 11: /* information-request */
	case REGISTRATION:
		return 1;
	}
	return 0;
}

static __always_inline __u32 differ(const struct address *a, const struct address *b)
{
	__u32 bits = (a->word[0] ^ b->word[0]) | (a->word[1] ^ b->word[1]) |
		     (a->word[2] ^ b->word[2]) | (a->word[3] ^ b->word[3]);
	return (bits | -bits) >> 31;
}

/* The position in the options. */
struct dhcp6_walk {
	__u32 at;
	__u32 inside; /* the end of the association that is being read, else 0 */
	__u32 found; /* offset of the address in the last option, else 0 */
	__u32 seen; /* addresses before it */
	__u32 registers; /* RFC 9686: one address, the source */
};

static __noinline int dhcp6_option(struct __sk_buff *skb, const struct frame *frame,
				   struct dhcp6_walk *walk)
{
	__u8 option[4];
	__u32 at = verifier_opaque(skb, walk->at), inside = verifier_opaque(skb, walk->inside), found = 0;
	__u32 end = verifier_opaque(skb, frame->end), limit = inside ? inside : end;
	if (at >= end)
		return OPTIONS_END;
	if (at + 4 > limit || bpf_skb_load_bytes(skb, at, option, 4))
		return DHCP_SHAPE;
	__u32 code = option[0] << 8 | option[1], size = 4 + (option[2] << 8 | option[3]);
	if (at + size > limit)
		return DHCP_SHAPE;
	__u32 next = at + size;
	if (code == IA_ADDRESS || code == IA_PREFIX) {
		if (size < (code == IA_ADDRESS ? 28 : 29))
			return DHCP_SHAPE;
		found = at + (code == IA_ADDRESS ? 4 : 13);
	} else if (!inside && (code == IA_NA || code == IA_TA || code == IA_PD)) {
		__u32 head = code == IA_TA ? 8 : 16;
		if (size < head)
			return DHCP_SHAPE;
		inside = next;
		next = at + head;
	}
	walk->found = verifier_opaque(skb, found);
	walk->at = verifier_opaque(skb, next);
	walk->inside = verifier_opaque(skb, next == inside ? 0 : inside);
	return 0;
}

static __noinline int dhcp6_address(struct __sk_buff *skb, const struct port *port,
				    const struct frame *frame, struct dhcp6_walk *walk)
{
	__u8 bytes[16];
	__u32 found = verifier_opaque(skb, walk->found), registers = verifier_opaque(skb, walk->registers);
	if (!found)
		return 0;
	if ((registers & verifier_opaque(skb, walk->seen)) ||
	    bpf_skb_load_bytes(skb, found, bytes, sizeof(bytes)))
		return DHCP_SHAPE;
	struct address address = ipv6(bytes);
	if (registers & verifier_opaque(skb, differ(&address, &frame->source)))
		return DHCP_CLIENT_ADDRESS;
	walk->seen = verifier_opaque(skb, 1);
	return owns(port, &address) ? 0 : DHCP_CLIENT_ADDRESS;
}

/* RFC 8415, 21: at most 32 options, those of associations among them, which are entered. */
static __noinline int dhcp6_addresses(struct __sk_buff *skb, const struct port *port,
				      const struct frame *frame)
{
	struct dhcp6_walk walk = {.at = frame->upper + 12};
	__u8 type = 0;
	int reason = 0;
	bpf_skb_load_bytes(skb, frame->upper + 8, &type, 1);
	walk.registers = type == REGISTRATION;
	verifier_forget(skb, &walk, sizeof(walk));
	for (int i = 0; i < 33; i++) {
		reason = dhcp6_option(skb, frame, &walk);
		if (reason)
			break;
		reason = i < 32 ? dhcp6_address(skb, port, frame, &walk) : DHCP_SHAPE;
		if (reason)
			break;
	}
	if (reason != OPTIONS_END)
		return reason;
	return walk.registers && !walk.seen ? DHCP_SHAPE : 0;
}

static __noinline int dhcp6(struct __sk_buff *skb, const struct port *port,
			    const struct frame *frame)
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
	if (type == DHCP4_INSIDE)
		return DHCP_SHAPE;
	if (!is_client_message(type))
		return DHCP_ROLE;
	if (type != RELEASE && type != DECLINE && type != REGISTRATION)
		return 0;
	return dhcp6_addresses(skb, port, frame);
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
	return frame->type == ETH_P_IPV6 ? dhcp6(skb, port, frame) : 0;
}
