/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/*
 * groups: who may talk with the port. docs/guards.md, `groups` and "Connections", is what
 * this does; a rule is asked only by what belongs to no connection.
 */
#pragma once

#include "quoted.h"

#define FRAGMENT_SECONDS 30
#define AGAIN -1 /* judge the same packet once more */

/* What no rule should cut a machine from: DHCP, neighbour and listener discovery. */
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
	if (frame->type != ETH_P_IPV6 || frame->protocol != ICMPV6)
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

static __always_inline __u64 hash_of_key(const struct setting *setting, const struct flow *key)
{
	return hash_of(setting->seed, key, (key->kind & 15) == 6);
}

/* The bucket of what `key` names, NULL for a table that is not there. */
static __always_inline struct bucket *bucket_for(struct passage *p)
{
	const struct setting *set = setting();
	if (!set)
		return 0;
	p->hash = hash_of_key(set, &p->key);
	return bucket_of(set, p->hash);
}

/* What becomes of a packet of a living connection; 0 for what belongs to it. */
static __noinline int take(struct bucket *bucket, struct passage *p)
{
	int belongs = 0;
	if (!lock(bucket))
		return FLOW_TABLE_FULL;
	struct flow *flow = find(&p->choice, bucket, &p->key, tag_of(p->hash));
	if (flow) {
		belongs = 1;
		if (p->is_tcp) {
			belongs = take_segment(flow, &p->segment, p->direction, p->now);
		} else {
			if (p->direction != side_of_opener(flow))
				flow->state = OPEN;
			refresh(flow, p->now);
		}
	}
	unlock(bucket);
	return belongs ? 0 : FLOW_INVALID;
}

static __noinline int open_flow(struct passage *p)
{
	struct bucket *bucket = bucket_for(p);
	if (!bucket)
		return FLOW_TABLE_FULL;
	if (p->is_tcp)
		open_with(&p->key, &p->segment, p->direction);
	refresh(&p->key, p->now);
	return put(&p->choice, bucket, &p->key, tag_of(p->hash), p->now) ? 0 : FLOW_TABLE_FULL;
}

static __always_inline int judge_error(const struct passage *p)
{
	if (p->key.protocol == IPPROTO_TCP && !is_sent(&p->found, p->sent_by & 1, p->sequence))
		return ICMP_UNRELATED;
	return 0;
}

/* What a connection says of a packet, beside 0 and reasons. */
#define OPENS -1 /* it belongs to none, and may open one if the rules allow */
#define RECHECK -2 /* ask the rules whether its connection may still live */

/*
 * A global generation says whether anything that was allowed may be so no more. Then each
 * connection is judged once again when its next packet comes, and nobody walks the table.
 */
static __noinline int by_flow(struct passage *p)
{
	struct bucket *bucket = bucket_for(p);
	if (!bucket)
		return FLOW_TABLE_FULL;
	int opens = p->way == BY_FLOW && (!p->is_tcp || may_open(&p->segment));
	struct flow *flow = find(&p->choice, bucket, &p->key, tag_of(p->hash));
	if (!flow || is_over(flow, p->now))
		return p->way == AS_ERROR ? ICMP_UNRELATED : opens ? OPENS : FLOW_INVALID;
	p->found = *flow;
	if (p->found.state == RECALLED) {
		if (p->way == AS_ERROR)
			return ICMP_UNRELATED;
		if (opens && p->segment.flags & SYN)
			return OPENS;
		refresh(flow, p->now);
		return NOT_ALLOWED;
	}
	if (p->found.generation != p->key.generation)
		return RECHECK;
	if (p->way == AS_ERROR)
		return judge_error(p);
	if (opens && p->is_tcp && p->segment.flags & SYN && p->found.state >= FINISHED)
		return OPENS;
	return take(bucket, p);
}

/* The connection is of the present generation, or not at all: its packet is judged again. */
static __noinline int settle(struct passage *p, int lives)
{
	struct bucket *bucket = bucket_for(p);
	if (!bucket || !lock(bucket))
		return FLOW_TABLE_FULL;
	struct flow *flow = find(&p->choice, bucket, &p->key, tag_of(p->hash));
	if (flow && lives) {
		flow->generation = p->key.generation;
	} else if (flow && flow->protocol == IPPROTO_TCP) {
		/* Forgotten, it would be taken up by the next ACK of the other side. */
		flow->state = RECALLED;
		refresh(flow, p->now);
	} else if (flow)
		set_tag(bucket, *(volatile __u32 *)&p->choice.place, 0);
	unlock(bucket);
	return AGAIN;
}

/* The one place where rules are asked, so that verifiers walk through them once. */
static __noinline int judge_passage(struct passage *p, const struct port_groups *groups)
{
	int said = p->way == BY_RULES ? OPENS : by_flow(p);
	if (said == RECHECK)
		read_first(&p->found, &p->asked);
	else if (said == OPENS)
		p->asked = p->opening;
	else
		return said;
	int allowed = rules_allow(groups, &p->turn, &p->asked);
	if (said == RECHECK)
		return settle(p, allowed);
	if (!allowed)
		return NOT_ALLOWED;
	return p->way == BY_RULES ? 0 : open_flow(p);
}

