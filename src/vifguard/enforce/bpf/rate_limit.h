/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* Rates, and the guard that is one: storm. */
#pragma once

#include "ownership.h"

/*
 * Generic cell rate algorithm on one word, the theoretical arrival time of the next frame:
 * no lock, no timer. A frame that loses the race eight times is part of a flood.
 */
static __always_inline int gcra_allow(__u64 *arrival, __u64 interval, __u64 limit, __u64 now)
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

/* The arrival time in a map that is keyed by interface; 0, which is full, where there is none. */
static __always_inline __u64 *arrival_at(void *map, __u32 ifindex)
{
	__u64 full = 0;
	__u64 *arrival = bpf_map_lookup_elem(map, &ifindex);
	if (arrival)
		return arrival;
	bpf_map_update_elem(map, &ifindex, &full, BPF_NOEXIST);
	return bpf_map_lookup_elem(map, &ifindex);
}

/* storm: broadcast and multicast at the port's rate. The bucket survives policy changes. */
static __noinline int storm(const struct port *port, const struct frame *frame)
{
	if (!is_group(frame->to))
		return 0;
	__u64 *arrival = arrival_at(&buckets, port->ifindex);
	if (arrival && gcra_allow(arrival, port->storm_interval, port->storm_limit, bpf_ktime_get_ns()))
		return 0;
	return STORM_RATE;
}
