/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* A packet as the guard groups judges it: its connection's key, and the query to the rules. */
#pragma once

#include "guards_l2.h"
#include "conntrack_evict.h"
#include "rules.h"
#include "tcp_state.h"

/* The ways to judge a packet. */
enum judged_by { BY_RULES, BY_FLOW, AS_ANSWER, AS_ERROR, AS_FRAGMENT };

/* One packet on its way through this guard. Not on the stack, which is small. */
struct group_ctx {
	struct frame frame;
	struct flow key; /* of the connection; its other fields are a new one's initial values */
	struct flow found; /* the connection as it was found */
	struct rule_query query; /* of the packet to the rules */
	struct rule_query asked; /* ... or of the packet that opened the connection */
	struct segment segment;
	struct search search;
	struct rule_cursor cursor;
	__u32 direction;
	__u32 is_tcp;
	__u32 judged_by;
	__u32 is_reversed; /* the query is as if the other side had opened it */
	__u32 sent_by; /* of an error: the side that sent the quoted packet */
	__u32 sequence; /* ... and its sequence number */
};

/* The guards before this one leave the frame here, and the direction. */
MAP(passages, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct group_ctx, 1, 0);

/* [0]: the program that judges by groups. */
MAP(continuations, BPF_MAP_TYPE_PROG_ARRAY, __u32, __u32, 1, 0);

static __always_inline int has_ports(__u8 protocol)
{
	switch (protocol) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_DCCP:
	case IPPROTO_SCTP:
	case IPPROTO_UDPLITE:
		return 1;
	}
	return 0;
}

static __always_inline int is_icmp(const struct frame *frame)
{
	return frame->protocol == (frame->type == ETH_P_IP ? IPPROTO_ICMP : ICMPV6);
}

static __always_inline int is_icmp_error(const struct frame *frame)
{
	__u8 type = frame->icmp_type;
	if (frame->type == ETH_P_IP)
		return type == 3 || type == 4 || type == 11 || type == 12;
	return type >= 1 && type <= 4;
}

static __always_inline int is_icmp_request(__u8 protocol, __u8 type)
{
	return protocol == ICMPV6 ? type == 128 : type == 8 || type == 13;
}

static __always_inline int is_icmp_reply(__u8 protocol, __u8 type)
{
	return protocol == ICMPV6 ? type == 129 : type == 0 || type == 14;
}

static __always_inline int is_to_many(const struct frame *frame)
{
	__u32 word = frame->destination.word[0];
	if (frame->type == ETH_P_IPV6)
		return is_multicast6(&frame->destination);
	return word == 0xffffffff || (bpf_ntohl(word) & 0xf0000000) == 0xe0000000;
}

static __always_inline void swap_ends(__u32 *ports)
{
	*ports = *ports << 16 | *ports >> 16;
}

/* An echo's identifier, and its requester: 0 the guest, 1 the other side. */
static __always_inline __u32 echo_ports(__u16 identifier, int asked_by_guest)
{
	return identifier | (asked_by_guest ? 0 : (__u32)bpf_htons(1) << 16);
}

/* An ICMPv6 message may end within the identifier. */
static __always_inline __u16 identifier_of(struct __sk_buff *skb, const struct frame *frame)
{
	__u8 bytes[2] = {};
	__u32 at = frame->upper + 4;
	if (at + 2 <= frame->end)
		bpf_skb_load_bytes(skb, at, bytes, 2);
	else if (at + 1 <= frame->end)
		bpf_skb_load_bytes(skb, at, bytes + 1, 1);
	return bytes[0] | bytes[1] << 8;
}

/* The ports as they stand in the packet, source first; false where there are none. */
static __always_inline int read_ports(struct __sk_buff *skb, const struct frame *frame,
				      __u32 *ports)
{
	return has_ports(frame->protocol) && frame->upper + 4 <= frame->end &&
	       !bpf_skb_load_bytes(skb, frame->upper, ports, 4);
}

