/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/*
 * The maps of the kernel. state.py and maps/ of this package pack and unpack the same structures.
 *
 * A port is found in two array reads: slots[ifindex mod SLOTS] names an entry, the entry has
 * its port's ifindex. Entries are immutable while anybody may read them: a change writes a
 * fresh entry and then stores one word in the slot. (A hash map would be simpler and wrong:
 * its elements are reused at once after a replacement, so a program that still reads the
 * old element could see another port's policy in it. It also costs 20 ns a lookup more.)
 *
 * Parts of a policy that do not fit in an entry are in maps keyed by a policy id, equally
 * immutable.
 *
 * Addresses and ports are in network byte order, all else in the host's.
 */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "verdict_codes.h"

#define SLOTS 65536
#define ENTRIES 32768
#define CAPTURED 128 /* first bytes of a dropped frame that go into its record */

enum port_flag {
	FAST = 1 << 0, /* open, and `mac4`/`mac6` hold an ordinary unicast MAC */
	IS_CLOSED = 1 << 1,
	HAS_MAC = 1 << 2, /* mac4 holds an own MAC */
	MORE_MACS = 1 << 3,
	MORE_ADDRESSES = 1 << 4,
	HAS_PREFIXES = 1 << 5,
	MORE_ETHERTYPES = 1 << 6,
	ANY_SOURCE = 1 << 7, /* neither ip nor public-ip is on */
	NOT_PUBLIC = 1 << 8, /* public-ip is on, ip is off */
	LINK_LOCAL_EUI64 = 1 << 9,
	LINK_LOCAL_ANY = 1 << 10,
	DHCP_SERVER = 1 << 11,
	ROUTER = 1 << 12,
	WATCHED = 1 << 13, /* some own address is shared */
	WATCHED_INLINE = 1 << 14, /* one of them is inline */
	REPORT_ALL = 1 << 15, /* no limit on drop records: the test bench */
};

/* One port. The first 64 bytes, one cache line, decide nearly every packet. */
struct port {
	__u32 ifindex; /* 0: nobody's */
	__u16 flags;
	__u16 guards; /* bit (1 << guard) */
	__u8 mac4[8]; /* own MAC and 0x0800, as they stand in a frame from the guest */
	__u8 mac6[8]; /* own MAC and 0x86dd */
	__u32 v4[2]; /* own addresses, 0: unused */
	__u64 v6[2][2];

	__u32 policy; /* key into macs, addresses, prefixes, ethertypes */
	__u32 public_set; /* key into prefix_sets, 0: none */
	__u64 storm_interval; /* ns a frame */
	__u64 storm_limit; /* ns of interval that the burst is worth */
	__u8 id[16]; /* the port's UUID */
	__u64 revision;
	__u32 claimable; /* key into prefix_sets: the guest's claimable prefixes, 0: none */
	__u8 reserved[12];
};

struct address {
	__u32 family; /* 4 or 6: ::ffff:10.0.0.5 is not 10.0.0.5 */
	__u32 word[4]; /* IPv4: the first, the others 0 */
};

struct mac_key {
	__u32 policy;
	__u8 mac[6];
	__u16 zero;
};

struct address_key {
	__u32 policy;
	struct address address;
};

/* A shared address is an IP group's; a tentative one is not the port's own yet. */
enum address_kind { OWN, SHARED, LEARNED, TENTATIVE };

struct address_state {
	__u64 seen; /* time the port last sent from it; kept for shared and learned addresses */
	__u64 claims; /* theoretical arrival time of the next record about it */
	__u32 kind;
	__u32 zero;
};

struct prefix_key {
	__u32 length; /* bits: 64 for policy and family, then the prefix's own */
	__u32 policy;
	struct address address;
};

struct ethertype_key {
	__u32 policy;
	__u32 type; /* host byte order */
};

/* Router ids that are others', by family: bit (id % 64) of word (id / 64). */
struct vrids {
	__u64 foreign[2][4];
};

struct counts {
	__u64 frames[DIRECTIONS][16]; /* dropped, by guard */
	__u64 records[DIRECTIONS]; /* theoretical arrival time of the next drop record */
	__u64 expected[DIRECTIONS]; /* ... of drops that are recorded once a minute */
};

