/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/*
 * What is told of a frame: a count and a record for a drop, the time and a record for the
 * use of a watched address. Records are limited, so that a flood costs the reader nothing.
 */
#pragma once

#include "link.h"
#include "rate.h"

#define SECOND 1000000000ULL
#define DROP_RECORDS 100 /* a second and port, and as many at once */
#define CLAIM_RECORDS 20 /* a second and address, and as many at once */

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

static __noinline int drop(struct __sk_buff *skb, const struct port *port,
			   enum direction direction, __u32 objection)
{
	struct counts *counts = counts_of(skb->ifindex);
	if (!counts)
		return TC_ACT_SHOT;
	__u64 *frames = &counts->frames[direction & 1][objection >> 8 & 15];
	__sync_fetch_and_add(frames, 1);
	if ((port && port->flags & REPORT_ALL) ||
	    draw(&counts->records, SECOND / DROP_RECORDS, SECOND, bpf_ktime_get_ns()))
		record_drop(skb, port, direction, objection);
	return TC_ACT_SHOT;
}

static __noinline int record_claim(const struct port *port, const struct address *address,
				   const __u8 *mac, __u64 seen_before, __u64 now)
{
	struct claim_record *record = bpf_ringbuf_reserve(&claims, sizeof(*record), 0);
	if (!record)
		return 0;
	record->at = now;
	record->seen_before = seen_before;
	record->ifindex = port->ifindex;
	__builtin_memcpy(record->id, port->id, sizeof(record->id));
	record->address = *address;
	__builtin_memcpy(record->mac, mac, sizeof(record->mac));
	record->zero = 0;
	bpf_ringbuf_submit(record, 0);
	return 0;
}

/* The port sent from `address`; with `mac`, it told its neighbours so. */
static __noinline int saw(const struct port *port, const struct address *address, const __u8 *mac)
{
	struct address_state *state = state_of(port, address);
	if (!state || !state->watched)
		return 0;
	__u64 now = bpf_ktime_get_ns(), before = state->seen;
	state->seen = now;
	if (mac && draw(&state->claims, SECOND / CLAIM_RECORDS, SECOND, now))
		record_claim(port, address, mac, before, now);
	return 0;
}

/* Which watched address an accepted frame uses, and whether it claims it. */
static __noinline int saw_frame(struct __sk_buff *skb, const struct port *port,
				const struct frame *frame, const struct nd *nd)
{
	struct arp arp;
	if (frame->type == ETH_P_ARP) {
		if (!read_arp(skb, &arp))
			return 0;
		struct address sender = ipv4(arp.sender), target = ipv4(arp.target);
		int tells = arp.operation == bpf_htons(2) || sender.word[0] == target.word[0];
		return saw(port, &sender, tells ? arp.sender_mac : 0);
	}
	if ((frame->type != ETH_P_IP && frame->type != ETH_P_IPV6) || frame->state == MALFORMED)
		return 0;
	saw(port, &frame->source, 0);
	if (nd->type == ADVERTISE && nd->sound)
		saw(port, &nd->target, frame->from);
	return 0;
}
