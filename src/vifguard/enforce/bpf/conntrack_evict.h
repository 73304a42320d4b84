/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/*
 * Eviction in the table of connections: the slot that a new flow takes. The reasons are in
 * docs/guards.md, "Connections".
 *
 * A port's share of the table is counted in the eight buckets around the new flow's, which no
 * port can choose: one that fills the table has more there than others.
 */
#pragma once

#include "conntrack.h"

#define NEIGHBOURS 8

/* The order of eviction of living flows: ended, then opening or closing, then open ones. */
enum rank { OPENED = 1, TRANSITORY, ENDED };

#define RANK_BITS 30
#define SHARE_BITS 22
#define LONGEST_IDLE ((1U << SHARE_BITS) - 1)

static __always_inline enum rank rank_of(const struct flow *flow)
{
	/* A revoked flow stays revoked only while it is in the table. */
	if (flow->state >= FINISHED && flow->state != REVOKED)
		return ENDED;
	return flow->state == OPEN || flow->state == HALF_CLOSED ? OPENED : TRANSITORY;
}

/* Ticks since the flow's last packet. */
static __always_inline __u32 idle(const struct flow *flow, __u64 now)
{
	__u32 end = flow->kind & OF_FRAGMENTS ? end_of_fragments(flow->kind, now) :
						end_of(flow->protocol, flow->state, now);
	__u32 ticks = end - flow->expires;
	return ticks < LONGEST_IDLE ? ticks : LONGEST_IDLE;
}

/* The flow with the highest score gives its slot to the new one; 0: never. */
static __always_inline __u32 eviction_score(const struct flow *flow, __u32 count, __u32 own, int is_own,
				   __u64 now)
{
	enum rank rank = rank_of(flow);
	__u32 share = 0;
	if (rank != ENDED) {
		if (!is_own && count <= own)
			return 0;
		/* An own flow before one of a port that has one more, and behind two more. */
		share = 2 * count + (is_own ? 3 : 0);
	}
	return (__u32)rank << RANK_BITS | share << SHARE_BITS | idle(flow, now);
}

/* Add up the living flows in a bucket of each slot's port, and of the new flow's. */
static __noinline int count_in(struct search *search, const struct bucket *bucket, __u32 index,
			       __u32 ifindex)
{
	const struct bucket *near = bucket_of(index);
	if (!near)
		return 0;
	for (__u32 i = 0; i < BUCKET_SLOTS; i++) {
		const struct flow *flow = &near->flow[i];
		if (!near->tag[i] || is_expired(flow, search->now))
			continue;
		__u32 whose = flow->ifindex;
		search->own += whose == ifindex;
#pragma unroll
		for (__u32 j = 0; j < BUCKET_SLOTS; j++)
			search->count[j] += whose == bucket->flow[j].ifindex;
	}
	return 0;
}

/* The same in all buckets nearby; a small table has fewer. */
static __always_inline void count_near(struct search *search, const struct bucket *bucket,
				       __u32 ifindex)
{
	search->own = 0;
#pragma unroll
	for (__u32 i = 0; i < BUCKET_SLOTS; i++)
		search->count[i] = 0;
	for (__u32 i = 0; i < NEIGHBOURS; i++)
		count_in(search, bucket, (search->index & ~(NEIGHBOURS - 1)) + i, ifindex);
}

/* Choose the slot of a new flow, BUCKET_SLOTS: none. */
static __noinline int choose_slot(struct search *search, const struct bucket *bucket, __u32 ifindex)
{
	volatile struct search *chosen = search;
	for (__u32 i = 0; i < BUCKET_SLOTS; i++) {
		if (!bucket->tag[i] || is_expired(&bucket->flow[i], search->now)) {
			chosen->place = i;
			return 0;
		}
	}
	count_near(search, bucket, ifindex);
	chosen->best = 0;
	chosen->place = BUCKET_SLOTS;
	for (__u32 i = 0; i < BUCKET_SLOTS; i++) {
		const struct flow *flow = &bucket->flow[i];
		__u32 its = eviction_score(flow, chosen->count[i], chosen->own, flow->ifindex == ifindex,
				  search->now);
		if (its > chosen->best) {
			chosen->best = its;
			chosen->place = i;
		}
	}
	return 0;
}

/*
 * Put a flow into a locked bucket, in place of an older one with the same key; false when no
 * slot may be taken. The tag is cleared first and set last: nobody reads a flow half written.
 */
static __noinline int take_slot(struct search *search, struct bucket *bucket, const struct flow *flow)
{
	if (!find(search, bucket, flow))
		choose_slot(search, bucket, flow->ifindex);
	__u32 place = slot_of(search);
	struct flow *to = flow_at(bucket, place);
	if (to) {
		set_tag(bucket, place, 0);
		*to = *flow;
		*generation_at(bucket, place) = search->generation;
		set_tag(bucket, place, search->tag);
	}
	return to != 0;
}

/* Lock the bucket, and put a flow into it. */
static __noinline int insert_flow(struct search *search, struct bucket *bucket, const struct flow *flow)
{
	if (!lock(bucket))
		return 0;
	int is_placed = take_slot(search, bucket, flow);
	unlock(bucket);
	return is_placed;
}
