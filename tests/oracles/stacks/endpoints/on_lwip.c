/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Socket operations by request on lwIP, the stack of small devices (Debian's liblwip).
 *
 *   on_lwip TAP MAC ADDRESS4 ADDRESS6
 *
 * The requests and answers are those of on_system.py, as far as lwIP can do what they ask. The
 * tap is there already. Addresses have no prefix length: it is 24 and 64.
 *
 * The driver of the tap is our own: that of the library (2.1.3+dfsg1-2) receives into pool
 * buffers whose length two of its files compile differently, and writes past their end.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#undef TCP_MSS /* lwIP has one of its own */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include <lwip/etharp.h>
#include <lwip/ethip6.h>
#include <lwip/netif.h>
#include <lwip/sockets.h>
#include <lwip/tcpip.h>

#define BLOCK 65521
#define SOCKETS 64
#define STREAM_END "end"
#define FRAME 1514

struct endpoint {
	char name[16];
	int fd, is_connection;
	unsigned long sent, received;
};

static struct endpoint endpoints[SOCKETS];
static struct netif netif;
static unsigned char block[BLOCK];
static int patience = 10000; /* ms */
static int tap;

static struct endpoint *find(const char *name)
{
	for (int i = 0; i < SOCKETS; i++)
		if (!strcmp(endpoints[i].name, name))
			return &endpoints[i];
	return NULL;
}

static struct endpoint *keep(const char *name, int fd)
{
	struct endpoint *here = find(name);
	if (here)
		lwip_close(here->fd);
	else if (!(here = find("")))
		exit(3);
	memset(here, 0, sizeof *here);
	snprintf(here->name, sizeof here->name, "%s", name);
	here->fd = fd;
	return here;
}

static void forget(struct endpoint *here)
{
	lwip_close(here->fd);
	memset(here, 0, sizeof *here);
}

static const char *word(int number)
{
	static char other[32];
	switch (number) {
	case ECONNREFUSED: return "refused";
	case ECONNRESET: case ECONNABORTED: case EPIPE: return "reset";
	case ENOTCONN: return "reset"; /* how lwIP says that a connection is over */
	case ETIMEDOUT: case EWOULDBLOCK: return "timeout";
	case EHOSTUNREACH: case ENETUNREACH: return "unreachable";
	case EADDRINUSE: return "in-use";
	case EMSGSIZE: return "too-big";
	}
	snprintf(other, sizeof other, "errno-%d", number);
	return other;
}

static void reply(const char *format, ...)
{
	va_list values;
	va_start(values, format);
	vprintf(format, values);
	va_end(values);
	putchar('\n');
	fflush(stdout);
}

static void reply_result(int result)
{
	reply("%s", result < 0 ? word(errno) : "ok");
}

/* `10.0.0.1:80` or `[fd00::1]:80`. */
static socklen_t read_address(char *text, struct sockaddr_storage *address)
{
	struct sockaddr_in *four = (void *)address;
	struct sockaddr_in6 *six = (void *)address;
	char *colon = strrchr(text, ':');
	memset(address, 0, sizeof *address);
	if (!colon)
		exit(4);
	*colon = 0;
	if (*text == '[') {
		colon[-1] = 0;
		six->sin6_family = AF_INET6;
		six->sin6_port = htons(atoi(colon + 1));
		lwip_inet_pton(AF_INET6, text + 1, &six->sin6_addr);
		return sizeof *six;
	}
	four->sin_family = AF_INET;
	four->sin_port = htons(atoi(colon + 1));
	lwip_inet_pton(AF_INET, text, &four->sin_addr);
	return sizeof *four;
}

static int wait_for(struct endpoint *here, short events)
{
	struct pollfd poll = { .fd = here->fd, .events = events };
	int ready = lwip_poll(&poll, 1, patience);
	if (ready == 0)
		errno = ETIMEDOUT;
	return ready > 0 ? 0 : -1;
}

static int pending(struct endpoint *here)
{
	int number = 0;
	socklen_t length = sizeof number;
	lwip_getsockopt(here->fd, SOL_SOCKET, SO_ERROR, &number, &length);
	return number;
}

static struct endpoint *make(char **word, int kind, struct sockaddr_storage *where, socklen_t *length)
{
	int one = 1, fd;
	*length = read_address(word[2], where);
	fd = lwip_socket(where->ss_family, kind, 0);
	if (fd < 0)
		return NULL;
	lwip_setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	lwip_fcntl(fd, F_SETFL, O_NONBLOCK);
	return keep(word[1], fd);
}

static void do_listen(char **word)
{
	struct sockaddr_storage where;
	socklen_t length;
	struct endpoint *here = make(word, SOCK_STREAM, &where, &length);
	int result = here ? lwip_bind(here->fd, (void *)&where, length) : -1;
	reply_result(result < 0 ? result : lwip_listen(here->fd, 16));
}

static void do_bind(char **word)
{
	struct sockaddr_storage where;
	socklen_t length;
	struct endpoint *here = make(word, SOCK_DGRAM, &where, &length);
	reply_result(here ? lwip_bind(here->fd, (void *)&where, length) : -1);
}

static void do_connect(char **word)
{
	struct sockaddr_storage where, from;
	socklen_t length, from_length;
	struct endpoint *here = make(word, SOCK_STREAM, &where, &length);
	int number;
	if (here && word[3] && !strcmp(word[3], "from")) {
		from_length = read_address(word[4], &from);
		if (lwip_bind(here->fd, (void *)&from, from_length) < 0)
			return reply_result(-1);
	}
	if (!here || (lwip_connect(here->fd, (void *)&where, length) < 0 && errno != EINPROGRESS))
		return reply_result(-1);
	here->is_connection = 1;
	if (wait_for(here, POLLOUT) < 0)
		return reply_result(-1);
	number = pending(here);
	errno = number;
	reply_result(number ? -1 : 0);
}

static void do_accept(char **word)
{
	struct endpoint *here = find(word[1]);
	int fd;
	if (wait_for(here, POLLIN) < 0 || (fd = lwip_accept(here->fd, NULL, NULL)) < 0)
		return reply_result(-1);
	lwip_fcntl(fd, F_SETFL, O_NONBLOCK);
	keep(word[2], fd)->is_connection = 1;
	reply("ok");
}

static void do_send(char **word)
{
	struct endpoint *here = find(word[1]);
	unsigned long left = strtoul(word[2], NULL, 10);
	while (left) {
		unsigned long at = here->sent % BLOCK, part = BLOCK - at < left ? BLOCK - at : left;
		ssize_t done;
		if (wait_for(here, POLLOUT) < 0)
			return reply_result(-1);
		done = lwip_send(here->fd, block + at, part > 8192 ? 8192 : part, 0);
		if (done < 0 && errno == EWOULDBLOCK)
			continue;
		if (done < 0)
			return reply_result(-1);
		here->sent += done;
		left -= done;
	}
	reply("ok");
}

/* 1: these octets are the stream's from `offset` on. */
static int fits(const unsigned char *data, long length, unsigned long offset)
{
	for (long i = 0; i < length; i++)
		if (data[i] != block[(offset + i) % BLOCK])
			return 0;
	return 1;
}

static const char *receive(struct endpoint *here, unsigned long wanted, unsigned long *count)
{
	static unsigned char data[1 << 16];
	*count = 0;
	while (*count < wanted) {
		unsigned long left = wanted - *count;
		ssize_t got;
		if (wait_for(here, POLLIN) < 0)
			return word(errno);
		got = lwip_recv(here->fd, data, left < sizeof data ? left : sizeof data, 0);
		if (got < 0)
			return word(errno);
		if (!got)
			return STREAM_END;
		if (!fits(data, got, here->received))
			return "corrupt";
		here->received += got;
		*count += got;
	}
	return "";
}

static void do_recv(char **word)
{
	unsigned long count;
	const char *outcome = receive(find(word[1]), strtoul(word[2], NULL, 10), &count);
	reply("%lu%s%s", count, *outcome ? " " : "", outcome);
}

static void do_drain(char **word)
{
	unsigned long count;
	reply("%s", receive(find(word[1]), ~0UL, &count));
}

static void do_finish(char **word)
{
	reply_result(lwip_shutdown(find(word[1])->fd, SHUT_WR));
}

static void do_close(char **word)
{
	forget(find(word[1]));
	reply("ok");
}

static void abort_at_close(struct endpoint *here)
{
	struct linger linger = { 1, 0 };
	if (here->is_connection)
		lwip_setsockopt(here->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
	forget(here);
}

static void do_abort(char **word)
{
	abort_at_close(find(word[1]));
	reply("ok");
}

static void do_clear(char **word)
{
	(void)word;
	for (int i = 0; i < SOCKETS; i++)
		if (endpoints[i].name[0])
			abort_at_close(&endpoints[i]);
	reply("ok");
}

static void do_set(char **word)
{
	int value = word[3] ? atoi(word[3]) : 1, fd = find(word[1])->fd;
	if (!strcmp(word[2], "keepalive"))
		return reply_result(lwip_setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, sizeof value));
	reply_result(lwip_setsockopt(fd, IPPROTO_TCP, !strcmp(word[2], "keepidle") ? TCP_KEEPIDLE :
		   !strcmp(word[2], "keepintvl") ? TCP_KEEPINTVL : TCP_KEEPCNT, &value, sizeof value));
}

static void do_sendto(char **word)
{
	struct sockaddr_storage where;
	socklen_t length = read_address(word[2], &where);
	static unsigned char data[1 << 16];
	unsigned long octets = strtoul(word[3], NULL, 10);
	memcpy(data, block, octets < BLOCK ? octets : BLOCK);
	reply_result(lwip_sendto(find(word[1])->fd, data, octets, 0, (void *)&where, length) < 0 ? -1 : 0);
}

static void do_recvfrom(char **word)
{
	static unsigned char data[1 << 16];
	struct sockaddr_storage from;
	struct sockaddr_in *four = (void *)&from;
	struct sockaddr_in6 *six = (void *)&from;
	socklen_t length = sizeof from;
	struct endpoint *here = find(word[1]);
	char text[64];
	ssize_t got;
	if (wait_for(here, POLLIN) < 0)
		return reply_result(-1);
	got = lwip_recvfrom(here->fd, data, sizeof data, 0, (void *)&from, &length);
	if (got < 0)
		return reply_result(-1);
	if (!fits(data, got, 0))
		return reply("corrupt");
	if (from.ss_family == AF_INET6) {
		inet_ntop(AF_INET6, &six->sin6_addr, text, sizeof text);
		return reply("%zd from [%s]:%d", got, text, ntohs(six->sin6_port));
	}
	inet_ntop(AF_INET, &four->sin_addr, text, sizeof text);
	reply("%zd from %s:%d", got, text, ntohs(four->sin_port));
}

static void do_patience(char **word)
{
	patience = atof(word[1]) * 1000;
	reply("ok");
}

static const struct {
	const char *name;
	void (*act)(char **word);
} operations[] = {
	{ "listen", do_listen }, { "connect", do_connect }, { "accept", do_accept },
	{ "send", do_send }, { "recv", do_recv }, { "drain", do_drain }, { "finish", do_finish },
	{ "close", do_close }, { "abort", do_abort }, { "clear", do_clear }, { "set", do_set },
	{ "bind", do_bind }, { "sendto", do_sendto }, { "recvfrom", do_recvfrom },
	{ "patience", do_patience },
};

static void act(char *line)
{
	char *word[16] = { 0 };
	int count = 0;
	for (char *part = strtok(line, " \n"); part && count < 15; part = strtok(NULL, " \n"))
		word[count++] = part;
	for (unsigned i = 0; count && i < sizeof operations / sizeof *operations; i++)
		if (!strcmp(operations[i].name, word[0]))
			return operations[i].act(word);
	reply("unknown operation %s", word[0] ? word[0] : "");
}

static int open_tap(const char *name)
{
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	int fd = open("/dev/net/tun", O_RDWR);
	snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0) {
		perror(name);
		exit(5);
	}
	return fd;
}

