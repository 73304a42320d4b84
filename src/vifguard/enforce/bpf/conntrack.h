/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/*
 * The connections of all ports, in one table that needs no cleaning.
 *
 * A connection is in one of the eight slots of the bucket that its hash names. Its key has the
 * interface, so that a port in effect has a table of its own. conntrack_evict.h chooses the
 * slot of a new connection where a bucket is full.
 *
 * Reading takes no lock: a slot is read only while its tag fits, and compared key by key.
 * Writing takes the bucket's. The fast path writes the time and the numbers of an open
 * connection without it: a late write to a slot that was just reused spoils no more than
 * these of the one new connection.
 *
 * The hash has a secret seed: a guest that could aim at a bucket could fill it.
 */
#pragma once

#include "frame.h"

#define BUCKET_SLOTS 8
#define LOCK_TRIES 128
#define NS_A_SECOND 1000000000ULL

/* Lifetimes are counted in ticks of about a quarter of a second; 32 bits last for 36 years. */
#define TICK_BITS 28

enum flow_state {
	HALF_OPEN = 1, /* TCP: a SYN was seen */
	PICKED_UP, /* an ACK of a connection that was not known */
	ANSWERED,
	OPEN,
	CLOSING,
	HALF_CLOSED,
	FINISHED,
	RESET,
	REVOKED,
};

/* `bits`: of each side, FROM_GUEST or TO_GUEST, and the opener's side. */
#define ACKNOWLEDGED(side) (1 << (side)) /* the other side has acknowledged its number */
#define FIN_SEEN(side) (4 << (side))
#define NOTED(side) (16 << (side)) /* `sent` is the number behind a SYN without effect */
#define OPENED_FROM_OUTSIDE 64
#define HAS_PORTS 128 /* UDP and others: the packet that opened it had ports */

/* `kind`: the IP version, and whether it is a packet's fragments that passed. */
#define OF_FRAGMENTS 0x10
#define FRAGMENT_TO_GUEST 0x20

