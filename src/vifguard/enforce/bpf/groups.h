/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/*
 * groups: the connections that the port may have, by docs/guards.md, `groups` and
 * "Connections"; the rules judge only packets that belong to no connection.
 */
#pragma once

#include "fragments.h"
#include "icmp_error.h"

#define AGAIN -1 /* judge the same packet once more */

/* IGMP (RFC 9776), the IPv4 twin of listener discovery. */
static __always_inline int is_membership(struct __sk_buff *skb, const struct frame *frame)
{
	__u8 type = 0;
	if (frame->hops != 1 || (bpf_ntohl(frame->destination.word[0]) & 0xf0000000) != 0xe0000000 ||
	    frame->upper + 8 > frame->end || bpf_skb_load_bytes(skb, frame->upper, &type, 1))
		return 0;
	return type == 0x11 || type == 0x12 || type == 0x16 || type == 0x17 || type == 0x22;
}

/* Packets that no rule should drop: DHCP, neighbour and listener discovery. */
static __always_inline int is_basic(struct __sk_buff *skb, const struct frame *frame,
				    __u32 direction)
{
	__u8 first = 0;
	if (frame->fragment)
		return 0;
	if (frame->protocol == IPPROTO_UDP) {
		__u16 from = bpf_ntohs(frame->source_port);
		__u16 to = bpf_ntohs(frame->destination_port);
		__u16 guest = direction == FROM_GUEST ? from : to;
		__u16 other = direction == FROM_GUEST ? to : from;
		return frame->type == ETH_P_IP ? guest == 68 && other == 67 :
						 guest == 546 && other == 547;
	}
	if (frame->type == ETH_P_IP)
		return frame->protocol == IGMP && is_membership(skb, frame);
	if (frame->protocol != ICMPV6)
		return 0;
	switch (frame->icmp_type) {
	case SOLICIT_ROUTER:
	case ADVERTISE_ROUTER:
	case SOLICIT:
	case ADVERTISE:
		return frame->hops == 255 && !frame->extensions;
	case 130: /* MLD, behind one hop-by-hop header */
	case 131:
	case 132:
	case 143:
		return frame->hops == 1 && frame->extensions == 1 &&
		       !bpf_skb_load_bytes(skb, ETH_HLEN + 6, &first, 1) && first == HOP_BY_HOP;
	}
	return 0;
}

/* The reason to drop a packet of a living connection; 0 where it belongs to it. */
static __noinline int update_flow(struct bucket *bucket, struct group_ctx *p)
{
	int lookup_established = 0;
	if (!lock(bucket))
		return FLOW_TABLE_FULL;
	struct flow *flow = find(&p->search, bucket, &p->key);
	if (flow) {
		lookup_established = 1;
		if (p->is_tcp) {
			__u32 opener = side_of_opener(flow);
			lookup_established = take_segment(flow, &p->segment, p->direction, p->search.now);
			/* The rules allowed its SYN a moment ago, but may do so no more. */
			if (side_of_opener(flow) != opener)
				*generation_at(bucket, slot_of(&p->search)) -= 1;
		} else {
			if (p->direction != side_of_opener(flow))
				flow->state = OPEN;
			refresh(flow, p->search.now);
		}
	}
	unlock(bucket);
	return lookup_established ? 0 : FLOW_INVALID;
}

static __noinline int take_replacing(struct group_ctx *p)
{
	struct bucket *bucket = bucket_for(p);
	return bucket ? update_flow(bucket, p) : FLOW_TABLE_FULL;
}

static __noinline int open_flow(struct group_ctx *p)
{
	struct bucket *bucket = bucket_for(p);
	if (!bucket)
		return FLOW_TABLE_FULL;
	if (p->is_tcp)
		open_with(&p->key, &p->segment, p->direction);
	refresh(&p->key, p->search.now);
	return insert_flow(&p->search, bucket, &p->key) ? 0 : FLOW_TABLE_FULL;
}

