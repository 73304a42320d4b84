/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/*
 * The rules of security groups. They are stored once for all ports that have the group, so that
 * a look-up costs the same with ten rules and with thousands:
 *
 * - A *scope* is a group, a direction and an IP version; a *class* is all rules of a scope
 *   with the same remote. Both are digests, so that no numbers have to be assigned.
 * - `remotes`: scope and address -> the class of the longest prefix that holds it; the next
 *   shorter one is found by another look-up with fewer bits.
 * - `remote_sets`: scope -> the sets that its rules name, with the class of each.
 * - `allowed`: class, protocol and port -> whether some rule of the class allows it. Ports
 *   are cut into prefixes, so any match is enough.
 *
 * `field` is the part of a packet that a rule may match beside its protocol: the destination
 * port, or an ICMP type and code.
 */
#pragma once

#include "maps.h"

#define GROUPS_A_PORT 16
#define SETS_A_SCOPE 32
#define MAX_LOOKUPS 64 /* of a packet in the rules of its port */
#define SCOPE_BITS 64
#define LONGEST (SCOPE_BITS + 128)

/* Bits of `allowed_key` in a look-up. */
#define WITHOUT_FIELD 72
#define WITH_FIELD 88
#define ANY_RULE 0 /* of a look-up that any rule with the remote matches */

struct port_groups {
	__u32 count;
	__u32 stateful;
	__u64 group[GROUPS_A_PORT]; /* the two lowest bits are 0: direction, version */
};

/* The next look-up. */
struct rule_cursor {
	__u32 group;
	__u32 length; /* of prefixes to look up, 0: none is left */
	__u32 set;
};

struct remote_key {
	__u32 length; /* bits */
	__u32 scope[2];
	__u32 address[4];
};

struct remote {
	__u64 class;
	__u32 length; /* of the prefix itself, bits */
	__u32 zero;
};

struct set_class {
	__u64 set; /* the lowest bit is the IP version */
	__u64 class;
};

struct scope_sets {
	__u32 count;
	__u32 zero;
	struct set_class of[SETS_A_SCOPE];
};

struct member_key {
	__u64 set;
	__u32 address[4];
};

struct member_prefix_key {
	__u32 length;
	__u32 set[2];
	__u32 address[4];
};

struct allowed_key {
	__u32 length;
	__u32 class[2];
	__u8 protocol;
	__u8 field[2]; /* network byte order */
	__u8 zero;
};

MAP(port_groups, BPF_MAP_TYPE_HASH, __u32, struct port_groups, ENTRIES, BPF_F_NO_PREALLOC);
MAP(remotes, BPF_MAP_TYPE_LPM_TRIE, struct remote_key, struct remote, 1048576, BPF_F_NO_PREALLOC);
MAP(remote_sets, BPF_MAP_TYPE_HASH, __u64, struct scope_sets, 65536, BPF_F_NO_PREALLOC);
MAP(members, BPF_MAP_TYPE_HASH, struct member_key, __u8, 4194304, BPF_F_NO_PREALLOC);
MAP(member_prefixes, BPF_MAP_TYPE_LPM_TRIE, struct member_prefix_key, __u8, 1048576,
    BPF_F_NO_PREALLOC);
MAP(allowed, BPF_MAP_TYPE_LPM_TRIE, struct allowed_key, __u8, 4194304, BPF_F_NO_PREALLOC);

/* The fields of the opening packet that a rule can match. */
struct rule_query {
	__u32 remote[4];
	__u32 length; /* WITH_FIELD, or not */
	__u16 field; /* network byte order */
	__u8 protocol;
	__u8 scope; /* direction and IP version, as the lowest bits of a scope */
};

static __always_inline __u8 scope_bits(__u32 direction, int is_ipv6)
{
	return (direction == TO_GUEST) << 1 | !!is_ipv6;
}

/* Functions of their own: their values on the stack would multiply the verifier's paths. */
static __noinline int class_allows(const struct rule_query *rule_query, __u64 class)
{
	struct allowed_key key = {};
	if (rule_query->length == ANY_RULE)
		return 1;
	key.length = rule_query->length;
	key.class[0] = class;
	key.class[1] = class >> 32;
	key.protocol = rule_query->protocol;
	__builtin_memcpy(key.field, &rule_query->field, 2);
	return bpf_map_lookup_elem(&allowed, &key) != 0;
}

/* The longest prefix of `length` bits and less that holds the address, or NULL. */
static __noinline const struct remote *prefix_of(const struct rule_query *rule_query, __u64 scope,
						 __u32 length)
{
	struct remote_key key = {};
	if (!length)
		return 0;
	key.length = length;
	key.scope[0] = scope;
	key.scope[1] = scope >> 32;
	__builtin_memcpy(key.address, rule_query->remote, sizeof(key.address));
	return bpf_map_lookup_elem(&remotes, &key);
}

static __noinline int is_member(const struct rule_query *rule_query, __u64 set)
{
	struct member_key key = {};
	key.set = set;
	__builtin_memcpy(key.address, rule_query->remote, sizeof(key.address));
	if (bpf_map_lookup_elem(&members, &key))
		return 1;
	struct member_prefix_key prefix = {};
	prefix.length = LONGEST;
	prefix.set[0] = set;
	prefix.set[1] = set >> 32;
	__builtin_memcpy(prefix.address, rule_query->remote, sizeof(prefix.address));
	return bpf_map_lookup_elem(&member_prefixes, &prefix) != 0;
}

/*
 * Whether some rule of the port's groups allows to open it: one look-up after another, group
 * by group, first of its prefixes, from the longest to the shortest, then of its sets. The
 * position is in memory, so that for the verifier each round is like the one before.
 */
static __noinline int rules_allow(const struct port_groups *groups, volatile struct rule_cursor *rule_cursor,
				  const struct rule_query *rule_query)
{
	rule_cursor->group = rule_cursor->set = 0;
	rule_cursor->length = LONGEST;
	for (int i = 0; i < MAX_LOOKUPS; i++) {
		__u32 group = rule_cursor->group, set = rule_cursor->set;
		if (group >= groups->count || group >= GROUPS_A_PORT)
			return 0;
		__u64 scope = groups->group[group] | rule_query->scope;
		const struct remote *remote = prefix_of(rule_query, scope, rule_cursor->length);
		if (remote) {
			if (class_allows(rule_query, remote->class))
				return 1;
			rule_cursor->length = remote->length ? SCOPE_BITS + remote->length - 1 : 0;
			continue;
		}
		rule_cursor->length = 0;
		const struct scope_sets *sets = bpf_map_lookup_elem(&remote_sets, &scope);
		if (!sets || set >= sets->count || set >= SETS_A_SCOPE) {
			rule_cursor->group = group + 1;
			rule_cursor->length = LONGEST;
			rule_cursor->set = 0;
			continue;
		}
		/* Few rules match most packets: the cheaper look-up first. */
		if (class_allows(rule_query, sets->of[set].class) &&
		    is_member(rule_query, sets->of[set].set))
			return 1;
		rule_cursor->set = set + 1;
	}
	return 0;
}