/* The unions are for comparing and hashing in as few words as there are. */
struct flow {
	union {
		struct {
			__u32 ifindex;
			/* local, remote; an echo's identifier and requester; network byte order */
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
	__u32 number[DIRECTIONS]; /* TCP: of each side; others: [0] the field that a rule sees */
	__u32 sent[DIRECTIONS]; /* TCP: behind the highest octet of each side */
	__u32 expires; /* the tick at which it expires */
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
	__u16 tag[BUCKET_SLOTS]; /* 0: free */
	__u32 generation[BUCKET_SLOTS]; /* of the rules that last judged the flow's opening */
	__u32 lock;
	__u32 zero[3];
	struct flow flow[BUCKET_SLOTS];
};

/* Common to all ports; written by the agent. */
struct global_config {
	__u64 clock; /* a test's own time, ns; 0: the kernel's */
	__u64 seed;
	__u32 generation; /* raised by each change that may allow less */
	__u32 mask; /* number of buckets - 1 */
	__u32 mark; /* secret: of the frames that the agent answers with */
	__u32 zero;
};

/* The state common to the connections of one port, by interface. */
struct tracking {
	__u64 new_until; /* ns: the guard is new on the port */
	__u64 fragments; /* theoretical arrival time of the next early one */
};

MAP(tracking, BPF_MAP_TYPE_HASH, __u32, struct tracking, ENTRIES, BPF_F_NO_PREALLOC);
MAP(settings, BPF_MAP_TYPE_ARRAY, __u32, struct global_config, 1, BPF_F_MMAPABLE);
MAP(flows, BPF_MAP_TYPE_ARRAY, __u32, struct bucket, 65536, BPF_F_MMAPABLE);

static __always_inline const struct global_config *global_config(void)
{
	__u32 zero = 0;
	return bpf_map_lookup_elem(&settings, &zero);
}

/* Whether the agent sent it as an answer: nobody else knows the mark. */
static __always_inline int is_answer(const struct __sk_buff *skb, const struct global_config *global_config)
{
	return global_config && global_config->mark && skb->mark == global_config->mark;
}

/* A few ms of error do not matter to lifetimes of seconds, and cost a tenth. */
static __always_inline __u64 time_of(const struct global_config *global_config)
{
	return global_config->clock ? global_config->clock : bpf_ktime_get_coarse_ns();
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

static __always_inline __u16 tag_of(__u64 hash)
{
	return hash | 1;
}

static __always_inline __u32 index_of(const struct global_config *global_config, __u64 hash)
{
	return hash >> 40 & global_config->mask;
}

static __always_inline struct bucket *bucket_of(__u32 index)
{
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
 * A search for a flow, or for a slot for it. In memory, and not on the stack: the verifier
 * knows nothing of a value there, so that the paths of the loops do not multiply.
 */
struct search {
	__u64 now;
	__u32 index; /* of the bucket */
	__u32 generation;
	__u16 tag;
	__u32 place; /* the slot that was found */
	__u32 best;
	__u32 own; /* flows of the new flow's port nearby */
	__u32 count[BUCKET_SLOTS]; /* and of the port of each slot */
};

/* The flow in a slot, NULL for BUCKET_SLOTS. */
static __always_inline struct flow *flow_at(struct bucket *bucket, __u32 place)
{
	if (place >= BUCKET_SLOTS)
		return 0;
	asm volatile("" : "+r"(place));
	return &bucket->flow[place & (BUCKET_SLOTS - 1)];
}

static __always_inline __u32 *generation_at(struct bucket *bucket, __u32 place)
{
	asm volatile("" : "+r"(place));
	return &bucket->generation[place & (BUCKET_SLOTS - 1)];
}

/* BPF has no other barriers than its atomic operations, and none of these on 16 bits. */
static __always_inline void order(struct bucket *bucket)
{
	__sync_fetch_and_add(&bucket->lock, 0);
}

/* Under the lock. */
static __always_inline void set_tag(struct bucket *bucket, __u32 place, __u16 tag)
{
	asm volatile("" : "+r"(place));
	order(bucket);
	*(volatile __u16 *)&bucket->tag[place & (BUCKET_SLOTS - 1)] = tag;
	order(bucket);
}

static __always_inline __u32 slot_of(const struct search *search)
{
	return *(const volatile __u32 *)&search->place;
}

/* The flow of a key, or NULL; the search then has its slot. */
static __noinline struct flow *find(struct search *search, struct bucket *bucket,
				    const struct flow *key)
{
	volatile __u32 *place = &search->place;
	__u16 tag = search->tag;
	*place = BUCKET_SLOTS;
	for (__u32 i = 0; i < BUCKET_SLOTS; i++)
		if (bucket->tag[i] == tag && is_same(&bucket->flow[i], key))
			*place = i;
	return flow_at(bucket, *place);
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
			return 432000;
		case HALF_CLOSED:
			return 7440;
		case PICKED_UP:
		case REVOKED:
			return 300;
		case ANSWERED:
			return 60;
		case RESET:
			return 10;
		}
		return 120;
	case IPPROTO_UDP:
		return state == OPEN ? 180 : 30;
	case IPPROTO_ICMP:
	case ICMPV6:
		return 30;
	}
	return state == OPEN ? 600 : 60;
}

static __always_inline __u32 end_of(__u8 protocol, __u8 state, __u64 now)
{
	return (now + seconds_of(protocol, state) * NS_A_SECOND) >> TICK_BITS;
}

/* The end of a fragments' entry: as long as a receiver waits for more (RFC 8200, 4.5). */
static __always_inline __u32 end_of_fragments(__u8 kind, __u64 now)
{
	return (now + ((kind & 0xf) == 6 ? 60 : 30) * NS_A_SECOND) >> TICK_BITS;
}

/* The flow's cache line is written only when the tick is another one. */
static __always_inline void refresh(struct flow *flow, __u64 now)
{
	__u32 end = end_of(flow->protocol, flow->state, now);
	if (flow->expires != end)
		flow->expires = end;
}

static __always_inline int is_expired(const struct flow *flow, __u64 now)
{
	return flow->expires <= (__u32)(now >> TICK_BITS);
}
