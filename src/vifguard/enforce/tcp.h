/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/*
 * TCP as a port sees it (RFC 9293, RFC 5961, windows loosely): how far a connection comes by
 * a segment, and whether the segment belongs to it. docs/guards.md, "Connections".
 */
#pragma once

#include "flow.h"

#define FIN 1
#define SYN 2
#define RST 4
#define PSH 8
#define ACK 16
#define AHEAD (1U << 30)
#define BEHIND (1U << 16)

struct segment {
	__u32 sequence;
	__u32 acknowledged;
	__u32 flags;
};

static __always_inline int may_open(const struct segment *segment)
{
	__u32 flags = segment->flags & (SYN | ACK | RST | FIN);
	return flags == SYN || flags == ACK;
}

static __always_inline __u32 number_of(const struct flow *flow, __u32 side)
{
	return side ? flow->number[1] : flow->number[0];
}

static __always_inline int is_within(const struct flow *flow, __u32 side, __u32 sequence)
{
	__u32 distance = sequence - number_of(flow, side);
	return distance < AHEAD || distance >= -BEHIND;
}

/* Whether `number` is exactly what is known of a side. */
static __always_inline int hits(const struct flow *flow, __u32 side, __u32 number)
{
	return flow->bits & NUMBERED(side) && number_of(flow, side) == number;
}

static __always_inline void learn(struct flow *flow, __u32 side, __u32 number)
{
	if (side)
		flow->number[1] = number;
	else
		flow->number[0] = number;
	flow->bits |= NUMBERED(side);
}

/* Whether a sequence number can be of what a side sent (RFC 5927, 4.1). */
static __always_inline int is_sent(const struct flow *flow, __u32 side, __u32 sequence)
{
	if (flow->bits & ACKNOWLEDGED(side))
		return is_within(flow, side, sequence);
	return hits(flow, side, sequence + 1);
}

/* An RST while nothing of its sender was acknowledged. */
static __always_inline int resets_early(const struct flow *flow, const struct segment *segment,
					__u32 sender)
{
	__u32 receiver = sender ^ 1;
	int is_half_open = flow->state == HALF_OPEN;
	if (is_half_open && sender != side_of_opener(flow))
		return segment->flags & ACK && hits(flow, receiver, segment->acknowledged);
	return hits(flow, sender, segment->sequence) ||
	       (is_half_open && !(flow->bits & ACKNOWLEDGED(receiver)) &&
		hits(flow, receiver, segment->sequence));
}

static __always_inline int take_reset(struct flow *flow, const struct segment *segment,
				      __u32 sender, __u64 now)
{
	int is_known = flow->bits & ACKNOWLEDGED(sender), ends;
	if (is_known && !is_within(flow, sender, segment->sequence))
		return 0;
	ends = is_known ? hits(flow, sender, segment->sequence) :
			  resets_early(flow, segment, sender);
	if (ends) {
		flow->state = RESET;
		refresh(flow, now);
	}
	return ends || is_known;
}

/* SYN, with ACK or without. */
static __always_inline int take_syn(struct flow *flow, const struct segment *segment,
				    __u32 sender, __u64 now)
{
	__u32 receiver = sender ^ 1;
	int is_opener = sender == side_of_opener(flow);
	if (segment->flags & FIN)
		return 0;
	if (flow->state >= OPEN)
		return 1;
	if (segment->flags & ACK) {
		if (!hits(flow, receiver, segment->acknowledged) ||
		    (is_opener && flow->state == HALF_OPEN))
			return 0;
		flow->bits |= ACKNOWLEDGED(receiver);
	}
	if (!(flow->bits & ACKNOWLEDGED(sender)))
		learn(flow, sender, segment->sequence + 1);
	if (!is_opener)
		flow->state = ANSWERED;
	refresh(flow, now);
	return 1;
}

static __always_inline void advance(struct flow *flow, int is_opener, __u64 now)
{
	if (flow->state == RESET)
		return;
	if (flow->state == (is_opener ? ANSWERED : HALF_OPEN))
		flow->state = OPEN;
	if ((flow->bits & (FIN_SEEN(0) | FIN_SEEN(1))) == (FIN_SEEN(0) | FIN_SEEN(1)))
		flow->state = FINISHED;
	refresh(flow, now);
}

/* ACK, and perhaps FIN. */
static __always_inline int take_ack(struct flow *flow, const struct segment *segment,
				    __u32 sender, __u64 now)
{
	__u32 receiver = sender ^ 1, answerer = side_of_opener(flow) ^ 1;
	int is_opener = sender != answerer;
	if (segment->flags & FIN && (!(flow->bits & ACKNOWLEDGED(sender)) ||
				     !is_within(flow, sender, segment->sequence)))
		return 0;
	if (flow->state == HALF_OPEN && !(flow->bits & ACKNOWLEDGED(answerer))) {
		/* A challenge: the answerer knows the connection already (RFC 9293, 3.5.1). */
		if (is_opener || segment->flags & FIN)
			return 0;
		learn(flow, answerer, segment->acknowledged);
		refresh(flow, now);
		return 1;
	}
	if (!(flow->bits & ACKNOWLEDGED(receiver)) ||
	    segment->acknowledged - number_of(flow, receiver) < AHEAD) {
		learn(flow, receiver, segment->acknowledged);
		flow->bits |= ACKNOWLEDGED(receiver);
	}
	if (segment->flags & FIN)
		flow->bits |= FIN_SEEN(sender);
	advance(flow, is_opener, now);
	return 1;
}

/* Whether the segment belongs to the connection, which is then as far as it says. */
static __noinline int take_segment(struct flow *flow, const struct segment *segment, __u32 sender,
				   __u64 now)
{
	sender &= 1;
	if (segment->flags & RST)
		return take_reset(flow, segment, sender, now);
	if (segment->flags & SYN)
		return take_syn(flow, segment, sender, now);
	return segment->flags & ACK ? take_ack(flow, segment, sender, now) : 0;
}

/* What is known of a connection by the segment that opened it. */
static __always_inline void open_with(struct flow *flow, const struct segment *segment,
				      __u32 opener)
{
	if (segment->flags & SYN) {
		learn(flow, opener, segment->sequence + 1);
	} else {
		learn(flow, opener ^ 1, segment->acknowledged);
		flow->bits |= ACKNOWLEDGED(opener ^ 1);
	}
}
