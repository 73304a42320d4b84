/* send DEVICE FRAME...: send frames, each in hexadecimal, as a guest without a Python does. */
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
    unsigned char frame[2048];
    struct sockaddr_ll to = { .sll_family = AF_PACKET };
    int fd = socket(AF_PACKET, SOCK_RAW, 0);

    if (fd < 0 || argc < 3 || !(to.sll_ifindex = (int)if_nametoindex(argv[1])))
        return perror("send DEVICE FRAME..."), 1;
    for (int i = 2; i < argc; i++) {
        size_t length = strlen(argv[i]) / 2;

        if (length > sizeof frame)
            return fprintf(stderr, "a frame of %zu octets\n", length), 1;
        for (size_t at = 0; at < length; at++)
            if (sscanf(argv[i] + 2 * at, "%2hhx", &frame[at]) != 1)
                return fprintf(stderr, "not hexadecimal: %s\n", argv[i]), 1;
        if (sendto(fd, frame, length, 0, (struct sockaddr *)&to, sizeof to) != (ssize_t)length)
            return perror("sendto"), 1;
    }
    return 0;
}
