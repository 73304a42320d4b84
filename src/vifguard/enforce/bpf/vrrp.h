/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* vrrp: the id and addresses that an advertisement claims. CARP shares the protocol number. */
#pragma once

#include "guards_l2.h"

#define VRRP_PROTOCOL 112
#define CLAIMS_AT_MOST 64

static __always_inline int is_foreign_vrid(const struct port *port, __u32 is_ipv6, __u32 id)
{
	__u32 policy = port->policy;
	const struct vrids *ids = bpf_map_lookup_elem(&vrids, &policy);
	return ids && ids->foreign[is_ipv6 & 1][id >> 6 & 3] >> (id & 63) & 1;
}

/* Whether it is to the group with TTL 255, or to one station. */
static __always_inline int goes_where_vrrp_goes(const struct frame *frame)
{
	const struct address *to = &frame->destination;
	__u32 word = bpf_ntohl(to->word[0]);
	if (frame->type == ETH_P_IPV6)
		return !is_multicast6(to) || (frame->hops == 255 && is_ipv6(to, 0xff020000, 0, 0, 0x12));
	return (word != 0xffffffff && (word & 0xf0000000) != 0xe0000000) ||
	       (frame->hops == 255 && word == 0xe0000012);
}

/* The addresses that are not judged yet. */
struct claimed {
	__u32 at;
	__u32 size; /* of one: 4 or 16 */
	__u32 left;
};

static __noinline int claims_one(struct __sk_buff *skb, const struct port *port,
				 struct claimed *claimed)
{
	__u32 at = verifier_opaque(skb, claimed->at), size = verifier_opaque(skb, claimed->size);
	struct address address = {};
	int failed = bpf_skb_load_bytes(skb, at, address.word, 4);
	if (size == 16)
		failed = bpf_skb_load_bytes(skb, at, address.word, 16);
	address.family = size == 16 ? 6 : 4;
	verifier_forget(skb, &address, sizeof(address));
	claimed->at = verifier_opaque(skb, at + size);
	claimed->left = verifier_opaque(skb, claimed->left - 1);
	return failed || !owns(port, &address) ? VRRP_ADDRESS : 0;
}

static __always_inline int claims_own(struct __sk_buff *skb, const struct port *port,
				      struct claimed *claimed)
{
	verifier_forget(skb, claimed, sizeof(*claimed));
	for (int i = 0; i < CLAIMS_AT_MOST; i++) {
		if (!verifier_opaque(skb, claimed->left))
			return 0;
		int reason = claims_one(skb, port, claimed);
		if (reason)
			return reason;
	}
	return claimed->left ? VRRP_SHAPE : 0;
}

static __always_inline int advertisement_of(struct __sk_buff *skb, const struct port *port,
				       const struct frame *frame)
{
	__u32 is_ipv6 = frame->type == ETH_P_IPV6, length = frame->end - frame->upper;
	__u8 head[4]; /* version and type, id, priority, count */
	if (frame->upper + 8 > frame->end || bpf_skb_load_bytes(skb, frame->upper, head, sizeof(head)))
		return VRRP_SHAPE;
	__u32 count = head[3];
	int is_carp = head[0] == 0x21 && count == 7 && length == 36;
	__u32 least = 8 + count * (is_ipv6 ? 16 : 4);
	if (head[0] == 0x21 && !is_ipv6)
		least += 8; /* authentication data */
	else if (head[0] != 0x31 && !is_carp)
		return VRRP_SHAPE;
	if (!head[1] || (!is_carp && (!count || length != least)))
		return VRRP_SHAPE;
	if (is_foreign_vrid(port, is_ipv6, head[1]))
		return VRRP_ROUTER_ID;
	if (is_carp)
		return 0;
	if (count > CLAIMS_AT_MOST)
		return VRRP_SHAPE;
	struct claimed claimed = {frame->upper + 8, is_ipv6 ? 16 : 4, count};
	return claims_own(skb, port, &claimed);
}

static __noinline int vrrp(struct __sk_buff *skb, const struct port *port,
			   const struct frame *frame)
{
	if (frame->type != ETH_P_IP && frame->type != ETH_P_IPV6)
		return 0;
	if (frame->state != SOUND)
		return unreadable(frame);
	if (frame->protocol != VRRP_PROTOCOL)
		return 0;
	if (frame->fragment || frame->extensions || !goes_where_vrrp_goes(frame))
		return VRRP_SHAPE;
	if (!owns(port, &frame->source))
		return VRRP_SOURCE;
	return advertisement_of(skb, port, frame);
}
