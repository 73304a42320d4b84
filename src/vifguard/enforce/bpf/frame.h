/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/*
 * Reading a frame, on the slow path. Every read goes through bpf_skb_load_bytes, which
 * works where the packet is not linear (GSO, zero copy), and stops at the IP packet's own
 * end: the octets behind it are padding, which is nobody's header.
 */
#pragma once

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "maps.h"

#define TYPE_RARP 0x8035
#define ARP_LENGTH 28 /* Ethernet and IPv4 addresses */
#define SMALLEST_FRAME 60
#define ICMPV6 58
#define IGMP 2
#define NO_NEXT_HEADER 59

enum header_state { SOUND, MALFORMED, UNREADABLE };
enum fragment_bit { FRAGMENTED = 1, LATER = 2, MORE = 4 };

/* Network byte order only where a field says so. */
struct frame {
	__u32 length; /* bytes, as the guest sent it */
	union {
		struct {
			__u32 end; /* offset behind the IP packet */
			__u32 upper; /* offset of the upper layer */
			__u16 type; /* Ethernet type, or a stripped tag's */
			__u8 state; /* of the IP headers */
			__u8 protocol; /* upper layer's */
			__u8 hops; /* TTL or hop limit */
			__u8 fragment;
			__u8 extensions; /* IPv6 extension headers seen */
			__u8 routing; /* a routing header among them */
			__u8 alert; /* the first is an 8-byte hop-by-hop with router alert (MLD) */
			__u8 options; /* IPv4: the header is longer than 20 bytes */
			__u16 fragment_at; /* IPv6: offset of the fragment header */
		};
		__u32 facts[5];
	};
	__u8 to[6];
	__u8 from[6];
	struct address source;
	struct address destination;
	union {
		struct {
			__u16 source_port; /* network byte order */
			__u16 destination_port;
		};
		struct {
			__u8 icmp_type;
			__u8 icmp_code;
		};
	};
};

/* RFC 826 with Ethernet and IPv4 addresses. */
struct arp {
	__u16 hardware, protocol; /* network byte order */
	__u8 hardware_length, protocol_length;
	__u16 operation;
	__u8 sender_mac[6];
	__u8 sender[4];
	__u8 target_mac[6];
	__u8 target[4];
} __attribute__((packed));

static __always_inline int is_group(const __u8 *mac)
{
	return mac[0] & 1;
}

static __always_inline int same_mac(const __u8 *a, const __u8 *b)
{
	return a[0] == b[0] && a[1] == b[1] && a[2] == b[2] && a[3] == b[3] && a[4] == b[4] &&
	       a[5] == b[5];
}

static __always_inline int is_zero(const __u8 *mac)
{
	return !(mac[0] | mac[1] | mac[2] | mac[3] | mac[4] | mac[5]);
}

static __always_inline int is_ipv6(const struct address *address, __u32 a, __u32 b, __u32 c,
				   __u32 d)
{
	return address->word[0] == bpf_htonl(a) && address->word[1] == bpf_htonl(b) &&
	       address->word[2] == bpf_htonl(c) && address->word[3] == bpf_htonl(d);
}

static __always_inline int is_unspecified(const struct address *address)
{
	return !(address->word[0] | address->word[1] | address->word[2] | address->word[3]);
}

/* ff00::/8 */
static __always_inline int is_multicast6(const struct address *address)
{
	return *(const __u8 *)address->word == 0xff;
}

/* fe80::/10 */
static __always_inline int is_link_local(const struct address *address)
{
	return (bpf_ntohl(address->word[0]) & 0xffc00000) == 0xfe800000;
}

/*
 * Field by field: LLVM 14 and 16 (not 19) drop the stores that stand before a copy of a
 * constant structure, because BPFDAGToDAGISel loses the chain of the load it replaces. A
 * test sees to it that the object has no constant data at all.
 */
static __always_inline struct address ipv4(const void *bytes)
{
	struct address address;
	address.family = 4;
	__builtin_memcpy(address.word, bytes, 4);
	address.word[1] = 0;
	address.word[2] = 0;
	address.word[3] = 0;
	return address;
}

static __always_inline struct address ipv6(const void *bytes)
{
	struct address address;
	address.family = 6;
	__builtin_memcpy(address.word, bytes, 16);
	return address;
}

/*
 * The verifier follows each value along each path, and gives up where paths multiply. After
 * this it knows nothing of a value: paths that differ in it become one again.
 */