static err_t send_frame(struct netif *netif, struct pbuf *frame)
{
	char whole[FRAME];
	u16_t length = pbuf_copy_partial(frame, whole, sizeof whole, 0);
	(void)netif;
	return write(tap, whole, length) == length ? ERR_OK : ERR_IF;
}

static void receive_frames(void *argument)
{
	char frame[FRAME];
	(void)argument;
	for (;;) {
		ssize_t length = read(tap, frame, sizeof frame);
		struct pbuf *buffer = length > 0 ? pbuf_alloc(PBUF_RAW, length, PBUF_RAM) : NULL;
		if (!buffer)
			continue;
		pbuf_take(buffer, frame, length);
		if (netif.input(buffer, &netif) != ERR_OK)
			pbuf_free(buffer);
	}
}

static err_t describe(struct netif *netif)
{
	netif->name[0] = 't';
	netif->name[1] = 'p';
	netif->mtu = 1500;
	netif->hwaddr_len = 6;
	netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET |
		       NETIF_FLAG_IGMP | NETIF_FLAG_MLD6;
	netif->output = etharp_output;
	netif->output_ip6 = ethip6_output;
	netif->linkoutput = send_frame;
	return ERR_OK;
}

static void start(char **argument)
{
	ip4_addr_t address, mask, none = { 0 };
	ip6_addr_t six;
	s8_t index;
	unsigned mac[6];
	tap = open_tap(argument[1]);
	sscanf(argument[2], "%x:%x:%x:%x:%x:%x", mac, mac + 1, mac + 2, mac + 3, mac + 4, mac + 5);
	ip4addr_aton(argument[3], &address);
	ip4addr_aton("255.255.255.0", &mask);
	ip6addr_aton(argument[4], &six);
	tcpip_init(NULL, NULL);
	LOCK_TCPIP_CORE();
	netif_add(&netif, &address, &mask, &none, NULL, describe, tcpip_input);
	for (int i = 0; i < 6; i++)
		netif.hwaddr[i] = mac[i];
	netif_create_ip6_linklocal_address(&netif, 1);
	netif_set_default(&netif);
	netif_set_up(&netif);
	netif_set_link_up(&netif);
	netif_add_ip6_address(&netif, &six, &index);
	UNLOCK_TCPIP_CORE();
	sys_thread_new("tap", receive_frames, NULL, 0, 0);
}

/* Duplicate address detection takes a second; before, the addresses are not used. */
static void wait_for_addresses(void)
{
	for (int ready = 0; !ready;) {
		struct timespec moment = { 0, 10000000 };
		ready = 1;
		LOCK_TCPIP_CORE();
		for (int i = 0; i < LWIP_IPV6_NUM_ADDRESSES; i++)
			if (ip6_addr_istentative(netif_ip6_addr_state(&netif, i)))
				ready = 0;
		UNLOCK_TCPIP_CORE();
		nanosleep(&moment, NULL);
	}
}

int main(int count, char **argument)
{
	static char line[512];
	if (count != 5)
		return 2;
	for (int i = 0; i < BLOCK; i++)
		block[i] = i * 31 + (i >> 8);
	start(argument);
	wait_for_addresses();
	reply("ready");
	while (fgets(line, sizeof line, stdin))
		act(line);
	return 0;
}
