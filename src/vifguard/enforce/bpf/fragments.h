/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/*
 * Fragments, in any order, by docs/guards.md, "Fragments". The fragments of one packet that
 * passed have an entry in the table of connections for some seconds: number[0] is the end of
 * the judged header in the first fragment (0: not seen), number[1] the lowest offset of the
 * others, both in units of 8 octets of the fragmented part.
 */
#pragma once

#include "group_ctx.h"
#include "rate_limit.h"

#define NO_LATER 8192
#define SURELY_KEPT 3 /* units of a TCP header, into which no later fragment may reach */
#define EARLY_FRAGMENTS 25 /* a second and port */
#define EARLY_AT_ONCE 50

static __always_inline __u8 fragments_kind(int is_ipv6, int from_guest)
{
	return (is_ipv6 ? 6 : 4) | OF_FRAGMENTS | (from_guest ? 0 : FRAGMENT_TO_GUEST);
}

static __noinline int fragment_key(struct __sk_buff *skb, const struct frame *frame,
				   struct group_ctx *p)
{
	int is_ipv6 = frame->type == ETH_P_IPV6, from_guest = p->direction == FROM_GUEST;
	const struct address *local = from_guest ? &frame->source : &frame->destination;
	const struct address *remote = from_guest ? &frame->destination : &frame->source;

	p->key.ports = 0;
	if (is_ipv6)
		bpf_skb_load_bytes(skb, frame->fragment_at + 4, &p->key.ports, 4);
	else
		bpf_skb_load_bytes(skb, ETH_HLEN + 4, &p->key.ports, 2);
	__builtin_memcpy(p->key.local, local->word, sizeof(p->key.local));
	__builtin_memcpy(p->key.remote, remote->word, sizeof(p->key.remote));
	p->key.protocol = is_ipv6 ? FRAGMENT : frame->protocol;
	p->key.kind = fragments_kind(is_ipv6, from_guest);
	p->key.state = HALF_OPEN;
	p->key.bits = 0;
	p->key.number[0] = p->key.sent[0] = p->key.sent[1] = 0;
	p->key.number[1] = NO_LATER;
	p->key.expires = end_of_fragments(p->key.kind, p->search.now);
	return 0;
}

/* The offset of a fragment, in units of 8 octets. */
static __always_inline __u32 units_of(struct __sk_buff *skb, const struct frame *frame)
{
	__u8 bytes[2] = {};
	if (frame->type == ETH_P_IPV6) {
		bpf_skb_load_bytes(skb, frame->fragment_at + 2, bytes, 2);
		return (bytes[0] << 8 | bytes[1]) >> 3;
	}
	bpf_skb_load_bytes(skb, ETH_HLEN + 6, bytes, 2);
	return (bytes[0] & 0x1f) << 8 | bytes[1];
}

/* Whether a later fragment begins in the header of TCP; in IPv6, of any next header. */
static __always_inline int reaches_into_tcp(const struct frame *frame, __u32 units)
{
	return units < SURELY_KEPT && (frame->type == ETH_P_IPV6 || frame->protocol == IPPROTO_TCP);
}

/* The end of the judged header of a first fragment, in units of 8 octets. */
static __always_inline __u32 judged_of(const struct frame *frame)
{
	__u32 header = frame->protocol == IPPROTO_TCP ? 20 : 8;
	if (frame->type == ETH_P_IPV6)
		header += frame->upper - (frame->fragment_at + 8);
	return (header + 7) / 8;
}

static __always_inline struct flow *find_passed(struct group_ctx *p, struct bucket *bucket)
{
	struct flow *passed = find(&p->search, bucket, &p->key);
	return passed && !is_expired(passed, p->search.now) ? passed : 0;
}

/* Merge `key` into the packet's entry; false where there is no slot for one. */
static __noinline int remember(struct group_ctx *p, struct bucket *bucket)
{
	int is_kept = 1;
	if (!lock(bucket))
		return 0;
	struct flow *passed = find_passed(p, bucket);
	if (passed) {
		if (p->key.number[0] > passed->number[0])
			passed->number[0] = p->key.number[0];
		if (p->key.number[0])
			passed->expires = p->key.expires;
		if (p->key.number[1] < passed->number[1])
			passed->number[1] = p->key.number[1];
	} else {
		is_kept = take_slot(&p->search, bucket, &p->key);
	}
	unlock(bucket);
	return is_kept;
}

/* Whether a later fragment that passed begins in the header of this first one. */
static __noinline int overlaps(struct __sk_buff *skb, const struct frame *frame,
			       struct group_ctx *p)
{
	fragment_key(skb, frame, p);
	struct bucket *bucket = bucket_for(p);
	struct flow *passed = bucket ? find_passed(p, bucket) : 0;
	return passed && passed->number[1] < judged_of(frame);
}

/* Note a first fragment; 0 without a slot: its later ones then count as early. */
static __noinline int remember_first(struct __sk_buff *skb, const struct frame *frame,
				     struct group_ctx *p)
{
	fragment_key(skb, frame, p);
	p->key.number[0] = judged_of(frame);
	struct bucket *bucket = bucket_for(p);
	return bucket && remember(p, bucket);
}

/* Prepare a later fragment; its verdict, or a negative number: the rules decide. */
static __noinline int read_later(struct __sk_buff *skb, const struct frame *frame,
				 struct group_ctx *p)
{
	__u32 units = units_of(skb, frame);
	fragment_key(skb, frame, p);
	p->key.number[1] = units;
	struct bucket *bucket = bucket_for(p);
	if (!bucket)
		return FLOW_TABLE_FULL;
	struct flow *passed = find_passed(p, bucket);
	__u32 judged = passed ? passed->number[0] : 0;
	if (units < judged || reaches_into_tcp(frame, units))
		return FRAGMENT_OVERLAP;
	__builtin_memcpy(p->query.remote, p->key.remote, sizeof(p->query.remote));
	p->query.scope = scope_bits(p->direction, frame->type == ETH_P_IPV6);
	p->query.length = ANY_RULE;
	p->judged_by = AS_FRAGMENT;
	if (!judged)
		return -1;
	return units >= passed->number[1] || remember(p, bucket) ? 0 : FLOW_TABLE_FULL;
}

/* Pass and note a later fragment before its first, which the rules allow. */
static __always_inline int pass_early(struct group_ctx *p)
{
	__u32 ifindex = p->key.ifindex;
	struct tracking *its = bpf_map_lookup_elem(&tracking, &ifindex);
	if (p->is_reversed && (!its || !gcra_allow(&its->fragments, NS_A_SECOND / EARLY_FRAGMENTS,
						  EARLY_AT_ONCE * NS_A_SECOND / EARLY_FRAGMENTS,
						  p->search.now)))
		return FRAGMENT_UNKNOWN;
	struct bucket *bucket = bucket_for(p);
	return bucket && remember(p, bucket) ? 0 : FLOW_TABLE_FULL;
}
