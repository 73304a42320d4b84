// SPDX-License-Identifier: Apache-2.0
// flood NETNS DEVICE MILLISECONDS FRAMES HEX: send one frame again and again from a raw socket.
//
// Ends after that time, or after that many frames if FRAMES is not 0. Prints the frames sent,
// wall ns and this thread's CPU ns. On a veth the whole path (send, hooks, bridge, delivery)
// runs on this thread, so its CPU time is the path's cost.
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 64, LARGEST = 2048 };

static long long clock_ns(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static int raw_socket(const char *netns, const char *device)
{
	char path[128];
	int one = 1, room = 8 << 20;
	snprintf(path, sizeof(path), "/run/netns/%s", netns);
	int fd = open(path, O_RDONLY);
	if (fd < 0 || setns(fd, CLONE_NEWNET)) {
		perror(path);
		exit(2);
	}
	int sock = socket(AF_PACKET, SOCK_RAW, 0);
	struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = if_nametoindex(device)};
	if (sock < 0 || bind(sock, (struct sockaddr *)&to, sizeof(to))) {
		perror(device);
		exit(2);
	}
	setsockopt(sock, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one));
	setsockopt(sock, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room));
	return sock;
}

int main(int count, char **args)
{
	static unsigned char frame[LARGEST];
	struct mmsghdr batch[BATCH] = {};
	if (count != 6 || strlen(args[5]) / 2 > LARGEST) {
		fprintf(stderr, "flood NETNS DEVICE MILLISECONDS FRAMES HEX\n");
		return 2;
	}
	size_t size = strlen(args[5]) / 2;
	for (size_t i = 0; i < size; i++)
		sscanf(args[5] + 2 * i, "%2hhx", &frame[i]);
	struct iovec data = {frame, size};
	for (int i = 0; i < BATCH; i++)
		batch[i].msg_hdr = (struct msghdr){.msg_iov = &data, .msg_iovlen = 1};

	cpu_set_t last;
	CPU_ZERO(&last);
	CPU_SET(sysconf(_SC_NPROCESSORS_ONLN) - 1, &last);
	sched_setaffinity(0, sizeof(last), &last);

	int sock = raw_socket(args[1], args[2]);
	long long limit = atoll(args[3]) * 1000000, frames = atoll(args[4]), sent = 0;
	long long began = clock_ns(CLOCK_MONOTONIC), cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID), now;
	do {
		long long left = frames ? frames - sent : BATCH;
		int done = sendmmsg(sock, batch, left < BATCH ? left : BATCH, 0);
		if (done > 0)
			sent += done;
		now = clock_ns(CLOCK_MONOTONIC);
	} while (now - began < limit && (!frames || sent < frames));
	printf("%lld %lld %lld\n", sent, now - began, clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu);
}
