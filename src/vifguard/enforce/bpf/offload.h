/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/*
 * The offload that the sender leaves to be done behind this program, and whether that would
 * write into octets that are judged here, by docs/guards.md, "Offloads".
 */
#pragma once

#include "frame.h"

#define PARTIAL (1ULL << 32) /* CHECKSUM_PARTIAL */
#define NOT_INET (1ULL << 33) /* csum_not_inet: SCTP's CRC */
#define UNKNOWN_OFFLOAD (1ULL << 34)
#define FOREIGN (1ULL << 35) /* alone: the interface is in another namespace than the agent */

#define TCP_CHECKSUM 16
#define UDP_CHECKSUM 6
#define SCTP_CHECKSUM 8
#define SCTP_HEADER 12
#define GRE 47
#define TAG_END 18 /* Ethernet header and four octets: a tag, if the type is one */

/*
 * The partial checksum, 0 for none: start in the frame (bits 0 to 15), offset from there
 * (16 to 31), and the bits above. The loader replaces this body by another, which reads sk_buff
 * in this kernel's layout (kernel/bpf/skbuff.py); without that, no frame passes.
 */
__attribute__((weak, noinline)) __u64 read_offload(struct __sk_buff *skb)
{
	return UNKNOWN_OFFLOAD;
}

/*
 * Call it, and leave room behind the label: a return costs 8 ns, so the loader writes the
 * instructions themselves there if they need no stack. `goto +0` is removed by the kernel.
 */
static __always_inline __u64 offload_of(struct __sk_buff *skb)
{
	__u64 offload;

	asm volatile("r1 = %[skb]\n"
		     "in_line_read_offload_%=:\n"
		     "call read_offload\n"
		     ".rept 31\n"
		     "goto +0\n"
		     ".endr\n"
		     "%[offload] = r0\n"
		     : [offload] "=r"(offload)
		     : [skb] "r"(skb)
		     : "r0", "r1", "r2", "r3", "r4", "r5", "memory");
	return offload;
}

static __always_inline __u64 completing(__u32 upper, __u32 offset)
{
	return PARTIAL | offset << 16 | upper;
}

/* Nothing is left to do, or only the checksum of the TCP or UDP header at `upper`. */
static __always_inline int is_plain_offload(__u64 offload, __u32 upper, __u8 protocol)
{
	if (!offload)
		return 1;
	if (protocol == IPPROTO_TCP)
		return offload == completing(upper, TCP_CHECKSUM);
	return protocol == IPPROTO_UDP && offload == completing(upper, UDP_CHECKSUM);
}

static __always_inline int is_dhcp(const struct frame *frame)
{
	/* The two ports are neighbours, in both families. */
	__u16 first = frame->type == ETH_P_IP ? 67 : 546;
	__u16 source = bpf_ntohs(frame->source_port) - first;
	__u16 destination = bpf_ntohs(frame->destination_port) - first;
	return source < 2 || destination < 2;
}

static __always_inline int is_ip(const struct frame *frame)
{
	return frame->type == ETH_P_IP || frame->type == ETH_P_IPV6;
}

/* The first octet that may be written inside the frame's payload, 0: none. */
static __always_inline __u32 carried_from(const struct frame *frame)
{
	if (frame->type == ETH_P_ARP || frame->type == TYPE_RARP)
		return 0;
	if (!is_ip(frame))
		return TAG_END;
	switch (frame->protocol) {
	case IPPROTO_UDP:
		return is_dhcp(frame) ? 0 : frame->upper + 8;
	case IPPROTO_IPIP:
	case IPPROTO_IPV6:
	case GRE:
		return frame->upper;
	}
	return 0;
}

static __noinline int checksum_offload(const struct frame *frame, __u64 offload)
{
	__u32 start = offload & 0xffff, offset = offload >> 16 & 0xffff;
	if (!offload)
		return 0;
	if (offload & UNKNOWN_OFFLOAD || (is_ip(frame) && (frame->state != SOUND || frame->fragment)))
		return CHECKSUM_OFFLOAD;
	if (is_ip(frame) && is_plain_offload(offload, frame->upper, frame->protocol))
		return 0;
	if (offload & NOT_INET)
		return is_ip(frame) && frame->protocol == IPPROTO_SCTP && start == frame->upper &&
				       offset == SCTP_CHECKSUM &&
				       frame->upper + SCTP_HEADER <= frame->end ?
			       0 :
			       CHECKSUM_OFFLOAD;
	__u32 carried = carried_from(frame);
	return carried && start >= carried ? 0 : CHECKSUM_OFFLOAD;
}

/*
 * A fragment that is segmented once more gets offsets from 0 on (UFO), and its first part ports
 * that were not judged. From the guest: of a segmented DHCP message only the first part was.
 */
static __always_inline int segmentation_offload(struct __sk_buff *skb, const struct frame *frame,
						enum direction direction)
{
	if (!skb->gso_size || !is_ip(frame) || frame->state == MALFORMED)
		return 0;
	if (frame->fragment)
		return SEGMENTATION_OFFLOAD;
	return direction == FROM_GUEST && frame->state == SOUND &&
			       frame->protocol == IPPROTO_UDP && is_dhcp(frame) ?
		       SEGMENTATION_OFFLOAD :
		       0;
}
