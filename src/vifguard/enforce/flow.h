/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/*
 * The connections of all ports, in one table that nobody has to clean.
 *
 * A connection lives in one of the eight places of the bucket that its hash names. Its key
 * holds the interface, so that a port in effect has a table of its own. Whoever finds a
 * bucket full takes a place by rules that a flood cannot turn against others (`worth`).
 *
 * Reading takes no lock: a place is read only while its tag fits and compared key by key.
 * Writing takes the bucket's. The fast path writes two fields of an open connection without
 * it: such a place is given away only when it has expired or its port has too many, and then
 * a late write spoils no more than the time or number of that one newcomer.
 *
 * The hash has a secret seed: who could aim at a bucket could fill it.
 */
#pragma once

#include "frame.h"

#define PLACES 8
#define LOCK_TRIES 128
#define NS_A_SECOND 1000000000ULL

enum flow_state { HALF_OPEN = 1, ANSWERED, OPEN, FINISHED, RESET, RECALLED };

/* `bits`: three of each side, who is FROM_GUEST or TO_GUEST, and who opened it. */
#define NUMBERED(side) (1 << (side)) /* its number is known */
#define ACKNOWLEDGED(side) (4 << (side)) /* the other side has acknowledged it */
#define FIN_SEEN(side) (16 << (side))
#define OPENED_FROM_OUTSIDE 64
#define HAS_PORTS 128 /* UDP and others: the packet that opened it had ports */

/* `kind`: the IP version, and whether it is a first fragment that later ones refer to. */
#define FIRST_FRAGMENT 0x10
#define FRAGMENT_TO_GUEST 0x20

/* The unions are for comparing and hashing in as few words as there are. */
struct flow {
	union {
		struct {
			__u32 ifindex;
			/* local, remote; or an echo's identifier and who asked; network byte order */
			__u32 ports;
		};
		__u64 ends;
	};
	union {
		__u32 local[4];
		__u64 local_half[2];
	};
	union {
		__u32 remote[4];
		__u64 remote_half[2];
	};
	__u64 expires; /* ns */
	__u32 number[DIRECTIONS]; /* TCP: of each side; others: [0] the field that a rule sees */
	__u32 generation; /* of the rules that its opening was last judged by */
	union {
		struct {
			__u8 protocol;
			__u8 kind;
		};
		__u16 type;
	};
	__u8 state;
	__u8 bits;
};

struct bucket {
	__u32 tag[PLACES]; /* 0: free */
	__u32 lock;
	__u32 zero[7];
	struct flow flow[PLACES];
};

/* The same for all ports; written by the agent. */
struct setting {
	__u64 clock; /* a test's own time, ns; 0: the kernel's */
	__u64 seed;
	__u32 generation; /* raised whenever something that was allowed may be so no more */
	__u32 mask; /* number of buckets - 1 */
	__u32 mark; /* secret: of the frames that the agent answers with */
	__u32 zero;
};

MAP(settings, BPF_MAP_TYPE_ARRAY, __u32, struct setting, 1, BPF_F_MMAPABLE);
MAP(flows, BPF_MAP_TYPE_ARRAY, __u32, struct bucket, 65536, BPF_F_MMAPABLE);

static __always_inline const struct setting *setting(void)
{
	__u32 zero = 0;
	return bpf_map_lookup_elem(&settings, &zero);
}

/* A few ms of error do not matter to lifetimes of seconds, and cost a tenth. */
static __always_inline __u64 time_of(const struct setting *setting)
{
	return setting->clock ? setting->clock : bpf_ktime_get_coarse_ns();
}

static __always_inline __u64 mix(__u64 hash, __u64 word)
{
	hash = (hash ^ word) * 0x9fb21c651e98df25ULL;
	return hash ^ hash >> 32;
}

/* The two chains of IPv6 are for processors to follow side by side. */
static __always_inline __u64 hash_of(__u64 seed, const struct flow *key, int is_ipv6)
{
	__u64 hash;
	if (is_ipv6)
		hash = mix(mix(seed, key->local_half[0]), key->local_half[1]) +
		       mix(mix(~seed, key->remote_half[0]), key->remote_half[1]);
	else
		hash = mix(seed, key->local[0] | (__u64)key->remote[0] << 32);
	return mix(mix(hash, key->ends), key->type);
}

static __always_inline __u32 tag_of(__u64 hash)
{
	return (__u32)hash | 1;
}

static __always_inline struct bucket *bucket_of(const struct setting *setting, __u64 hash)
{
	__u32 index = hash >> 40 & setting->mask;
	return bpf_map_lookup_elem(&flows, &index);
}

static __always_inline int is_same(const struct flow *flow, const struct flow *key)
{
	return flow->ends == key->ends && flow->type == key->type &&
	       flow->local_half[0] == key->local_half[0] &&
	       flow->local_half[1] == key->local_half[1] &&
	       flow->remote_half[0] == key->remote_half[0] &&
	       flow->remote_half[1] == key->remote_half[1];
}

/*
 * The choice of a place. In memory, and not on the stack: what the verifier knows of a value
 * there is nothing, so that the paths of the loops below do not multiply.
 */
