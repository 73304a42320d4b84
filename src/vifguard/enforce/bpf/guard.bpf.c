/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/*
 * The guards of every port, in two programs: from_guest and to_guest.
 *
 * Deny by default: an interface without an entry passes nothing. TC_ACT_UNSPEC passes a
 * frame on to the next program at the hook; TC_ACT_SHOT drops it.
 *
 * The fast path only proves that no guard at all could object to a packet; all other frames
 * are judged on the slow path, guard by guard.
 */
#include <linux/bpf.h>
#include <linux/errno.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#include "dhcp.h"
#include "conntrack_fast.h"
#include "groups.h"
#include "guards_l3.h"
#include "events.h"
#include "vrrp.h"

/* A reason may carry EXPECTED. */
#define DROP_CODE(guard, reason) ((guard) << 8 | (reason))
#define RUN_GUARD(guard, judgement) \
	do { \
		if (port->guards & 1 << (guard) && (reason = (judgement))) \
			return DROP_CODE(guard, reason); \
	} while (0)

/* No guard objects so far; groups, in a program of its own, decides. */
#define ASK_GROUPS 0xffff

static __always_inline __u32 asks_groups(const struct port *port, const struct frame *frame,
					 __u32 direction)
{
	__u32 zero = 0;
	if (!(port->guards & 1 << SECURITY_GROUPS) || (frame->type != ETH_P_IP && frame->type != ETH_P_IPV6))
		return 0;
	struct group_ctx *group_ctx = bpf_map_lookup_elem(&passages, &zero);
	if (group_ctx) {
		group_ctx->frame = *frame;
		group_ctx->direction = direction;
		group_ctx->is_reversed = 0;
	}
	return ASK_GROUPS;
}

static __noinline __u32 judge_from_guest(struct __sk_buff *skb, const struct port *port,
					  __u64 offload)
{
	struct frame frame = {};
	struct nd message = {};
	int reason;

	if (port->flags & IS_CLOSED)
		return DROP_CODE(CLOSED, HELD_CLOSED);
	read_frame(skb, &frame);
	if ((reason = host(skb, &frame, FROM_GUEST, offload)))
		return DROP_CODE(HOST, reason);
	read_nd(skb, port, &frame, &message);
	verifier_forget(skb, &message, sizeof(message));
	RUN_GUARD(ETHERTYPE, ethertype(skb, port, &frame));
	RUN_GUARD(MAC, mac(skb, port, &frame, &message));
	RUN_GUARD(ARP, arp(skb, port, &frame));
	RUN_GUARD(ND, claim(port, &frame, &message, nd(port, &frame, &message)));
	RUN_GUARD(IP, claim_source(port, &frame, ip(skb, port, &frame)));
	RUN_GUARD(PUBLIC_IP, claim_source(port, &frame, public_ip(port, &frame)));
	RUN_GUARD(DHCP, dhcp(skb, port, &frame));
	RUN_GUARD(RA, ra(port, &frame));
	RUN_GUARD(VRRP, vrrp(skb, port, &frame));
	/* Else a guest that floods would silence the detection that the agent sends for it. */
	RUN_GUARD(STORM, is_answer(skb, global_config()) ? 0 : storm(port, &frame));
	if (port->flags & (WATCHED | MORE_ADDRESSES))
		note_frame_use(skb, port, &frame, &message);
	return asks_groups(port, &frame, FROM_GUEST);
}

static __noinline __u32 judge_to_guest(struct __sk_buff *skb, const struct port *port,
					__u64 offload)
{
	struct frame frame = {};
	int reason;

	if (port->flags & IS_CLOSED)
		return DROP_CODE(CLOSED, HELD_CLOSED);
	read_frame(skb, &frame);
	if ((reason = host(skb, &frame, TO_GUEST, offload)))
		return DROP_CODE(HOST, reason);
	RUN_GUARD(ETHERTYPE, ethertype(skb, port, &frame));
	if (port->guards & 1 << MAC && !is_group(frame.to) && !owns_mac(port, frame.to))
		return DROP_CODE(MAC, DESTINATION_MAC);
	if (port->flags & MORE_ADDRESSES)
		note_defence(skb, port, &frame);
	return asks_groups(port, &frame, TO_GUEST);
}