struct drop_record {
	__u64 at; /* CLOCK_MONOTONIC, ns */
	__u32 ifindex;
	__u32 length;
	__u8 id[16];
	__u8 direction;
	__u8 guard;
	__u8 reason;
	__u8 captured;
	__u16 tag_type; /* of a tag the kernel stripped from the frame, else 0 */
	__u16 tag;
	__u8 head[CAPTURED];
};

/* HOLDS: the port claims a shared address to its neighbours. WANTS: the guest claims an
 * address to be learned. DEFENDED: a neighbour has the tentative address. */
enum claim_kind { HOLDS, WANTS, DEFENDED };

struct claim_record {
	__u64 at;
	__u64 seen_before; /* time this port last sent from it, 0: never */
	__u32 ifindex;
	__u8 id[16];
	struct address address;
	__u8 mac[6];
	__u16 kind;
};

/* The directory in which a guard's agent pins: a digest of its path. */
struct directory {
	__u8 digest[16];
};

#define MAP(name_, type_, key_, value_, entries_, flags_) \
	struct { \
		__uint(type, type_); \
		__type(key, key_); \
		__type(value, value_); \
		__uint(max_entries, entries_); \
		__uint(map_flags, flags_); \
	} name_ SEC(".maps")
#define RING(name_, bytes_) \
	struct { \
		__uint(type, BPF_MAP_TYPE_RINGBUF); \
		__uint(max_entries, bytes_); \
	} name_ SEC(".maps")

MAP(slots, BPF_MAP_TYPE_ARRAY, __u32, __u32, SLOTS, BPF_F_MMAPABLE);
MAP(overflow, BPF_MAP_TYPE_HASH, __u32, __u32, ENTRIES, BPF_F_NO_PREALLOC);
MAP(entries, BPF_MAP_TYPE_ARRAY, __u32, struct port, ENTRIES, BPF_F_MMAPABLE);
MAP(macs, BPF_MAP_TYPE_HASH, struct mac_key, __u8, 65536, BPF_F_NO_PREALLOC);
MAP(addresses, BPF_MAP_TYPE_HASH, struct address_key, struct address_state, 262144,
    BPF_F_NO_PREALLOC);
MAP(prefixes, BPF_MAP_TYPE_LPM_TRIE, struct prefix_key, __u8, 262144, BPF_F_NO_PREALLOC);
MAP(prefix_sets, BPF_MAP_TYPE_LPM_TRIE, struct prefix_key, __u8, 65536, BPF_F_NO_PREALLOC);
MAP(ethertypes, BPF_MAP_TYPE_HASH, struct ethertype_key, __u8, 16384, BPF_F_NO_PREALLOC);
MAP(vrids, BPF_MAP_TYPE_HASH, __u32, struct vrids, ENTRIES, BPF_F_NO_PREALLOC);
MAP(counters, BPF_MAP_TYPE_HASH, __u32, struct counts, ENTRIES, BPF_F_NO_PREALLOC);
MAP(buckets, BPF_MAP_TYPE_HASH, __u32, __u64, ENTRIES, BPF_F_NO_PREALLOC);
MAP(wanted, BPF_MAP_TYPE_HASH, __u32, __u64, ENTRIES, BPF_F_NO_PREALLOC);
/* Of no use to a program: bound to each guard, it names its agent (pin_directory.py). */
MAP(directory, BPF_MAP_TYPE_ARRAY, __u32, struct directory, 1, 0);
RING(drops, 1 << 20);
RING(claims, 1 << 17);

/* The entry of the port behind an interface, or NULL. */
static __noinline struct port *port_in_overflow(__u32 ifindex)
{
	__u32 *entry = bpf_map_lookup_elem(&overflow, &ifindex);
	if (!entry)
		return 0;
	__u32 number = *entry;
	struct port *port = bpf_map_lookup_elem(&entries, &number);
	return port && port->ifindex == ifindex ? port : 0;
}

static __always_inline struct port *port_of(__u32 ifindex)
{
	__u32 slot = ifindex % SLOTS;
	__u32 *entry = bpf_map_lookup_elem(&slots, &slot);
	if (!entry)
		return 0;
	__u32 number = *(volatile __u32 *)entry;
	struct port *port = bpf_map_lookup_elem(&entries, &number);
	if (port && port->ifindex == ifindex)
		return port;
	return port_in_overflow(ifindex);
}