static __always_inline int judge_error(const struct group_ctx *p)
{
	if (p->key.protocol == IPPROTO_TCP && !is_sent(&p->found, p->sent_by & 1, p->sequence))
		return ICMP_UNRELATED;
	return 0;
}

/* Results of the look-up of a packet's connection, beside 0 and reasons. */
#define OPENS -1 /* it belongs to none, and may open one if the rules allow */
#define RECHECK -2 /* judge by the rules whether its connection may still live */
#define REPLACES -3 /* it belongs to one if the rules allow it to open another */

/* Whether a segment may be of a connection that the guard, new on the port, does not know. */
static __noinline int may_be_open(const struct group_ctx *p)
{
	__u32 ifindex = p->key.ifindex;
	if (p->judged_by != BY_FLOW || !p->is_tcp || !is_of_open(&p->segment))
		return 0;
	const struct tracking *its = bpf_map_lookup_elem(&tracking, &ifindex);
	return its && p->search.now < its->new_until;
}

/*
 * A global generation is raised by each change that may allow less. Then each connection is
 * judged once again at its next packet, and nobody walks the table.
 */
static __noinline int judge_by_flow(struct group_ctx *p)
{
	struct bucket *bucket = bucket_for(p);
	if (!bucket)
		return FLOW_TABLE_FULL;
	int opens = p->judged_by == BY_FLOW && (!p->is_tcp || may_open(&p->segment));
	int is_syn = opens && p->is_tcp && kind_of(&p->segment) == SYN;
	struct flow *flow = find(&p->search, bucket, &p->key);
	if (!flow || is_expired(flow, p->search.now)) {
		if (p->judged_by == AS_ERROR)
			return ICMP_UNRELATED;
		return opens || may_be_open(p) ? OPENS : FLOW_INVALID;
	}
	p->found = *flow;
	if (p->key.kind & OF_FRAGMENTS)
		return p->found.number[0] ? 0 : ICMP_UNRELATED;
	if (p->found.state == REVOKED) {
		if (p->judged_by == AS_ERROR)
			return ICMP_UNRELATED;
		if (is_syn)
			return OPENS;
		refresh(flow, p->search.now);
		return NOT_ALLOWED;
	}
	if (*generation_at(bucket, slot_of(&p->search)) != p->search.generation)
		return RECHECK;
	if (p->judged_by == AS_ERROR)
		return judge_error(p);
	if (is_syn && may_be_replaced(&p->found, &p->segment, p->direction))
		return OPENS;
	if (is_syn && asks_rules(&p->found, &p->segment, p->direction))
		return REPLACES;
	return update_flow(bucket, p);
}

/* The connection is of the present generation, or not at all: its packet is judged again. */
static __noinline int revalidate_flow(struct group_ctx *p, int lives)
{
	struct bucket *bucket = bucket_for(p);
	if (!bucket || !lock(bucket))
		return FLOW_TABLE_FULL;
	struct flow *flow = find(&p->search, bucket, &p->key);
	if (flow && lives) {
		*generation_at(bucket, slot_of(&p->search)) = p->search.generation;
	} else if (flow && flow->protocol == IPPROTO_TCP) {
		/* Forgotten, it would be picked up by the next ACK of the other side. */
		flow->state = REVOKED;
		refresh(flow, p->search.now);
	} else if (flow)
		set_tag(bucket, slot_of(&p->search), 0);
	unlock(bucket);
	return AGAIN;
}

/* A packet that no rule allows may be of a connection that the other side was allowed to open. */
static __always_inline int refuse(struct group_ctx *p, int said, int may_answer)
{
	int may_reverse = p->judged_by == AS_FRAGMENT ? may_answer : said == OPENS && may_be_open(p);
	if (may_reverse && !p->is_reversed) {
		p->is_reversed = 1;
		return AGAIN;
	}
	return p->judged_by == AS_FRAGMENT ? FRAGMENT_UNKNOWN : NOT_ALLOWED;
}