/*
 * An interface that was moved to another network namespace has taken its guard along, and there
 * its ifindex may be that of another port here. It passes nothing, and is counted nowhere. The
 * fast path takes no such offload.
 */
static __noinline int slow_from_guest(struct __sk_buff *skb, const struct port *port,
				      __u64 offload)
{
	if (offload & FOREIGN)
		return TC_ACT_SHOT;
	__u32 objection = DROP_CODE(HOST, take_into_memory(skb));
	if (objection == DROP_CODE(HOST, 0))
		objection = verifier_opaque(skb, judge_from_guest(skb, port, offload));
	if (objection == ASK_GROUPS)
		return ASK_GROUPS;
	return objection ? drop(skb, port, FROM_GUEST, objection) : TC_ACT_UNSPEC;
}

static __noinline int slow_to_guest(struct __sk_buff *skb, const struct port *port, __u64 offload)
{
	if (offload & FOREIGN)
		return TC_ACT_SHOT;
	__u32 objection = DROP_CODE(HOST, take_into_memory(skb));
	if (objection == DROP_CODE(HOST, 0))
		objection = verifier_opaque(skb, judge_to_guest(skb, port, offload));
	if (objection == ASK_GROUPS)
		return ASK_GROUPS;
	return objection ? drop(skb, port, TO_GUEST, objection) : TC_ACT_UNSPEC;
}

/* Loads that compilers and processors do best whole; the data need not be aligned. */
static __always_inline __u16 load16(const void *p)
{
	return *(const __u16 *)p;
}

static __always_inline __u32 load32(const void *p)
{
	return *(const __u32 *)p;
}

static __always_inline __u64 load64(const void *p)
{
	return *(const __u64 *)p;
}

/* An IP header's length field, in bytes. */
static __always_inline __u32 bytes_of(const void *p)
{
	return bpf_ntohs(load16(p));
}

static __always_inline struct address address_of(__u32 family, const void *bytes)
{
	return family == 4 ? ipv4(bytes) : ipv6(bytes);
}

/* A shared address may be inline: note the time. */
static __noinline int note_source_use(const struct port *port, __u32 family, const void *bytes)
{
	struct address address = address_of(family, bytes);
	return note_address_use(port, &address, 0);
}

#define OTHER_SOURCES (ANY_SOURCE | NOT_PUBLIC | MORE_ADDRESSES | HAS_PREFIXES)

/* Whether no guard objects to a source that is not inline. */
static __noinline int may_pass(const struct port *port, __u32 family, const void *bytes)
{
	struct address address = address_of(family, bytes);
	if (is_unspecified(&address))
		return 0;
	int is_free = port->flags & ANY_SOURCE ||
		      (port->flags & NOT_PUBLIC && !in_public(port, &address));
	if (port->flags & WATCHED || (is_free && port->flags & MORE_ADDRESSES))
		note_address_use(port, &address, 0);
	return is_free || owns(port, &address);
}

/* TCP, or UDP that is not DHCP (client and server port are neighbours in both families). */
static __always_inline int is_plain(__u8 protocol, __u32 bytes, const __u8 *upper, __u16 dhcp)
{
	if (protocol == IPPROTO_TCP)
		return bytes >= 20;
	if (protocol != IPPROTO_UDP || bytes < 8)
		return 0;
	__u16 source = bpf_ntohs(load16(upper)) - dhcp;
	__u16 destination = bpf_ntohs(load16(upper + 2)) - dhcp;
	return source > 1 && destination > 1;
}

/* `packet`: IPv4, of which 24 bytes are readable; `length`: of Ethernet's payload. */
static __always_inline int fast_ipv4(const struct port *port, const __u8 *packet, __u32 length)
{
	__u32 total = bpf_ntohs(load16(packet + 2));
	__u32 source = load32(packet + 12);

	if (packet[0] != 0x45 || load16(packet + 6) & bpf_htons(0x3fff) || total > length ||
	    total < 20 || !is_plain(packet[9], total - 20, packet + 20, 67))
		return 0;
	if (!source || (source != port->v4[0] && source != port->v4[1]))
		return port->flags & OTHER_SOURCES && may_pass(port, 4, packet + 12);
	if (port->flags & WATCHED_INLINE)
		note_source_use(port, 4, packet + 12);
	return 1;
}

