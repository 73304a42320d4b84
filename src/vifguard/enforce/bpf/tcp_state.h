/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/*
 * TCP at a port: the state of a connection after a segment, and whether the segment belongs to
 * it, by docs/guards.md, "TCP connections".
 *
 * All known numbers of a side are counted from its acknowledged number. Of a side that sent
 * nothing, and only got a SYN, `number` is that of a challenge to the opener, or the opener's
 * own: an RST may match either.
 */
#pragma once

#include "conntrack.h"

#define FIN 1
#define SYN 2
#define RST 4
#define PSH 8
#define ACK 16
#define AHEAD (1U << 30)
#define BEHIND (1U << 16)
#define BOTH_ACKNOWLEDGED (ACKNOWLEDGED(0) | ACKNOWLEDGED(1))

struct segment {
	__u32 sequence;
	__u32 acknowledged;
	__u32 flags;
	__u32 end; /* the number behind its last octet, SYN and FIN counted */
};

static __always_inline __u32 kind_of(const struct segment *segment)
{
	return segment->flags & (SYN | ACK | RST | FIN);
}

static __always_inline int may_open(const struct segment *segment)
{
	return kind_of(segment) == SYN || kind_of(segment) == ACK;
}

/* Whether a segment may be of any connection that is open. */
static __always_inline int is_of_open(const struct segment *segment)
{
	return (kind_of(segment) & ~FIN) == ACK;
}

/* Indexing by a variable would put the flow's copies on the stack out of reach. */
static __always_inline __u32 number_of(const struct flow *flow, __u32 side)
{
	return side ? flow->number[1] : flow->number[0];
}

static __always_inline __u32 sent_of(const struct flow *flow, __u32 side)
{
	return side ? flow->sent[1] : flow->sent[0];
}

static __always_inline void set_number(struct flow *flow, __u32 side, __u32 number)
{
	if (side)
		flow->number[1] = number;
	else
		flow->number[0] = number;
}

static __always_inline void set_sent(struct flow *flow, __u32 side, __u32 sent)
{
	if (side)
		flow->sent[1] = sent;
	else
		flow->sent[0] = sent;
}

/* Begin a side with these numbers, and nothing else known of it. */
static __always_inline void begin(struct flow *flow, __u32 side, __u32 number, __u32 sent)
{
	set_number(flow, side, number);
	set_sent(flow, side, sent);
	flow->bits &= ~(ACKNOWLEDGED(side) | FIN_SEEN(side) | NOTED(side));
}

static __always_inline __u32 ahead(const struct flow *flow, __u32 side, __u32 sequence)
{
	return sequence - number_of(flow, side);
}

static __always_inline __u32 in_flight(const struct flow *flow, __u32 side)
{
	return flow->bits & NOTED(side) ? 0 : ahead(flow, side, sent_of(flow, side));
}

static __always_inline int is_within(const struct flow *flow, __u32 side, __u32 sequence)
{
	return ahead(flow, side, sequence) + BEHIND < AHEAD + BEHIND;
}

/* Whether a number is of octets that are or were on their way, up to `behind` the first. */
static __always_inline int is_on_its_way(const struct flow *flow, __u32 side, __u32 number,
					 __u32 behind)
{
	return ahead(flow, side, number) + behind <= in_flight(flow, side) + behind;
}

/* Whether a side can have sent a sequence number (RFC 5927, 4.1). */
static __always_inline int is_sent(const struct flow *flow, __u32 side, __u32 sequence)
{
	int is_asked = flow->state == HALF_OPEN && side != side_of_opener(flow);
	if (is_asked || flow->state == RESET)
		return 0;
	return is_on_its_way(flow, side, sequence, flow->bits & ACKNOWLEDGED(side) ? BEHIND : 1);
}

/* Whether the other side may acknowledge this (RFC 5961, 5.2). */
static __always_inline int fits(const struct flow *flow, __u32 side, __u32 number)
{
	return is_on_its_way(flow, side, number, flow->bits & ACKNOWLEDGED(side) ? BEHIND : 0);
}

/* Whether the other side may be the first to acknowledge this, of a picked up connection. */
static __always_inline int is_near(const struct flow *flow, __u32 side, __u32 number)
{
	return !(flow->bits & ACKNOWLEDGED(side)) &&
	       ahead(flow, side, number) + BEHIND <= in_flight(flow, side) + 2 * BEHIND;
}

/* Note that the other side has all octets before a number that fits. */
static __always_inline void acknowledge(struct flow *flow, __u32 side, __u32 number)
{
	if (ahead(flow, side, number) <= in_flight(flow, side)) {
		set_number(flow, side, number);
		flow->bits |= ACKNOWLEDGED(side);
	}
}

