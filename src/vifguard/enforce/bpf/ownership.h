/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* A port's own MACs, addresses and prefixes. */
#pragma once

#include "frame.h"

/*
 * A flag beside a reason: the drop is counted as others are, and recorded once a minute. A guest
 * sends from its link-local address all day, also where its network gives it none.
 */
#define EXPECTED (1 << 16)

static __noinline int owns_mac(const struct port *port, const __u8 *mac)
{
	if (port->flags & HAS_MAC && same_mac(port->mac4, mac))
		return 1;
	if (!(port->flags & MORE_MACS))
		return 0;
	struct mac_key key = {.policy = port->policy};
	__builtin_memcpy(key.mac, mac, sizeof(key.mac));
	return bpf_map_lookup_elem(&macs, &key) != 0;
}

static __always_inline int is_inline(const struct port *port, const struct address *address)
{
	const __u32 *a = address->word;
	if (address->family == 4)
		return a[0] && (a[0] == port->v4[0] || a[0] == port->v4[1]);
	__u64 high, low;
	__builtin_memcpy(&high, a, 8);
	__builtin_memcpy(&low, a + 2, 8);
	return (high | low) && ((high == port->v6[0][0] && low == port->v6[0][1]) ||
				(high == port->v6[1][0] && low == port->v6[1][1]));
}

/* Whether the address is the link-local address of one of the port's MACs (RFC 4291, A). */
static __always_inline int is_eui64(const struct port *port, const struct address *address)
{
	const __u8 *id = (const __u8 *)(address->word + 2);
	const __u8 mac[6] = {id[0] ^ 2, id[1], id[2], id[5], id[6], id[7]};
	return id[3] == 0xff && id[4] == 0xfe && owns_mac(port, mac);
}

static __always_inline int owns_link_local(const struct port *port, const struct address *address)
{
	if (address->family != 6 || address->word[0] != bpf_htonl(0xfe800000) || address->word[1])
		return 0;
	return port->flags & LINK_LOCAL_ANY ||
	       (port->flags & LINK_LOCAL_EUI64 && is_eui64(port, address));
}

static __noinline int in_prefixes(const struct port *port, const struct address *address)
{
	struct prefix_key key = {192, port->policy, *address};
	return bpf_map_lookup_elem(&prefixes, &key) != 0;
}

static __noinline int in_set(__u32 set, const struct address *address)
{
	struct prefix_key key = {192, set, *address};
	return bpf_map_lookup_elem(&prefix_sets, &key) != 0;
}

static __always_inline int in_public(const struct port *port, const struct address *address)
{
	return in_set(port->public_set, address);
}

static __always_inline struct address_state *state_of(const struct port *port,
						      const struct address *address)
{
	struct address_key key = {port->policy, *address};
	return bpf_map_lookup_elem(&addresses, &key);
}

/* The learned address that is unused the longest makes room for another: note the use. */
static __always_inline int has_address(const struct port *port, const struct address *address)
{
	struct address_state *state = state_of(port, address);
	if (!state || state->kind == TENTATIVE)
		return 0;
	if (state->kind == LEARNED)
		state->seen = bpf_ktime_get_ns();
	return 1;
}

static __noinline int owns(const struct port *port, const struct address *address)
{
	/* :: means "no address yet", in any prefix. */
	if (address->family == 6 && is_unspecified(address))
		return 0;
	if (is_inline(port, address) || owns_link_local(port, address))
		return 1;
	if (port->flags & MORE_ADDRESSES && has_address(port, address))
		return 1;
	return port->flags & HAS_PREFIXES && in_prefixes(port, address);
}

static __always_inline int not_own(const struct port *port, const struct address *address,
				   int reason)
{
	if (is_link_local(address) && !(port->flags & (LINK_LOCAL_EUI64 | LINK_LOCAL_ANY)))
		return reason | EXPECTED;
	return reason;
}

static __noinline int is_tentative(const struct port *port, const struct address *address)
{
	if (!(port->flags & MORE_ADDRESSES))
		return 0;
	const struct address_state *state = state_of(port, address);
	return state && state->kind == TENTATIVE;
}

/* Whether hosts choose such an identifier: no EUI-64, nothing set by hand, no RFC 2526 anycast. */
static __always_inline int has_chosen_identifier(const struct address *address)
{
	__u32 high = bpf_ntohl(address->word[2]), low = bpf_ntohl(address->word[3]);
	if ((high & 0xff) == 0xff && low >> 24 == 0xfe)
		return 0;
	if (!(high >> 16))
		return 0;
	return high != 0xfdffffff || low < 0xffffff80;
}

static __noinline int may_claim(const struct port *port, const struct address *address)
{
	return port->claimable && address->family == 6 && has_chosen_identifier(address) &&
	       in_set(port->claimable, address);
}