/* `packet`: IPv6, of which 44 bytes are readable. */
static __always_inline int fast_ipv6(const struct port *port, const __u8 *packet, __u32 length)
{
	__u32 payload = bpf_ntohs(load16(packet + 4));
	__u64 high = load64(packet + 8), low = load64(packet + 16);

	if (packet[0] >> 4 != 6 || payload + 40 > length ||
	    !is_plain(packet[6], payload, packet + 40, 546))
		return 0;
	if (!(low | high) || ((low != port->v6[0][1] || high != port->v6[0][0]) &&
			      (low != port->v6[1][1] || high != port->v6[1][0])))
		return port->flags & OTHER_SOURCES && may_pass(port, 6, packet + 8);
	if (port->flags & WATCHED_INLINE)
		note_source_use(port, 6, packet + 8);
	return 1;
}

/* To the guest: the checks of `fast_ipv4` for this direction, as far as groups need them. */
static __always_inline int answered4(const struct port *port, const __u8 *packet,
				     const __u8 *end, __u32 total)
{
	return packet + 24 <= end && !(load16(packet + 6) & bpf_htons(0x3fff)) &&
	       is_plain(packet[9], total - 20, packet + 20, 67) &&
	       fast_established4(port, packet, end, total - 20, TO_GUEST);
}

static __always_inline int answered6(const struct port *port, const __u8 *packet,
				     const __u8 *end, __u32 payload)
{
	return packet + 44 <= end && is_plain(packet[6], payload, packet + 40, 546) &&
	       fast_established6(port, packet, end, payload, TO_GUEST);
}

static __always_inline int passes_from_guest(struct __sk_buff *skb, const struct port *port,
					     __u64 offload)
{
	const __u8 *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;

	if (data + ETH_HLEN + 24 > end || !(port->flags & FAST) || skb->vlan_present ||
	    is_group(data))
		return 0;
	/* Source and type in one comparison, as the entry holds them. */
	__u64 source = load64(data + 6);
	__u32 length = skb->len - ETH_HLEN;
	int has_groups = port->guards & 1 << SECURITY_GROUPS;
	const __u8 *packet = data + ETH_HLEN;
	if (source == load64(port->mac4) && is_plain_offload(offload, ETH_HLEN + 20, packet[9]) &&
	    fast_ipv4(port, packet, length))
		return !has_groups ||
		       fast_established4(port, packet, end, bytes_of(packet + 2) - 20, FROM_GUEST);
	if (source == load64(port->mac6) && data + ETH_HLEN + 44 <= end &&
	    is_plain_offload(offload, ETH_HLEN + 40, packet[6]) && fast_ipv6(port, packet, length))
		return !has_groups ||
		       fast_established6(port, packet, end, bytes_of(packet + 4), FROM_GUEST);
	return 0;
}

/* Whether the partial checksum is that of a whole TCP or UDP header; `bytes` are behind IP. */
static __always_inline int completes_header(__u64 offload, __u32 upper, __u8 protocol,
					    __u32 bytes)
{
	return is_plain_offload(offload, upper, protocol) &&
	       bytes >= (protocol == IPPROTO_TCP ? 20 : 8);
}

/*
 * An IPv6 packet that is neither TCP nor UDP may defend an address that the guest claims, and
 * be a fragment that is left to be segmented.
 */
static __always_inline int is_looked_into(const struct __sk_buff *skb, const struct port *port,
					  __u8 protocol)
{
	return (port->flags & MORE_ADDRESSES || skb->gso_size) && protocol != IPPROTO_TCP &&
	       protocol != IPPROTO_UDP;
}