/* Note the end of a side's segment in the window. */
static __always_inline void reach(struct flow *flow, __u32 side, __u32 end)
{
	__u32 before = in_flight(flow, side), now = ahead(flow, side, end);
	if (now > before && now < 1U << 31)
		before = now;
	set_sent(flow, side, number_of(flow, side) + before);
	flow->bits &= ~NOTED(side);
}

/* Whether a number is a side's acknowledged one, or the one behind all that it sent. */
static __always_inline int matches_exactly(const struct flow *flow, __u32 side, __u32 number)
{
	__u32 distance = ahead(flow, side, number);
	return !distance || distance == in_flight(flow, side);
}

/* Whether an RST ends a connection while nothing of its sender was acknowledged. */
static __always_inline int resets_early(const struct flow *flow, const struct segment *segment,
					__u32 sender)
{
	__u32 receiver = sender ^ 1;
	int is_half_open = flow->state == HALF_OPEN;
	if (is_half_open && sender != side_of_opener(flow))
		return segment->flags & ACK && fits(flow, receiver, segment->acknowledged);
	return ahead(flow, sender, segment->sequence) <= in_flight(flow, sender) ||
	       (is_half_open && number_of(flow, receiver) == segment->sequence);
}

static __always_inline int take_reset(struct flow *flow, const struct segment *segment,
				      __u32 sender, __u64 now)
{
	int is_known = flow->bits & ACKNOWLEDGED(sender), ends;
	if (is_known && !is_within(flow, sender, segment->sequence))
		return 0;
	ends = is_known ? matches_exactly(flow, sender, segment->sequence) :
			  resets_early(flow, segment, sender);
	if (ends) {
		flow->state = RESET;
		refresh(flow, now);
	} else if (is_known &&
		   ahead(flow, sender, segment->sequence) < in_flight(flow, sender)) {
		__u32 soon = end_of(IPPROTO_TCP, RESET, now);
		if (soon < flow->expires)
			flow->expires = soon;
	}
	return ends || is_known;
}

/* Set the state of a connection by the FINs that were seen. */
static __always_inline void close(struct flow *flow)
{
	int first = flow->bits & FIN_SEEN(0), second = flow->bits & FIN_SEEN(1);
	if ((first && in_flight(flow, 0)) || (second && in_flight(flow, 1)))
		flow->state = CLOSING;
	else if (first || second)
		flow->state = first && second ? FINISHED : HALF_CLOSED;
}

/* Set the state of a connection by acknowledgements and FINs. */
static __always_inline void advance(struct flow *flow, __u64 now)
{
	if (flow->state < OPEN && (flow->bits & BOTH_ACKNOWLEDGED) == BOTH_ACKNOWLEDGED)
		flow->state = OPEN;
	if (flow->state >= OPEN)
		close(flow);
	refresh(flow, now);
}

static __always_inline int is_begun(const struct flow *flow)
{
	return flow->state == HALF_OPEN || flow->state == ANSWERED;
}

/* Whether a SYN is an old one of this very connection. */
static __always_inline int is_late(const struct flow *flow, const struct segment *segment,
				   __u32 sender)
{
	return flow->bits & ACKNOWLEDGED(sender) &&
	       ahead(flow, sender, segment->sequence + 1) + BEHIND <= BEHIND;
}

/* Whether a new connection may begin in the place of one, by a SYN. */
static __always_inline int may_be_replaced(const struct flow *flow, const struct segment *segment,
					   __u32 sender)
{
	return flow->state >= FINISHED &&
	       !(flow->state == FINISHED && is_late(flow, segment, sender));
}

/* Whether the rules must allow a segment though it is of this connection. */
static __always_inline int asks_rules(const struct flow *flow, const struct segment *segment,
				      __u32 sender)
{
	__u32 opener = side_of_opener(flow);
	return kind_of(segment) == SYN && !is_begun(flow) && sender != opener &&
	       !(flow->bits & NOTED(opener));
}

/* Begin the new connection that the receiver's noted SYN opened and both sides agree on. */
static __always_inline void begin_anew(struct flow *flow, const struct segment *segment,
				       __u32 sender, __u64 now)
{
	__u32 receiver = sender ^ 1;
	int are_both = flow->bits & NOTED(sender);
	begin(flow, receiver, sent_of(flow, receiver), segment->acknowledged);
	flow->bits |= ACKNOWLEDGED(receiver);
	begin(flow, sender, segment->sequence + 1, segment->end);
	if (!are_both) {
		flow->bits &= ~OPENED_FROM_OUTSIDE;
		if (receiver == TO_GUEST)
			flow->bits |= OPENED_FROM_OUTSIDE;
	}
	flow->state = ANSWERED;
	refresh(flow, now);
}

