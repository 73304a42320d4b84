// SPDX-License-Identifier: Apache-2.0
// tcp CLIENT-NETNS SERVER-NETNS ADDRESS PORT connect|stream MILLISECONDS: both ends of TCP.
//
// `connect` opens and closes one connection after the other, `stream` sends through one.
// Prints connections or bytes, wall ns and this thread's CPU ns. On a veth all that a segment
// causes runs on the thread that sent it, and both ends are this one thread: its CPU time is
// the cost of the whole, and no scheduler has a say in the rate.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BLOCK = 256 << 10, ROOM = 4 << 20 };

static struct sockaddr_storage address;
static socklen_t address_size;
static long long milliseconds;

static void must(int good, const char *what)
{
	if (good)
		return;
	perror(what);
	exit(2);
}

static long long clock_ns(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void enter(const char *netns)
{
	char path[128];
	snprintf(path, sizeof(path), "/run/netns/%s", netns);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	must(fd >= 0 && !setns(fd, CLONE_NEWNET), path);
	close(fd);
}

static void parse(const char *text, int port)
{
	struct sockaddr_in *four = (void *)&address;
	struct sockaddr_in6 *six = (void *)&address;
	if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
		four->sin_family = AF_INET;
		four->sin_port = htons(port);
		address_size = sizeof(*four);
	} else {
		must(inet_pton(AF_INET6, text, &six->sin6_addr) == 1, text);
		six->sin6_family = AF_INET6;
		six->sin6_port = htons(port);
		address_size = sizeof(*six);
	}
}

static int tcp_socket(void)
{
	int room = ROOM, fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(fd >= 0, "socket");
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	return fd;
}

static int listening(void)
{
	int one = 1, fd = tcp_socket();
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	must(!bind(fd, (void *)&address, address_size) && !listen(fd, 128), "listen");
	return fd;
}

static int connected(void)
{
	struct timeval patience = {.tv_sec = 5};
	int fd = tcp_socket();
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	must(!connect(fd, (void *)&address, address_size), "connect");
	return fd;
}

static int accepted(int listener)
{
	int fd = accept4(listener, 0, 0, SOCK_CLOEXEC);
	must(fd >= 0, "accept");
	return fd;
}

/* The server closes first, so that it is the one who waits, and the client's port is free. */
static long long connect_once(int listener)
{
	int client = connected(), server = accepted(listener);
	char none;
	close(server);
	must(recv(client, &none, 1, 0) == 0, "end of a connection");
	close(client);
	return 1;
}

static long long stream_once(int client, int server)
{
	static char block[BLOCK];
	long long done = 0, got;
	must(send(client, block, sizeof(block), MSG_DONTWAIT) > 0 || errno == EAGAIN, "send");
	struct pollfd readable = {.fd = server, .events = POLLIN};
	must(poll(&readable, 1, 5000) == 1, "what was sent");
	while ((got = recv(server, block, sizeof(block), MSG_DONTWAIT)) > 0)
		done += got;
	must(got < 0 && errno == EAGAIN, "recv");
	return done;
}

int main(int count, char **args)
{
	if (count != 7) {
		fprintf(stderr, "tcp CLIENT-NETNS SERVER-NETNS ADDRESS PORT connect|stream MS\n");
		return 2;
	}
	parse(args[3], atoi(args[4]));
	milliseconds = atoll(args[6]);
	int streams = !strcmp(args[5], "stream");
	cpu_set_t last;
	CPU_ZERO(&last);
	CPU_SET(sysconf(_SC_NPROCESSORS_ONLN) - 1, &last);
	sched_setaffinity(0, sizeof(last), &last);

	enter(args[2]);
	int listener = listening();
	enter(args[1]);
	int client = -1, server = -1;
	if (streams) {
		client = connected();
		server = accepted(listener);
	} else {
		connect_once(listener); /* the neighbours know each other from here on */
	}
	long long done = 0, now, began = clock_ns(CLOCK_MONOTONIC);
	long long cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	do {
		done += streams ? stream_once(client, server) : connect_once(listener);
		now = clock_ns(CLOCK_MONOTONIC);
	} while (now - began < milliseconds * 1000000);
	printf("%lld %lld %lld\n", done, now - began,
	       clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu);
}
