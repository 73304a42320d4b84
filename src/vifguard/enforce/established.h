/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/*
 * The fast path of groups: whether a packet belongs to an open connection and changes no
 * more of it than what the other side has acknowledged, and how long it lives. It asks no
 * rule. `packet` is an IP packet without options, extensions and fragments; its other end's
 * headers are read as far as `end`.
 */
#pragma once

#include "tcp.h"

/* The place of a connection's tag; PLACES where it is not there. */
static __always_inline struct flow *find_open(struct bucket *bucket, const struct flow *key,
					      __u32 tag, int is_ipv6)
{
#pragma unroll
	for (__u32 i = 0; i < PLACES; i++) {
		struct flow *flow = &bucket->flow[i];
		if (bucket->tag[i] != tag)
			continue;
		if (flow->ends != key->ends || flow->type != key->type)
			continue;
		if (is_ipv6 ? flow->local_half[0] == key->local_half[0] &&
				      flow->local_half[1] == key->local_half[1] &&
				      flow->remote_half[0] == key->remote_half[0] &&
				      flow->remote_half[1] == key->remote_half[1] :
			      flow->local[0] == key->local[0] && flow->remote[0] == key->remote[0])
			return flow;
	}
	return 0;
}

/* TCP: an ACK, with data or without, of an open connection. */
static __always_inline int acknowledges(struct flow *flow, const __u8 *upper, const __u8 *end,
					__u32 sender)
{
	__u32 receiver = sender ^ 1;

	if (upper + 20 > end)
		return 0;
	__u32 number = bpf_ntohl(*(const __u32 *)(upper + 8));
	if ((upper[13] & (FIN | SYN | RST | ACK)) != ACK || flow->state != OPEN ||
	    !(flow->bits & ACKNOWLEDGED(receiver)))
		return 0;
	if (number - flow->number[receiver] < AHEAD)
		flow->number[receiver] = number;
	return 1;
}

/* Others: the first answer opens it, and is not for here. */
static __always_inline int is_known(const struct flow *flow, __u32 sender)
{
	return flow->state == OPEN || sender == side_of_opener(flow);
}

static __always_inline int belongs(const struct port *port, struct flow *key, const __u8 *upper,
				   const __u8 *end, __u32 sender, int is_ipv6)
{
	const struct setting *set = setting();
	if (!set)
		return 0;
	__u32 ports = *(const __u32 *)upper;
	key->ifindex = port->ifindex;
	key->ports = sender == FROM_GUEST ? ports : ports << 16 | ports >> 16;
	key->kind = is_ipv6 ? 6 : 4;
	__u64 hash = hash_of(set->seed, key, is_ipv6);
	struct bucket *bucket = bucket_of(set, hash);
	if (!bucket)
		return 0;
	struct flow *flow = find_open(bucket, key, tag_of(hash), is_ipv6);
	__u64 now = time_of(set);
	if (!flow || is_over(flow, now) || flow->generation != set->generation)
		return 0;
	if (key->protocol == IPPROTO_TCP ? !acknowledges(flow, upper, end, sender) :
					   !is_known(flow, sender))
		return 0;
	refresh(flow, now);
	return 1;
}

/* `packet`: IPv4, 20 bytes of header, no fragment, TCP or UDP whole as far as its header. */
static __noinline int established4(const struct port *port, const __u8 *packet, const __u8 *end,
				   __u32 sender)
{
	struct flow key;
	const __u32 *addresses = (const __u32 *)(packet + 12);
	if (packet + 20 + 8 > end)
		return 0;
	key.local[0] = addresses[sender == FROM_GUEST ? 0 : 1];
	key.remote[0] = addresses[sender == FROM_GUEST ? 1 : 0];
	key.protocol = packet[9];
	return belongs(port, &key, packet + 20, end, sender, 0);
}

/* `packet`: IPv6 without extension headers. */
static __noinline int established6(const struct port *port, const __u8 *packet, const __u8 *end,
				   __u32 sender)
{
	struct flow key;
	if (packet + 40 + 8 > end)
		return 0;
	const __u64 *addresses = (const __u64 *)(packet + 8);
	const __u64 *local = addresses + (sender == FROM_GUEST ? 0 : 2);
	const __u64 *remote = addresses + (sender == FROM_GUEST ? 2 : 0);
	key.local_half[0] = local[0];
	key.local_half[1] = local[1];
	key.remote_half[0] = remote[0];
	key.remote_half[1] = remote[1];
	key.protocol = packet[6];
	return belongs(port, &key, packet + 40, end, sender, 1);
}
