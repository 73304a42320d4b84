/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/*
 * Events of a frame: a count and a record for a drop, the time and a record for the use of a
 * shared address, a record for a claim. Records are limited: a flood costs the reader nothing.
 */
#pragma once

#include "guards_l2.h"
#include "rate_limit.h"

#define SECOND 1000000000ULL
#define DROP_RECORDS 100 /* a second, port and direction, and as many at once */
#define CLAIM_RECORDS 20 /* a second and address, and as many at once */
#define WANT_RECORDS 2 /* a second and port */
#define WANTS_AT_ONCE 20

static __always_inline struct counts *counts_of(__u32 ifindex)
{
	struct counts *counts = bpf_map_lookup_elem(&counters, &ifindex);
	if (counts)
		return counts;
	struct counts none = {};
	bpf_map_update_elem(&counters, &ifindex, &none, BPF_NOEXIST);
	return bpf_map_lookup_elem(&counters, &ifindex);
}

static __noinline int record_drop(struct __sk_buff *skb, const struct port *port,
				  enum direction direction, __u32 objection)
{
	struct drop_record *record = bpf_ringbuf_reserve(&drops, sizeof(*record), 0);
	if (!record)
		return 0;
	__builtin_memset(record, 0, sizeof(*record));
	record->at = bpf_ktime_get_ns();
	record->ifindex = skb->ifindex;
	record->length = skb->len;
	if (port)
		__builtin_memcpy(record->id, port->id, sizeof(record->id));
	record->direction = direction;
	record->guard = objection >> 8;
	record->reason = objection;
	if (skb->vlan_present) {
		record->tag_type = bpf_ntohs(skb->vlan_proto);
		record->tag = skb->vlan_tci;
	}
	/* From 1 to CAPTURED, in a form that old verifiers understand. */
	__u32 last = (skb->len < CAPTURED ? skb->len : CAPTURED) - 1;
	asm volatile("" : "+r"(last));
	last &= CAPTURED - 1;
	if (!bpf_skb_load_bytes(skb, 0, record->head, last + 1))
		record->captured = last + 1;
	bpf_ringbuf_submit(record, 0);
	return 0;
}

/* Each direction has its own: frames of neighbours use up no records of the guest's. */
static __always_inline int is_recorded(struct counts *counts, enum direction direction,
				       __u32 objection)
{
	__u64 now = bpf_ktime_get_ns();
	if (objection & EXPECTED)
		return gcra_allow(&counts->expected[direction & 1], 60 * SECOND, 60 * SECOND, now);
	return gcra_allow(&counts->records[direction & 1], SECOND / DROP_RECORDS, SECOND, now);
}

static __noinline int drop(struct __sk_buff *skb, const struct port *port,
			   enum direction direction, __u32 objection)
{
	struct counts *counts = counts_of(skb->ifindex);
	if (!counts)
		return TC_ACT_SHOT;
	__u64 *frames = &counts->frames[direction & 1][objection >> 8 & 15];
	__sync_fetch_and_add(frames, 1);
	if ((port && port->flags & REPORT_ALL) || is_recorded(counts, direction, objection))
		record_drop(skb, port, direction, objection);
	return TC_ACT_SHOT;
}

/* The time of a use of an address, and that of the port's last use before. */
struct times {
	__u64 now, before;
};

static __noinline int record_claim(const struct port *port, const struct address *address,
				   const __u8 *mac, const struct times *times,
				   enum claim_kind kind)
{
	struct claim_record *record = bpf_ringbuf_reserve(&claims, sizeof(*record), 0);
	if (!record)
		return 0;
	record->at = times->now;
	record->seen_before = times->before;
	record->ifindex = port->ifindex;
	__builtin_memcpy(record->id, port->id, sizeof(record->id));
	record->address = *address;
	__builtin_memcpy(record->mac, mac, sizeof(record->mac));
	record->kind = kind;
	bpf_ringbuf_submit(record, 0);
	return 0;
}