static __always_inline __u32 verifier_opaque(struct __sk_buff *skb, __u32 value)
{
	__u32 veil = skb->hash;
	value ^= veil;
	asm volatile("" : "+r"(value));
	return value ^ veil;
}

static __always_inline void verifier_forget(struct __sk_buff *skb, void *words, __u32 bytes)
{
	__u32 *word = words;
#pragma unroll
	for (__u32 i = 0; i < bytes / 4; i++)
		word[i] = verifier_opaque(skb, word[i]);
}

/*
 * The sender must not be able to write octets that are judged: a zero-copy sender (vhost-net)
 * keeps all but a frame's first octets in its own memory, and a frame is read here more than
 * once. So octets that may be judged are copied into the packet's linear memory.
 */
#define JUDGED 2048 /* more than the longest DHCP message and chain of headers */

static __always_inline int take_into_memory(struct __sk_buff *skb)
{
	__u32 linear = skb->data_end - skb->data;
	__u32 wanted = skb->len < JUDGED ? skb->len : JUDGED;
	return linear < wanted && bpf_skb_pull_data(skb, wanted) ? NO_MEMORY : 0;
}

/* Read the first bytes of the upper layer, where at least `least` are there. */
static __always_inline int read_upper(struct __sk_buff *skb, struct frame *frame, __u32 least)
{
	if (frame->upper + least > frame->end)
		return UNREADABLE;
	if (least && bpf_skb_load_bytes(skb, frame->upper, &frame->source_port, 4))
		return UNREADABLE;
	return SOUND;
}

/*
 * BIG TCP: an IP packet for which its own length field is too small has 0 in it. It exists in
 * the kernel alone, until it is cut into segments.
 */
static __always_inline int is_big(struct __sk_buff *skb, const struct frame *frame)
{
	return frame->length - ETH_HLEN > 0xffff && skb->gso_size;
}

static __noinline int read_ipv4(struct __sk_buff *skb, struct frame *frame)
{
	__u8 header[20];
	if (bpf_skb_load_bytes(skb, ETH_HLEN, header, sizeof(header)))
		return MALFORMED;
	__u32 size = (header[0] & 15) * 4;
	__u32 total = header[2] << 8 | header[3];
	if (!total && is_big(skb, frame))
		total = frame->length - ETH_HLEN;
	if (header[0] >> 4 != 4 || size < sizeof(header) || size > total ||
	    total > frame->length - ETH_HLEN)
		return MALFORMED;
	__u32 offset = (header[6] & 0x1f) << 8 | header[7];
	frame->end = ETH_HLEN + total;
	frame->upper = ETH_HLEN + size;
	frame->options = size > sizeof(header);
	frame->hops = header[8];
	frame->protocol = header[9];
	frame->source = ipv4(header + 12);
	frame->destination = ipv4(header + 16);
	if (header[6] & 0x20)
		frame->fragment = FRAGMENTED | MORE;
	if (offset) {
		frame->fragment |= FRAGMENTED | LATER;
		return SOUND;
	}
	switch (frame->protocol) {
	case IPPROTO_TCP:
		return read_upper(skb, frame, 20);
	case IPPROTO_UDP:
	case IPPROTO_ICMP:
		return read_upper(skb, frame, 8);
	}
	return SOUND;
}

enum extension {
	HOP_BY_HOP = 0,
	ROUTING = 43,
	FRAGMENT = 44,
	AUTHENTICATION = 51,
	DESTINATION = 60,
	MOBILITY = 135,
	HIP = 139,
	SHIM6 = 140,
};

static __always_inline int is_extension(__u8 header)
{
	switch (header) {
	case HOP_BY_HOP:
	case ROUTING:
	case FRAGMENT:
	case AUTHENTICATION:
	case DESTINATION:
	case MOBILITY:
	case HIP:
	case SHIM6:
		return 1;
	}
	return 0;
}

static __always_inline __u32 extension_size(__u8 kind, const __u8 *header)
{
	if (kind == FRAGMENT)
		return 8;
	return kind == AUTHENTICATION ? (header[1] + 2) * 4 : (header[1] + 1) * 8;
}

static __always_inline int is_router_alert(const __u8 *option)
{
	return option[0] == 5 && option[1] == 2 && !option[2] && !option[3];
}