static __always_inline void read_segment(struct __sk_buff *skb, const struct frame *frame,
					 struct segment *segment)
{
	__be32 words[3] = {}; /* sequence, acknowledgement, offset with flags and window */
	bpf_skb_load_bytes(skb, frame->upper + 4, words, sizeof(words));
	__u32 rest = bpf_ntohl(words[2]), at = frame->upper + (rest >> 28 << 2);
	__u32 data = at < frame->end ? frame->end - at : 0;
	if (frame->fragment & MORE)
		data = BEHIND; /* or less: the other fragments decide */
	segment->sequence = bpf_ntohl(words[0]);
	segment->acknowledged = bpf_ntohl(words[1]);
	segment->flags = rest >> 16 & 0xff;
	segment->end = segment->sequence + data + !!(segment->flags & SYN) +
		       !!(segment->flags & FIN);
}

/* Read the packet's connection, and its query to the rules. */
static __noinline int read_group_ctx(struct __sk_buff *skb, const struct frame *frame,
				   struct group_ctx *p)
{
	int is_ipv6 = frame->type == ETH_P_IPV6, from_guest = p->direction == FROM_GUEST;
	const struct address *local = from_guest ? &frame->source : &frame->destination;
	const struct address *remote = from_guest ? &frame->destination : &frame->source;
	__u32 ports = 0;

	__builtin_memcpy(p->key.local, local->word, sizeof(p->key.local));
	__builtin_memcpy(p->key.remote, remote->word, sizeof(p->key.remote));
	__builtin_memcpy(p->query.remote, remote->word, sizeof(p->query.remote));
	p->key.protocol = p->query.protocol = frame->protocol;
	p->key.kind = is_ipv6 ? 6 : 4;
	p->key.state = HALF_OPEN;
	p->key.bits = from_guest ? 0 : OPENED_FROM_OUTSIDE;
	p->key.number[0] = p->key.number[1] = p->key.sent[0] = p->key.sent[1] = 0;
	p->query.scope = scope_bits(p->direction, is_ipv6);
	p->query.length = WITHOUT_FIELD;
	p->is_tcp = frame->protocol == IPPROTO_TCP;
	if (is_icmp(frame)) {
		int asked_by_guest = from_guest != is_icmp_reply(frame->protocol, frame->icmp_type);
		p->query.field = frame->icmp_type | frame->icmp_code << 8;
		p->query.length = WITH_FIELD;
		ports = echo_ports(identifier_of(skb, frame), asked_by_guest);
	} else if (read_ports(skb, frame, &ports)) {
		p->query.field = ports >> 16;
		p->query.length = WITH_FIELD;
		if (!from_guest)
			swap_ends(&ports);
	}
	p->key.ports = ports;
	if (p->is_tcp) {
		read_segment(skb, frame, &p->segment);
	} else if (p->query.length == WITH_FIELD) {
		p->key.number[0] = p->query.field;
		p->key.bits |= HAS_PORTS;
	}
	return 0;
}

static __always_inline __u64 hash_of_key(const struct global_config *global_config, const struct flow *key)
{
	return hash_of(global_config->seed, key, (key->kind & 15) == 6);
}

/* The bucket of `key`, NULL without a table. */
static __always_inline struct bucket *bucket_for(struct group_ctx *p)
{
	const struct global_config *set = global_config();
	if (!set)
		return 0;
	__u64 hash = hash_of_key(set, &p->key);
	p->search.tag = tag_of(hash);
	p->search.index = index_of(set, hash);
	return bucket_of(p->search.index);
}

/* Turn a query into that of a connection that the other side opened. */
static __always_inline void reverse(struct rule_query *rule_query, const struct flow *key,
				    __u32 direction)
{
	__u32 other = direction == FROM_GUEST ? TO_GUEST : FROM_GUEST;
	rule_query->scope = scope_bits(other, (key->kind & 15) == 6);
	rule_query->field = other == FROM_GUEST ? key->ports >> 16 : key->ports;
}

/* The query of the packet that opened a connection. */
static __always_inline void read_first(const struct flow *flow, struct rule_query *first)
{
	__u32 opener = side_of_opener(flow);
	__builtin_memcpy(first->remote, flow->remote, sizeof(first->remote));
	first->protocol = flow->protocol;
	first->scope = scope_bits(opener, flow->kind == 6);
	first->length = WITHOUT_FIELD;
	if (flow->protocol == IPPROTO_TCP) {
		first->field = opener == FROM_GUEST ? flow->ports >> 16 : flow->ports;
		first->length = WITH_FIELD;
	} else if (flow->bits & HAS_PORTS) {
		first->field = flow->number[0];
		first->length = WITH_FIELD;
	}
}