static __always_inline void set_syn_sequence(struct flow *flow, const struct segment *segment,
				      __u32 sender)
{
	__u32 number = segment->sequence + 1;
	int is_opener = sender == side_of_opener(flow);
	int is_again = (is_opener || flow->state == ANSWERED) && number_of(flow, sender) == number;
	if (flow->bits & ACKNOWLEDGED(sender))
		return;
	if (!is_opener)
		flow->state = ANSWERED;
	if (is_again) {
		reach(flow, sender, segment->end);
		return;
	}
	begin(flow, sender, number, segment->end);
	if (flow->state == HALF_OPEN)
		set_number(flow, sender ^ 1, number);
}

/* SYN, with ACK or without. */
static __always_inline int take_syn(struct flow *flow, const struct segment *segment,
				    __u32 sender, __u64 now)
{
	__u32 receiver = sender ^ 1;
	int is_answer = segment->flags & ACK;
	if (is_answer && flow->bits & NOTED(receiver) &&
	    segment->acknowledged - sent_of(flow, receiver) < BEHIND) {
		begin_anew(flow, segment, sender, now);
		return 1;
	}
	if (!is_begun(flow) || (!is_answer && flow->bits & ACKNOWLEDGED(sender))) {
		if (!is_answer && !is_late(flow, segment, sender)) {
			set_sent(flow, sender, segment->sequence + 1);
			flow->bits |= NOTED(sender);
		}
		return 1;
	}
	if (is_answer) {
		if (ahead(flow, receiver, segment->acknowledged) > in_flight(flow, receiver) ||
		    (sender == side_of_opener(flow) && flow->state == HALF_OPEN))
			return 0;
		acknowledge(flow, receiver, segment->acknowledged);
	}
	set_syn_sequence(flow, segment, sender);
	advance(flow, now);
	return 1;
}

/* An ACK while nothing but the opener's SYN was seen (RFC 9293, 3.5.1). */
static __always_inline int take_challenge(struct flow *flow, const struct segment *segment,
					  __u32 sender, __u64 now)
{
	if (sender == side_of_opener(flow) || segment->flags & FIN)
		return 0;
	set_number(flow, sender, segment->acknowledged);
	refresh(flow, now);
	return 1;
}

/* ACK, and perhaps FIN. */
static __always_inline int take_ack(struct flow *flow, const struct segment *segment,
				    __u32 sender, __u64 now)
{
	__u32 receiver = sender ^ 1;
	if (flow->state == HALF_OPEN)
		return take_challenge(flow, segment, sender, now);
	int is_in_window = is_within(flow, sender, segment->sequence);
	if (segment->flags & FIN && !is_in_window)
		return 0;
	if (flow->state == PICKED_UP && is_near(flow, receiver, segment->acknowledged)) {
		reach(flow, receiver, segment->acknowledged);
		set_number(flow, receiver, segment->acknowledged);
		flow->bits |= ACKNOWLEDGED(receiver);
	}
	if (!fits(flow, receiver, segment->acknowledged))
		return 1;
	acknowledge(flow, receiver, segment->acknowledged);
	if (is_in_window)
		reach(flow, sender, segment->end);
	if (segment->flags & FIN)
		flow->bits |= FIN_SEEN(sender);
	advance(flow, now);
	return 1;
}

/* Whether the segment belongs to the connection, whose state it then changes. */
static __noinline int take_segment(struct flow *flow, const struct segment *segment, __u32 sender,
				   __u64 now)
{
	sender &= 1;
	__u32 kind = segment->flags & (SYN | FIN | RST);
	if (kind & (kind - 1) || !(segment->flags & (SYN | RST | ACK)))
		return 0;
	if (kind == SYN)
		return take_syn(flow, segment, sender, now);
	if (flow->state == RESET)
		return 1;
	return kind == RST ? take_reset(flow, segment, sender, now) :
			     take_ack(flow, segment, sender, now);
}

/* Set the state of a connection by the segment that opened it. */
static __always_inline void open_with(struct flow *flow, const struct segment *segment,
				      __u32 opener)
{
	__u32 other = opener ^ 1;
	if (segment->flags & SYN) {
		begin(flow, opener, segment->sequence + 1, segment->end);
		begin(flow, other, segment->sequence + 1, segment->sequence + 1);
		return;
	}
	flow->state = PICKED_UP;
	begin(flow, opener, segment->sequence, segment->end);
	begin(flow, other, segment->acknowledged, segment->acknowledged);
	flow->bits |= ACKNOWLEDGED(other);
	if (segment->flags & FIN)
		flow->bits |= FIN_SEEN(opener);
}
