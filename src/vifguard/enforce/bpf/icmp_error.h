/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/*
 * ICMP errors: the connection of an error is that of the packet it quotes; a quoted later
 * fragment has no ports, but the identification of its packet.
 */
#pragma once

#include "fragments.h"

/* The packet that an ICMP error quotes; addresses in network byte order. */
struct quoted {
	__u32 source[4];
	__u32 destination[4];
	__u8 upper[8];
	__u32 at; /* offset of the next header in the quote */
	__u8 protocol;
	__u8 is_fragment;
	__u8 is_later;
	__u32 ident; /* of a later fragment */
};

static __noinline int read_quoted4(struct __sk_buff *skb, const struct frame *frame,
				   struct quoted *quoted)
{
	__u8 header[20];
	__u32 at = frame->upper + 8;
	if (at + 28 > frame->end || bpf_skb_load_bytes(skb, at, header, sizeof(header)))
		return 0;
	__u32 size = (header[0] & 15) * 4;
	if (header[0] >> 4 != 4 || size < 20 || at + size + 8 > frame->end)
		return 0;
	quoted->is_later = header[6] & 0x1f || header[7];
	__builtin_memcpy(&quoted->ident, header + 4, 2);
	__builtin_memcpy(quoted->source, header + 12, 4);
	__builtin_memcpy(quoted->destination, header + 16, 4);
	quoted->protocol = header[9];
	return !bpf_skb_load_bytes(skb, at + size, quoted->upper, sizeof(quoted->upper));
}

/* One extension header of a quoted packet, the `i`th; false where the chain breaks. */
static __noinline int skip_quoted(struct __sk_buff *skb, const struct frame *frame,
				  struct quoted *quoted, __u32 i)
{
	__u8 kind = quoted->protocol, header[8];
	if (i == 8 || (kind == HOP_BY_HOP && i) || (kind == FRAGMENT && quoted->is_fragment) ||
	    quoted->at + sizeof(header) > frame->end ||
	    bpf_skb_load_bytes(skb, quoted->at, header, sizeof(header)))
		return 0;
	quoted->at += extension_size(kind, header);
	quoted->protocol = header[0];
	if (kind != FRAGMENT)
		return 1;
	quoted->is_fragment = 1;
	quoted->is_later = (header[2] | (header[3] & 0xf8)) != 0;
	__builtin_memcpy(&quoted->ident, header + 4, 4);
	return 1;
}

static __noinline int read_quoted6(struct __sk_buff *skb, const struct frame *frame,
				   struct quoted *quoted)
{
	__u8 header[40];
	quoted->at = frame->upper + 8;
	if (quoted->at + sizeof(header) > frame->end ||
	    bpf_skb_load_bytes(skb, quoted->at, header, sizeof(header)) || header[0] >> 4 != 6)
		return 0;
	__builtin_memcpy(quoted->source, header + 8, 16);
	__builtin_memcpy(quoted->destination, header + 24, 16);
	quoted->protocol = header[6];
	quoted->at += sizeof(header);
	for (__u32 i = 0; i < 9 && is_extension(quoted->protocol) && !quoted->is_later; i++)
		if (!skip_quoted(skb, frame, quoted, i))
			return 0;
	return quoted->at + sizeof(quoted->upper) <= frame->end &&
	       !bpf_skb_load_bytes(skb, quoted->at, quoted->upper, sizeof(quoted->upper));
}

static __always_inline int is_word_same(const __u32 *a, const __u32 *b)
{
	return a[0] == b[0] && a[1] == b[1] && a[2] == b[2] && a[3] == b[3];
}

/* Set the key's ports by a quoted packet; false for an ICMP message without an identifier. */
static __always_inline int quoted_ports(struct group_ctx *p, const struct quoted *quoted)
{
	const __u8 *upper = quoted->upper;
	__u8 protocol = quoted->protocol;

	p->key.ports = 0;
	if (protocol == IPPROTO_ICMP || protocol == ICMPV6) {
		int answer = is_icmp_reply(protocol, upper[0]);
		if (!answer && !is_icmp_request(protocol, upper[0]))
			return 0;
		p->key.ports = echo_ports(upper[4] | upper[5] << 8,
					  (p->sent_by == FROM_GUEST) != answer);
	} else if (has_ports(protocol)) {
		__builtin_memcpy(&p->key.ports, upper, 4);
		if (p->sent_by == TO_GUEST)
			swap_ends(&p->key.ports);
	}
	return 1;
}

/* Read an ICMP error: `key` becomes that of the quoted packet's connection. */
static __noinline int read_error(struct __sk_buff *skb, const struct frame *frame,
				 struct group_ctx *p)
{
	struct quoted quoted = {};
	__be32 sequence;
	int is_read = frame->type == ETH_P_IP ? read_quoted4(skb, frame, &quoted) :
						read_quoted6(skb, frame, &quoted);
	if (!is_read || !is_word_same(quoted.source, frame->destination.word))
		return 0;
	p->sent_by = p->direction == FROM_GUEST ? TO_GUEST : FROM_GUEST;
	if (p->sent_by == FROM_GUEST) {
		__builtin_memcpy(p->key.local, quoted.source, 16);
		__builtin_memcpy(p->key.remote, quoted.destination, 16);
	} else {
		__builtin_memcpy(p->key.local, quoted.destination, 16);
		__builtin_memcpy(p->key.remote, quoted.source, 16);
	}
	p->key.protocol = quoted.protocol;
	if (quoted.is_later) {
		int is_ipv6 = frame->type == ETH_P_IPV6;
		p->key.ports = quoted.ident;
		p->key.kind = fragments_kind(is_ipv6, p->sent_by == FROM_GUEST);
		if (is_ipv6)
			p->key.protocol = FRAGMENT;
		return 1;
	}
	__builtin_memcpy(&sequence, quoted.upper + 4, 4);
	p->sequence = bpf_ntohl(sequence);
	return quoted_ports(p, &quoted);
}