struct choice {
	__u32 place;
	__u32 best;
	__u32 own;
	__u32 count; /* living flows of one port in the bucket */
};

/* The flow at a place, NULL for PLACES. */
static __always_inline struct flow *flow_at(struct bucket *bucket, __u32 place)
{
	if (place >= PLACES)
		return 0;
	asm volatile("" : "+r"(place));
	return &bucket->flow[place & (PLACES - 1)];
}

static __always_inline void set_tag(struct bucket *bucket, __u32 place, __u32 tag)
{
	asm volatile("" : "+r"(place));
	__sync_lock_test_and_set(&bucket->tag[place & (PLACES - 1)], tag);
}

/* Where the connection is, or NULL. */
static __noinline struct flow *find(volatile struct choice *choice, struct bucket *bucket,
				    const struct flow *key, __u32 tag)
{
	choice->place = PLACES;
	for (__u32 i = 0; i < PLACES; i++)
		if (bucket->tag[i] == tag && is_same(&bucket->flow[i], key))
			choice->place = i;
	return flow_at(bucket, choice->place);
}

/* Held for some hundred cycles by programs that nothing but an interrupt can stop. */
static __always_inline int lock(struct bucket *bucket)
{
	for (int i = 0; i < LOCK_TRIES; i++)
		if (!__sync_val_compare_and_swap(&bucket->lock, 0, 1))
			return 1;
	return 0;
}

static __always_inline void unlock(struct bucket *bucket)
{
	__sync_lock_test_and_set(&bucket->lock, 0);
}

static __always_inline __u32 side_of_opener(const struct flow *flow)
{
	return flow->bits & OPENED_FROM_OUTSIDE ? TO_GUEST : FROM_GUEST;
}

static __always_inline __u64 seconds_of(__u8 protocol, __u8 state)
{
	switch (protocol) {
	case IPPROTO_TCP:
		switch (state) {
		case OPEN:
			return 86400;
		case FINISHED:
			return 120;
		case RESET:
			return 10;
		case RECALLED:
			return 300;
		}
		return 60;
	case IPPROTO_UDP:
		return state == OPEN ? 180 : 30;
	case IPPROTO_ICMP:
	case ICMPV6:
		return 30;
	}
	return state == OPEN ? 600 : 60;
}

static __always_inline void refresh(struct flow *flow, __u64 now)
{
	flow->expires = now + seconds_of(flow->protocol, flow->state) * NS_A_SECOND;
}

static __always_inline int is_over(const struct flow *flow, __u64 now)
{
	return flow->expires <= now;
}

/*
 * How willingly a place is given to a newcomer; 0: not at all. `own` and `count` are how many
 * of this bucket the newcomer's port has, and the place's. One port's flood thus ends at its
 * own half-open connections, and an open one goes only if its port has two more than the
 * newcomer's, which then has no more than it.
 */
static __always_inline __u32 worth(const struct flow *flow, __u32 count, __u32 own, int is_own,
				   __u64 now)
{
	if (is_over(flow, now))
		return 64;
	if (flow->state >= FINISHED)
		return 48;
	if (flow->state != OPEN)
		return count > own || is_own ? 16 + count : 0;
	return count >= own + 2 ? count : 0;
}

static __always_inline void count_of(volatile struct choice *choice, const struct bucket *bucket,
				     __u32 ifindex, __u64 now)
{
	choice->count = 0;
	for (__u32 i = 0; i < PLACES; i++)
		if (bucket->tag[i] && bucket->flow[i].ifindex == ifindex &&
		    !is_over(&bucket->flow[i], now))
			choice->count++;
}

/* Choose the place that a newcomer may have, PLACES: none. */
static __noinline int choose(volatile struct choice *choice, const struct bucket *bucket,
			     __u32 ifindex, __u64 now)
{
	for (__u32 i = 0; i < PLACES; i++) {
		if (!bucket->tag[i]) {
			choice->place = i;
			return 0;
		}
	}
	count_of(choice, bucket, ifindex, now);
	choice->own = choice->count;
	choice->best = 0;
	choice->place = PLACES;
	for (__u32 i = 0; i < PLACES; i++) {
		const struct flow *flow = &bucket->flow[i];
		count_of(choice, bucket, flow->ifindex, now);
		__u32 its = worth(flow, choice->count, choice->own, flow->ifindex == ifindex, now);
		if (its > choice->best) {
			choice->best = its;
			choice->place = i;
		}
	}
	return 0;
}

/*
 * Put a connection into the table, instead of an older one with the same key; false when no
 * place may be taken. The tag goes first and comes last: nobody reads what is half written.
 */
static __noinline int put(struct choice *choice, struct bucket *bucket, const struct flow *flow,
			  __u32 tag, __u64 now)
{
	if (!lock(bucket))
		return 0;
	if (!find(choice, bucket, flow, tag))
		choose(choice, bucket, flow->ifindex, now);
	__u32 place = *(volatile __u32 *)&choice->place;
	struct flow *to = flow_at(bucket, place);
	if (to) {
		set_tag(bucket, place, 0);
		*to = *flow;
		set_tag(bucket, place, tag);
	}
	unlock(bucket);
	return to != 0;
}