static __always_inline enum way way_of(const struct frame *frame, int is_stateful)
{
	if (!is_stateful || is_to_many(frame))
		return BY_RULES;
	if (!is_icmp(frame))
		return BY_FLOW;
	if (is_icmp_error(frame))
		return AS_ERROR;
	if (answers(frame->protocol, frame->icmp_type))
		return AS_ANSWER;
	return asks(frame->protocol, frame->icmp_type) ? BY_FLOW : BY_RULES;
}

static __always_inline int judge_first(struct __sk_buff *skb, const struct port *port,
				       const struct frame *frame, struct passage *p)
{
	__u32 policy = port->policy;
	const struct port_groups *groups = bpf_map_lookup_elem(&port_groups, &policy);
	if (!groups)
		return NOT_ALLOWED;
	read_passage(skb, frame, p);
	p->way = way_of(frame, groups->stateful);
	if (p->way == AS_ERROR && !read_error(skb, frame, p))
		return ICMP_UNRELATED;
	return judge_passage(p, groups);
}

/* The key under which a first fragment is remembered, in the table of connections. */
static __noinline int fragment_key(struct __sk_buff *skb, const struct frame *frame,
				   struct passage *p)
{
	int is_ipv6 = frame->type == ETH_P_IPV6, from_guest = p->direction == FROM_GUEST;
	const struct address *local = from_guest ? &frame->source : &frame->destination;
	const struct address *remote = from_guest ? &frame->destination : &frame->source;

	p->key.ports = 0;
	if (is_ipv6)
		bpf_skb_load_bytes(skb, frame->fragment_at + 4, &p->key.ports, 4);
	else
		bpf_skb_load_bytes(skb, ETH_HLEN + 4, &p->key.ports, 2);
	__builtin_memcpy(p->key.local, local->word, sizeof(p->key.local));
	__builtin_memcpy(p->key.remote, remote->word, sizeof(p->key.remote));
	p->key.protocol = frame->protocol;
	p->key.kind = (is_ipv6 ? 6 : 4) | FIRST_FRAGMENT;
	if (!from_guest)
		p->key.kind |= FRAGMENT_TO_GUEST;
	p->key.state = HALF_OPEN;
	p->key.bits = 0;
	p->key.expires = p->now + FRAGMENT_SECONDS * NS_A_SECOND;
	return 0;
}

static __noinline int remember_first(struct __sk_buff *skb, const struct frame *frame,
				     struct passage *p)
{
	fragment_key(skb, frame, p);
	struct bucket *bucket = bucket_for(p);
	/* Without a place its later ones are dropped, as any that overtakes its first. */
	return bucket && put(&p->choice, bucket, &p->key, tag_of(p->hash), p->now);
}

static __always_inline __u32 units_of_later(struct __sk_buff *skb, const struct frame *frame)
{
	__u8 bytes[2] = {};
	if (frame->type == ETH_P_IPV6) {
		bpf_skb_load_bytes(skb, frame->fragment_at + 2, bytes, 2);
		return (bytes[0] << 8 | bytes[1]) >> 3;
	}
	bpf_skb_load_bytes(skb, ETH_HLEN + 6, bytes, 2);
	return (bytes[0] & 0x1f) << 8 | bytes[1];
}

/* A later fragment shares the fate of its first. */
static __noinline int judge_later(struct __sk_buff *skb, const struct frame *frame,
				  struct passage *p)
{
	/* RFC 3128: what was judged of TCP is its whole header. */
	if (frame->protocol == IPPROTO_TCP && units_of_later(skb, frame) < 3)
		return FRAGMENT_OVERLAP;
	fragment_key(skb, frame, p);
	struct bucket *bucket = bucket_for(p);
	if (!bucket)
		return FRAGMENT_UNKNOWN;
	struct flow *first = find(&p->choice, bucket, &p->key, tag_of(p->hash));
	return first && !is_over(first, p->now) ? 0 : FRAGMENT_UNKNOWN;
}

/* A reason, 0, or AGAIN. */
static __noinline int groups(struct __sk_buff *skb, const struct port *port, struct passage *p)
{
	const struct setting *set = setting();
	const struct frame *frame = &p->frame;

	if (frame->state != SOUND)
		return unreadable(frame);
	if (is_basic(skb, frame, p->direction))
		return 0;
	if (!set)
		return FLOW_TABLE_FULL;
	if (set->mark && skb->mark == set->mark)
		return 0;
	p->now = time_of(set);
	p->key.ifindex = port->ifindex;
	/* Before any rule is read: a revocation meanwhile finds the older number. */
	p->key.generation = *(volatile __u32 *)&set->generation;
	if (frame->fragment & LATER)
		return judge_later(skb, frame, p);
	int reason = judge_first(skb, port, frame, p);
	if (!reason && frame->fragment & MORE)
		remember_first(skb, frame, p);
	return reason;
}