/* Open the connection, or pass the packet, that the rules allow. */
static __always_inline int open_what(struct group_ctx *p, int said)
{
	switch (p->judged_by) {
	case BY_RULES:
		return 0;
	case AS_FRAGMENT:
		return pass_early(p);
	}
	if (said == REPLACES)
		return take_replacing(p);
	if (p->is_reversed)
		p->key.bits ^= OPENED_FROM_OUTSIDE;
	return open_flow(p);
}

/* The only call of the rules, so that verifiers walk through them once. */
static __noinline int judge_group_ctx(struct group_ctx *p, const struct port_groups *groups)
{
	int said = p->judged_by == BY_FLOW || p->judged_by == AS_ANSWER || p->judged_by == AS_ERROR ? judge_by_flow(p) :
										    OPENS;
	if (said >= 0)
		return said;
	if (said == RECHECK)
		read_first(&p->found, &p->asked);
	else
		p->asked = p->query;
	if (said != RECHECK && p->is_reversed)
		reverse(&p->asked, &p->key, p->direction);
	int allowed = rules_allow(groups, &p->cursor, &p->asked);
	if (said == RECHECK)
		return revalidate_flow(p, allowed);
	if (!allowed)
		return refuse(p, said, groups->stateful && !is_to_many(&p->frame));
	return open_what(p, said);
}

static __always_inline enum judged_by judged_by_of(const struct frame *frame, int is_stateful)
{
	if (!is_stateful || is_to_many(frame))
		return BY_RULES;
	if (!is_icmp(frame))
		return BY_FLOW;
	if (is_icmp_error(frame))
		return AS_ERROR;
	if (is_icmp_reply(frame->protocol, frame->icmp_type))
		return AS_ANSWER;
	return is_icmp_request(frame->protocol, frame->icmp_type) ? BY_FLOW : BY_RULES;
}

/* The verdict on a packet without any rule, or a negative number. */
static __always_inline int read_packet(struct __sk_buff *skb, const struct frame *frame,
				       struct group_ctx *p, int is_stateful)
{
	if (frame->fragment & LATER)
		return read_later(skb, frame, p);
	if (frame->fragment & MORE && overlaps(skb, frame, p))
		return FRAGMENT_OVERLAP;
	read_group_ctx(skb, frame, p);
	p->judged_by = judged_by_of(frame, is_stateful);
	if (p->judged_by == AS_ERROR && (frame->fragment & MORE || !read_error(skb, frame, p)))
		return ICMP_UNRELATED;
	return -1;
}

/* A reason, 0, or AGAIN. */
static __noinline int groups(struct __sk_buff *skb, const struct port *port, struct group_ctx *p)
{
	const struct global_config *set = global_config();
	const struct frame *frame = &p->frame;
	__u32 policy = port->policy;

	if (frame->state != SOUND)
		return unreadable(frame);
	if (!set)
		return FLOW_TABLE_FULL;
	if (is_answer(skb, set)) {
		skb->mark = 0; /* at this interface alone */
		return 0;
	}
	if (is_basic(skb, frame, p->direction))
		return 0;
	p->search.now = time_of(set);
	p->key.ifindex = port->ifindex;
	/* Before any rule is read: a revocation meanwhile finds the older number. */
	p->search.generation = *(volatile __u32 *)&set->generation;
	const struct port_groups *groups = bpf_map_lookup_elem(&port_groups, &policy);
	if (!groups)
		return NOT_ALLOWED;
	int reason = read_packet(skb, frame, p, groups->stateful);
	if (reason < 0)
		reason = judge_group_ctx(p, groups);
	if (reason || (frame->fragment & (MORE | LATER)) != MORE || remember_first(skb, frame, p))
		return reason;
	/* Without an entry, a later one in its header is missed, except in the shortest ones. */
	return judged_of(frame) > SURELY_KEPT ? FLOW_TABLE_FULL : 0;
}