/* One extension header, the `i`th; frame->upper moves behind it. */
static __noinline int read_extension(struct __sk_buff *skb, struct frame *frame, __u32 i)
{
	__u8 kind = frame->protocol, header[8];
	if (i == 8 || (kind == HOP_BY_HOP && i) || (kind == FRAGMENT && frame->fragment) ||
	    bpf_skb_load_bytes(skb, frame->upper, header, sizeof(header)))
		return UNREADABLE;
	__u32 size = extension_size(kind, header);
	if (frame->upper + size > frame->end)
		return UNREADABLE;
	frame->upper += size;
	frame->protocol = header[0];
	frame->extensions = i + 1;
	if (kind == ROUTING)
		frame->routing = 1;
	if (kind == HOP_BY_HOP && size == 8)
		frame->alert = is_router_alert(header + 2) || is_router_alert(header + 4);
	if (kind == FRAGMENT) {
		__u32 offset = header[2] | (header[3] & 0xf8);
		frame->fragment = offset ? FRAGMENTED | LATER : FRAGMENTED;
		frame->fragment_at = frame->upper - size;
		if (header[3] & 1)
			frame->fragment |= MORE;
	}
	verifier_forget(skb, frame->facts, sizeof(frame->facts));
	return SOUND;
}

/* Walk the extension headers (RFC 8200, section 4); at most eight, each of them whole. */
static __noinline int read_extensions(struct __sk_buff *skb, struct frame *frame)
{
	for (__u32 i = 0; i < 9; i++) {
		/* The header behind that of a later fragment is in the first one. */
		if (!is_extension(frame->protocol) || frame->fragment & LATER)
			break;
		if (read_extension(skb, frame, i))
			return UNREADABLE;
	}
	if (frame->fragment & LATER)
		return SOUND;
	switch (frame->protocol) {
	case IPPROTO_TCP:
		return read_upper(skb, frame, 20);
	case IPPROTO_UDP:
		return read_upper(skb, frame, 8);
	case ICMPV6:
		return read_upper(skb, frame, 4);
	}
	return SOUND;
}

static __noinline int read_ipv6(struct __sk_buff *skb, struct frame *frame)
{
	__u8 header[40];
	if (bpf_skb_load_bytes(skb, ETH_HLEN, header, sizeof(header)))
		return MALFORMED;
	__u32 payload = header[4] << 8 | header[5];
	if (!payload && is_big(skb, frame))
		payload = frame->length - ETH_HLEN - sizeof(header);
	if (header[0] >> 4 != 6 || sizeof(header) + payload > frame->length - ETH_HLEN ||
	    (!payload && header[6] != NO_NEXT_HEADER))
		return MALFORMED;
	frame->upper = ETH_HLEN + sizeof(header);
	frame->end = frame->upper + payload;
	frame->protocol = header[6];
	frame->hops = header[7];
	frame->source = ipv6(header + 8);
	frame->destination = ipv6(header + 24);
	verifier_forget(skb, frame->facts, sizeof(frame->facts));
	return read_extensions(skb, frame);
}

/* The Ethernet header. A frame shorter than one leaves `type` 0, and is a runt. */
static __always_inline void read_ethernet(struct __sk_buff *skb, struct frame *frame)
{
	__u8 header[ETH_HLEN];
	frame->length = skb->len;
	if (bpf_skb_load_bytes(skb, 0, header, sizeof(header)))
		return;
	__builtin_memcpy(frame->to, header, 6);
	__builtin_memcpy(frame->from, header + 6, 6);
	frame->type = header[12] << 8 | header[13];
	/* The kernel moves an outer tag out of the data: the type behind it is not this frame's. */
	if (skb->vlan_present)
		frame->type = bpf_ntohs(skb->vlan_proto);
}

static __always_inline void read_frame(struct __sk_buff *skb, struct frame *frame)
{
	read_ethernet(skb, frame);
	if (frame->type == ETH_P_IP)
		frame->state = read_ipv4(skb, frame);
	else if (frame->type == ETH_P_IPV6)
		frame->state = read_ipv6(skb, frame);
	verifier_forget(skb, frame, sizeof(*frame));
}

/* The ARP or RARP packet; false where its hardware addresses cannot be located. */
static __always_inline int read_arp(struct __sk_buff *skb, struct arp *arp)
{
	return !bpf_skb_load_bytes(skb, ETH_HLEN, arp, sizeof(*arp)) &&
	       arp->hardware == bpf_htons(1) && arp->protocol == bpf_htons(ETH_P_IP) &&
	       arp->hardware_length == 6 && arp->protocol_length == 4;
}
