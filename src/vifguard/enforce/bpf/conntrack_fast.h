/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/*
 * The fast path of groups: whether a packet belongs to an open connection and changes no more
 * of it than the numbers of both sides, and its end. It needs no rule. `packet` is an IP
 * packet without options, extensions and fragments; its headers are readable up to `end`.
 */
#pragma once

#include "tcp_state.h"

/* The slot of a connection; BUCKET_SLOTS where it is not there. */
static __always_inline __u32 find_open(const struct bucket *bucket, const struct flow *key,
				       __u16 tag, int is_ipv6)
{
#pragma unroll
	for (__u32 i = 0; i < BUCKET_SLOTS; i++) {
		const struct flow *flow = &bucket->flow[i];
		if (bucket->tag[i] != tag)
			continue;
		if (flow->ends != key->ends || flow->type != key->type)
			continue;
		if (is_ipv6 ? flow->local_half[0] == key->local_half[0] &&
				      flow->local_half[1] == key->local_half[1] &&
				      flow->remote_half[0] == key->remote_half[0] &&
				      flow->remote_half[1] == key->remote_half[1] :
			      flow->local[0] == key->local[0] && flow->remote[0] == key->remote[0])
			return i;
	}
	return BUCKET_SLOTS;
}

/*
 * TCP: an ACK, with data or without, of an open connection, that fits and is in the window; any
 * other goes the slow path. `bytes` of the segment, its header included.
 */
static __always_inline int tcp_fast_ack(struct flow *flow, const __u8 *upper, const __u8 *end,
					__u32 bytes, __u32 sender)
{
	__u32 receiver = sender ^ 1;

	if (upper + 20 > end)
		return 0;
	if ((upper[13] & (FIN | SYN | RST | ACK)) != ACK || flow->state != OPEN ||
	    flow->bits & (NOTED(0) | NOTED(1)))
		return 0;
	__u32 sequence = bpf_ntohl(*(const __u32 *)(upper + 4));
	__u32 number = bpf_ntohl(*(const __u32 *)(upper + 8));
	__u32 header = upper[12] >> 4 << 2;
	__u32 theirs = flow->number[receiver];
	__u32 in_flight = flow->sent[receiver] - theirs;
	if (number - theirs + BEHIND > in_flight + BEHIND ||
	    sequence - flow->number[sender] + BEHIND >= AHEAD + BEHIND)
		return 0;
	if (number != theirs && number - theirs <= in_flight)
		flow->number[receiver] = number;
	sequence += bytes > header ? bytes - header : 0;
	if ((__s32)(sequence - flow->sent[sender]) > 0)
		flow->sent[sender] = sequence;
	return 1;
}

/* Others: the first answer opens the connection, and goes the slow path. */
static __always_inline int is_known(const struct flow *flow, __u32 sender)
{
	return flow->state == OPEN || sender == side_of_opener(flow);
}

static __always_inline int lookup_established(const struct port *port, struct flow *key, const __u8 *upper,
				   const __u8 *end, __u32 bytes, __u32 sender, int is_ipv6)
{
	const struct global_config *set = global_config();
	if (!set)
		return 0;
	__u32 ports = *(const __u32 *)upper;
	key->ifindex = port->ifindex;
	key->ports = sender == FROM_GUEST ? ports : ports << 16 | ports >> 16;
	key->kind = is_ipv6 ? 6 : 4;
	__u64 hash = hash_of(set->seed, key, is_ipv6);
	struct bucket *bucket = bucket_of(index_of(set, hash));
	if (!bucket)
		return 0;
	__u32 place = find_open(bucket, key, tag_of(hash), is_ipv6);
	if (place == BUCKET_SLOTS)
		return 0;
	struct flow *flow = &bucket->flow[place];
	__u64 now = time_of(set);
	if (is_expired(flow, now) || bucket->generation[place] != set->generation)
		return 0;
	if (key->protocol == IPPROTO_TCP ? !tcp_fast_ack(flow, upper, end, bytes, sender) :
					   !is_known(flow, sender))
		return 0;
	refresh(flow, now);
	return 1;
}

/*
 * `packet`: IPv4, 20 bytes of header, no fragment, TCP or UDP whole as far as its header;
 * `bytes`: the length behind the IP header.
 */
static __noinline int fast_established4(const struct port *port, const __u8 *packet, const __u8 *end,
				   __u32 bytes, __u32 sender)
{
	struct flow key;
	const __u32 *addresses = (const __u32 *)(packet + 12);
	if (packet + 20 + 8 > end)
		return 0;
	key.local[0] = addresses[sender == FROM_GUEST ? 0 : 1];
	key.remote[0] = addresses[sender == FROM_GUEST ? 1 : 0];
	key.protocol = packet[9];
	return lookup_established(port, &key, packet + 20, end, bytes, sender, 0);
}

/* `packet`: IPv6 without extension headers. */
static __noinline int fast_established6(const struct port *port, const __u8 *packet, const __u8 *end,
				   __u32 bytes, __u32 sender)
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
	return lookup_established(port, &key, packet + 40, end, bytes, sender, 1);
}