/* Note that the port sent from `address`; with `mac`, that it claimed it to its neighbours. */
static __noinline int note_address_use(const struct port *port, const struct address *address, const __u8 *mac)
{
	struct address_state *state = state_of(port, address);
	if (state && state->kind == LEARNED)
		state->seen = bpf_ktime_get_ns();
	if (!state || state->kind != SHARED)
		return 0;
	struct times times = {bpf_ktime_get_ns(), state->seen};
	state->seen = times.now;
	if (mac && gcra_allow(&state->claims, SECOND / CLAIM_RECORDS, SECOND, times.now))
		record_claim(port, address, mac, &times, HOLDS);
	return 0;
}

/* Whether the guest may claim an address that a guard just found to be not the port's. */
static __noinline int claims_address(const struct port *port, const struct address *address,
				     const __u8 *mac)
{
	if (!may_claim(port, address))
		return 0;
	struct times times = {bpf_ktime_get_ns(), 0};
	__u64 *wants = arrival_at(&wanted, port->ifindex);
	if (wants && gcra_allow(wants, SECOND / WANT_RECORDS,
			  WANTS_AT_ONCE * (SECOND / WANT_RECORDS), times.now))
		record_claim(port, address, mac, &times, WANTS);
	return 1;
}

/* The reason of `nd` for an address that is not the port's: ND_CLAIM, if the guest may claim it. */
static __always_inline int claim(const struct port *port, const struct frame *frame,
				 const struct nd *nd, int reason)
{
	int by_source = (reason & 0xff) == ND_SOURCE;
	if (!by_source && (reason & 0xff) != ND_TARGET)
		return reason;
	if ((nd->type == ADVERTISE_ROUTER || nd->type == REDIRECT_ND) &&
	    !is_link_local(&frame->source))
		return reason;
	const struct address *address = by_source ? &frame->source : &nd->target;
	return claims_address(port, address, frame->from) ? ND_CLAIM : reason;
}

/* The same for a source that `ip` or `public-ip` drops; their reasons stay as they are. */
static __always_inline int claim_source(const struct port *port, const struct frame *frame,
					int reason)
{
	if ((reason & 0xff) == IPV6_SOURCE || (reason & 0xff) == PUBLIC_SOURCE)
		claims_address(port, &frame->source, frame->from);
	return reason;
}

/* Note a neighbour's answer to DAD for a tentative address, on its way to the guest. */
static __noinline int note_defence(struct __sk_buff *skb, const struct port *port,
				  const struct frame *frame)
{
	__u8 bytes[16];
	if (frame->type != ETH_P_IPV6 || frame->state != SOUND || frame->protocol != ICMPV6 ||
	    frame->icmp_type != ADVERTISE || frame->fragment || frame->hops != 255 ||
	    frame->upper + 24 > frame->end ||
	    bpf_skb_load_bytes(skb, frame->upper + 8, bytes, sizeof(bytes)))
		return 0;
	struct address target = ipv6(bytes);
	struct address_state *state = state_of(port, &target);
	struct times times = {bpf_ktime_get_ns(), 0};
	if (state && state->kind == TENTATIVE &&
	    gcra_allow(&state->claims, SECOND / CLAIM_RECORDS, SECOND, times.now))
		record_claim(port, &target, frame->from, &times, DEFENDED);
	return 0;
}

/* Note the shared address that an accepted frame uses, and a claim of it. */
static __noinline int note_frame_use(struct __sk_buff *skb, const struct port *port,
				const struct frame *frame, const struct nd *nd)
{
	struct arp arp;
	if (frame->type == ETH_P_ARP) {
		if (!read_arp(skb, &arp))
			return 0;
		struct address sender = ipv4(arp.sender), target = ipv4(arp.target);
		int tells = arp.operation == bpf_htons(2) || sender.word[0] == target.word[0];
		return note_address_use(port, &sender, tells ? arp.sender_mac : 0);
	}
	if ((frame->type != ETH_P_IP && frame->type != ETH_P_IPV6) || frame->state == MALFORMED)
		return 0;
	note_address_use(port, &frame->source, 0);
	if (nd->type == ADVERTISE && nd->sound)
		note_address_use(port, &nd->target, frame->from);
	return 0;
}