static __always_inline int passes_to_guest(struct __sk_buff *skb, const struct port *port,
					   __u64 offload)
{
	const __u8 *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;

	if (data + ETH_HLEN + 20 > end || !(port->flags & FAST) || skb->vlan_present ||
	    load32(data) != load32(port->mac4) || load16(data + 4) != load16(port->mac4 + 4))
		return 0;
	const __u8 *packet = data + ETH_HLEN;
	__u32 length = skb->len - ETH_HLEN;
	__u16 type = load16(data + 12);
	__u32 total = bpf_ntohs(load16(packet + 2));
	__u32 payload = bpf_ntohs(load16(packet + 4));
	int has_groups = port->guards & 1 << SECURITY_GROUPS;
	if (type == bpf_htons(ETH_P_IP) && packet[0] == 0x45 && total >= 20 && total <= length &&
	    !((offload || skb->gso_size) && load16(packet + 6) & bpf_htons(0x3fff)) &&
	    (!offload || completes_header(offload, ETH_HLEN + 20, packet[9], total - 20)))
		return !has_groups || answered4(port, packet, end, total);
	if (type == bpf_htons(ETH_P_IPV6) && packet[0] >> 4 == 6 && payload &&
	    payload + 40 <= length &&
	    (!offload || completes_header(offload, ETH_HLEN + 40, packet[6], payload)) &&
	    !is_looked_into(skb, port, packet[6]))
		return !has_groups || answered6(port, packet, end, payload);
	return 0;
}

/*
 * Groups are a program of their own: the verifier walks through their rules once, and only
 * ports that have the guard pay for the call. Where the program cannot be reached, nothing
 * passes.
 */
static __always_inline int ask_groups(struct __sk_buff *skb, const struct port *port,
				      enum direction direction)
{
	bpf_tail_call(skb, &continuations, 0);
	return drop(skb, port, direction, DROP_CODE(SECURITY_GROUPS, FLOW_TABLE_FULL));
}

/* Nothing is counted of an interface in another namespace: its ifindex says nothing here. */
static __noinline int drop_without_policy(struct __sk_buff *skb, enum direction direction)
{
	if (offload_of(skb) & FOREIGN)
		return TC_ACT_SHOT;
	return drop(skb, 0, direction, DROP_CODE(CLOSED, NO_POLICY));
}

SEC("tc")
int from_guest(struct __sk_buff *skb)
{
	const struct port *port = port_of(skb->ifindex);

	if (!port)
		return drop_without_policy(skb, FROM_GUEST);
	__u64 offload = offload_of(skb);
	if (passes_from_guest(skb, port, offload))
		return TC_ACT_UNSPEC;
	int said = slow_from_guest(skb, port, offload);
	return said == ASK_GROUPS ? ask_groups(skb, port, FROM_GUEST) : said;
}

SEC("tc")
int to_guest(struct __sk_buff *skb)
{
	const struct port *port = port_of(skb->ifindex);

	if (!port)
		return drop_without_policy(skb, TO_GUEST);
	__u64 offload = offload_of(skb);
	if (passes_to_guest(skb, port, offload))
		return TC_ACT_UNSPEC;
	int said = slow_to_guest(skb, port, offload);
	return said == ASK_GROUPS ? ask_groups(skb, port, TO_GUEST) : said;
}

SEC("tc")
int by_groups(struct __sk_buff *skb)
{
	__u32 zero = 0;
	const struct port *port = port_of(skb->ifindex);
	struct group_ctx *group_ctx = bpf_map_lookup_elem(&passages, &zero);

	if (!group_ctx)
		return drop(skb, port, FROM_GUEST, DROP_CODE(SECURITY_GROUPS, FLOW_TABLE_FULL));
	enum direction direction = group_ctx->direction & 1;
	if (!port)
		return drop_without_policy(skb, direction);
	int reason = groups(skb, port, group_ctx);
	if (reason == AGAIN)
		return ask_groups(skb, port, direction);
	return reason ? drop(skb, port, direction, DROP_CODE(SECURITY_GROUPS, reason)) : TC_ACT_UNSPEC;
}

/*
 * Run by the agent, on the answer to a frame that groups rejected. The answer then takes the
 * way of the port's frames, through its guards: by cb[0] it enters the interface, or leaves it.
 * Only groups know it by its mark.
 */
SEC("tc")
int answer(struct __sk_buff *skb)
{
	const struct global_config *set = global_config();

	if (!set)
		return -ENOENT;
	skb->mark = set->mark;
	return bpf_clone_redirect(skb, skb->ifindex, skb->cb[0] ? BPF_F_INGRESS : 0);
}

/* The helpers used are offered to GPL-compatible programs only. */
char _license[] SEC("license") = "GPL";
